"""What a plan says, done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

from sfini_celery.aws import ControlPlane
from sfini_celery.deploy.values import Action, Item, Plan
from sfini_celery.errors import AlreadyExists, ServiceError, SfiniError, Throttled
from sfini_celery.names import check_name

__all__ = ["apply", "deregister", "patiently"]

Result = TypeVar("Result")

_INDENTED_UP_TO = 500_000
_PATIENCE, _PAUSE = 90.0, 1.0


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
            patiently(partial(_apply, item, control), sleep=sleep)
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


def patiently(call: Callable[[], Result], *, sleep: Callable[[float], None] = time.sleep) -> Result:
    """What a call returns, made again for up to 90 s where AWS asks for patience.

    That is: too many calls, or a machine of the name that is still being deleted.

    Parameters:
        call: may be made more than once
        sleep: waits some seconds, for tests
    """
    waited = 0.0
    while True:
        try:
            return call()
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


def _text(definition: Mapping[str, Any] | None) -> str:
    """Indented, for the console, unless that would bring it near the limit of 1 MiB."""
    text = json.dumps(definition, ensure_ascii=False, indent=2)
    return text if len(text) <= _INDENTED_UP_TO else json.dumps(definition, ensure_ascii=False, separators=(",", ":"))
