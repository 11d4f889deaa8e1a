"""Paths: what they find, what they say when they find nothing, and where they put things."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.local.data import (
    MISSING,
    DataError,
    PathNotFound,
    Scope,
    apply_input_path,
    apply_output_path,
    dumps,
    get_path,
    is_present,
    put_path,
)

DATA = {
    "a": {"b": [{"x": 1, "y": "p"}, {"x": 2}, {"x": 3, "y": "q"}]},
    "none": None,
    "text": "abc",
    "whole": 1,
    "big": 2**40,
    "half": 0.5,
    "flag": True,
    "input-value": 5,
    "@type": "t",
    "k m": 6,
    "it's": 7,
    'say"so': 8,
    "back\\slash": 9,
    'kept\\"': 10,
    "empty": [],
}
SCOPE = Scope(DATA, {"Execution": {"Id": "e1"}, "State": {"RetryCount": 0}}, {"v": {"w": [10, 20]}, "schön": 1})


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", DATA),
        ("$.a.b[0].x", 1),
        ("$.a.b[-1].x", 3),
        ("$['a']['b'][1]", {"x": 2}),
        ("$.a['b'][ 1 ].x", 2),
        ("$.none", None),
        ("$.input-value", 5),
        ("$.@type", "t"),
        ("$['k m']", 6),
        ("$['it\\'s']", 7),
        ('$["say\\"so"]', 8),
        ("$['back\\\\slash']", 9),
        ("$['kept\\\"']", 10),
        ("$$.Execution.Id", "e1"),
        ("$$.State", {"RetryCount": 0}),
        ("$$", {"Execution": {"Id": "e1"}, "State": {"RetryCount": 0}}),
        ("$v", {"w": [10, 20]}),
        ("$v.w[1]", 20),
        ("$schön", 1),
        ("$v.w[*]", [10, 20]),
        ("$.a.b[*].x", [1, 2, 3]),
        ("$.a.b[*].y", ["p", "q"]),
        ("$.a.b[0,2].x", [1, 3]),
        ("$.a.b[1:].x", [2, 3]),
        ("$.a.b[:-1].x", [1, 2]),
        ("$..x", [1, 2, 3]),
        ("$.a.b[?(@.x > 1)].x", [2, 3]),
        ("$.a.b[?(@.x >= 2 && @.y == 'q')].x", [3]),
        ("$.a.b[?(@.y)].x", [1, 3]),
        ("$.a.b[?(@.x in [1, 3])].y", ["p", "q"]),
        ("$.a.b[?(@.y =~ /P/i)].x", [1]),
        ("$.missing[*].x", []),
        ("$.missing.items[1:5]", []),
        ("$.text[*]", []),
        ("$.a.b.length()", 3),
        ("$.a.b[?(@.x > 1)].length()", 2),
    ],
)
def test_path_finds_what_aws_finds(path: str, found: Any) -> None:
    assert get_path(path, SCOPE) == found


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("$.x", "No results for path: $['x']"),
        ("$.a.x", "No results for path: $['a']['x']"),
        ("$.x.y.z", "Missing property in path $['x']"),
        ("$.a.x.z", "Missing property in path $['a']['x']"),
        ("$.a.b[5]", "No results for path: $['a']['b'][5]"),
        ("$.a.b[-4].x", "No results for path: $['a']['b'][-4]['x']"),
        ("$.none[0]", "The path $['none'] is null"),
        ("$.a[0]", "Filter: [0] can only be applied to arrays. Current context is: "),
        ("$$.Map.Item.Index", "Missing property in path $['Map']"),
        ("$nosuch", "Variable 'nosuch' is not defined"),
    ],
)
def test_path_that_finds_nothing_says_where_it_stopped(path: str, why: str) -> None:
    with pytest.raises(PathNotFound) as caught:
        get_path(path, SCOPE)
    assert caught.value.error == "States.Runtime"
    assert caught.value.path == path
    assert caught.value.why.startswith(why)
    assert str(caught.value.cause).startswith(f"Invalid path '{path}' : {why}")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$.text.x", "java.lang.String"),
        ("$.a.b.x", "java.util.ArrayList"),
        ("$.none.x", "null"),
        ("$.whole.x", "java.lang.Integer"),
        ("$.big.x", "java.lang.Long"),
        ("$.half.x", "java.lang.Double"),
        ("$.flag.x", "java.lang.Boolean"),
    ],
)
def test_path_into_what_is_no_object_names_the_type_aws_names(path: str, found: str) -> None:
    with pytest.raises(
        PathNotFound, match=f"Expected to find an object with property \\['x'\\] .* but found '{found}'"
    ):
        get_path(path, SCOPE)


@pytest.mark.parametrize("path", ["a.b", "", "$.a[", "$.a[?(@.x >]", "$.a..", "$.a[1", "$.a b"])
def test_text_that_is_no_path_is_a_runtime_error_and_not_a_crash(path: str) -> None:
    with pytest.raises(DataError) as caught:
        get_path(path, SCOPE)
    assert caught.value.error == "States.Runtime"


@pytest.mark.parametrize(
    ("path", "present"),
    [
        ("$.none", True),
        ("$.a.b[2]", True),
        ("$.a.b[3]", False),
        ("$.x.y", False),
        ("$.text.x", False),
        ("$.none[0]", False),
        ("$.empty", True),
        ("$.empty[*]", False),
        ("$.a.b[?(@.x > 2)]", True),
        ("$.a.b[?(@.x > 3)]", False),
        ("$nosuch", False),
        ("$v.w", True),
    ],
)
def test_null_is_present_and_nothing_is_not(path: str, present: bool) -> None:
    assert is_present(path, SCOPE) is present


def test_input_and_output_paths_take_all_nothing_or_a_part() -> None:
    for apply in (apply_input_path, apply_output_path):
        assert apply(MISSING, SCOPE) is DATA
        assert apply("$", SCOPE) is DATA
        assert apply(None, SCOPE) == {}
        assert apply("$.a.b[0].y", SCOPE) == "p"
        assert apply("$v.w", SCOPE) == [10, 20]
        with pytest.raises(PathNotFound):
            apply("$.x", SCOPE)


@pytest.mark.parametrize(
    ("path", "data", "put"),
    [
        (None, {"a": 1}, {"a": 1}),
        ("$", {"a": 1}, "new"),
        (MISSING, {"a": 1}, "new"),
        ("$.a", {}, {"a": "new"}),
        ("$.a", {"a": 1, "b": 2}, {"a": "new", "b": 2}),
        ("$.a.b.c", {}, {"a": {"b": {"c": "new"}}}),
        ("$.a.b", {"a": {"c": 1}}, {"a": {"c": 1, "b": "new"}}),
        ("$['a b'].c", {}, {"a b": {"c": "new"}}),
        ("$.a[1]", {"a": [1, 2, 3]}, {"a": [1, "new", 3]}),
        ("$[0].x", [{}], [{"x": "new"}]),
    ],
)
def test_result_lands_where_result_path_says(path: Any, data: Any, put: Any) -> None:
    before = dumps(data)
    assert put_path(path, data, "new") == put
    assert dumps(data) == before


@pytest.mark.parametrize(
    ("path", "data"),
    [("$.a", 1), ("$.a", [1]), ("$.a", None), ("$.a.b", {"a": "text"}), ("$.a[3]", {"a": [1]}), ("$[0]", {})],
)
def test_result_that_cannot_land_is_a_match_failure(path: str, data: Any) -> None:
    with pytest.raises(DataError) as caught:
        put_path(path, data, "new")
    assert caught.value.error == "States.ResultPathMatchFailure"
    assert path in str(caught.value.cause)


@pytest.mark.parametrize("path", ["$.a[*]", "$..a", "$$.Execution.Id", "$v.a"])
def test_result_path_must_be_a_reference_path_into_the_data(path: str) -> None:
    with pytest.raises(DataError, match="Reference Path"):
        put_path(path, {"a": [1]}, "new")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _json, max_size=4), st.lists(st.text(), min_size=1, max_size=4), _json)
def test_what_is_put_is_what_is_found(data: dict[str, Any], names: list[str], value: Any) -> None:
    path = "$" + "".join("['" + name.replace("\\", "\\\\").replace("'", "\\'") + "']" for name in names)
    before = dumps(data)
    try:
        after = put_path(path, data, value)
    except DataError as error:
        assert error.error == "States.ResultPathMatchFailure"
        return
    finally:
        assert dumps(data) == before
    assert get_path(path, Scope(after)) == value
    assert {name: item for name, item in after.items() if name != names[0]} == {
        name: item for name, item in data.items() if name != names[0]
    }


_path_like = st.text(alphabet="$.[]()*?@'\"\\ ,:-01ab<>=!&|~/#^%{}", max_size=16) | st.text(max_size=10)


@given(_path_like, _json)
def test_no_text_as_path_does_more_than_raise_a_states_error(text: str, data: Any) -> None:
    with contextlib.suppress(DataError):
        get_path(f"${text}", Scope(data))
