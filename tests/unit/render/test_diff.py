"""Definitions compared state by state."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.render.diff import definition_changes, definition_diff, field_changes


def machine(start: str = "a", **states: Any) -> dict[str, Any]:
    return {"StartAt": start, "States": states}


PASS = {"Type": "Pass", "End": True}


def test_equal_definitions_differ_in_nothing_whatever_the_order_of_their_members() -> None:
    old = machine(a=PASS, b=PASS)
    new = {"States": {"b": {"End": True, "Type": "Pass"}, "a": PASS}, "StartAt": "a"}
    assert definition_diff(old, new) == ""


def test_added_removed_and_changed_states_are_told_with_their_fields() -> None:
    old = machine(a={"Type": "Task", "Resource": "x", "TimeoutSeconds": 30, "Next": "gone"}, gone=PASS)
    retry = [{"ErrorEquals": ["States.ALL"]}]
    new = machine("b", a={"Type": "Task", "Resource": "x", "Retry": retry, "TimeoutSeconds": 60, "End": True}, b=PASS)
    assert definition_diff(old, new).splitlines() == [
        "~ the machine",
        '    ~ StartAt: "a" -> "b"',
        "~ state a (Task)",
        '    + Retry: [{"ErrorEquals": ["States.ALL"]}]',
        "    ~ TimeoutSeconds: 30 -> 60",
        "    + End: true",
        '    - Next: "gone"',
        "+ state b (Pass)",
        "    + End: true",
        "- state gone (Pass)",
    ]


def test_a_change_deep_inside_a_map_in_a_parallel_names_the_state_and_not_the_whole_parallel() -> None:
    def nested(seconds: int) -> dict[str, Any]:
        each = {"Type": "Map", "ItemProcessor": machine("w", w={"Type": "Wait", "Seconds": seconds}), "End": True}
        return machine("p", p={"Type": "Parallel", "Branches": [machine("e", e=each)], "End": True})

    assert definition_diff(nested(1), nested(2)) == "~ state w (Wait)\n    ~ Seconds: 1 -> 2"


def test_a_branch_that_is_added_shows_at_its_parallel_and_its_states() -> None:
    one = machine("p", p={"Type": "Parallel", "Branches": [machine("x", x=PASS)], "End": True})
    two = machine("p", p={"Type": "Parallel", "Branches": [machine("x", x=PASS), machine("y", y=PASS)], "End": True})
    found = definition_changes(one, two)
    assert [(each.mark, each.state) for each in found] == [("~", "p"), ("+", "y")]


def test_true_and_one_differ_as_they_do_in_json() -> None:
    assert [each.mark for each in field_changes({"x": True}, {"x": 1})] == ["~"]


def test_colours_are_there_only_when_asked_for_and_data_cannot_steer_the_terminal() -> None:
    old, new = machine(a={**PASS, "Comment": "old"}), machine(a={**PASS, "Comment": "\x1b[31mred"})
    assert "\x1b" not in definition_diff(old, new)
    shown = definition_diff(old, new, colours=True)
    assert "\x1b[33m~ state a (Pass)\x1b[0m" in shown
    assert "\x1b[31m" not in shown


def test_a_long_value_takes_one_line_of_bounded_width() -> None:
    old, new = machine(a={**PASS, "Comment": "x"}), machine(a={**PASS, "Comment": "y\n" * 5000})
    assert max(map(len, definition_diff(old, new).splitlines())) < 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(JSON, JSON)
def test_field_changes_are_empty_exactly_for_values_that_are_equal_as_json(one: Any, two: Any) -> None:
    import json

    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (list(field_changes(one, two)) == []) == same
