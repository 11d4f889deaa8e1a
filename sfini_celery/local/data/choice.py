"""Choice rules in JSONPath: nested And, Or and Not over comparisons of one value.

A comparison of a value of another type than the operator's is false, as AWS recorded it; a path that finds nothing
fails the state, except for ``IsPresent``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from .errors import DataError, PathNotFound
from .paths import Scope, get_path, is_present
from .timestamps import parse_timestamp

_FIELDS = frozenset({"Variable", "Next", "Comment", "Assign", "Output"})


def matches(rule: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a choice rule holds.

    Args:
        rule: a rule of a Choice state's ``Choices``, or one nested in And, Or or Not
        scope: what its paths see

    Raises:
        DataError: a path of a comparison finds nothing, or the rule has no operator

    Example:
        >>> matches({"Variable": "$.n", "NumericGreaterThan": 1}, Scope({"n": 2}))
        True
    """
    if "And" in rule:
        return all(matches(part, scope) for part in rule["And"])
    if "Or" in rule:
        return any(matches(part, scope) for part in rule["Or"])
    if "Not" in rule:
        return not matches(rule["Not"], scope)
    for name, expected in rule.items():
        if name not in _FIELDS:
            return _compare(name, rule["Variable"], expected, scope)
    raise DataError("States.Runtime", "A choice rule has no comparison operator")


def _compare(name: str, variable: str, expected: Any, scope: Scope) -> bool:
    if name == "IsPresent":
        return is_present(variable, scope) is expected
    value = _value(variable, scope)
    test = _TESTS.get(name)
    if test:
        return test(value) is expected
    if name not in OPERATORS:
        raise DataError("States.Runtime", f"There is no comparison operator '{name}'")
    if name.endswith("Path"):
        name, expected = name[: -len("Path")], _value(expected, scope)
    key, compare = _COMPARISONS[name]
    left, right = key(value), key(expected)
    return left is not None and right is not None and compare(left, right)


def _value(path: str, scope: Scope) -> Any:
    try:
        return get_path(path, scope)
    except PathNotFound:
        cause = f"Invalid path '{path}': The choice state's condition path references an invalid value."
        raise DataError("States.Runtime", cause) from None


def _boolean(value: Any) -> Any:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> Any:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _string(value: Any) -> Any:
    # Java orders strings by UTF-16 code units.
    return value.encode("utf-16-be", "surrogatepass") if isinstance(value, str) else None


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else None


def _timestamp(value: Any) -> Any:
    try:
        return parse_timestamp(value) if isinstance(value, str) else None
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    parts = re.findall(r"\\[*\\]|.", text, re.DOTALL)
    return re.compile("".join(".*" if part == "*" else re.escape(part[-1]) for part in parts), re.DOTALL)


_TESTS: dict[str, Callable[[Any], bool]] = {
    "IsNull": lambda value: value is None,
    "IsNumeric": lambda value: _number(value) is not None,
    "IsString": lambda value: isinstance(value, str),
    "IsBoolean": lambda value: isinstance(value, bool),
    "IsTimestamp": lambda value: _timestamp(value) is not None,
}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
_COMPARISONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], bool]]] = {
    "BooleanEquals": (_boolean, operator.eq),
    "StringMatches": (_text, lambda value, pattern: _pattern(pattern).fullmatch(value) is not None),
    **{
        f"{kind}{name}": (key, compare)
        for kind, key in (("String", _string), ("Numeric", _number), ("Timestamp", _timestamp))
        for name, compare in _ORDER.items()
    },
}

OPERATORS: frozenset[str] = frozenset(
    {"IsPresent", *_TESTS, *_COMPARISONS, *(f"{name}Path" for name in _COMPARISONS if name != "StringMatches")}
)
"""Every comparison operator of the states language."""
