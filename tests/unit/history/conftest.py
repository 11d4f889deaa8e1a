"""Histories written as one line per event."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from sfini_celery.history import Event

START = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def write(lines: str) -> list[Event]:
    """``id previous type key=value...``; an event happens as many seconds after the start as its id."""
    events = []
    for line in filter(None, map(str.strip, lines.splitlines())):
        number, previous, kind, *rest = line.split(" ", 3)
        details = json.loads(rest[0]) if rest else {}
        events.append(Event(START + timedelta(seconds=int(number)), kind, int(number), int(previous), details))
    return events


@pytest.fixture
def history() -> Callable[[str], list[Event]]:
    return write


@pytest.fixture(scope="session")
def recorded(shared: Any) -> list[dict[str, Any]]:
    """The histories that AWS itself recorded."""
    return json.loads((shared / "aws-recordings" / "cases.json").read_text())  # type: ignore[no-any-return]
