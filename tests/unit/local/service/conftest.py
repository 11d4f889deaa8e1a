"""What the tests of the API share: a service whose clock stands still, every answer held against botocore's model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any

import botocore.session
import pytest

from sfini_celery.local import ApiError, Engine, Service, VirtualClock

ROLE = "arn:aws:iam::123456789012:role/states"
MODEL = botocore.session.Session().get_service_model("stepfunctions")


def check(shape: Any, value: Any, path: str) -> None:
    """Fail where an answer is not what botocore's model of the service says."""
    if shape.type_name == "structure":
        assert isinstance(value, dict), path
        unknown = set(value) - set(shape.members)
        assert not unknown, f"{path} has unknown members {unknown}"
        missing = set(shape.required_members) - set(value)
        assert not missing, f"{path} lacks {missing}"
        for name, member in value.items():
            if member is not None:
                check(shape.members[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            check(shape.member, item, f"{path}[{index}]")
    elif shape.type_name == "map":
        assert all(isinstance(key, str) for key in value), path
    elif shape.type_name == "boolean":
        assert isinstance(value, bool), path
    elif shape.type_name == "string":
        assert isinstance(value, str), path
        assert not shape.enum or value in shape.enum, f"{path}: {value}"
    else:
        assert isinstance(value, (int, float)), path
        assert not isinstance(value, bool), path


class Api:
    """The operations as methods of one word each: ``await api("CreateActivity", name="a")``."""

    def __init__(self) -> None:
        self.clock = VirtualClock(start=1_700_000_000.0)
        self.engine = Engine(clock=self.clock)
        self.service = Service(self.engine)

    async def __call__(self, operation: str, **request: Any) -> dict[str, Any]:
        answer = await self.service.call(operation, request)
        json.dumps(answer)
        shape = MODEL.operation_model(operation).output_shape
        if shape is None:
            assert answer == {}
        else:
            check(shape, answer, operation)
        return answer

    async def refused(self, operation: str, **request: Any) -> ApiError:
        """The error that a call is refused with: one that the operation may answer with."""
        try:
            answer = await self.service.call(operation, request)
        except ApiError as error:
            general = {"SerializationException", "UnknownOperationException", "ValidationException"}
            known = {shape.name for shape in MODEL.operation_model(operation).error_shapes} | general
            assert error.code in known, f"{operation} never answers with {error.code}"
            return error
        raise AssertionError(f"{operation} was not refused but answered {answer}")

    async def machine(self, name: str = "machine", state: dict[str, Any] | None = None, **request: Any) -> str:
        """Register a machine of one state and return its ARN."""
        made = await self("CreateStateMachine", name=name, definition=one(state), roleArn=ROLE, **request)
        return str(made["stateMachineArn"])

    def definition(self, state: dict[str, Any] | None = None) -> str:
        """A definition of one state, as text."""
        return one(state)

    async def activity(self, name: str = "work") -> str:
        """Make an activity and return its ARN."""
        return str((await self("CreateActivity", name=name))["activityArn"])

    async def settle(self) -> None:
        """Let everything run that can."""
        await self.clock.advance(0)


def one(state: dict[str, Any] | None = None) -> str:
    """A definition of one state, as text."""
    return json.dumps({"StartAt": "S", "States": {"S": state or {"Type": "Wait", "Seconds": 60, "End": True}}})


@pytest.fixture
def api() -> Api:
    """The API over an engine whose clock stands still."""
    return Api()


@pytest.fixture
def run() -> Any:
    """Run a coroutine to its end."""

    def runner(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(coroutine)

    return runner


@pytest.fixture
def definition() -> Any:
    """A definition of one state, as text."""
    return one
