"""How the states language compares: values of different types are neither equal nor in any order.

Used where a canvas runs eagerly; a compiled machine leaves the same to AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from fnmatch import translate
from typing import Any

__all__ = ["KINDS", "compare", "matches"]

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _time(value: object) -> datetime | None:
    if isinstance(value, Mapping) and value.get("__type__") == "datetime":  # as Celery's serializer writes one
        value = value.get("__value__")
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or (found := _TIME.fullmatch(value)) is None:
        return None
    moment, fraction, zone = found.groups(default="")
    try:
        return datetime.fromisoformat(f"{moment}.{fraction[:6]:0<6}{'+00:00' if zone == 'Z' else zone}")
    except ValueError:
        return None


KINDS: Mapping[str, Callable[[Any], bool]] = {
    "present": lambda value: True,
    "null": lambda value: value is None,
    "string": lambda value: isinstance(value, str | datetime),
    "number": _number,
    "boolean": lambda value: isinstance(value, bool),
    "timestamp": lambda value: _time(value) is not None,
}
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: bool(a == b),
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def compare(operator: str, left: Any, right: Any, *, known: bool) -> bool:
    """Whether a comparison holds.

    Parameters:
        operator: as Python writes it
        left, right: what is there to compare
        known: the right side was written down, so that its type chooses the comparison
    """
    if operator == "!=":
        return not compare("==", left, right, known=known)
    order = _ORDERS[operator]
    if known and isinstance(right, datetime):
        time = _time(left)
        return time is not None and order(time, right)
    if left is None or right is None:
        return operator == "==" and left is None and right is None
    if isinstance(left, bool) or isinstance(right, bool):
        return operator == "==" and isinstance(left, bool) and isinstance(right, bool) and left is right
    if _number(left) and _number(right):
        return order(left, right)
    return isinstance(left, str) and isinstance(right, str) and order(left, right)


def matches(pattern: str, text: str) -> bool:
    r"""Whether text matches a pattern of StringMatches: ``*`` is any text, ``\*`` an asterisk."""
    parts: list[str] = []
    characters = iter(pattern)
    for char in characters:
        if char == "\\":
            parts.append(_quoted(next(characters, "\\")))
        else:
            parts.append("*" if char == "*" else _quoted(char))
    return re.match(translate("".join(parts)), text) is not None


def _quoted(char: str) -> str:
    return f"[{char}]" if char in "*?[" else char
