"""What may be deleted: what the owner has, and no running execution needs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import partial

from sfini_celery.aws import ControlPlane
from sfini_celery.deploy.ownership import Owner
from sfini_celery.deploy.patience import patiently
from sfini_celery.deploy.running import needed_by_running
from sfini_celery.deploy.values import Action, Item, Kind, Machine, Plan
from sfini_celery.errors import NotFound
from sfini_celery.names import check_name

__all__ = ["plan_pruning", "plan_removal"]


def plan_pruning(
    control: ControlPlane, owner: Owner, *, activities: Collection[str], machines: Iterable[Machine]
) -> list[Item]:
    """What the owner has and does not declare any more: machines, then activities; kept where they are still needed.

    Parameters:
        control: the account and region
        owner: whose things to look for; also what its name's prefix begins with only
        activities: names that stay
        machines: machines that stay
    """
    declared = {machine.name: machine for machine in machines}
    items = _owned(
        control,
        owner,
        "state machine",
        [
            (found["name"], found["stateMachineArn"])
            for found in control.list_state_machines()
            if found["name"].startswith(owner.prefix) and found["name"] not in declared
        ],
    )
    items += _owned(
        control,
        owner,
        "activity",
        [
            (found["name"], found["activityArn"])
            for found in control.list_activities()
            if found["name"].startswith(owner.prefix) and found["name"] not in activities
        ],
    )
    return _unless_needed(_unless_mentioned(items, declared.values()), control)


def plan_removal(
    control: ControlPlane,
    owner: Owner,
    *,
    activities: Iterable[str] = (),
    machines: Iterable[str] = (),
    even_running: bool = False,
) -> Plan:
    """What removing these would do: machines, then activities; kept what is not the owner's, or still needed.

    Parameters:
        control: the account and region
        owner: whose they must be
        activities, machines: names in AWS, prefix included; what is not there is left out
        even_running: also what running executions need: AWS ends those of a deleted machine at their next state, and
            never hands out the tasks of a deleted activity
    """
    items = []
    kinds: tuple[tuple[Kind, str, Iterable[str]], ...] = (
        ("state machine", "stateMachine", machines),
        ("activity", "activity", activities),
    )
    for kind, resource, names in kinds:
        for name in names:
            arn = control.arn(resource, check_name(f"{kind} name", name))
            try:
                tags = patiently(partial(control.tags, arn))
            except NotFound:
                continue
            item = Item(Action.DELETE, kind, name, arn)
            if not owner.owns(tags):
                note = "it does not have this app's tags; `register` adds them where no other app has it"
                item = replace(item, action=Action.KEEP, note=note)
            items.append(item)
    return Plan(tuple(items if even_running else _unless_needed(items, control)))


def _owned(control: ControlPlane, owner: Owner, kind: Kind, found: Iterable[tuple[str, str]]) -> list[Item]:
    items = []
    for name, arn in found:
        try:
            tags = patiently(partial(control.tags, arn))
        except NotFound:
            continue
        if owner.owns(tags):
            items.append(Item(Action.DELETE, kind, name, arn))
    return items


def _unless_mentioned(items: Iterable[Item], machines: Iterable[Machine]) -> list[Item]:
    """A definition written by hand may name an activity that no task of the app declares."""
    texts = {machine.name: json.dumps(machine.definition, ensure_ascii=False) for machine in machines}
    kept = []
    for item in items:
        user = next((name for name, text in texts.items() if f'"{item.arn}"' in text), None)
        kept.append(item if user is None else replace(item, action=Action.KEEP, note=f"{user!r} uses it"))
    return kept


def _unless_needed(items: list[Item], control: ControlPlane) -> list[Item]:
    asked = [item for item in items if item.action is Action.DELETE]
    needed = needed_by_running(
        control,
        activities={item.arn for item in asked if item.kind == "activity"},
        machines={item.arn for item in asked if item.kind == "state machine"},
    )
    return [
        replace(item, action=Action.KEEP, note=needed[item.arn], is_needed=True)
        if item.arn in needed and item.action is Action.DELETE
        else item
        for item in items
    ]
