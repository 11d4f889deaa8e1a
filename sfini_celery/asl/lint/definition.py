"""A whole definition, as text or as an object."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sfini_celery.asl.lint.findings import Finding, Spot
from sfini_celery.asl.lint.machine import check_machine
from sfini_celery.asl.lint.values import kind_of
from sfini_celery.asl.text import read_json
from sfini_celery.errors import InvalidName
from sfini_celery.names import check_name

__all__ = ["lint"]

LARGEST = 1_048_576
"""Bytes of UTF-8 that a definition can have. Source: 'Quotas' in the developer guide."""


def lint(definition: Mapping[str, Any] | str, *, name: str | None = None) -> list[Finding]:
    """What is wrong or unwise about a definition; never raises.

    An ``error`` is what AWS refuses, a ``warning`` what it takes although it can hardly be meant.

    Parameters:
        definition: in the states language, as an object or as text
        name: the machine's, to be checked too

    Returns:
        errors first, then warnings, each in the order of the definition

    Example:
        >>> for finding in lint({"StartAt": "one", "States": {"one": {"Type": "Pass", "Next": "two"}}}):
        ...     print(finding)
        error UNKNOWN_TARGET at $.States.one.Next: there is no state 'two' to go to: there is none of that name
        error NO_TERMINAL_STATE at $.States: no state ends it: one must have an End, or be Succeed or Fail
    """
    findings: list[Finding] = []
    at = Spot(findings)
    if name is not None:
        _name(name, at)
    try:
        _definition(definition, at)
    except RecursionError:
        at.error("TOO_DEEP", "is nested too deeply to be checked")
    return sorted(findings, key=lambda finding: finding.severity)


def _name(name: object, at: Spot) -> None:
    try:
        check_name("state machine name", name)
    except InvalidName as error:
        at.error("INVALID_MACHINE_NAME", str(error))


def _definition(definition: object, at: Spot) -> None:
    value, text = definition, definition
    if isinstance(definition, str):
        document = read_json(definition)
        if document.problem:
            at.error("NOT_JSON", f"is not JSON: {document.problem}")
            return
        for key in document.duplicates:
            at.error("DUPLICATE_KEY", f"one object has the key {key!r} twice; all but the last are lost")
        value = document.value
    if not isinstance(value, Mapping):
        at.error("NOT_AN_OBJECT", f"must be an object, not {kind_of(value)}")
        return
    if not isinstance(text, str):
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_as_dict)
        except (TypeError, ValueError) as error:
            at.error("NOT_JSON", f"cannot be written as JSON: {error}")
            return
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > LARGEST:
        at.error("TOO_LARGE", f"is {size:,} bytes of UTF-8, AWS allows {LARGEST:,}")
    check_machine(value, at)


def _as_dict(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} is not JSON")
