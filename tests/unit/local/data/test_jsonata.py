"""JSONata: expressions, AWS's own functions, and the causes of what fails."""

from __future__ import annotations

import builtins
import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from sfini_celery.local.data import (
    DataError,
    QueryError,
    States,
    evaluate_jsonata,
    is_expression,
    jsonata,
    render_jsonata,
)

pytest.importorskip("jsonata", reason="the extra jsonata is not installed")

INPUT = {"a": {"b": [1, 2]}, "none": None, "one": [7], "people": [{"name": "x"}, {"name": "y"}], "empty": [], "f": 1.0}
SEEN = States({"input": INPUT, "context": {"State": {"Name": "S"}}}, {"v": [1, None], "w": None}, now=1_700_000_000.5)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("$states.input", INPUT),
        ("$states.input.a.b", [1, 2]),
        ("$states.input.none", None),
        ("$states.input.one", [7]),
        ("$states.input.empty", []),
        ("$states.input.people.name", ["x", "y"]),
        ("$states.input.people[0].name", "x"),
        ("$states.input.people[name='y']", {"name": "y"}),
        ("$states.input.f", 1.0),
        ("$states.context.State.Name", "S"),
        ("$v", [1, None]),
        ("$w", None),
        ("$w = null", True),
        ("null", None),
        ("[]", []),
        ("[0]", [0]),
        ("{'a': null, 'b': [null, 1..2]}", {"a": None, "b": [None, 1, 2]}),
        ("$sum($states.input.a.b) + 1", 4),
        ("$x := 1", 1),
        ("$contains('hello$world', /^hello\\$/)", True),
        ("$map([1..3], function($i) { $i * 2 })", [2, 4, 6]),
        ("$now()", "2023-11-14T22:13:20.500Z"),
        ("$now('[Y]')", "2023"),
        ("$millis()", 1_700_000_000_500),
        # AWS's own
        ("$partition([0, 1, 2], 2)", [[0, 1], [2]]),
        ("$range(0, 9, 3)", [0, 3, 6, 9]),
        ("$range(1, 9, 9)", 1),
        ("$hash('input data', 'MD5')", "812f45842bc6d66ee14572ce20db8e86"),
        ("$parse('{\"a\": [1, null]}')", {"a": [1, None]}),
        ("$parse('-0')", 0),
        ("$parse('[1, 2]')[1]", 2),
        ("$random(7) = $random(7)", True),
        ("$random() < 1", True),
    ],
)
def test_expression_gives_what_aws_gives(expression: str, result: Any) -> None:
    found = evaluate_jsonata(f"{{% {expression} %}}", SEEN, field="Output")
    assert repr(found) == repr(result)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("$states.input.missing", "returned nothing (undefined)."),
        ("$nosuch", "returned nothing (undefined)."),
        ("$sum", "returned an unsupported result type."),
        ("$fn := function($x){$x}", "returned an unsupported result type."),
        ("[1, $sum]", "returned an unsupported result type."),
        ("/ab/", "returned an unsupported result type."),
        ("$nosuch()", "threw an error during evaluation. T1006: Attempted to invoke a non-function"),
        ("1(2)", "threw an error during evaluation. T1006: Attempted to invoke a non-function"),
        (
            "'a' + 1",
            "threw an error during evaluation. T2001: The left side of the + operator must evaluate to a number",
        ),
        ("a +", "threw an error during evaluation. S0207: Unexpected end of expression"),
        ("", "threw an error during evaluation. S0207: Unexpected end of expression"),
        ("1 / 0", "threw an error during evaluation. D1001: Number out of range: Infinity"),
        ("$error('boom')", "threw an error during evaluation. D3137: boom"),
        ("$eval('1')", "threw an error during evaluation. The function $eval is not supported. Use $parse instead."),
        ("$parse('{')", "threw an error during evaluation. The argument of $parse is not JSON"),
        ("$hash('x')", "threw an error during evaluation. T0410: The function hash takes 2 arguments, but was given 1"),
        ("$range(0, 2000, 1)", "threw an error during evaluation. The array would have 2001 items"),
        ("($f := function($x){1 + $f($x)}; $f(1))", "threw an error during evaluation. D1011: Stack overflow error"),
    ],
)
def test_failing_expression_is_named_with_its_field_and_the_reason(expression: str, why: str) -> None:
    with pytest.raises(QueryError) as caught:
        evaluate_jsonata(f"{{% {expression} %}}", SEEN, field="Output/x")
    assert (caught.value.error, caught.value.location) == ("States.QueryEvaluationError", "Output/x")
    begin = f"The JSONata expression '{expression.strip()}' specified for the field 'Output/x' {why}"
    assert str(caught.value.cause).startswith(begin)


