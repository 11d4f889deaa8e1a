from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from sfini_celery.activity import Activity, ActivityRegistry
from sfini_celery.errors import CompileError, NotFound
from sfini_celery.inventory import Standing, activity_entries, workflow_entries

WHEN = datetime(2030, 1, 31, tzinfo=timezone.utc)
DEFINITION = {"StartAt": "a", "States": {"a": {"Type": "Pass", "Result": [1, 2], "End": True}}}


class Control:
    """An account with one activity and the machines given."""

    def __init__(self, **machines: Any) -> None:
        self.machines = machines

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:states:us-east-1:1:{kind}:{name}"

    def list_activities(self) -> Iterator[dict[str, Any]]:
        yield {"name": "there", "activityArn": self.arn("activity", "there"), "creationDate": WHEN}
        yield {"name": "somebody-elses", "activityArn": "x", "creationDate": WHEN}

    def describe_state_machine(self, arn: str) -> dict[str, Any]:
        name = arn.rpartition(":")[2]
        if name not in self.machines:
            raise NotFound("DescribeStateMachine", "StateMachineDoesNotExist")
        return {"definition": self.machines[name], "roleArn": "role", "creationDate": WHEN, "status": "ACTIVE"}


class Workflow:
    def __init__(self, name: str, definition: Any = DEFINITION) -> None:
        self.name, self.full_name, self._definition = name, f"p-{name}", definition

    def definition(self) -> Any:
        if isinstance(self._definition, Exception):
            raise self._definition
        return self._definition


def test_activities_are_those_of_the_app_with_their_tasks() -> None:
    registry = ActivityRegistry()
    for task in ("one", "two"):
        registry.add(Activity(name="there", task=task, shared=True, heartbeat=30))
    registry.add(Activity(name="gone", task="three", queues=("q",), timeout=99))
    entries = activity_entries(registry, Control())  # type: ignore[arg-type]
    assert [(entry.name, entry.tasks, entry.standing, entry.created) for entry in entries] == [
        ("gone", ("three",), Standing.MISSING, None),
        ("gone@q", ("three",), Standing.MISSING, None),
        ("there", ("one", "two"), Standing.IN_SYNC, WHEN),
    ]
    assert [(entry.heartbeat, entry.timeout) for entry in entries] == [(60, 99), (60, 99), (30, None)]


@pytest.mark.parametrize(
    ("there", "standing"),
    [
        (json.dumps(DEFINITION, indent=4), Standing.IN_SYNC),
        (json.dumps(DEFINITION, sort_keys=True), Standing.IN_SYNC),
        (json.dumps({**DEFINITION, "Comment": "by hand"}), Standing.CHANGED),
        ("not JSON", Standing.CHANGED),
        (None, Standing.CHANGED),
    ],
)
def test_a_workflow_is_in_sync_when_its_definition_is_the_same_however_it_is_written(
    there: str | None, standing: Standing
) -> None:
    (entry,) = workflow_entries([Workflow("orders")], Control(**{"p-orders": there}))  # type: ignore[arg-type]
    assert (entry.standing, entry.machine, entry.role_arn) == (standing, "p-orders", "role")


def test_what_json_cannot_tell_apart_is_no_difference() -> None:
    states = {"a": {"Type": "Pass", "Result": (1, 2), "End": True}}
    control = Control(**{"p-orders": json.dumps(DEFINITION)})
    (entry,) = workflow_entries([Workflow("orders", {"StartAt": "a", "States": states})], control)  # type: ignore[arg-type]
    assert entry.standing is Standing.IN_SYNC


def test_a_workflow_that_is_not_there_or_on_its_way_out_is_missing() -> None:
    control = Control()
    (entry,) = workflow_entries([Workflow("orders")], control)  # type: ignore[arg-type]
    assert entry.standing is Standing.MISSING
    control.describe_state_machine = lambda arn: {"status": "DELETING"}  # type: ignore[method-assign]
    (entry,) = workflow_entries([Workflow("orders")], control)  # type: ignore[arg-type]
    assert (entry.standing, entry.created) == (Standing.MISSING, None)


def test_one_that_cannot_be_compiled_is_told_and_does_not_hide_the_others() -> None:
    broken = Workflow("broken", CompileError("chain[1]", "is no activity"))
    control = Control(**{"p-orders": json.dumps(DEFINITION)})
    first, second = workflow_entries([broken, Workflow("orders")], control)  # type: ignore[arg-type]
    assert (first.standing, first.why) == (Standing.INVALID, "chain[1]: is no activity")
    assert second.standing is Standing.IN_SYNC
