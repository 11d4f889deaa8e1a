"""JSON text as AWS reads and writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.local.data import dumps, loads
from sfini_celery.local.data.jsontext import java_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": [1, 2], "a": None}, '{"b":[1,2],"a":null}'),
        ("é😀/\x7f", '"é😀/\x7f"'),
        ('"\\\b\f\n\r\t', '"\\"\\\\\\b\\f\\n\\r\\t"'),
        ("\x00\x1f", '"\\u0000\\u001F"'),
        ("\\u001f\\", '"\\\\u001f\\\\"'),
        ("\ud800x", '"\\uD800x"'),
        (1.0, "1.0"),
        (1, "1"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (9999999.5, "9999999.5"),
        (1e7, "1.0E7"),
        (12345678.25, "1.234567825E7"),
        (-1.5e300, "-1.5E300"),
        (0.001, "0.001"),
        (0.00015, "1.5E-4"),
        (1e-9, "1.0E-9"),
        (10**30, "1" + "0" * 30),
        (["1e-9", 1e-9, "12345678.25"], '["1e-9",1.0E-9,"12345678.25"]'),
        ({"12345678.25": {"x": [1e16]}}, '{"12345678.25":{"x":[1.0E16]}}'),
    ],
)
def test_values_are_written_as_jackson_writes_them(value: Any, text: str) -> None:
    assert dumps(value) == text
    assert loads(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        "{'a': 1}",
        "[1,]",
        "01",
        '"\n"',
        "nul",
        '{"a":1}x',
        "+1",
    ],
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": -float("inf")}])
def test_nan_and_infinity_are_never_written(value: Any) -> None:
    with pytest.raises(ValueError):
        dumps(value)


def test_bytes_are_read_as_utf_8() -> None:
    assert loads('"é"'.encode()) == "é"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a"),
        (None, "null"),
        (True, "true"),
        (1.5e10, "1.5E10"),
        ({"Arg1": 1, "Arg2": [], "s": "x y"}, "{Arg1=1, Arg2=[], s=x y}"),
        ([1, "a", None, [False]], "[1, a, null, [false]]"),
    ],
)
def test_formatted_values_look_as_java_prints_them(value: Any, text: str) -> None:
    assert java_text(value) == text


_numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | _numbers | st.text(st.characters()) | st.from_regex(r"-?\d{1,9}\.\d(e-?\d)?"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_json)
def test_what_is_written_is_read_back_the_same(value: Any) -> None:
    text = dumps(value)
    assert repr(json.loads(text)) == repr(value)
    assert loads(text) == value
    text.encode()
