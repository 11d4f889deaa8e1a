from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.render import Column, printable, table


def test_columns_are_as_wide_as_they_must_be_and_lines_end_without_spaces() -> None:
    text = table(["name", Column("seconds", right=True), "note"], [["add", 2, None], ["multiply", 13, "x"]])
    assert text.splitlines() == [
        "name      seconds  note",
        "add             2",
        "multiply       13  x",
    ]


def test_table_without_rows_is_its_heading() -> None:
    assert table(["a", "b"], []) == "a  b"


def test_row_of_the_wrong_length_is_an_error_and_not_a_shifted_table() -> None:
    with pytest.raises(ValueError, match="zip"):
        table(["a", "b"], [["only one"]])


def test_colours_come_only_when_asked_for_and_do_not_move_columns() -> None:
    columns = [Column("status", styles={"FAILED": "red"}), "name"]
    rows = [["FAILED", "a"], ["OTHER", "b"]]
    plain, coloured = table(columns, rows), table(columns, rows, colours=True)
    assert "\x1b" not in plain
    assert "\x1b[31mFAILED\x1b[0m  a" in coloured
    assert "OTHER   b" in coloured


def test_long_text_is_cut_to_the_column() -> None:
    assert table([Column("x", widest=8)], [["abcdefghij"], ["abcdefgh"]]).splitlines()[1:] == ["abcde...", "abcdefgh"]


def test_wide_and_combining_characters_keep_the_columns_straight() -> None:
    wide, narrow = table(["a", "b"], [["東京", "1"], ["e\u0301t", "2"]]).splitlines()[1:]
    assert wide == "東京  1"
    assert narrow == "e\u0301t    2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines\tand\r", "two\\nlines\\tand\\r"),
        ("\x9b2J\x7f\x00", "\\x9b2J\\x7f\\x00"),
        ("safe\u202etxt.exe", "safe\\u202etxt.exe"),
        ("a\u200bb\u2028c", "a\\u200bb\\u2028c"),
        ("\ud800", "\\ud800"),
        ("naïve 東京 ok", "naïve 東京 ok"),
    ],
)
def test_text_from_an_execution_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(), st.booleans())
def test_no_text_brings_a_control_character_into_a_table(text: str, colours: bool) -> None:
    shown = table([Column(text, widest=10)], [[text]], colours=colours)
    for code in ("\x1b[1m", "\x1b[0m"):
        shown = shown.replace(code, "")
    assert {unicodedata.category(char) for char in shown.replace("\n", "")}.isdisjoint({"Cc", "Cf", "Cs"})
    assert shown.count("\n") == 1
