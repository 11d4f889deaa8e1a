"""Every execution that was recorded on AWS, run again here: the whole history must be the same.

What cannot be as recorded yet stands in :data:`NOT_YET` with its reason, and must indeed differ: a case that starts to
come out right fails until it is taken off the list.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from sfini_celery.local.data import has_jsonata

WHITE_SPACE = "AWS rewrote a list without its white space on entering the first state, here and nowhere else"

NOT_YET: dict[str, Callable[[dict[str, Any]], bool]] = {
    WHITE_SPACE: lambda case: "::test_map_state_result_writer#" in case["id"],
}


def test_execution_has_the_history_that_aws_recorded(
    recorded_case: dict[str, Any], recordings: ModuleType, score: Callable[[str], None]
) -> None:
    if '"JSONata"' in recorded_case["definition_text"] and not has_jsonata():
        score("not yet")
        pytest.skip("the extra jsonata is not installed")
    reason = next((reason for reason, applies in NOT_YET.items() if applies(recorded_case)), None)
    try:
        execution = recordings.run(recorded_case)
    except Exception:
        if reason is None:
            raise
        differences = ["it could not be run"]
    else:
        recorded = recordings.recorded_history(recorded_case)
        differences = recordings.differences(recorded, recordings.history(recorded_case, execution))
    if reason is None:
        assert not differences, "\n" + "\n".join(differences[:20])
        score("as AWS recorded it")
        return
    assert differences, f"This case comes out as AWS recorded it: it no longer belongs under {reason!r}."
    score("not yet")
    pytest.skip(reason)


def test_comparison_sees_every_kind_of_difference(recordings: ModuleType) -> None:
    recorded = [
        {"id": 1, "type": "PassStateEntered", "stateEnteredEventDetails": {"input": {"a": [1, "x"]}, "name": "S"}}
    ]

    def changed(**details: Any) -> list[str]:
        event = {**recorded[0], "stateEnteredEventDetails": {**recorded[0]["stateEnteredEventDetails"], **details}}
        return recordings.differences(recorded, [event])

    assert not changed()
    assert changed(input={"a": [1, "y"]})
    assert changed(input={"a": [1.0, "x"]})
    assert changed(input={"a": [True, "x"]})
    assert changed(input={"a": [1]})
    assert changed(input={"a": [1, "x", None]})
    assert changed(input={"a": [1, "x"], "b": None})
    assert changed(input={})
    assert changed(input='{"a":[1,"x"]}')
    assert changed(name="T")
    assert changed(new=None)
    assert recordings.differences(recorded, [])
    assert recordings.differences(recorded, recorded * 2)


def test_placeholder_stands_for_one_text_only(recordings: ModuleType) -> None:
    recorded = [{"a": "<uuid:1>"}, {"b": "x <uuid:1> '<uuid:2>'"}]
    assert not recordings.differences(recorded, [{"a": "u"}, {"b": "x u 'v'"}])
    assert recordings.differences(recorded, [{"a": "u"}, {"b": "x v 'v'"}])
    assert recordings.differences(recorded, [{"a": "u"}, {"b": "y u 'v'"}])
    assert recordings.differences(recorded, [{"a": ""}, {"b": "x  'v'"}])


def test_order_inside_a_parallel_is_wiped_and_nothing_else(recordings: ModuleType) -> None:
    def event(number: int, type: str, name: str = "") -> dict[str, Any]:
        return {"id": number, "previousEventId": number - 1, "type": type, "name": name}

    around = event(1, "ParallelStateStarted"), event(4, "ParallelStateSucceeded"), event(5, "ParallelStateExited")
    inside = event(2, "PassStateEntered", "B"), event(3, "PassStateEntered", "A")
    wiped = [{**item, "id": [0], "previousEventId": 0} for item in inside]
    ours = [around[0], *inside, *around[1:], event(6, "PassStateEntered")]
    expected = [around[0], wiped[1], wiped[0], around[2], event(6, "PassStateEntered")]
    assert recordings.without_order_in_parallel(ours) == expected
