"""Intrinsic functions: what each gives, what each refuses, and how calls are read."""

from __future__ import annotations

import contextlib
import re
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.local.data import DataError, Scope, evaluate
from sfini_celery.local.data.functions import FUNCTIONS

SCOPE = Scope(
    {
        "name": "Ada",
        "n": 3,
        "list": [1, 2, 3, 4, 5],
        "mixed": [1, 1.0, True, "1", {"a": 1, "b": 2}, {"b": 2, "a": 1}, [1], None, None, 1],
        "object": {"a": {"x": 1}, "b": 2},
        "other": {"a": {"y": 2}, "c": 3},
        "template": "<{}>",
        "null": None,
        "people": [{"name": "a,b)", "age": 1}, {"name": "c", "age": 2}],
        "long": "x" * 10_001,
        "limit": "x" * 10_000,
        "csv": "This.is+a,test=string",
    },
    {"Execution": {"Name": "e"}},
    {"v": {"w": "var"}},
)


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("States.Format('Hello')", "Hello"),
        ("States.Format('{} is {}', $.name, $.n)", "Ada is 3"),
        ("States.Format('{}', $.object)", "{a={x=1}, b=2}"),
        ("States.Format('{} {} {} {}', null, true, 1.50, 'x')", "null true 1.5 x"),
        (r"States.Format('\{{}\} \\ \'{}\'', 1, 2)", r"{1} \ '2'"),
        (r"States.Format('{}', '\{ {} \}')", "{ {} }"),
        ("States.Format($.template, $.n)", "<3>"),
        ("States.StringToJson('{\"a\": [1, 2.0]}')", {"a": [1, 2.0]}),
        ("States.StringToJson('')", None),
        ("States.JsonToString($.object)", '{"a":{"x":1},"b":2}'),
        ("States.JsonToString('a\"b')", '"a\\"b"'),
        ("States.Array()", []),
        ("States.Array($.n, 'x', null, -1.5, States.Array(true))", [3, "x", None, -1.5, [True]]),
        ("States.ArrayPartition($.list, 2)", [[1, 2], [3, 4], [5]]),
        ("States.ArrayPartition($.list, 1.6)", [[1, 2], [3, 4], [5]]),
        ("States.ArrayPartition(States.Array(), 2)", []),
        ("States.ArrayContains($.list, 5)", True),
        ("States.ArrayContains($.list, '5')", False),
        ("States.ArrayContains(States.Array(1), true)", False),
        ("States.ArrayContains($.mixed, $.other)", False),
        ('States.ArrayContains($.mixed, States.StringToJson(\'{"b": 2, "a": 1}\'))', True),
        ("States.ArrayRange(1, 9, 2)", [1, 3, 5, 7, 9]),
        ("States.ArrayRange(1, 8, 2)", [1, 3, 5, 7]),
        ("States.ArrayRange(3, 1, -1)", [3, 2, 1]),
        ("States.ArrayRange(3, 1, 1)", []),
        ("States.ArrayRange(1, 1000, 1)", list(range(1, 1001))),
        ("States.ArrayGetItem($.list, 4)", 5),
        ("States.ArrayGetItem(States.StringSplit('a-b', '-'), 0)", "a"),
        ("States.ArrayLength($.list)", 5),
        ("States.ArrayUnique($.mixed)", [1, 1.0, True, "1", {"a": 1, "b": 2}, [1], None]),
        ("States.Base64Encode('Data to encode')", "RGF0YSB0byBlbmNvZGU="),
        ("States.Base64Decode('RGF0YSB0byBlbmNvZGU=')", "Data to encode"),
        ("States.Base64Decode(States.Base64Encode('äöü 😀'))", "äöü 😀"),
        ("States.ArrayLength(States.StringSplit(States.Base64Encode($.limit), '='))", 1),
        ("States.Hash('input data', 'MD5')", "812f45842bc6d66ee14572ce20db8e86"),
        ("States.Hash('input data', 'SHA-1')", "aaff4a450a104cd177d28d18d74485e8cae074b7"),
        ("States.JsonMerge($.object, $.other, false)", {"a": {"y": 2}, "b": 2, "c": 3}),
        ("States.MathAdd(111, -1)", 110),
        ("States.MathAdd(-1.5, -1.51)", -3),
        ("States.MathAdd(2147483646, 1)", 2147483647),
        ("States.MathRandom(5, 6)", 5),
        ("States.StringSplit('1,2,,3', ',')", ["1", "2", "3"]),
        ("States.StringSplit($.csv, '.+,=')", ["This", "is", "a", "test", "string"]),
        ("States.StringSplit('a^]b', ']^')", ["a", "b"]),
        ("States.StringSplit('', ',')", []),
        ("States.StringSplit('ab', '')", ["ab"]),
        # paths as arguments
        ("States.Array($.people[?(@.name == 'a,b)')].age, $.n)", [[1], 3]),
        ("States.Array($$.Execution.Name, $v.w, $.list.length())", ["e", "var", 5]),
        ("States.Array ( 1 ,\n 2 )  ", [1, 2]),
        ("States.Array('a\nb', 'c,d)', '\\'')", ["a\nb", "c,d)", "'"]),
    ],
)
def test_function_gives_what_aws_gives(call: str, result: Any) -> None:
    # repr tells 1 from 1.0 and True.
    assert repr(evaluate(call, SCOPE)) == repr(result)


