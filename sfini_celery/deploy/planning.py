"""What is there, compared with what should be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sfini_celery import asl
from sfini_celery.aws import ControlPlane, local_role_arn
from sfini_celery.deploy.ownership import Owner
from sfini_celery.deploy.patience import patiently
from sfini_celery.deploy.removal import plan_pruning
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
    owner: Owner | None = None,
    publish: bool = False,
    alias: str | None = None,
    prune: bool = False,
) -> Plan:
    """Compare what should be with what is there. Changes nothing.

    Parameters:
        control: the account and region
        activities: names in AWS, prefix included
        machines: the state machines
        role_arn: IAM role for machines that name none; see :func:`role_for`
        owner: whose all this is: what is created is tagged so, and what another app has made is left to it. Tags are
            neither read nor written without it
        publish: publish a version of every machine that has none of what it will be
        alias: let the alias of this name lead to that version, for every machine; implies ``publish``
        prune: also remove what the owner has and neither ``activities`` nor ``machines`` name, unless a running
            execution may need it
    Raises:
        InvalidName, DuplicateName: AWS would refuse a name, or one is there twice
        DefinitionError: AWS would refuse a definition; the error lists everything that is wrong with all of them
        ConfigurationError: a machine to be created has no role, or one of this name belongs to another app
    Example:
        >>> plan = make_plan(control, activities=["add"], machines=[Machine("orders", definition)])  # doctest: +SKIP
        >>> print(plan)  # doctest: +SKIP
        + activity add
        ~ state machine orders (definition)
            ~ state check (Task)
                ~ TimeoutSeconds: 30 -> 60
        1 to create, 1 to update
        >>> apply(plan, control, progress=print)  # doctest: +SKIP
    """
    wanted = list(machines)
    names = sorted({check_name("activity name", name) for name in activities})
    _check(wanted)
    if prune and owner is None:
        raise ConfigurationError("only what an owner has can be pruned: give the owner")
    items = list(_plan_activities(names, control, owner)) if names else []
    publish = publish or alias is not None
    planned = [
        _plan_machine(machine, machine.role_arn or role_arn, control, owner, publish=publish) for machine in wanted
    ]
    items += planned
    if alias is not None:
        items += [_plan_alias(item, check_name("alias name", alias), control) for item in planned]
    if prune and owner is not None:
        items += plan_pruning(control, owner, activities=names, machines=wanted)
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


def _plan_activities(names: list[str], control: ControlPlane, owner: Owner | None) -> Iterator[Item]:
    there = {found["name"]: found["activityArn"] for found in control.list_activities()}
    own = owner.tags if owner else {}
    for name in names:
        if name not in there:
            yield Item(Action.CREATE, "activity", name, control.arn("activity", name), tags=own)
            continue
        item = Item(Action.KEEP, "activity", name, there[name])
        tags = _tags_of(item.arn, control) if owner else {}
        if owner and (stranger := owner.stranger(tags)):
            item = replace(item, note=f"shared with the app {stranger!r}, which made it")
        elif owner and (missing := owner.missing_from(tags)):
            item = replace(item, action=Action.UPDATE, changed=("tags",), tags=missing)
        yield item


def _tags_of(arn: str, control: ControlPlane) -> dict[str, str]:
    try:
        return patiently(partial(control.tags, arn))
    except NotFound:  # deleted this moment
        return {}


def _plan_machine(
    machine: Machine, role_arn: str | None, control: ControlPlane, owner: Owner | None, *, publish: bool
) -> Item:
    arn = control.arn("stateMachine", machine.name)
    settings = {"logging": machine.logging, "tracing": machine.tracing}
    settings = {key: value for key, value in settings.items() if value is not None}
    item = Item(
        Action.CREATE,
        "state machine",
        machine.name,
        arn,
        machine.definition,
        role_arn,
        settings=settings,
        tags=owner.tags if owner else {},
        publish=publish,
    )
    try:
        found = patiently(partial(control.describe_state_machine, arn))
    except NotFound:
        found = {"status": "DELETING"}
    if found.get("status") == "DELETING":
        return replace(item, role_arn=role_for(machine.name, role_arn, control))
    tags = _tags_of(arn, control) if owner else {}
    if owner and (stranger := owner.stranger(tags)):
        raise ConfigurationError(
            f"the state machine {machine.name!r} belongs to the app {stranger!r} (its tag sfini:app): "
            "give the workflow another name, or this app a prefix with the setting sfn_prefix"
        )
    return _compared(item, found, owner.missing_from(tags) if owner else {}, control)


def _compared(item: Item, found: Mapping[str, Any], missing_tags: Mapping[str, str], control: ControlPlane) -> Item:
    old = _read(found.get("definition"))
    old_settings = {key: found.get(f"{key}Configuration") for key in item.settings}
    differing = [key for key, value in item.settings.items() if not _covers(old_settings[key], value)]
    changed = []
    if old != item.definition:
        changed.append("definition")
    if item.role_arn is not None and item.role_arn != found.get("roleArn"):
        changed.append("role")
    changed += differing
    current = None
    if item.publish:
        current = None if changed else published_version(item.arn, found.get("revisionId"), control)
        if current is None:
            changed.append("version")
    if missing_tags:
        changed.append("tags")
    return replace(
        item,
        action=Action.UPDATE if changed else Action.KEEP,
        old_definition=old if isinstance(old, dict) else None,
        old_role_arn=found.get("roleArn"),
        changed=tuple(changed),
        settings={key: item.settings[key] for key in differing},
        old_settings={key: old_settings[key] for key in differing},
        tags=missing_tags,
        revision=found.get("revisionId"),
        publish=item.publish and current is None,
        version=current,
    )


def _covers(there: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; AWS adds members of its own."""
    if isinstance(wanted, Mapping):
        return isinstance(there, Mapping) and all(_covers(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(there, list)
            and len(there) == len(wanted)
            and all(_covers(one, other) for one, other in zip(there, wanted, strict=True))
        )
    return bool(there == wanted)


def published_version(arn: str, revision: str | None, control: ControlPlane) -> str | None:
    """The ARN of a machine's newest version, where that is this revision of it.

    Parameters:
        arn: the machine's
        revision: ``revisionId`` as the machine was described with; None where it was never updated
    """
    for newest in control.list_versions(arn, limit=1):
        version = str(newest["stateMachineVersionArn"])
        try:
            found = patiently(partial(control.describe_state_machine, version))
        except NotFound:
            return None
        return version if found.get("revisionId") == revision else None
    return None


def _plan_alias(machine: Item, alias: str, control: ControlPlane) -> Item:
    arn = f"{machine.arn}:{alias}"
    item = Item(Action.CREATE, "alias", f"{machine.name}:{alias}", arn, version=machine.version)
    if machine.action is Action.CREATE:
        return item
    try:
        routes = patiently(partial(control.alias, arn))
    except NotFound:
        return item
    kept = machine.version is not None and routes == {machine.version: 100}
    return replace(item, action=Action.KEEP if kept else Action.UPDATE, routes=routes)


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
        "sfn_role_arn; `sfini-celery iam trust` and `sfini-celery iam state-machine` print the policies to make one "
        "with"
    )


def _read(definition: object) -> Any:
    try:
        return json.loads(definition) if isinstance(definition, str) else None
    except (ValueError, RecursionError):
        return None
