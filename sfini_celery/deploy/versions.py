"""Versions of a state machine after they were published: which there are, going back to one, deleting old ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sfini_celery.aws import ControlPlane, name_in
from sfini_celery.deploy.patience import patiently
from sfini_celery.errors import NotFound, NothingToRollBack

__all__ = ["Rollback", "Version", "delete_versions", "list_versions", "roll_back"]


@dataclass(frozen=True)
class Version:
    """A published version of a state machine.

    Attributes:
        number: counts up from 1, and is never used twice
        arn: what to start to run it
        created: when it was published, timezone-aware
        aliases: names of the aliases that lead to it, to their share of the executions in percent
    """

    number: int
    arn: str
    created: datetime
    aliases: Mapping[str, int]


@dataclass(frozen=True)
class Rollback:
    """What a rollback did.

    Attributes:
        alias: ARN of the alias
        before: where it led: version numbers to percentages
        after: the number of the version it leads to now
    """

    alias: str
    before: Mapping[int, int]
    after: int


def list_versions(control: ControlPlane, machine: str) -> list[Version]:
    """The versions of a state machine, newest first.

    Parameters:
        control: the account and region
        machine: the state machine's ARN
    Raises:
        NotFound: there is no such machine
    """
    leading: dict[str, dict[str, int]] = {}
    for found in control.list_aliases(machine):
        arn = found["stateMachineAliasArn"]
        for version, share in patiently(partial(_routes, control, arn)).items():
            leading.setdefault(version, {})[arn.rpartition(":")[2]] = share
    return [
        Version(_number(arn), arn, found["creationDate"], leading.get(arn, {}))
        for found in control.list_versions(machine)
        for arn in [found["stateMachineVersionArn"]]
    ]


def _routes(control: ControlPlane, arn: str) -> dict[str, int]:
    try:
        return control.alias(arn)
    except NotFound:  # deleted this moment
        return {}


def roll_back(control: ControlPlane, machine: str, alias: str, *, to: int | None = None) -> Rollback:
    """Let an alias lead to an earlier version, at once and wholly; executions that run go on with theirs.

    Parameters:
        control: the account and region
        machine: the state machine's ARN
        alias: the alias's name
        to: the version's number; the newest one before where the alias leads now without it, and where it leads to two
            versions, the earlier of these
    Raises:
        NotFound: there is no such alias or version
        NothingToRollBack: there is no earlier version, or the alias leads there already
    """
    arn = f"{machine}:{alias}"
    routes = control.alias(arn)
    before = {_number(version): share for version, share in routes.items()}
    target = _earlier(control, machine, before) if to is None else to
    if before == {target: 100} or target is None:
        leads = f"alias {alias!r} of {name_in(machine)!r} leads to version {max(before)}"
        raise NothingToRollBack(f"{leads} already" if target is not None else f"{leads}, and there is no earlier one")
    control.update_alias(arn, {f"{machine}:{target}": 100})
    return Rollback(arn, before, target)


def _earlier(control: ControlPlane, machine: str, before: Mapping[int, int]) -> int | None:
    if len(before) > 1:
        return min(before)
    newest = max(before)
    numbers = (_number(found["stateMachineVersionArn"]) for found in control.list_versions(machine))
    return next((number for number in numbers if number < newest), None)


def delete_versions(control: ControlPlane, machine: str, numbers: Iterable[int]) -> None:
    """Delete versions; executions that they have started go on, and what does not exist is no error.

    Parameters:
        control: the account and region
        machine: the state machine's ARN
        numbers: of the versions
    Raises:
        AlreadyExists: an alias leads to one; those before it are deleted
    """
    for number in numbers:
        patiently(partial(control.delete_version, f"{machine}:{number}"))


def _number(version: str) -> int:
    return int(version.rpartition(":")[2])
