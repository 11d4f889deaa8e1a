"""What running executions still need."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sfini_celery.aws import ControlPlane, name_in
from sfini_celery.deploy.patience import patiently
from sfini_celery.errors import NotFound

__all__ = ["needed_by_running"]

_READ_AT_MOST = 1000


def needed_by_running(
    control: ControlPlane, *, activities: Collection[str] = (), machines: Collection[str] = ()
) -> dict[str, str]:
    """Which of these a running execution may still need, and which execution that is.

    Every state machine of the account and region is looked at, whoever made it, and what its running executions have
    started with: that may be another definition than the machine's current one.

    Parameters:
        control: the account and region
        activities, machines: ARNs
    Returns:
        ARN to a sentence about the execution, for what is needed
    """
    held: dict[str, str] = {}
    if not activities and not machines:
        return held
    for found in control.list_state_machines():
        arn = found["stateMachineArn"]
        running = patiently(lambda arn=arn: _running(control, arn))  # type: ignore[misc]
        if not running:
            continue
        if arn in machines:
            held[arn] = _told(running[0])
        asked = [activity for activity in activities if activity not in held]
        if not asked:
            continue
        if len(running) > _READ_AT_MOST:
            held |= dict.fromkeys(asked, f"more than {_READ_AT_MOST} executions of {name_in(arn)!r} still run")
            continue
        for execution in _of_different_definitions(running):
            used = patiently(lambda execution=execution: _resources(control, execution))  # type: ignore[misc]
            held |= {activity: _told(execution) for activity in asked if activity in used and activity not in held}
    return held


def _running(control: ControlPlane, arn: str) -> list[Mapping[str, Any]]:
    try:
        return list(control.list_executions(arn, status="RUNNING", limit=_READ_AT_MOST + 1))
    except NotFound:  # deleted meanwhile
        return []


def _of_different_definitions(running: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One execution for each version; without a version, there is no telling what it started with."""
    return list({each.get("stateMachineVersionArn") or each["executionArn"]: each for each in running}.values())


def _resources(control: ControlPlane, execution: Mapping[str, Any]) -> set[str]:
    try:
        definition = json.loads(control.definition_for(execution["executionArn"]))
    except (NotFound, ValueError):  # ended and gone meanwhile
        return set()
    found: set[str] = set()
    ahead = [definition]
    while ahead:
        value = ahead.pop()
        if isinstance(value, dict):
            if isinstance(value.get("Resource"), str):
                found.add(value["Resource"])
            ahead += value.values()
        elif isinstance(value, list):
            ahead += value
    return found


def _told(execution: Mapping[str, Any]) -> str:
    return f"execution {execution['name']!r} of {name_in(execution['stateMachineArn'])!r} still runs"