def test_expression_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonata, "LONGEST", 0.05)
    with pytest.raises(DataError, match="D1012"):
        evaluate_jsonata("{% ($f := function($x){$f($x)}; $f(1)) %}", SEEN, field="Output")


def test_uuids_are_version_4_and_differ() -> None:
    first, second = (evaluate_jsonata("{% $uuid() %}", SEEN, field="Output") for _ in range(2))
    assert first != second
    assert uuid.UUID(first).version == 4


@pytest.mark.parametrize(
    ("expression", "was"),
    [("1", "'number' for value: 1"), ("true", "'boolean' for value: true"), ("null", "'null' for value: null"),
     ("'x'", "'string' for value: \"x\""), ("{'foo': 'bar'}", "'object' for value: {\"foo\":\"bar\"}")],
)  # fmt: skip
def test_result_of_another_type_than_expected_fails(expression: str, was: str) -> None:
    with pytest.raises(DataError) as caught:
        evaluate_jsonata(f"{{%{expression}%}}", SEEN, field="Items", expected="array")
    assert caught.value.cause == (
        f"The JSONata expression '{expression}' specified for the field 'Items' returned an unexpected result type. "
        f"Expected 'array', but was {was}"
    )


@pytest.mark.parametrize(
    "text", [" {% 1 %}", "{% 1 %} ", "{% 1", "1 %}", "{%}", "", "$states.input", None, 1, ["{% 1 %}"]]
)
def test_text_with_anything_around_the_expression_is_a_literal(text: Any) -> None:
    assert not is_expression(text)
    if not isinstance(text, list):
        assert render_jsonata(text, SEEN, field="Output") == text


def test_template_evaluates_texts_at_any_depth_and_leaves_paths_alone() -> None:
    template = {"z.$": "$.a", "a": [1, "{% $v %}", {"k": "{%$states.input.a.b[0]%}"}], "s": "$states.input"}
    rendered = render_jsonata(template, SEEN, field="Arguments")
    assert rendered == {"z.$": "$.a", "a": [1, [1, None], {"k": 1}], "s": "$states.input"}
    assert list(rendered) == list(template)


def test_failure_in_a_template_names_the_path_to_the_field() -> None:
    with pytest.raises(DataError, match="specified for the field 'Arguments/a/b' returned nothing"):
        render_jsonata({"a": {"b": "{% $nosuch %}"}}, SEEN, field="Arguments")


def test_data_is_not_changed_and_variables_set_inside_stay_inside() -> None:
    before = repr(INPUT)
    assert evaluate_jsonata("{% ($v := 5; $v) %}", SEEN, field="Output") == 5
    assert evaluate_jsonata("{% $states.input ~> |a|{'b': 0}| %}", SEEN, field="Output")["a"] == {"b": 0}
    assert evaluate_jsonata("{% $v %}", SEEN, field="Output") == [1, None]
    assert repr(INPUT) == before


def test_nothing_is_printed_for_a_function_that_does_not_exist(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DataError):
        evaluate_jsonata("{% $nosuch(1) %}", SEEN, field="Output")
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def _without_the_extra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    really_import = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "jsonata":
            raise ImportError(name)
        return really_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    jsonata._library.cache_clear()
    yield
    jsonata._library.cache_clear()


@pytest.mark.usefixtures("_without_the_extra")
def test_missing_extra_fails_the_state_and_says_what_to_install() -> None:
    with pytest.raises(DataError, match=r"pip install 'sfini_celery\[jsonata\]'"):
        evaluate_jsonata("{% 1 %}", SEEN, field="Output")


def test_recursion_limit_of_the_process_is_not_raised_to_ten_thousand() -> None:
    script = (
        "import sys; from sfini_celery.local.data import States, evaluate_jsonata\n"
        "assert 'jsonata' not in sys.modules\n"
        "print(evaluate_jsonata('{% 1 %}', States({}), field='Output'), sys.getrecursionlimit())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["1", "3000"]