@pytest.mark.parametrize(
    "call",
    [
        "States.Format('{}')",
        "States.Format('{}', 1, 2)",
        "States.Format($.n)",
        "States.StringToJson('{')",
        "States.StringToJson('NaN')",
        "States.StringToJson($.n)",
        "States.ArrayPartition($.list, 0)",
        "States.ArrayPartition($.list, -1)",
        "States.ArrayPartition($.list, 'x')",
        "States.ArrayPartition($.name, 1)",
        "States.ArrayContains($.object, 1)",
        "States.ArrayRange(1, 1001, 1)",
        "States.ArrayRange(1, 9, 0)",
        "States.ArrayRange(1, 9, true)",
        "States.ArrayGetItem($.list, 5)",
        "States.ArrayGetItem($.list, -1)",
        "States.ArrayGetItem($.list, null)",
        "States.ArrayLength($.name)",
        "States.ArrayUnique($.object)",
        "States.Base64Encode($.long)",
        "States.Base64Encode($.n)",
        "States.Base64Decode($.long)",
        "States.Base64Decode('x')",
        "States.Base64Decode('/w==')",
        "States.Base64Decode('$$$$')",
        "States.Hash($.long, 'MD5')",
        "States.Hash('x', 'md5')",
        "States.Hash('x', $.n)",
        "States.JsonMerge($.object, $.other, true)",
        "States.JsonMerge($.object, $.list, false)",
        "States.MathAdd(2147483647, 1)",
        "States.MathAdd(2147483648, 0)",
        "States.MathAdd('1', 0)",
        "States.MathRandom(2, 2)",
        "States.MathRandom(3, 2)",
        "States.MathRandom(0, 2, 'seed')",
        "States.StringSplit($.list, ',')",
        "States.StringSplit('a', $.null)",
    ],
)
def test_function_refuses_what_aws_refuses(call: str) -> None:
    with pytest.raises(DataError) as caught:
        evaluate(call, SCOPE)
    assert caught.value.error == "States.IntrinsicFailure"
    assert str(caught.value.cause).startswith(f"The function '{call}' had the following error: ")


@pytest.mark.parametrize(
    "call",
    [
        "States.Array(",
        "States.Array(1",
        "States.Array(1,)",
        "States.Array(1 2)",
        "States.Array(,1)",
        "States.Array(1))",
        "States.Array(1).x",
        "States.Array('a)",
        'States.Array("a")',
        "States.Array(a)",
        "States.Array($.a",
        "States.Array($.a['b)",
        "States.Array($.people[(1)])",
        "States.array(1)",
        "States.NoSuch(1)",
        "States.",
        "States.Array",
        "States.UUID(1)",
        "States.ArrayLength()",
        "States.MathRandom(1, 2, 3, 4)",
        "States.Format()",
    ],
)
def test_call_that_cannot_be_read_is_a_runtime_error(call: str) -> None:
    with pytest.raises(DataError) as caught:
        evaluate(call, SCOPE)
    assert caught.value.error == "States.Runtime"


def test_missing_argument_names_the_innermost_call_the_path_and_the_input() -> None:
    with pytest.raises(DataError) as caught:
        evaluate("States.Array(States.Format('{}', $.x))", Scope({"a": 1}))
    assert caught.value.error == "States.Runtime"
    assert caught.value.cause == (
        "The function 'States.Format('{}', $.x)' had the following error: The JsonPath argument for the field '$.x' "
        "could not be found in the input '{\"a\":1}'"
    )


def test_uuids_are_version_4_and_differ() -> None:
    first, second = evaluate("States.UUID()", SCOPE), evaluate("States.UUID()", SCOPE)
    assert first != second
    assert uuid.UUID(first).version == 4
    assert str(uuid.UUID(first)) == first


def test_random_numbers_stay_in_range_and_a_seed_repeats_them() -> None:
    assert {evaluate("States.MathRandom(-2, 1)", SCOPE) for _ in range(200)} == {-2, -1, 0}
    assert len({evaluate("States.MathRandom(0, 100000, 7)", SCOPE) for _ in range(5)}) == 1


def test_every_function_aws_documents_is_there() -> None:
    documented = """
        Format StringToJson JsonToString Array ArrayPartition ArrayContains ArrayRange ArrayGetItem ArrayLength
        ArrayUnique Base64Encode Base64Decode Hash JsonMerge MathRandom MathAdd StringSplit UUID
    """
    assert set(FUNCTIONS) == set(documented.split())


@given(st.lists(st.integers(-3, 3) | st.booleans() | st.text(max_size=2)), st.integers(1, 5))
def test_partitions_joined_again_are_the_array(values: list[Any], size: int) -> None:
    parts = evaluate(f"States.ArrayPartition($, {size})", Scope(values))
    assert [value for part in parts for value in part] == values
    assert all(len(part) == size for part in parts[:-1])


@given(st.text())
def test_any_text_survives_as_a_quoted_argument(text: str) -> None:
    quoted = re.sub(r"([\\'])", r"\\\1", text)
    assert evaluate(f"States.Array('{quoted}')", SCOPE) == [text]
    braces = re.sub(r"([{}])", r"\\\1", quoted)
    assert evaluate(f"States.Format('{braces}')", SCOPE) == text


@given(st.text(alphabet="States.Aray(),'$[]?@{}\\ 1-n", max_size=24))
def test_no_text_after_the_prefix_does_more_than_raise_a_states_error(text: str) -> None:
    for call in (f"States.{text}", f"States.Array({text})"):
        with contextlib.suppress(DataError):
            evaluate(call, SCOPE)
