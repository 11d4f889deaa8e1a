"""An AWS account of dictionaries, for what needs a control plane but no service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sfini_celery.errors import service_error
from sfini_celery.sfini.session import AWSSession


class FakeControl:
    """What sfini's objects use of a ControlPlane; ``calls`` says what was asked for, in order."""

    region = "eu-west-1"
    account = "123456789012"

    def __init__(self) -> None:
        self.activities: dict[str, str] = {}
        self.machines: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:states:{self.region}:{self.account}:{kind}:{name}"

    def create_activity(self, name: str, **_: Any) -> str:
        self.calls.append(f"create activity {name}")
        return self.activities.setdefault(self.arn("activity", name), name) and self.arn("activity", name)

    def delete_activity(self, arn: str) -> None:
        self.calls.append(f"delete activity {arn.rpartition(':')[2]}")
        self.activities.pop(arn, None)

    def list_activities(self) -> Iterator[dict[str, Any]]:
        for arn, name in self.activities.items():
            yield {"activityArn": arn, "name": name}

    def create_state_machine(self, name: str, definition: str, role_arn: str, **_: Any) -> dict[str, Any]:
        self.calls.append(f"create machine {name}")
        arn = self.arn("stateMachine", name)
        if arn in self.machines and self.machines[arn]["definition"] != definition:
            raise service_error(
                "CreateStateMachine", "StateMachineAlreadyExists", f"State Machine Already Exists: {arn}"
            )
        self.machines.setdefault(
            arn, {"stateMachineArn": arn, "name": name, "definition": definition, "roleArn": role_arn}
        )
        return {"stateMachineArn": arn}

    def update_state_machine(
        self, arn: str, *, definition: str | None = None, role_arn: str | None = None, **_: Any
    ) -> dict[str, Any]:
        self.calls.append(f"update machine {arn.rpartition(':')[2]}")
        given = {"definition": definition, "roleArn": role_arn}
        self.machines[arn].update({key: value for key, value in given.items() if value is not None})
        return {}

    def describe_state_machine(self, arn: str) -> dict[str, Any]:
        if arn not in self.machines:
            raise service_error("DescribeStateMachine", "StateMachineDoesNotExist", arn)
        return self.machines[arn]

    def delete_state_machine(self, arn: str) -> None:
        self.calls.append(f"delete machine {arn.rpartition(':')[2]}")
        self.machines.pop(arn, None)


class FakeSession(AWSSession):
    def __init__(self, control: FakeControl) -> None:
        super().__init__()
        vars(self)["control"] = control


@pytest.fixture
def control() -> FakeControl:
    return FakeControl()


@pytest.fixture
def session(control: FakeControl) -> AWSSession:
    return FakeSession(control)
