from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sfini_celery.history import Event
from sfini_celery.render import format_events, format_history

AT = datetime(2019, 6, 23, 19, 27, 34, 52000, tzinfo=timezone(timedelta(hours=10)))
EVENTS = [
    Event(AT, "ExecutionStarted", 1, 0, {"input": "{}", "roleArn": "arn:r"}),
    Event(AT, "ActivityScheduled", 3, 2, {"resource": "arn:aws:states:x:activity:add"}),
    Event(None, "ActivityFailed", 4, 3, {"error": "KeyError"}),
]


def test_layout_is_sfinis() -> None:
    assert format_history(EVENTS, {"a": 3}) == (
        "ExecutionStarted [1] @ 2019-06-23 19:27:34.052000+10:00\n"
        "ActivityScheduled [3] @ 2019-06-23 19:27:34.052000+10:00:\n"
        "  resource: arn:aws:states:x:activity:add\n"
        "ActivityFailed [4] @ -:\n"
        "  error: KeyError\n"
        'Output: {"a": 3}'
    )


def test_output_of_null_is_shown_and_no_output_is_not() -> None:
    assert format_history(EVENTS[:1], None).endswith("Output: null")
    assert "Output" not in format_history(EVENTS[:1])


def test_error_name_cannot_steer_the_terminal() -> None:
    shown = format_history([Event(AT, "ActivityFailed\x1b", 4, 3, {"error": "\x1b]0;owned\x07\nOutput: 1"})], "\x1b")
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 3


def test_events_are_formatted_one_at_a_time() -> None:
    lines = format_events(iter(EVENTS))
    assert next(lines).startswith("ExecutionStarted")
