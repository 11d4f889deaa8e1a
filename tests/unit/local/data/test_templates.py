"""Payload templates and the expressions in them."""

from __future__ import annotations

from typing import Any

import pytest

from sfini_celery.local.data import DataError, Scope, evaluate, render

SCOPE = Scope({"a": {"b": [1, 2]}, "n": None}, {"State": {"Name": "S"}}, {"v": "w"})


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ({}, {}),
        ([], []),
        ("$.a", "$.a"),
        (None, None),
        ({"x": "$.a", "y": 1.0}, {"x": "$.a", "y": 1.0}),
        ({"x.$": "$.a.b"}, {"x": [1, 2]}),
        ({"x.$": "$"}, {"x": {"a": {"b": [1, 2]}, "n": None}}),
        ({"x.$": "$.n"}, {"x": None}),
        ({"x.$": "$$.State.Name", "y.$": "$v"}, {"x": "S", "y": "w"}),
        (
            {"x": {"y": [{"z.$": "$.a.b[1]"}, "$.a", ["$.a", {"k.$": "$v"}]]}},
            {"x": {"y": [{"z": 2}, "$.a", ["$.a", {"k": "w"}]]}},
        ),
        ({"x.$": "States.Format('{}-{}', $v, States.ArrayLength($.a.b))"}, {"x": "w-2"}),
        ({"$": "$.a", ".$": "$v"}, {"$": "$.a", "": "w"}),
    ],
)
def test_only_keys_that_end_in_dot_dollar_are_evaluated(template: Any, rendered: Any) -> None:
    assert render(template, SCOPE) == rendered


def test_members_keep_the_order_of_the_template() -> None:
    assert list(render({"z": 1, "a.$": "$v", "m": 2}, SCOPE)) == ["z", "a", "m"]


@pytest.mark.parametrize("expr", ["$.no.such", "$.a.b[7]", "$$.Task.Token", "$nosuch"])
def test_missing_path_names_the_path_the_field_and_the_input(expr: str) -> None:
    with pytest.raises(DataError) as caught:
        render({"deep": [{"value.$": expr}]}, Scope({"k": "ü"}, {}, {}))
    assert caught.value.error == "States.Runtime"
    assert caught.value.cause == (
        f"The JSONPath '{expr}' specified for the field 'value.$' could not be found in the input '{{\"k\":\"ü\"}}'"
    )


def test_missing_path_quotes_the_input_as_it_came() -> None:
    with pytest.raises(DataError) as caught:
        evaluate("$.x", Scope({"k": 1}, text='{ "k": 1 }'), field="CausePath")
    assert caught.value.cause == (
        "The JSONPath '$.x' specified for the field 'CausePath' could not be found in the input '{ \"k\": 1 }'"
    )


@pytest.mark.parametrize("value", [1, None, {"a": 1}, "text", "States.NoSuch()", "States.Array("])
def test_what_is_no_expression_is_a_runtime_error(value: Any) -> None:
    with pytest.raises(DataError) as caught:
        render({"x.$": value}, SCOPE)
    assert caught.value.error == "States.Runtime"
