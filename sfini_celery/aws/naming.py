"""Names given to AWS, and what an ARN or an endpoint says."""

from __future__ import annotations

import ipaddress
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

from sfini_celery.names import LONGEST_NAME, is_valid_name

__all__ = ["execution_name", "generated_role_arn", "is_loopback", "local_role_arn", "name_in", "without_secrets"]


def execution_name(prefix: str, *, now: datetime | None = None) -> str:
    """A new name for an execution: the prefix, the local time to the second, eight random hexadecimal digits.

    Always legal: what AWS does not allow in a name becomes a dash, and a long prefix loses its end.

    Parameters:
        prefix: usually the state machine's name
        now: the time to write, local time without it
    Example:
        >>> execution_name("testAdding", now=datetime(2019, 5, 13, 19, 7, 26))  # doctest: +SKIP
        'testAdding_2019-05-13T19-07-26_0354d790'
    """
    moment = (now or datetime.now()).strftime("%Y-%m-%dT%H-%M-%S")
    tail = f"{moment}_{uuid4().hex[:8]}"
    head = "".join(char if is_valid_name(char) else "-" for char in prefix[: LONGEST_NAME - len(tail) - 1])
    return f"{head}_{tail}" if head else tail


def name_in(arn: str) -> str:
    """The name of what an ARN stands for; a version, alias or execution suffix is left out.

    Example:
        >>> name_in("arn:aws:states:us-east-1:123456789012:stateMachine:orders:live")
        'orders'
    """
    parts = arn.split(":")
    return parts[6] if len(parts) > 6 else parts[-1]


def account_in(arn: object) -> str | None:
    """The account that an ARN belongs to, None where it names none."""
    parts = arn.split(":") if isinstance(arn, str) else []
    return parts[4] if len(parts) > 6 and parts[0] == "arn" and parts[4] else None


def is_loopback(url: str) -> bool:
    """Whether an endpoint is on this machine: ``localhost``, 127.0.0.0/8 or ::1."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def without_secrets(url: str) -> str:
    """An endpoint fit for a message: a user and password written into it are left out."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def generated_role_arn(account: str, *, partition: str = "aws") -> str:
    """The role that sfini takes for state machines when it is given none."""
    return f"arn:{partition}:iam::{account}:role/sfiniGenerated"


def local_role_arn(account: str, *, partition: str = "aws") -> str:
    """A role for endpoints on this machine, which check none but want one."""
    return f"arn:{partition}:iam::{account}:role/sfini-local"
