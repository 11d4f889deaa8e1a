"""What states and rules share: the value for 'not given', timestamps, and the names of errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, Final

from sfini_celery.errors import DefinitionError, WrongType

__all__ = [
    "MISSING",
    "RESERVED_ERRORS",
    "ErrorNames",
    "Missing",
    "error_names",
    "given",
    "is_error_name",
    "is_timestamp",
    "timestamp_text",
]


class Missing(Enum):
    """The type of :data:`MISSING`."""

    MISSING = "not given"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "<not given>"


MISSING: Final = Missing.MISSING
"""A field that is not there, as opposed to one that is ``None``: ``"InputPath": null`` means an empty input."""

RESERVED_ERRORS: Final = frozenset(
    {
        "States.ALL",
        "States.BranchFailed",
        "States.DataLimitExceeded",
        "States.ExceedToleratedFailureThreshold",
        "States.HeartbeatTimeout",
        "States.IntrinsicFailure",
        "States.ItemReaderFailed",
        "States.NoChoiceMatched",
        "States.ParameterPathFailure",
        "States.Permissions",
        "States.QueryEvaluationError",
        "States.ResultPathMatchFailure",
        "States.ResultWriterFailed",
        "States.Runtime",
        "States.TaskFailed",
        "States.Timeout",
    }
)
"""The error names that begin with ``States.``; besides them only ``States.Http.*``, of HTTP tasks, may begin so.

Source: 'Handling errors in Step Functions workflows' in AWS's developer guide.
"""

ErrorNames = str | type[BaseException] | Iterable[str | type[BaseException]]
"""What ``retry_for`` and ``catch`` take: one error name or exception class, or several."""

_PREFIX = "States."


def is_error_name(name: str) -> bool:
    """Whether an error can have this name: any name but an unknown one that begins with ``States.``."""
    return bool(name) and (not name.startswith(_PREFIX) or name in RESERVED_ERRORS or name.startswith("States.Http."))


def error_names(errors: ErrorNames) -> tuple[str, ...]:
    """The names for an ``ErrorEquals`` field.

    Parameters:
        errors: one error name or exception class, or several. An exception class stands for its ``__name__``, which is
            what a failed activity reports; ``"*"`` and the reserved names without their prefix (``"Timeout"``,
            ``"ALL"``) stand for the ones that begin with ``States.``

    Raises:
        DefinitionError: no names, a reserved name that does not exist, or ``States.ALL`` beside others
        WrongType: neither a name nor an exception class

    Example:
        >>> error_names(["Timeout", KeyError])
        ('States.Timeout', 'KeyError')
    """
    given = [errors] if isinstance(errors, (str, type)) else list(errors)
    names = tuple(dict.fromkeys(_error_name(error) for error in given))
    if not names:
        raise DefinitionError("there must be at least one error to retry or catch")
    if "States.ALL" in names and len(names) > 1:
        raise DefinitionError(f"States.ALL cannot be combined with other errors: {', '.join(names)}")
    return names


def _error_name(error: object) -> str:
    if isinstance(error, type) and issubclass(error, BaseException):
        return error.__name__
    if not isinstance(error, str):
        raise WrongType(f"an error is a name or an exception class, not {error!r}")
    name = str(error)
    if name == "*":
        return "States.ALL"
    if _PREFIX + name in RESERVED_ERRORS:
        return _PREFIX + name
    if not is_error_name(name):
        raise DefinitionError(
            f"there is no error {name!r}; those with {_PREFIX} are {', '.join(sorted(RESERVED_ERRORS))}"
        )
    return name


_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T](\d{2}:\d{2}:(?:[0-5]\d|60))(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)


def is_timestamp(text: object) -> bool:
    """Whether this is a time as the states language writes it: RFC3339 with an upper-case ``T`` and a zone."""
    if not isinstance(text, str) or (match := _TIMESTAMP.fullmatch(text)) is None:
        return False
    try:
        datetime.fromisoformat(f"{match[1]}T{match[2][:6]}00")
    except ValueError:
        return False
    return True


def timestamp_text(what: str, moment: datetime | str) -> str:
    """A moment as the states language writes it.

    Parameters:
        what: what the moment is for, for the message
        moment: an aware datetime, or text that is a timestamp already

    Raises:
        DefinitionError: a datetime without a zone, or text that is no timestamp
        WrongType: neither datetime nor text
    """
    if isinstance(moment, str):
        if not is_timestamp(moment):
            raise DefinitionError(f"{what} must look like 2030-01-31T12:00:00Z, not {moment!r}")
        return moment
    if not isinstance(moment, datetime):
        raise WrongType(f"{what} must be a datetime or a timestamp, not {type(moment).__name__}")
    offset = moment.utcoffset()
    if offset is None:
        raise DefinitionError(f"{what} must be a datetime with a time zone, not {moment.isoformat()!r}")
    if offset % timedelta(minutes=1):
        moment = moment.astimezone(timezone.utc)
    return moment.isoformat()


def given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the fields that were given."""
    return {name: value for name, value in fields.items() if value is not MISSING}
