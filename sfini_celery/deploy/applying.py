"""What a plan says, done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sfini_celery.aws import ControlPlane
from sfini_celery.deploy.patience import patiently
from sfini_celery.deploy.values import Action, Item, Plan
from sfini_celery.errors import AlreadyExists, SfiniError
from sfini_celery.names import check_name

__all__ = ["apply", "deregister"]

_INDENTED_UP_TO = 500_000


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
    published: dict[str, str] = {}
    for item in plan.changes:
        try:
            applied = patiently(partial(_apply, item, control, published), sleep=sleep)
        except SfiniError as exc:
            _tell(exc, item, done)
            raise
        if applied.kind == "state machine" and applied.version is not None:
            published[applied.arn] = applied.version
        done.append(applied)
        if progress is not None:
            progress(applied)
    return tuple(done)


def _apply(item: Item, control: ControlPlane, published: Mapping[str, str]) -> Item:
    if item.action is Action.DELETE:
        (control.delete_activity if item.kind == "activity" else control.delete_state_machine)(item.arn)
        return item
    if item.kind == "alias":
        return _lead(item, control, published)
    if item.kind == "activity":
        if item.action is Action.CREATE:
            control.create_activity(item.name, tags=item.tags)
        else:
            control.tag(item.arn, item.tags)
        return item
    return _create(item, control) if item.action is Action.CREATE else _update(item, control)


def _create(item: Item, control: ControlPlane) -> Item:
    try:
        answer = control.create_state_machine(
            item.name,
            _text(item.definition),
            item.role_arn or "",
            tags=item.tags,
            publish=item.publish,
            **item.settings,
        )
    except AlreadyExists as exc:
        raise AlreadyExists(
            exc.operation,
            exc.code,
            f"{item.name!r} was created by somebody else since the plan was made; make a new plan ({exc.detail})",
            exc.status,
        ) from exc
    return replace(item, version=answer.get("stateMachineVersionArn"))


def _update(item: Item, control: ControlPlane) -> Item:
    """AWS has no conditional update: looking again, at once before, leaves a moment instead of the time of a plan."""
    there = control.describe_state_machine(item.arn)
    if there.get("revisionId") != item.revision or there.get("roleArn") != item.old_role_arn:
        detail = f"{item.name!r} was changed by somebody else since the plan was made; make a new plan"
        raise AlreadyExists("UpdateStateMachine", "ConflictException", detail)
    if item.tags:
        control.tag(item.arn, item.tags)
    own = [what for what in item.changed if what not in ("tags", "version")]
    if own:
        answer = control.update_state_machine(
            item.arn,
            definition=_text(item.definition) if "definition" in own else None,
            role_arn=item.role_arn if "role" in own else None,
            publish=item.publish,
            **item.settings,
        )
        return replace(item, version=answer.get("stateMachineVersionArn"))
    if item.publish:
        return replace(item, version=control.publish_version(item.arn, revision=item.revision))
    return item


def _lead(item: Item, control: ControlPlane, published: Mapping[str, str]) -> Item:
    machine, _, name = item.arn.rpartition(":")
    version = published.get(machine) or item.version
    assert version is not None
    if item.action is Action.CREATE:
        control.create_alias(name, {version: 100})
    else:
        if control.alias(item.arn) != item.routes:
            detail = f"alias {item.name!r} was changed by somebody else since the plan was made; make a new plan"
            raise AlreadyExists("UpdateStateMachineAlias", "ConflictException", detail)
        control.update_alias(item.arn, {version: 100})
    return replace(item, version=version)


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

    Whose they are, and whether something runs, is for the caller to know: :func:`plan_removal` looks. AWS ends running
    executions of a deleted machine at their next state, and never hands out a task of a deleted activity.

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
