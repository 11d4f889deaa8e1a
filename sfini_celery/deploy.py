"""From what an app declares to what AWS has: compare, show, then change.

Everything is read and checked before anything is changed. What AWS refuses half-way is said with what was done before
it; doing the same again finishes the job, since what is there already is left alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal

from sfini_celery import asl
from sfini_celery.aws import ControlPlane, local_role_arn
from sfini_celery.errors import (
    AlreadyExists,
    ConfigurationError,
    DefinitionError,
    DuplicateName,
    NotFound,
    ServiceError,
    SfiniError,
    Throttled,
)
from sfini_celery.names import check_name

__all__ = ["Action", "Item", "Kind", "Machine", "Plan", "apply", "deregister", "make_plan", "role_for"]

Kind = Literal["activity", "state machine"]

_INDENTED_UP_TO = 500_000
_PATIENCE, _PAUSE = 90.0, 1.0


class Action(str, Enum):
    """What a plan does with one thing."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    DELETE = "delete"

    def __str__(self) -> str:
        return self.value


_MARKS = {Action.CREATE: "+", Action.UPDATE: "~", Action.KEEP: "=", Action.DELETE: "-"}
_TOTALS = {each: "unchanged" if each is Action.KEEP else f"to {each}" for each in Action}


@dataclass(frozen=True)
class Machine:
    """A state machine as it should be.

    Attributes:
        name: its name in AWS, prefix included
        definition: in the states language
        role_arn: IAM role it runs under; the plan's, or the one it has, without it
    """

    name: str
    definition: Mapping[str, Any]
    role_arn: str | None = None


@dataclass(frozen=True)
class Item:
    """One line of a plan.

    Attributes:
        action: what is to be done, or was
        kind: ``activity`` or ``state machine``
        name, arn: of what
        definition, role_arn: what a machine is to have; no role means: the one it has
        old_definition, old_role_arn: what it has now
        changed: which of ``definition`` and ``role`` differ
    """

    action: Action
    kind: Kind
    name: str
    arn: str
    definition: Mapping[str, Any] | None = None
    role_arn: str | None = None
    old_definition: Mapping[str, Any] | None = None
    old_role_arn: str | None = None
    changed: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f" ({' and '.join(self.changed)})" if self.changed else ""
        return f"{_MARKS[self.action]} {self.kind} {self.name}{what}"


@dataclass(frozen=True)
class Plan:
    """What would be done, activities before the machines that use them.

    Attributes:
        items: one for everything asked about, also for what stays as it is
    """

    items: tuple[Item, ...]

    @property
    def changes(self) -> tuple[Item, ...]:
        """What would be done; empty where all is as it should be."""
        return tuple(item for item in self.items if item.action is not Action.KEEP)

    def __str__(self) -> str:
        counts = [(action, sum(item.action is action for item in self.items)) for action in Action]
        total = ", ".join(f"{count} {_TOTALS[action]}" for action, count in counts if count)
        return "\n".join([*map(str, self.items), total or "nothing declared"])


def make_plan(
    control: ControlPlane,
    *,
    activities: Iterable[str] = (),
    machines: Iterable[Machine] = (),
    role_arn: str | None = None,
) -> Plan:
    """Compare what should be with what is there. Changes nothing.

    Parameters:
        control: the account and region
        activities: names in AWS, prefix included
        machines: the state machines
        role_arn: IAM role for machines that name none; see :func:`role_for`
    Raises:
        InvalidName, DuplicateName: AWS would refuse a name, or one is there twice
        DefinitionError: AWS would refuse a definition; the error lists everything that is wrong with all of them
        ConfigurationError: a machine to be created has no role
    Example:
        >>> plan = make_plan(control, activities=["add"], machines=[Machine("orders", definition)])  # doctest: +SKIP
        >>> print(plan)  # doctest: +SKIP
        + activity add
        ~ state machine orders (definition)
        1 to create, 1 to update
        >>> apply(plan, control, progress=print)  # doctest: +SKIP
    """
    wanted = list(machines)
    names = sorted({check_name("activity name", name) for name in activities})
    _check(wanted)
    items = _plan_activities(names, control) if names else []
    items += [_plan_machine(machine, machine.role_arn or role_arn, control) for machine in wanted]
    return Plan(tuple(items))


def _check(machines: list[Machine]) -> None:
    seen: set[str] = set()
    faulty: dict[str, list[asl.Finding]] = {}
    for machine in machines:
        check_name("state machine name", machine.name)
        if machine.name in seen:
            raise DuplicateName(
                "state machine",
                machine.name,
                first="one of this plan",
                second="another of this plan",
                remedy="give one of them another name",
            )
        seen.add(machine.name)
        errors = [finding for finding in asl.lint(machine.definition) if finding.severity == "error"]
        if errors:
            faulty[machine.name] = errors
    if len(faulty) == 1:
        ((name, errors),) = faulty.items()
        raise DefinitionError(f"AWS would refuse the state machine {name!r}:", errors)
    if faulty:
        told = [replace(each, path=f"{name}:{each.path}") for name, errors in faulty.items() for each in errors]
        raise DefinitionError(f"AWS would refuse the state machines {', '.join(map(repr, faulty))}:", told)


def _plan_activities(names: list[str], control: ControlPlane) -> list[Item]:
    there = {found["name"]: found["activityArn"] for found in control.list_activities()}
    return [
        Item(Action.KEEP, "activity", name, there[name])
        if name in there
        else Item(Action.CREATE, "activity", name, control.arn("activity", name))
        for name in names
    ]


