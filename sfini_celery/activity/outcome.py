"""How a return value becomes an output, and an exception an error with its cause."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Sequence
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from kombu.utils import json as kombu_json

from sfini_celery.errors import OutputNotSerializable

__all__ = ["failure_of", "write_cause", "write_output"]

LONGEST_ERROR = 256
LONGEST_CAUSE = 32_768


def write_output(value: Any, *, typed: bool) -> str:
    """A return value as the text of SendTaskSuccess.

    Parameters:
        value: what the task returned
        typed: as Celery's serializer writes it (see the module), else as plain JSON
    Raises:
        OutputNotSerializable: it is not JSON, NaN and infinities included
    """
    try:
        if typed:
            return str(kombu_json.dumps(value, allow_nan=False))
        return json.dumps(value, allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as exc:
        raise OutputNotSerializable(f"the return value is not JSON: {exc}") from exc


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.isoformat()
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"object of type {type(value).__name__} is not JSON serializable")


def failure_of(exc: BaseException, *, matches: Sequence[str] = (), trace: str | None = None) -> tuple[str, str]:
    """An exception as ``error`` and ``cause`` of SendTaskFailure, within the API's limits.

    The error is the exception's class name, or the first class of its MRO that the state's Retry or Catch lists. The
    cause is JSON; of a trace that is too long the end is kept, where the exception is.

    Parameters:
        exc: the exception
        matches: error names that the state lists
        trace: its formatted traceback, when it comes from another process
    """
    kind = type(exc)
    error = next((base.__name__ for base in kind.__mro__ if base.__name__ in matches), kind.__name__)
    if trace is None:
        trace = "".join(traceback.format_exception(kind, exc, exc.__traceback__))
    return error[:LONGEST_ERROR], write_cause(
        kind.__name__, kind.__module__, _message(exc), [_plain_argument(arg) for arg in exc.args], trace
    )


def _message(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception as broken:
        return f"<{type(exc).__name__} whose text cannot be had: {type(broken).__name__}>"


def _plain_argument(value: object) -> Any:
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    try:
        return json.loads(json.dumps(value, allow_nan=False, default=_plain))
    except Exception:
        try:
            return repr(value)
        except Exception:
            return f"<{type(value).__name__}>"


def write_cause(kind: str, module: str, message: str, args: Sequence[Any], trace: str) -> str:
    """The cause's JSON, cut to what SendTaskFailure takes: the trace loses its beginning, then the message its end."""
    fields = {"errorType": kind, "errorModule": module, "errorMessage": message, "errorArgs": list(args)}

    def text(**more: Any) -> str:
        return json.dumps({**fields, **more}, ensure_ascii=False)

    if len(whole := text(stackTrace=trace)) <= LONGEST_CAUSE:
        return whole
    if len(text(stackTrace="")) > LONGEST_CAUSE // 2:
        fields["errorArgs"] = []
        fields["errorMessage"] = _shorten(message, LONGEST_CAUSE // 4, keep_end=False)
    room = LONGEST_CAUSE - len(text(stackTrace=""))
    return text(stackTrace=_shorten(trace, room, keep_end=True))


def _shorten(text: str, room: int, *, keep_end: bool) -> str:
    """As much of one end of ``text`` as fits ``room`` characters once it is a JSON string, with an ellipsis."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        part = text[-middle:] if keep_end else text[:middle]
        if len(json.dumps(part, ensure_ascii=False)) + 4 <= room + 2:
            low = middle
        else:
            high = middle - 1
    if low == len(text):
        return text
    part = (text[-low:] if low else "") if keep_end else text[:low]
    return f"...{part}" if keep_end else f"{part}..."
