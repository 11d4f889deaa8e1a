from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.history import Event, execution_status, parse_history, read_events


def read(**raw: Any) -> Event:
    return Event.read({"timestamp": 0, "type": "X", "id": 1, **raw})


def test_event_of_boto3_is_read() -> None:
    at = datetime(2019, 6, 23, 19, 27, 34, 52000, tzinfo=timezone(timedelta(hours=10)))
    event = Event.read(
        {
            "timestamp": at,
            "type": "ActivityScheduled",
            "id": 3,
            "previousEventId": 2,
            "activityScheduledEventDetails": {
                "resource": "arn:x",
                "input": '{"a": 3}',
                "timeoutInSeconds": 60,
                "heartbeatInSeconds": 20,
            },
        }
    )
    assert str(event) == "ActivityScheduled [3] @ 2019-06-23 19:27:34.052000+10:00"
    assert (event.event_type, event.event_id, event.previous_event_id) == ("ActivityScheduled", 3, 2)
    assert (event.resource, event.timeout, event.heartbeat) == ("arn:x", 60, 20)
    assert event.task_input == event.input == {"a": 3}
    assert event.details_str == "resource: arn:x"


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (1561282054.052, datetime(2019, 6, 23, 9, 27, 34, 52000, tzinfo=timezone.utc)),
        ("1561282054", datetime(2019, 6, 23, 9, 27, 34, tzinfo=timezone.utc)),
        ("1561282054.5", datetime(2019, 6, 23, 9, 27, 34, 500000, tzinfo=timezone.utc)),
        ("2019-06-23T09:27:34Z", datetime(2019, 6, 23, 9, 27, 34, tzinfo=timezone.utc)),
        ("2019-06-23T19:27:34+10:00", datetime(2019, 6, 23, 9, 27, 34, tzinfo=timezone.utc)),
        (datetime(2019, 6, 23, 9, 27, 34), datetime(2019, 6, 23, 9, 27, 34, tzinfo=timezone.utc)),
        ("timestamp", None),
        (None, None),
        (1e300, None),
        ([], None),
    ],
)
def test_timestamp_is_read_in_every_form_and_a_senseless_one_is_left_out(timestamp: Any, expected: Any) -> None:
    assert read(timestamp=timestamp).timestamp == expected


def test_ids_that_are_no_ids_count_as_unknown() -> None:
    for odd in ([0], None, "7", True, -1, 1.5):
        event = read(id=odd, previousEventId=odd)
        assert (event.id, event.previous_id) == (0, 0)


def test_type_of_event_that_aws_adds_later_is_kept_and_shown() -> None:
    event = read(type="QuantumStateCollapsed", quantumStateCollapsedEventDetails={"name": "cat"})
    assert str(event).startswith("QuantumStateCollapsed [1]")
    assert event.details_str == "name: cat"
    assert event.state_name == "cat"


@pytest.mark.parametrize(
    ("kind", "details", "shown"),
    [
        ("ActivityStarted", {"workerName": "w@host"}, "worker: w@host"),
        ("ActivityFailed", {"error": "KeyError", "cause": "long"}, "error: KeyError"),
        ("LambdaFunctionScheduled", {"resource": "arn:l"}, "resource: arn:l"),
        ("TaskScheduled", {"resource": "sendMessage", "resourceType": "sqs"}, "resource: sqs:sendMessage"),
        ("TaskFailed", {"resource": "invoke", "resourceType": "lambda", "error": "E"}, "error: E"),
        ("PassStateEntered", {"name": "greet", "input": "{}"}, "name: greet"),
        ("PassStateExited", {"name": "greet"}, "name: greet"),
        ("MapIterationStarted", {"name": "each", "index": 0}, "name: each, index: 0"),
        ("MapStateStarted", {"length": 0}, "length: 0"),
        ("MapRunStarted", {"mapRunArn": "arn:m"}, "map run: arn:m"),
        ("ExecutionRedriven", {"redriveCount": 2}, "redriveCount: 2"),
        ("ExecutionSucceeded", {"output": "1"}, ""),
        ("ExecutionStarted", {"input": "{}", "roleArn": "arn:r"}, ""),
        ("ExecutionAborted", {}, ""),
    ],
)
def test_details_are_those_that_sfini_shows(kind: str, details: dict[str, Any], shown: str) -> None:
    event = read(type=kind, someEventDetails=details)
    assert event.details_str == shown


def test_text_that_aws_cut_is_given_as_it_is() -> None:
    assert read(eventDetails={}, xEventDetails={"output": '{"a": '}).output == '{"a": '


def test_input_that_was_parsed_already_is_given_as_value_and_as_text() -> None:
    event = read(stateEnteredEventDetails={"input": {"a": "ü"}})
    assert event.state_input == {"a": "ü"}
    assert event.text("input") == '{"a": "ü"}'


def test_task_token_in_the_parameters_of_a_call_is_not_in_the_repr() -> None:
    event = read(taskScheduledEventDetails={"parameters": '{"Token": "s3cr3t"}', "resource": "invoke"})
    assert "s3cr3t" not in repr(event) + str(event) + event.details_str
    assert hash(event) == hash(event)


@pytest.mark.parametrize("ending", ["Succeeded", "Failed", "TimedOut", "Aborted"])
def test_status_is_that_of_the_last_event_about_the_execution(ending: str) -> None:
    events = parse_history(
        [{"type": "ExecutionStarted", "id": 1}, {"type": "PassStateEntered", "id": 2}]
        + [{"type": f"Execution{ending}", "id": 3}]
    )
    expected = {"TimedOut": "TIMED_OUT"}.get(ending, ending.upper())
    assert execution_status(events) == execution_status(reversed(events)) == expected
    assert execution_status(events[:2]) == "RUNNING"


def test_redriven_execution_runs_again() -> None:
    events = parse_history(
        {"type": kind, "id": n} for n, kind in enumerate(["ExecutionFailed", "ExecutionRedriven"], 1)
    )
    assert execution_status(events) == execution_status(reversed(events)) == "RUNNING"


def test_events_are_read_one_at_a_time() -> None:
    taken: list[int] = []

    def paged() -> Any:
        for number in range(1, 10_001):
            taken.append(number)
            yield {"type": "PassStateEntered", "id": number}

    events = read_events(paged())
    assert next(events).id == 1
    assert taken == [1]


def test_every_recorded_history_has_the_right_status(recorded: list[dict[str, Any]]) -> None:
    assert len(recorded) > 300
    expected = {"ExecutionSucceeded": "SUCCEEDED", "ExecutionFailed": "FAILED", "WaitStateEntered": "RUNNING"}
    for case in recorded:
        raw = list(case["events"])
        last = raw[0 if case["reverse_order"] else -1]["type"]
        events = parse_history(raw)
        assert execution_status(events) == expected[last], case["id"]
        random.Random(7).shuffle(events)
        assert execution_status(events) == expected[last], case["id"]
        assert all(str(event) and event.details_str is not None for event in events)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["timestamp", "type", "id", "previousEventId", "xEventDetails", "stateEnteredEventDetails"]),
        anything | st.dictionaries(st.sampled_from(["name", "input", "error", "length", "resource"]), anything),
    )
)
def test_no_event_however_odd_is_an_error(raw: dict[str, Any]) -> None:
    event = Event.read(raw)
    assert isinstance(str(event) + event.details_str + repr(event), str)
    assert [event.input, event.output, event.error, event.cause, event.timeout, event.heartbeat, event.role_arn]
