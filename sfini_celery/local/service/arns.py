"""ARNs of activities, state machines, their versions, and executions; and the names in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sfini_celery.local.service.errors import ApiError
from sfini_celery.names import is_valid_name

__all__ = ["MachineArn", "check_arn", "check_name", "check_role_arn", "read_machine_arn"]

_ARN = re.compile(r"arn:[a-z0-9-]+:(?P<service>[a-z0-9-]+):[a-z0-9-]*:[0-9]*:(?P<type>[A-Za-z-]+):(?P<rest>.+)")
_ROLE = re.compile(r"arn:[a-z0-9-]+:iam::[0-9]*:role/.+")


@dataclass(frozen=True)
class MachineArn:
    """The ARN of a state machine, or of one of its versions or aliases.

    Attributes:
        arn: as given
        machine: the ARN of the state machine itself
        version: the version's number, None without one
        alias: the alias's name, None without one
    """

    arn: str
    machine: str
    version: int | None = None
    alias: str | None = None


def check_name(name: str) -> str:
    """Return a name that AWS accepts for an activity, a state machine or an execution; refuse any other."""
    if not is_valid_name(name):
        raise ApiError("InvalidName", name)
    return name


def check_arn(arn: str, *types: str) -> str:
    """Return the ARN of a Step Functions resource of one of these types; refuse any other."""
    found = _ARN.fullmatch(arn)
    if found is None or found["service"] != "states":
        raise ApiError("InvalidArn", f"Invalid ARN prefix: {arn}")
    if found["type"] not in types:
        raise ApiError("InvalidArn", f"Resource type not valid in this context: {found['type']}")
    return arn


def check_role_arn(arn: str) -> str:
    """Return the ARN of an IAM role; refuse any other."""
    if not _ROLE.fullmatch(arn):
        raise ApiError("InvalidArn", f"Invalid Role Arn: {arn}")
    return arn


def read_machine_arn(arn: str, *, version: bool = True) -> MachineArn:
    """The ARN of a state machine in its parts.

    Parameters:
        arn: as given
        version: whether it may name a version or an alias
    """
    check_arn(arn, "stateMachine")
    parts = arn.split(":")
    if "/" in parts[6]:
        raise ApiError("ValidationException", f"Labeled State Machine ARNs are not supported for this API: {arn}")
    if len(parts) == 7:
        return MachineArn(arn, arn)
    if len(parts) != 8 or not version:
        raise ApiError("InvalidArn", f"Resource type not valid in this context: {arn}")
    machine, qualifier = ":".join(parts[:7]), parts[7]
    if qualifier.isascii() and qualifier.isdecimal():
        return MachineArn(arn, machine, version=int(qualifier))
    return MachineArn(arn, machine, alias=qualifier)
