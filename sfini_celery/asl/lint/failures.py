"""Retry and Catch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfini_celery.asl.fields import is_error_name
from sfini_celery.asl.lint import values
from sfini_celery.asl.lint.findings import Spot
from sfini_celery.asl.lint.templates import assign, template
from sfini_celery.asl.lint.values import JSONATA, JSONPATH, Check, kind_of

__all__ = ["check_catch", "check_retry"]

LONGEST_DELAY = 31_622_400
ALL = "States.ALL"
RUNTIME = "States.Runtime"

_retrier = values.object_of(
    {
        "ErrorEquals": (values.anything, ""),
        "IntervalSeconds": (values.whole(1, 99_999_999), ""),
        "MaxAttempts": (values.whole(0, 99_999_999), ""),
        "BackoffRate": (values.number(1), ""),
        "MaxDelaySeconds": (values.whole(1, LONGEST_DELAY), ""),
        "JitterStrategy": (values.one_of("FULL", "NONE"), ""),
        "Comment": (values.text, ""),
    }
)

_catcher = values.object_of(
    {
        "ErrorEquals": (values.anything, ""),
        "Next": (values.text, ""),
        "ResultPath": (values.result_path, JSONPATH),
        "Output": (template, JSONATA),
        "Assign": (assign, ""),
        "Comment": (values.text, ""),
    }
)


def check_retry(value: object, at: Spot, language: str) -> None:
    _handlers(value, at, language, _retrier)
    for index, retrier in _objects(value):
        interval, most = retrier.get("IntervalSeconds"), retrier.get("MaxDelaySeconds")
        if isinstance(interval, int) and isinstance(most, int) and most <= interval:
            at[index].error(
                "DELAY_NOT_ABOVE_INTERVAL", f"MaxDelaySeconds ({most}) must be above {interval}, the interval"
            )


def check_catch(value: object, at: Spot, language: str) -> None:
    _handlers(value, at, language, _catcher)
    for index, catcher in _objects(value):
        if "Next" not in catcher:
            at[index].error("MISSING_FIELD", "a catcher needs a Next, the state to go to")


def _objects(value: object) -> list[tuple[int, Mapping[Any, Any]]]:
    handlers = value if isinstance(value, list) else []
    return [(index, handler) for index, handler in enumerate(handlers) if isinstance(handler, Mapping)]


def _handlers(value: object, at: Spot, language: str, check: Check) -> None:
    if not isinstance(value, list):
        at.error("WRONG_TYPE", f"must be a list, not {kind_of(value)}")
        return
    known: set[str] = set()
    for index, handler in enumerate(value):
        check(handler, at[index], language)
        if not isinstance(handler, Mapping):
            continue
        if "ErrorEquals" not in handler:
            at[index].error("MISSING_FIELD", "needs ErrorEquals, the names of the errors")
            continue
        names = handler["ErrorEquals"]
        where = at[index]["ErrorEquals"]
        _error_equals(names, where, known)
        if isinstance(names, list) and ALL in names and index < len(value) - 1:
            where.error("STATES_ALL_NOT_LAST", f"{ALL} matches every error, so it must be in the last entry")


def _error_equals(value: object, at: Spot, known: set[str]) -> None:
    if not isinstance(value, list):
        at.error("WRONG_TYPE", f"must be a list of error names, not {kind_of(value)}")
        return
    if not value:
        at.error("EMPTY", "must name at least one error")
    if ALL in value and len(value) > 1:
        at.error("STATES_ALL_NOT_ALONE", f"{ALL} matches every error, so it must stand alone")
    for index, name in enumerate(value):
        if not isinstance(name, str):
            at[index].error("WRONG_TYPE", f"must be an error name, not {kind_of(name)}")
            continue
        if name in known:
            at[index].warning("REPEATED_ERROR", f"{name!r} is matched before, so it has no effect here")
        elif name == RUNTIME:
            at[index].warning("UNMATCHED_ERROR", f"{RUNTIME} can be neither retried nor caught")
        elif not is_error_name(name):
            at[index].warning(
                "UNKNOWN_ERROR", f"AWS has no error {name!r}, and other names cannot begin with 'States.'"
            )
        known.add(name)
