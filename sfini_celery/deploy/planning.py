"""What is there, compared with what should be."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sfini_celery import asl
from sfini_celery.aws import ControlPlane, local_role_arn
from sfini_celery.deploy.values import Action, Item, Machine, Plan
from sfini_celery.errors import ConfigurationError, DefinitionError, DuplicateName, NotFound
from sfini_celery.names import check_name

__all__ = ["make_plan", "role_for"]


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


def _read(definition: object) -> Any:
    try:
        return json.loads(definition) if isinstance(definition, str) else None
    except (ValueError, RecursionError):
        return None
