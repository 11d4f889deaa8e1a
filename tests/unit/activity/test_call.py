"""How an activity task's input becomes a call."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from sfini_celery.activity import Activity, Call, Parameters, Position, read_input
from sfini_celery.errors import InvalidInput


def add(x: Any, y: Any = 0) -> Any:
    return x + y


def open_ended(x: Any, **more: Any) -> Any:
    return x, more


def positional(x: Any, /, y: Any) -> Any:
    return x, y


def read(value: Any, function: Any = add, **options: Any) -> Call:
    activity = Activity(name="add", task="proj.add", **options)
    text = value if isinstance(value, str) else json.dumps(value)
    return read_input(text, [activity], lambda task: Parameters.of(function))


def envelope(**members: Any) -> dict[str, Any]:
    return {"sfini": 1, "task": "proj.add", **members}


@pytest.mark.parametrize(
    ("members", "args", "kwargs"),
    [
        ({}, (), {}),
        ({"args": [1, 2]}, (1, 2), {}),
        ({"result": 9, "args": [1]}, (9, 1), {}),
        ({"result": None, "args": [1]}, (None, 1), {}),
        ({"kwargs": {"y": 3}, "result": 9}, (9,), {"y": 3}),
        ({"start": {"args": [7]}, "args": [1]}, (7, 1), {}),
        ({"start": {"kwargs": {"y": 5}}, "kwargs": {"y": 4, "x": 3}}, (), {"x": 3, "y": 5}),
        ({"start": {}, "args": [1]}, (1,), {}),
        ({"start": None, "args": [1]}, (1,), {}),
        ({"args": None, "kwargs": None}, (), {}),
        ({"json": '{"args": [{"a.$": 1}], "kwargs": {"y": {"sfini.ref": 2}}}'}, ({"a.$": 1},), {"y": {"sfini.ref": 2}}),
        ({"refs": True, "args": [{"sfini.ref": 5}, {"a": [{"sfini.ref": None}]}]}, (5, {"a": [None]}), {}),
        ({"args": [{"sfini.ref": 5}]}, ({"sfini.ref": 5},), {}),
    ],
)
def test_envelope_is_unfolded_as_celery_would_call(members: dict[str, Any], args: tuple, kwargs: dict) -> None:
    call = read(envelope(**members))
    assert (call.task, call.args, dict(call.kwargs), call.typed) == ("proj.add", args, kwargs, True)


def test_values_of_celerys_serializer_survive_an_envelope() -> None:
    when, number, ident = datetime(2026, 1, 2, tzinfo=timezone.utc), Decimal("1.10"), UUID(int=5)
    text = kombu_json.dumps(envelope(args=[when, number], kwargs={"y": ident}))
    call = read(text)
    assert call.args == (when, number)
    assert call.kwargs["y"] == ident


def test_position_tells_execution_attempt_and_map_and_its_key_ignores_the_attempt() -> None:
    at = {"execution": "arn:e", "name": "e", "state": "s", "entered": "2026-01-01T00:00:00Z", "map": [3, 0]}
    first = read(envelope(at={**at, "attempt": 0})).at
    retried = read(envelope(at={**at, "attempt": 2})).at
    other = read(envelope(at={**at, "map": [3, 1]})).at
    assert retried == Position("arn:e", "e", "s", "2026-01-01T00:00:00Z", 2, (3, 0))
    assert first.key == retried.key != other.key
    assert first.root_id == other.root_id


def test_options_off_the_whitelist_are_ignored_and_told() -> None:
    call = read(envelope(options={"priority": 3, "serializer": "pickle", "task_id": "x"}))
    assert dict(call.options) == {"priority": 3}
    assert call.ignored == ("serializer", "task_id")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"sfini": 2, "task": "proj.add"}, "version 2"),
        ({"sfini": True, "task": "proj.add"}, "version True"),
        (envelope(task="os.system"), "does not serve a task 'os.system'"),
        (envelope(args={"a": 1}), "'args' must be an array, not an object"),
        (envelope(kwargs=[1]), "'kwargs' must be an object, not an array"),
        (envelope(json="{"), "'json' in the envelope cannot be read"),
        (envelope(json="[]"), "'json' in the envelope must hold an object, not an array"),
        (envelope(over="reduce"), "'over' must be 'map' or 'starmap', not 'reduce'"),
        (envelope(start=[1]), "execution input must be an object with 'args' and 'kwargs', not an array"),
        (envelope(start={"args": 3}), "execution input: 'args' must be an array, not a number"),
        ("{", "not JSON"),
        ("NaN", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ({"x": 1, "z": 2}, "'z' match no parameter of 'proj.add' .x, y.; input='data'"),
        ({"y": 1}, "nothing for parameter 'x'"),
    ],
)
def test_malformed_input_says_what_was_wrong(value: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        read(value)


@pytest.mark.parametrize("value", [5, "text", None, True, [1, 2], 1.5])
def test_a_raw_value_that_is_no_object_is_the_one_argument(value: Any) -> None:
    call = read(json.dumps(value))
    assert (call.args, call.kwargs, call.typed) == ((value,), {}, False)


def test_a_raw_object_is_matched_to_parameters() -> None:
    assert dict(read({"x": 1, "y": 2}).kwargs) == {"x": 1, "y": 2}
    assert dict(read({"x": 1, "any": 2}, open_ended).kwargs) == {"x": 1, "any": 2}


def test_data_passes_the_whole_value_even_when_it_looks_like_an_envelope() -> None:
    value = envelope(args=[1])
    call = read(value, input="data")
    assert (call.args, call.typed) == ((value,), False)


def test_kwargs_drops_unknown_members_and_never_reads_an_envelope() -> None:
    call = read({"sfini": 1, "x": 4, "z": 5}, input="kwargs")
    assert (call.args, dict(call.kwargs)) == ((), {"x": 4})
    with pytest.raises(InvalidInput, match="takes an object"):
        read([1], input="kwargs")


def test_a_parameter_no_keyword_reaches_is_told_instead_of_called_wrongly() -> None:
    with pytest.raises(InvalidInput, match="parameter 'x'"):
        read({"y": 2}, positional)


def test_shared_activity_needs_an_envelope_that_names_the_task() -> None:
    both = [Activity(name="n", task="a", shared=True), Activity(name="n", task="b", shared=True)]
    assert read_input(json.dumps({"sfini": 1, "task": "b"}), both, lambda task: Parameters(())).task == "b"
    with pytest.raises(InvalidInput, match="shared by a, b"):
        read_input("{}", both, lambda task: Parameters(()))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["sfini", "args", "at", "x"]), inner),
    max_leaves=20,
)


@given(
    _json
    | st.fixed_dictionaries(
        {"sfini": st.just(1)},
        optional=dict.fromkeys(("task", "args", "kwargs", "result", "start", "options", "errors", "at"), _json),
    ),
    st.sampled_from(["auto", "data", "kwargs"]),
)
def test_any_json_is_a_call_or_invalid_input_and_nothing_else(value: Any, convention: Any) -> None:
    try:
        call = read(value, input=convention)
    except InvalidInput:
        return
    assert call.task == "proj.add"


@given(st.text())
def test_any_text_is_a_call_or_invalid_input(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        read(text)


@pytest.mark.parametrize(
    ("cause", "message", "trace"),
    [
        ('{"errorType": "KeyError", "errorMessage": "no", "stackTrace": "here"}', "no", "here"),
        ("plain words", "plain words", ""),
        ('{"other": 1}', '{"other": 1}', ""),
        (None, None, ""),
    ],
)
def test_a_handler_gets_the_error_with_its_cause_read(cause: str | None, message: str | None, trace: str) -> None:
    call = read(envelope(caught={"error": "KeyError", "cause": cause, "input": [1]}, args=["more"]))
    assert call.args == ({"error": "KeyError", "message": message, "traceback": trace, "input": [1]}, "more")


def test_a_map_runs_celerys_own_over_a_task_that_is_an_activity() -> None:
    name, args, kwargs = read(envelope(over="starmap", args=[[1, 2], [3, 4]])).run
    assert (name, args, kwargs["it"]) == ("celery.starmap", (), [[1, 2], [3, 4]])
    assert kwargs["task"]["task"] == "proj.add"
    assert read(envelope(args=[1])).run == ("proj.add", (1,), {})
