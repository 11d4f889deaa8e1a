"""Choice rules: every operator, their nesting, and what a missing path does."""

from __future__ import annotations

from typing import Any

import pytest

from sfini_celery.local.data import DataError, Scope, matches
from sfini_celery.local.data.choice import OPERATORS

EARLY, LATE = "2012-10-09T19:00:55Z", "2012-10-09T20:00:56+01:00"


def _holds(operator: str, value: Any, expected: Any) -> bool:
    scope = Scope({"value": value, "expected": expected})
    holds = matches({"Variable": "$.value", operator: expected, "Next": "X"}, scope)
    if f"{operator}Path" in OPERATORS:
        assert matches({"Variable": "$.value", f"{operator}Path": "$.expected", "Next": "X"}, scope) is holds
    return holds


@pytest.mark.parametrize(
    ("kind", "less", "more"),
    [
        ("String", "a", "b"),
        ("String", "A", "AB"),
        ("String", "", " "),
        ("String", "Z", "a"),
        ("String", "\U0001f600", "\uffff"),
        ("Numeric", 1, 2),
        ("Numeric", -0.5, 0),
        ("Numeric", 1, 1.5),
        ("Timestamp", EARLY, LATE),
        ("Timestamp", "2016-01-01T00:00:00.1Z", "2016-01-01T00:00:00.2Z"),
    ],
)
def test_order_of_two_values_decides_every_comparison(kind: str, less: Any, more: Any) -> None:
    expected = {
        "Equals": (False, True, False),
        "LessThan": (True, False, False),
        "LessThanEquals": (True, True, False),
        "GreaterThan": (False, False, True),
        "GreaterThanEquals": (False, True, True),
    }
    for name, answers in expected.items():
        pairs = ((less, more), (less, less), (more, less))
        assert tuple(_holds(f"{kind}{name}", value, other) for value, other in pairs) == answers


@pytest.mark.parametrize(
    ("operator", "expected", "others"),
    [
        ("BooleanEquals", False, [0, None, "", "false", [], {}]),
        ("NumericEquals", 1, [True, "1", None, [1], {}]),
        ("NumericLessThan", 5, [True, "1", None, [1], {}]),
        ("StringEquals", "1", [1, True, None, ["1"], {}]),
        ("StringLessThan", "z", [1, True, None, ["1"], {}]),
        ("StringMatches", "*", [1, True, None, ["1"], {}]),
        ("TimestampEquals", EARLY, [0, True, None, "2012-10-09", EARLY[:-1], [EARLY], {}]),
        ("TimestampLessThanEquals", LATE, [0, True, None, "2012-10-09", EARLY[:-1], [EARLY], {}]),
    ],
)
def test_value_of_another_type_never_matches(operator: str, expected: Any, others: list[Any]) -> None:
    assert not any(_holds(operator, other, expected) for other in others)


@pytest.mark.parametrize(
    ("operator", "those", "others"),
    [
        ("IsNull", [None], [0, False, "", [], {}]),
        ("IsNumeric", [0, 1.5, -1], [True, "1", None, []]),
        ("IsString", ["", "a", EARLY], [0, None, ["a"]]),
        ("IsBoolean", [True, False], [0, 1, None, "true"]),
        ("IsTimestamp", [EARLY, LATE], [EARLY[:-1], "2012-10-09", 0, None]),
        ("IsPresent", [None, 0, False, "", [], {}], []),
    ],
)
def test_tests_of_a_type_hold_for_that_type_alone(operator: str, those: list[Any], others: list[Any]) -> None:
    for value in those:
        assert _holds(operator, value, True) and not _holds(operator, value, False)
    for value in others:
        assert _holds(operator, value, False) and not _holds(operator, value, True)


@pytest.mark.parametrize(
    ("pattern", "those", "others"),
    [
        ("foo*.log", ["foo.log", "foo-2.log", "foo\n.log"], ["foo.logs", "xfoo.log", "fooXlog"]),
        ("*", ["", "anything"], []),
        ("a\\*b", ["a*b"], ["axb", "a\\xb"]),
        ("a\\\\*", ["a\\", "a\\x"], ["ax", "a*"]),
        ("*x*", ["x", "axb"], ["ab"]),
        ("(.)+", ["(.)+"], ["a"]),
    ],
)
def test_pattern_matches_with_stars_and_nothing_else(pattern: str, those: list[str], others: list[str]) -> None:
    assert all(_holds("StringMatches", value, pattern) for value in those)
    assert not any(_holds("StringMatches", value, pattern) for value in others)


def test_rules_nest() -> None:
    scope = Scope({"n": 25, "kind": "x"}, {"State": {"Name": "S"}}, {"limit": 30})
    twenties = [
        {"Variable": "$.n", "NumericGreaterThanEquals": 20},
        {"Variable": "$.n", "NumericLessThanPath": "$limit"},
    ]
    assert matches({"And": twenties, "Next": "A"}, scope)
    assert not matches({"And": [*twenties, {"Variable": "$.kind", "StringEquals": "y"}]}, scope)
    assert matches({"Or": [{"Variable": "$.kind", "StringEquals": "y"}, {"Not": {"Not": {"And": twenties}}}]}, scope)
    assert not matches({"Or": [{"Not": {"Variable": "$$.State.Name", "StringEquals": "S"}}]}, scope)


@pytest.mark.parametrize(
    "rule",
    [
        {"Variable": "$.x", "NumericEquals": 1},
        {"Variable": "$.x.y", "IsNull": True},
        {"Variable": "$nosuch", "StringEquals": "a"},
        {"Variable": "$.n", "NumericEqualsPath": "$.x"},
        {"Not": {"Variable": "$.x", "BooleanEquals": True}},
    ],
)
def test_comparison_on_a_missing_path_fails_the_state(rule: dict[str, Any]) -> None:
    with pytest.raises(DataError) as caught:
        matches(rule, Scope({"n": 1}))
    assert caught.value.error == "States.Runtime"
    assert str(caught.value.cause).endswith("The choice state's condition path references an invalid value.")


def test_guard_before_a_comparison_keeps_a_missing_path_from_failing_the_state() -> None:
    guarded = {"And": [{"Variable": "$.x", "IsPresent": True}, {"Variable": "$.x", "NumericEquals": 1}]}
    assert not matches(guarded, Scope({}))
    assert matches(guarded, Scope({"x": 1}))
    assert matches({"Variable": "$.x", "IsPresent": False}, Scope({}))


@pytest.mark.parametrize("rule", [{"Variable": "$.n"}, {"Variable": "$.n", "NumericAlmost": 1}])
def test_rule_without_an_operator_there_is_is_a_runtime_error(rule: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="operator"):
        matches(rule, Scope({"n": 1}))


def test_every_operator_of_the_language_is_there() -> None:
    order = ["Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
    names = {
        f"{kind}{name}{path}" for kind in ("String", "Numeric", "Timestamp") for name in order for path in ("", "Path")
    }
    tests = {"IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp"}
    assert names | tests | {"BooleanEquals", "BooleanEqualsPath", "StringMatches"} == OPERATORS
