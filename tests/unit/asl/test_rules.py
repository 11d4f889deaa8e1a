"""Choice rules: what each is written as, which values it takes, and how it is read."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from sfini_celery import asl
from sfini_celery.asl import And, ChoiceRule, Condition, IsPresent, Not, NumericEquals, Or, Pass, StringEquals
from sfini_celery.asl.rules import COMPARISONS, Comparison
from sfini_celery.errors import DefinitionError, WrongType

NEXT = Pass("next")
NOON = datetime(2030, 1, 31, 12, tzinfo=timezone.utc)
GOOD = {"String": "x", "Numeric": 1.5, "Boolean": True, "Timestamp": NOON, "Path": "$.other", "Is": False}
BAD = {"String": 1, "Numeric": "1", "Boolean": 0, "Timestamp": 3, "Path": 3, "Is": "true"}


def kind_of(name: str) -> str:
    if name.endswith("Path"):
        return "Path"
    return next(kind for kind in GOOD if name.startswith(kind))


def test_every_comparison_of_the_states_language_is_there() -> None:
    compared = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
    names = [f"{kind}{how}" for kind in ("String", "Numeric", "Timestamp") for how in compared] + ["BooleanEquals"]
    names += [f"{name}Path" for name in names]
    names += ["StringMatches", "IsNull", "IsPresent", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp"]
    assert sorted(COMPARISONS) == sorted(names)
    assert all(getattr(asl, name) is COMPARISONS[name] for name in names)


@pytest.mark.parametrize("name", sorted(COMPARISONS))
def test_each_comparison_is_written_as_it_is_named_and_read_back(name: str) -> None:
    value = GOOD[kind_of(name)]
    rule = COMPARISONS[name]("$.x", value, NEXT)
    text = "2030-01-31T12:00:00+00:00" if value is NOON else value
    assert rule.to_dict() == {"Variable": "$.x", name: text, "Next": "next"}
    assert ChoiceRule.from_dict(rule.to_dict(), {"next": NEXT}).to_dict() == rule.to_dict()
    assert type(ChoiceRule.from_dict(rule.to_dict(), {"next": NEXT})) is COMPARISONS[name]


@pytest.mark.parametrize("name", sorted(COMPARISONS))
def test_each_comparison_refuses_a_value_of_another_type(name: str) -> None:
    with pytest.raises(WrongType) as caught:
        COMPARISONS[name]("$.x", BAD[kind_of(name)], NEXT)
    assert name in str(caught.value)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    ("rule", "arguments", "message"),
    [
        ("NumericEquals", ("$.x", True), "not with True"),
        ("NumericEquals", ("$.x", float("nan")), "which JSON has no word for"),
        ("NumericEquals", ("x", 1), r"variable must begin with '\$'"),
        ("NumericEquals", (3, 1), "variable is a path"),
        ("StringEqualsPath", ("$.x", "y"), r"comparison value must begin with '\$'"),
        ("TimestampEquals", ("$.x", NOON.replace(tzinfo=None)), "with a time zone"),
        ("TimestampEquals", ("$.x", "noon"), "must look like"),
        ("NumericEquals", ("$.x", 1, "next"), "must be a state"),
    ],
)
def test_values_that_can_never_be_compared_are_refused(rule: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        COMPARISONS[rule](*arguments)


def test_a_timestamp_given_as_text_is_written_as_it_was_given() -> None:
    rule = asl.TimestampLessThan("$.t", "2016-03-05T21:29:29.243167252Z")
    assert rule.to_dict()["TimestampLessThan"] == "2016-03-05T21:29:29.243167252Z"


def test_and_or_and_not_hold_rules_without_a_next_state() -> None:
    one, two = NumericEquals("$.n", 1), StringEquals("$.s", "x")
    rule = Or([And([one, two]), Not(IsPresent("$.n", True))], NEXT)
    assert rule.to_dict() == {
        "Or": [
            {"And": [{"Variable": "$.n", "NumericEquals": 1}, {"Variable": "$.s", "StringEquals": "x"}]},
            {"Not": {"Variable": "$.n", "IsPresent": True}},
        ],
        "Next": "next",
    }
    assert ChoiceRule.from_dict(rule.to_dict(), {"next": NEXT}) == rule


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: And([]), "needs at least one rule"),
        (lambda: Or([]), "needs at least one rule"),
        (lambda: And(IsPresent("$.x", True)), "takes a list of rules"),
        (lambda: And(["$.x"]), "takes choice rules"),
        (lambda: Not("$.x"), "takes choice rules"),
        (lambda: And([IsPresent("$.x", True, NEXT)]), "inside it cannot have a next state"),
        (lambda: Not(IsPresent("$.x", True, NEXT)), "inside it cannot have a next state"),
    ],
)
def test_rules_that_cannot_be_joined_are_refused(make: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        make()


def test_a_jsonata_condition_keeps_its_expression_its_variables_and_its_output() -> None:
    rule = Condition("{% $states.input.n > 1 %}", NEXT, assign={"n": 1}, output="{% 1 %}", comment="big")
    assert rule.to_dict() == {
        "Condition": "{% $states.input.n > 1 %}",
        "Comment": "big",
        "Assign": {"n": 1},
        "Output": "{% 1 %}",
        "Next": "next",
    }
    assert ChoiceRule.from_dict(rule.to_dict(), {"next": NEXT}) == rule


def test_a_condition_that_is_no_expression_is_refused() -> None:
    with pytest.raises(WrongType):
        Condition(3)  # type: ignore[arg-type]


def test_fields_that_are_not_known_survive_reading_and_writing() -> None:
    definition = {"Variable": "$.x", "IsNull": True, "Novelty": 3, "Next": "next"}
    assert ChoiceRule.from_dict(definition, {"next": NEXT}).to_dict() == definition


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"Variable": "$.x"}, "has 0"),
        ({"Variable": "$.x", "IsNull": True, "IsString": True}, "has 2"),
        ({"Variable": "$.x", "IsNull": True, "Next": "nowhere"}, "there is no state 'nowhere'"),
        ({"Variable": "$.x", "IsNull": True, "Next": ["next"]}, "there is no state"),
        ({"And": {"Variable": "$.x", "IsNull": True}}, "takes a list of rules"),
        ({"And": [{"Variable": "$.x", "IsNull": True, "Next": "next"}]}, "there is no state 'next'"),
        ({"Not": 3}, "is an object"),
        ("rule", "is an object"),
        ({"IsNull": True}, r"must begin with '\$'"),
    ],
)
def test_what_is_no_rule_cannot_be_read(definition: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        ChoiceRule.from_dict(definition, {"next": NEXT})


def test_rules_are_values() -> None:
    assert NumericEquals("$.x", 1, NEXT) == NumericEquals("$.x", 1, NEXT)
    assert NumericEquals("$.x", 1, NEXT) != NumericEquals("$.x", 1, Pass("next"))
    assert NumericEquals("$.x", 1) != asl.NumericLessThan("$.x", 1)
    with pytest.raises(AttributeError):
        NumericEquals("$.x", 1).variable_path = "$.y"  # type: ignore[misc]


def test_a_comparison_of_no_kind_cannot_be_made() -> None:
    with pytest.raises(NotImplementedError):
        Comparison("$.x", 1)
