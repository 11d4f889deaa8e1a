"""Checks of one field's value. Each takes the value, the place and the query language, and adds what it finds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from sfini_celery.asl.fields import is_timestamp
from sfini_celery.asl.lint.findings import Spot
from sfini_celery.asl.lint.paths import is_intrinsic, is_path, is_reference_path, looks_dynamic

__all__ = [
    "JSONATA",
    "JSONPATH",
    "Check",
    "Part",
    "anything",
    "boolean",
    "context_path",
    "expression",
    "is_expression",
    "json_object",
    "kind_of",
    "literal_text",
    "number",
    "object_of",
    "one_of",
    "path",
    "path_or_call",
    "path_or_null",
    "reference",
    "resource",
    "result_path",
    "text",
    "timestamp",
    "whole",
    "wrong_language",
]

JSONPATH = "JSONPath"
JSONATA = "JSONata"

Check = Callable[[Any, Spot, str], None]

Part = tuple[Check, str]
"""A check, and the query language its field belongs to, empty for both."""

_KINDS = (
    (bool, "a boolean"),
    (type(None), "null"),
    ((int, float), "a number"),
    (str, "a string"),
    (Mapping, "an object"),
)


def kind_of(value: object) -> str:
    """What a value is in JSON, with its article."""
    return next((words for types, words in _KINDS if isinstance(value, types)), "a list")


def _wrong(at: Spot, wanted: str, value: object) -> None:
    at.error("WRONG_TYPE", f"must be {wanted}, not {kind_of(value)}")


def is_expression(value: object) -> bool:
    """Whether this is a JSONata expression, in its ``{% %}``."""
    return isinstance(value, str) and len(value) > 3 and value.startswith("{%") and value.endswith("%}")


def anything(value: object, at: Spot, language: str) -> None:
    """Any value."""


def text(value: object, at: Spot, language: str) -> None:
    if not isinstance(value, str):
        _wrong(at, "a string", value)


def literal_text(value: object, at: Spot, language: str) -> None:
    """Text that JSONPath states take as it is, although it may look like a path."""
    if not isinstance(value, str):
        _wrong(at, "a string", value)
    elif language == JSONPATH and looks_dynamic(value):
        at.warning("NO_PATH", f"is the text {value!r} itself; to have it evaluated, use the field that ends in Path")


def boolean(value: object, at: Spot, language: str) -> None:
    if not isinstance(value, bool):
        _wrong(at, "true or false", value)


def json_object(value: object, at: Spot, language: str) -> None:
    if not isinstance(value, Mapping):
        _wrong(at, "an object", value)


def one_of(*values: str) -> Check:
    def check(value: object, at: Spot, language: str) -> None:
        if not isinstance(value, str):
            _wrong(at, "a string", value)
        elif value not in values:
            at.error("UNKNOWN_VALUE", f"must be {' or '.join(values)}, not {value!r}")

    return check


def expression(check: Check) -> Check:
    """A check of what may also be a JSONata expression where that is the query language."""

    def either(value: object, at: Spot, language: str) -> None:
        if language != JSONATA or not is_expression(value):
            check(value, at, language)

    return either


def whole(least: int, most: int | None = None) -> Check:
    return _number("a whole number", least, most, whole=True)


def number(least: float, most: float | None = None) -> Check:
    return _number("a number", least, most, whole=False)


def _number(wanted: str, least: float, most: float | None, *, whole: bool) -> Check:
    span = f"at least {least:,}" if most is None else f"between {least:,} and {most:,}"

    def check(value: object, at: Spot, language: str) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            _wrong(at, wanted, value)
        elif not math.isfinite(value) or (whole and value != int(value)):
            at.error("WRONG_TYPE", f"must be {wanted}, not {value}")
        elif value < least or (most is not None and value > most):
            at.error("OUT_OF_RANGE", f"must be {span}, not {value}")

    return check


def path(value: object, at: Spot, language: str) -> None:
    if not isinstance(value, str):
        _wrong(at, "a path", value)
    elif not is_path(value):
        at.error("INVALID_PATH", f"must be a path such as '$.name', unlike {value!r}")


def path_or_null(value: object, at: Spot, language: str) -> None:
    if value is not None:
        path(value, at, language)


def path_or_call(value: object, at: Spot, language: str) -> None:
    if not isinstance(value, str):
        _wrong(at, "a path", value)
    elif not is_path(value) and not is_intrinsic(value):
        at.error("INVALID_PATH", f"must be a path or a call of an intrinsic function, unlike {value!r}")


def reference(value: object, at: Spot, language: str) -> None:
    """A path to one place of the input or of a variable."""
    _reference(value, at, context=False, variables=True)


def context_path(value: object, at: Spot, language: str) -> None:
    """A path to one place, of the context object too."""
    _reference(value, at, context=True, variables=True)


def result_path(value: object, at: Spot, language: str) -> None:
    if value is not None:
        _reference(value, at, context=False, variables=False)


def _reference(value: object, at: Spot, *, context: bool, variables: bool) -> None:
    if not isinstance(value, str):
        _wrong(at, "a path", value)
    elif not is_path(value):
        at.error("INVALID_PATH", f"must be a path such as '$.name', unlike {value!r}")
    elif not is_reference_path(value, context=context, variables=variables):
        what = "of the input" if not variables else "of the input or a variable" if not context else ""
        at.error("INVALID_REFERENCE_PATH", f"must be a path to one place {what}".rstrip() + f", unlike {value!r}")


def timestamp(value: object, at: Spot, language: str) -> None:
    if not isinstance(value, str):
        _wrong(at, "a timestamp", value)
    elif not is_timestamp(value):
        at.error("INVALID_TIMESTAMP", f"must look like 2030-01-31T12:00:00Z, unlike {value!r}")


def resource(value: object, at: Spot, language: str) -> None:
    if not isinstance(value, str):
        _wrong(at, "an ARN", value)
    # A placeholder that CloudFormation or SAM fills in before AWS sees the definition.
    elif "${" not in value and not (value.startswith("arn:") and len(value.split(":")) >= 6):
        at.error(
            "INVALID_RESOURCE", f"must be an ARN, as in arn:aws:states:REGION:ACCOUNT:activity:NAME, not {value!r}"
        )


def object_of(parts: Mapping[str, Part], *, complete: bool = True) -> Check:
    """A check of an object with these fields.

    Parameters:
        parts: the check of each field, and the query language it belongs to
        complete: whether AWS is known to refuse any other field
    """

    def check(value: object, at: Spot, language: str) -> None:
        if not isinstance(value, Mapping):
            _wrong(at, "an object", value)
            return
        for key, member in value.items():
            if key in parts:
                _part(parts[key], member, at[key], language)
                continue
            report = at[key].error if complete else at[key].warning
            report("UNKNOWN_FIELD", f"there is no field {key!r} here; there are {', '.join(parts)}")
        for name in parts:
            if name in value and f"{name}Path" in value:
                at.error("EXCLUSIVE_FIELDS", f"only one of {name} and {name}Path can be there")

    return check


def _part(part: Part, value: object, at: Spot, language: str) -> None:
    check, needs = part
    if needs and language and needs != language:
        wrong_language(at, needs, language)
    else:
        check(value, at, language)


def wrong_language(at: Spot, needs: str, language: str) -> None:
    at.error("WRONG_QUERY_LANGUAGE", f"belongs to {needs}, but the query language here is {language}")
