"""A history, event by event, in the layout of sfini's ``format_history``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sfini_celery.history import Event
from sfini_celery.render.tables import printable

__all__ = ["format_events", "format_history"]

_UNSET = object()


def format_events(events: Iterable[Event]) -> Iterator[str]:
    """The lines of each event, one event at a time, so that a long history need not be held."""
    for event in events:
        details = event.details_str
        yield f"{printable(event)}:\n  {printable(details)}" if details else printable(event)


def format_history(events: Iterable[Event], output: Any = _UNSET) -> str:
    """A history for reading, and the output below it where there is one.

    Parameters:
        events: from :func:`sfini_celery.history.parse_history`
        output: the execution's output; leave it out for none
    Example:
        >>> from datetime import datetime, timezone
        >>> at = datetime(2019, 6, 23, 9, 27, 34, tzinfo=timezone.utc)
        >>> print(format_history([Event(at, "PassStateEntered", 2, 0, {"name": "greet"})], output="hello"))
        PassStateEntered [2] @ 2019-06-23 09:27:34+00:00:
          name: greet
        Output: "hello"
    """
    lines = list(format_events(events))
    if output is not _UNSET:
        lines.append(f"Output: {printable(json.dumps(output))}")
    return "\n".join(lines)
