"""What a failed execution failed with: the task's own exception, where its class is at hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sfini_celery.errors import (
    ActivityError,
    ExecutionAborted,
    ExecutionError,
    ExecutionFailed,
    ExecutionTimedOut,
)

__all__ = ["ENDINGS", "RemoteTraceback", "exception_of"]

ENDINGS: dict[str, type[ExecutionError]] = {
    "FAILED": ExecutionFailed,
    "TIMED_OUT": ExecutionTimedOut,
    "ABORTED": ExecutionAborted,
}
"""The exception of each status that is no success, where no task tells a better one."""


class RemoteTraceback(Exception):
    """Carries the traceback of another process as text, so that Python prints it above an exception raised again."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def exception_of(error: str | None, cause: str | None, execution: str) -> BaseException:
    """The exception of a failed execution, to be raised.

    The task's own class is used where it is a subclass of Exception in a module that is already imported. Nothing is
    imported, and nothing but such a class is called, because a message names it. The traceback of the worker is
    printed with it, and is its attribute ``remote_traceback``.

    Where an execution that it started failed, and it because of that, the exception is that one's.

    Parameters:
        error, cause: as AWS reports them
        execution: the execution's ARN
    Returns:
        the task's own exception; :class:`ActivityError` where its class is not at hand or cannot be made;
        :class:`ExecutionFailed` where the failure was not a task's
    Example:
        >>> cause = '{"errorType": "KeyError", "errorModule": "builtins", "errorArgs": ["size"], "stackTrace": ""}'
        >>> exception_of("KeyError", cause, "arn:aws:states:us-east-1:123456789012:execution:orders:1")
        KeyError('size')
    """
    told = _read(cause)
    if error == "States.TaskFailed" and isinstance(told.get("ExecutionArn"), str):
        return _of_child(told)
    if not isinstance(told.get("errorType"), str):
        return ExecutionFailed(execution, "FAILED", error, cause)
    failure = _original(told) or ActivityError(execution, "FAILED", error, cause)
    trace = told.get("stackTrace")
    text = "".join(map(str, trace)) if isinstance(trace, list) else trace if isinstance(trace, str) else ""
    if text:
        with suppress(AttributeError, TypeError):  # a class of exceptions may forbid both
            failure.__cause__ = RemoteTraceback(text if text.endswith("\n") else text + "\n")
            failure.remote_traceback = text  # type: ignore[attr-defined]
    return failure


def _read(cause: str | None) -> dict[str, Any]:
    try:
        told = json.loads(cause or "")
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _of_child(told: Mapping[str, Any]) -> BaseException:
    """The exception of an execution that another one waited for: the cause is what DescribeExecution says of it."""
    arn, status, error, cause = (told.get(name) for name in ("ExecutionArn", "Status", "Error", "Cause"))
    error, cause = (value if isinstance(value, str) else None for value in (error, cause))
    if status in ("TIMED_OUT", "ABORTED"):
        return ENDINGS[status](str(arn), status, error, cause)
    return exception_of(error, cause, str(arn))


def _original(told: Mapping[str, Any]) -> Exception | None:
    module, args = told.get("errorModule"), told.get("errorArgs")
    if not isinstance(module, str) or not isinstance(args, list):
        return None
    # The module's own dictionary: asking the module would run its __getattr__, which may import.
    names = getattr(sys.modules.get(module), "__dict__", {})
    kind = names.get(told["errorType"])
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    try:
        failure = kind(*args)
        if failure.args != tuple(args):
            # A constructor that words its message from its arguments would word it twice.
            failure.args = tuple(args)
    except Exception:
        return None
    return failure if isinstance(failure, kind) else None