def _plan_machine(machine: Machine, role_arn: str | None, control: ControlPlane) -> Item:
    arn = control.arn("stateMachine", machine.name)
    item = Item(Action.CREATE, "state machine", machine.name, arn, machine.definition, role_arn)
    try:
        found = control.describe_state_machine(arn)
    except NotFound:
        found = {"status": "DELETING"}
    if found.get("status") == "DELETING":
        return replace(item, role_arn=role_for(machine.name, role_arn, control))
    old = _read(found.get("definition"))
    changed = []
    if old != machine.definition:
        changed.append("definition")
    if role_arn is not None and role_arn != found.get("roleArn"):
        changed.append("role")
    return replace(
        item,
        action=Action.UPDATE if changed else Action.KEEP,
        old_definition=old if isinstance(old, dict) else None,
        old_role_arn=found.get("roleArn"),
        changed=tuple(changed),
    )


def role_for(name: str, role_arn: str | None, control: ControlPlane) -> str:
    """The role for a state machine that is to be created.

    An endpoint on this machine checks no roles, so there one is made up (:func:`~sfini_celery.aws.local_role_arn`).

    Parameters:
        name: the state machine's, for the message
        role_arn: what was given
    Raises:
        ConfigurationError: nothing was given; the message says how to
    """
    if role_arn:
        return role_arn
    if control.is_local:
        return local_role_arn(control.account)
    raise ConfigurationError(
        f"the state machine {name!r} needs an IAM role to run under: give --role-arn, role_arn= or the setting "
        "sfn_role_arn; the role must trust states.amazonaws.com, and activities need no permission in it"
    )


def apply(
    plan: Plan,
    control: ControlPlane,
    *,
    progress: Callable[[Item], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Item, ...]:
    """Do what a plan says, in its order; returns what was done.

    Where AWS asks for patience (too many calls, a machine of the name is still being deleted), it waits up to 90 s.

    Parameters:
        plan: from :func:`make_plan`
        control: the same account and region
        progress: called after each item that was changed
        sleep: waits some seconds, for tests
    Raises:
        SfiniError: as AWS refused or could not be reached; its attribute ``applied`` holds what was done before
    """
    done: list[Item] = []
    for item in plan.changes:
        try:
            _patiently(item, control, sleep)
        except SfiniError as exc:
            _tell(exc, item, done)
            raise
        done.append(item)
        if progress is not None:
            progress(item)
    return tuple(done)


def _apply(item: Item, control: ControlPlane) -> None:
    if item.action is Action.DELETE:
        (control.delete_activity if item.kind == "activity" else control.delete_state_machine)(item.arn)
    elif item.kind == "activity":
        control.create_activity(item.name)
    elif item.action is Action.CREATE:
        try:
            control.create_state_machine(item.name, _text(item.definition), item.role_arn or "")
        except AlreadyExists as exc:
            raise AlreadyExists(
                exc.operation,
                exc.code,
                f"{item.name!r} was created by somebody else since the plan was made; make a new plan ({exc.detail})",
                exc.status,
            ) from exc
    else:
        control.update_state_machine(
            item.arn,
            definition=_text(item.definition) if "definition" in item.changed else None,
            role_arn=item.role_arn if "role" in item.changed else None,
        )


def _patiently(item: Item, control: ControlPlane, sleep: Callable[[float], None]) -> None:
    waited = 0.0
    while True:
        try:
            return _apply(item, control)
        except ServiceError as exc:
            if not (isinstance(exc, Throttled) or exc.code == "StateMachineDeleting") or waited >= _PATIENCE:
                raise
        sleep(_PAUSE)
        waited += _PAUSE


def _tell(exc: SfiniError, item: Item, done: list[Item]) -> None:
    exc.applied = tuple(done)  # type: ignore[attr-defined]
    before = ", ".join(f"{each.kind} {each.name!r}" for each in done) or "nothing"
    note = f"It happened at {item.kind} {item.name!r}. Done before it: {before}. The same again does the rest."
    # what add_note does from Python 3.11 on
    exc.__notes__ = [*getattr(exc, "__notes__", []), note]  # type: ignore[attr-defined]


def deregister(
    control: ControlPlane,
    *,
    activities: Iterable[str] = (),
    machines: Iterable[str] = (),
    progress: Callable[[Item], None] | None = None,
) -> tuple[Item, ...]:
    """Delete state machines, then activities, by their names; what is not there is no error.

    AWS lets running executions of a deleted machine go on to their end. A task of a deleted activity is never handed
    out: delete no activity that a running execution may still need.

    Parameters:
        control: the account and region
        activities, machines: names in AWS, prefix included
        progress: called after each
    Raises:
        SfiniError: as from :func:`apply`
    """
    items = [
        Item(Action.DELETE, "state machine", check_name("state machine name", name), control.arn("stateMachine", name))
        for name in machines
    ]
    items += [
        Item(Action.DELETE, "activity", check_name("activity name", name), control.arn("activity", name))
        for name in activities
    ]
    return apply(Plan(tuple(items)), control, progress=progress)


def _read(definition: object) -> Any:
    try:
        return json.loads(definition) if isinstance(definition, str) else None
    except (ValueError, RecursionError):
        return None


def _text(definition: Mapping[str, Any] | None) -> str:
    """Indented, for the console, unless that would bring it near the limit of 1 MiB."""
    text = json.dumps(definition, ensure_ascii=False, indent=2)
    return text if len(text) <= _INDENTED_UP_TO else json.dumps(definition, ensure_ascii=False, separators=(",", ":"))
