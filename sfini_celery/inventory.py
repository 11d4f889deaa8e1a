"""What an app declares, and what AWS has of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from sfini_celery.errors import CompileError, DefinitionError, NotFound

if TYPE_CHECKING:
    from sfini_celery.activity import ActivityRegistry
    from sfini_celery.aws import ControlPlane

__all__ = ["ActivityEntry", "Declared", "Standing", "WorkflowEntry", "activity_entries", "workflow_entries"]


class Standing(str, Enum):
    """How what is declared stands to what is there."""

    IN_SYNC = "in sync"
    CHANGED = "changed"
    MISSING = "missing"
    INVALID = "invalid"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class ActivityEntry:
    """An activity of the app.

    Attributes:
        name, arn: in AWS
        tasks: names of the Celery tasks behind it
        heartbeat: HeartbeatSeconds of its states
        timeout: TimeoutSeconds of its states, None for none
        standing: in sync or missing: activities have nothing that could differ
        created: when, None where it is missing
    """

    name: str
    arn: str
    tasks: tuple[str, ...]
    heartbeat: int
    timeout: int | None
    standing: Standing
    created: datetime | None = None


@dataclass(frozen=True)
class WorkflowEntry:
    """A workflow of the app.

    Attributes:
        name: as the app knows it
        machine, arn: in AWS
        standing: changed where the definition there is another, invalid where none can be made here
        created: when, None where it is missing
        role_arn: that it runs under, None where it is missing
        why: of an invalid one
    """

    name: str
    machine: str
    arn: str
    standing: Standing
    created: datetime | None = None
    role_arn: str | None = None
    why: str = ""


class Declared(Protocol):
    """A workflow, as far as it has to be known here."""

    @property
    def name(self) -> str:
        """As the app knows it."""

    @property
    def full_name(self) -> str:
        """In AWS."""

    def definition(self) -> dict[str, Any]:
        """As it would be registered."""


def activity_entries(activities: ActivityRegistry, control: ControlPlane) -> list[ActivityEntry]:
    """Every activity of the app, sorted by name; one call for each thousand that the account has.

    Parameters:
        activities: the app's
        control: the account and region
    Raises:
        ServiceError, Unreachable: as from any call
    """
    there = {each["name"]: each for each in control.list_activities()}
    entries = []
    for name in activities.names():
        serving = activities.serving(name)
        found = there.get(name)
        entries.append(
            ActivityEntry(
                name,
                control.arn("activity", name),
                tuple(sorted(each.task for each in serving)),
                serving[0].heartbeat,
                serving[0].timeout,
                Standing.MISSING if found is None else Standing.IN_SYNC,
                None if found is None else found.get("creationDate"),
            )
        )
    return entries


def workflow_entries(workflows: Iterable[Declared], control: ControlPlane) -> Iterator[WorkflowEntry]:
    """Every workflow of the app; a call for each.

    Parameters:
        workflows: the app's
        control: the account and region
    Raises:
        ServiceError, Unreachable: as from any call
    """
    for workflow in workflows:
        name, arn = workflow.full_name, control.arn("stateMachine", workflow.full_name)
        try:
            definition = workflow.definition()
        except (CompileError, DefinitionError) as error:
            yield WorkflowEntry(workflow.name, name, arn, Standing.INVALID, why=str(error))
            continue
        try:
            found = control.describe_state_machine(arn)
        except NotFound:
            found = {"status": "DELETING"}
        if found.get("status") == "DELETING":
            yield WorkflowEntry(workflow.name, name, arn, Standing.MISSING)
            continue
        standing = Standing.IN_SYNC if _same(found.get("definition"), definition) else Standing.CHANGED
        yield WorkflowEntry(workflow.name, name, arn, standing, found.get("creationDate"), found.get("roleArn"))


def _same(text: object, definition: Mapping[str, Any]) -> bool:
    try:
        # as AWS would read what is declared: tuples are lists there
        return bool(json.loads(str(text)) == json.loads(json.dumps(definition)))
    except (ValueError, RecursionError):
        return False
