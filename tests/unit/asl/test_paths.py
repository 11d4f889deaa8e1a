"""The syntax of paths: what can be one, and what surely cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.asl.lint.paths import INTRINSICS, is_intrinsic, is_path, is_reference_path, looks_dynamic

REFERENCES = [
    "$",
    "$.a",
    "$.a.b",
    "$.a-b",
    "$.größe",
    "$['a b']",
    '$["a\'b"]',
    "$[0]",
    "$.a[3].b",
    "$['it\\'s']",
    "$.a1._b",
]
PATHS = ["$..a", "$.*", "$.a[*]", "$.a[0:2]", "$.a[0,1]", "$.a[?(@.b == ']')]", "$..[0]", "$.a.length()", "$.a:b"]
NOT_PATHS = [
    "",
    "a",
    "$a-b",
    "$.",
    "$..",
    "$.a.",
    "$.a[",
    "$.a]",
    "$[]",
    "$[ ]",
    "$.a b",
    "$.['a']",
    "$a.",
    "$.a['b]",
    "$[(]",
    "$$$",
]
CALLS = [
    "States.UUID()",
    "States.Format('{}', $.a)",
    "States.Format('it\\'s ) {}', $.a)",
    "States.Array(States.UUID(), $['a)'])",
    " States.MathAdd($.a, 1) ",
]
NOT_CALLS = [
    "States.UUID",
    "States.UUID(",
    "States.UUID())",
    "States.Fromat('x')",
    "States.Format('x)",
    "UUID()",
    "$.a",
    "",
]


@pytest.mark.parametrize("text", REFERENCES + PATHS + ["$$", "$$.a[*]", "$a", "$a.b[0]", "$größe"])
def test_what_can_be_a_path(text: str) -> None:
    assert is_path(text)


@pytest.mark.parametrize("text", NOT_PATHS + CALLS)
def test_what_cannot_be_a_path(text: str) -> None:
    assert not is_path(text)


@pytest.mark.parametrize("text", REFERENCES)
def test_what_can_be_a_reference_path(text: str) -> None:
    assert is_reference_path(text, variables=False)
    assert is_reference_path("$name" + text[1:])
    assert is_reference_path("$" + text, context=True)


@pytest.mark.parametrize("text", PATHS + NOT_PATHS)
def test_what_cannot_be_a_reference_path(text: str) -> None:
    assert not is_reference_path(text, context=True)


def test_variables_and_the_context_object_are_references_only_where_they_may_be() -> None:
    assert not is_reference_path("$name", variables=False)
    assert not is_reference_path("$$.State.Name")


@pytest.mark.parametrize("text", CALLS)
def test_what_can_be_a_call(text: str) -> None:
    assert is_intrinsic(text)


@pytest.mark.parametrize("text", NOT_CALLS)
def test_what_cannot_be_a_call(text: str) -> None:
    assert not is_intrinsic(text)


def test_there_are_eighteen_intrinsic_functions() -> None:
    assert len(INTRINSICS) == 18


@pytest.mark.parametrize(
    ("text", "meant"), [("$.a", True), ("$[0]", True), ("$$.a", True), ("$", False), ("$5", False)]
)
def test_only_what_was_surely_meant_as_a_path_is_taken_for_one(text: str, meant: bool) -> None:
    assert looks_dynamic(text) is meant


@given(st.text("$.[]()'\"\\ab*?@, States.UUID", max_size=12))
def test_no_text_makes_a_path_check_raise_and_references_are_paths(text: str) -> None:
    is_intrinsic(text)
    looks_dynamic(text)
    if is_reference_path(text, context=True):
        assert is_path(text)
