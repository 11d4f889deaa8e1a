"""Choice rules in words short enough for the arrow of a graph."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["condition_text"]

_SIGNS = (
    ("GreaterThanEquals", ">="),
    ("LessThanEquals", "<="),
    ("GreaterThan", ">"),
    ("LessThan", "<"),
    ("Equals", "=="),
    ("Matches", "matches"),
)
_KINDS = ("String", "Numeric", "Boolean", "Timestamp")


def condition_text(rule: object) -> str:
    """What a choice rule asks.

    Example:
        >>> condition_text({"Variable": "$.total", "NumericGreaterThan": 100, "Next": "big"})
        '$.total > 100'
        >>> condition_text({"Not": {"Variable": "$.a", "IsPresent": True}})
        'not ($.a is present)'
    """
    if not isinstance(rule, Mapping):
        return ""
    for key, value in rule.items():
        if key == "Condition":
            return _expression(value)
        if key in ("And", "Or") and isinstance(value, list):
            return f" {key.lower()} ".join(_part(each) for each in value)
        if key == "Not":
            return f"not ({condition_text(value)})"
        if isinstance(key, str) and (text := _comparison(rule.get("Variable"), key, value)):
            return text
    return ""


def _part(rule: object) -> str:
    text = condition_text(rule)
    return f"({text})" if isinstance(rule, Mapping) and ("And" in rule or "Or" in rule) else text


def _expression(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.removeprefix("{%").removesuffix("%}").strip()


def _comparison(variable: object, operator: str, value: Any) -> str:
    if operator.startswith("Is") and isinstance(value, bool):
        return f"{variable} is {'' if value else 'not '}{operator[2:].lower()}"
    kind = next((kind for kind in _KINDS if operator.startswith(kind)), None)
    if kind is None:
        return ""
    how = operator.removeprefix(kind)
    is_path = how.endswith("Path")
    how = how.removesuffix("Path")
    sign = next((sign for name, sign in _SIGNS if name == how), None)
    if sign is None:
        return ""
    return f"{variable} {sign} {value if is_path else json.dumps(value, ensure_ascii=False)}"
