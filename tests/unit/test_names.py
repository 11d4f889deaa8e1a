"""AWS's rules for names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.errors import InvalidName
from sfini_celery.names import check_name, check_state_name, is_valid_name


@pytest.mark.parametrize("name", ["a", "proj.tasks.add", "A-b_c.d(e)!@+=", "x" * 80, "naïve"])
def test_legal_name_is_returned_as_it_is(name: str) -> None:
    assert check_name("activity name", name) == name


@pytest.mark.parametrize("char", list(' \t\n?*<>{}[]"#%\\^|~`$&,;:/') + ["\x00", "\x1f", "\x7f", "\x9f", "\u00a0"])
def test_every_forbidden_character_is_named_in_the_error(char: str) -> None:
    with pytest.raises(InvalidName) as caught:
        check_name("activity name", f"a{char}b", remedy="use another")
    assert repr(char) in str(caught.value)
    assert str(caught.value).endswith("use another")
    assert caught.value.name == f"a{char}b"


@pytest.mark.parametrize(("name", "why"), [("", "empty"), ("x" * 81, "81 characters"), (7, "string")])
def test_empty_long_and_non_text_names_say_what_is_wrong(name: object, why: str) -> None:
    with pytest.raises(InvalidName, match=why):
        check_name("name", name)


def test_an_invalid_name_is_a_value_error_as_in_sfini() -> None:
    with pytest.raises(ValueError):
        check_name("name", "a b")


@given(st.text())
def test_check_and_predicate_never_disagree(name: str) -> None:
    try:
        check_name("name", name)
    except InvalidName:
        assert not is_valid_name(name)
    else:
        assert is_valid_name(name)


def test_state_names_may_hold_what_other_names_may_not() -> None:
    assert check_state_name("log (printSM): a/b") == "log (printSM): a/b"
    with pytest.raises(InvalidName):
        check_state_name("x" * 81)
