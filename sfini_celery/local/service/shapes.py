"""Requests checked against botocore's model of the service: required members, types, lengths, enumerations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session

from sfini_celery.local.service.errors import ApiError

__all__ = ["check_request", "operations"]

_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "float": (int, float),
    "integer": (int,),
    "list": (list,),
    "long": (int,),
    "map": (dict,),
    "string": (str,),
    "structure": (dict,),
    "timestamp": (int, float),
}


@cache
def _model() -> Any:
    return botocore.session.Session().get_service_model("stepfunctions")


@cache
def operations() -> frozenset[str]:
    """All operations that the service has."""
    return frozenset(_model().operation_names)


@cache
def _shape(operation: str) -> Any:
    return _model().operation_model(operation).input_shape


def check_request(operation: str, request: Mapping[str, Any]) -> None:
    """Refuse a request that does not have its operation's shape.

    Raises:
        ApiError: ``SerializationException`` for a wrong type, ``ValidationException`` with all else that is wrong
    """
    wrong = [*_problems(_shape(operation), request, "")]
    if wrong:
        count = f"{len(wrong)} validation error{'s' if len(wrong) > 1 else ''} detected"
        raise ApiError("ValidationException", f"{count}: {'; '.join(wrong)}")


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not _has_type(value, shape.type_name):
        raise ApiError("SerializationException", f"{path or 'request'} must be a {shape.type_name}")
    if shape.type_name == "structure":
        for name in shape.required_members:
            if value.get(name) is None:
                yield _sentence("null", _below(path, name), "Member must not be null")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _problems(member, value[name], _below(path, name))
    elif shape.type_name == "list":
        yield from _range(shape, len(value), value, path, "length")
        for index, item in enumerate(value):
            yield from _problems(shape.member, item, f"{path}.{index + 1}.member")
    elif shape.type_name == "string":
        yield from _range(shape, len(value), value, path, "length")
        if shape.enum and value not in shape.enum:
            yield _sentence(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
        pattern = shape.metadata.get("pattern")
        if pattern and "\\p" not in pattern and not re.fullmatch(pattern, value):
            yield _sentence(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    elif shape.type_name in ("integer", "long", "float"):
        yield from _range(shape, value, value, path, "value")


def _has_type(value: Any, type: str) -> bool:
    return isinstance(value, _TYPES[type]) and isinstance(value, bool) == (type == "boolean")


def _range(shape: Any, size: float, value: Any, path: str, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    shown = "***Sensitive Data***" if shape.metadata.get("sensitive") else value
    if least is not None and size < least:
        yield _sentence(shown, path, f"Member must have {what} greater than or equal to {least}")
    if most is not None and size > most:
        yield _sentence(shown, path, f"Member must have {what} less than or equal to {most}")


def _sentence(value: Any, path: str, rule: str) -> str:
    shown = value if value == "null" else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
