"""AWS's events as values.

Source: the API reference of GetExecutionHistory. The names of the older ``sfini`` (``event_type``, ``state_name``,
``task_input``...) are kept beside the short ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

__all__ = ["Event", "as_text", "execution_status", "parse_history", "read_events"]

_DETAILS = "EventDetails"


@dataclass(frozen=True)
class Event:
    """One event of an execution's history.

    Attributes:
        timestamp: when, timezone-aware; None where the event did not say
        type: as AWS names it, as in ``ActivityScheduled``; types that are not known yet are kept as they are
        id: place in the history, from 1; 0 where the event did not say
        previous_id: the event this one hangs on; 0 for none
        details: what AWS adds for this type. Not in the repr: parameters of a service call may hold a task token.
    """

    timestamp: datetime | None
    type: str
    id: int = 0
    previous_id: int = 0
    details: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Event:
        """One event from what the API answered; a member that is missing or odd is left out, never an error."""
        found = (raw[key] for key in raw if key.endswith(_DETAILS) and isinstance(raw[key], Mapping))
        details: Mapping[str, Any] = next(found, {})
        return cls(
            _when(raw.get("timestamp")),
            str(raw.get("type") or "Unknown"),
            _whole(raw.get("id")),
            _whole(raw.get("previousEventId")),
            dict(details),
        )

    @property
    def event_type(self) -> str:
        """The same as ``type``."""
        return self.type

    @property
    def event_id(self) -> int:
        """The same as ``id``."""
        return self.id

    @property
    def previous_event_id(self) -> int:
        """The same as ``previous_id``."""
        return self.previous_id

    @property
    def state_name(self) -> str | None:
        """The state's name, in events that enter or leave one; the Map's, in events of its iterations."""
        return self.text("name") or self.text("state")

    @property
    def error(self) -> str | None:
        """The error's name, in events of failures."""
        return self.text("error")

    @property
    def cause(self) -> str | None:
        """What AWS or the worker said about the error."""
        return self.text("cause")

    @property
    def resource(self) -> str | None:
        """What a task was given to: an ARN, or a service's action."""
        return self.text("resource")

    @property
    def worker_name(self) -> str | None:
        """The name under which a worker took the task."""
        return self.text("workerName")

    @property
    def role_arn(self) -> str | None:
        """The role, in the event that starts the execution."""
        return self.text("roleArn")

    @property
    def timeout(self) -> int | None:
        """Seconds that the task may take."""
        return _whole(self.details.get("timeoutInSeconds")) or None

    @property
    def heartbeat(self) -> int | None:
        """Seconds between heartbeats at most."""
        return _whole(self.details.get("heartbeatInSeconds")) or None

    @property
    def input(self) -> Any:
        """The input as a value; None where the event has none."""
        return _value(self.details.get("input"))

    @property
    def output(self) -> Any:
        """The output as a value; None where the event has none."""
        return _value(self.details.get("output"))

    task_input = state_input = execution_input = input

    def text(self, member: str) -> str | None:
        """A member of the details as text, None where it is absent."""
        return as_text(self.details.get(member))

    @property
    def details_str(self) -> str:
        """What to print under the event; empty for types that need no more than their name."""
        details = self.details
        if self.type.startswith("MapIteration"):
            return f"name: {self.state_name}, index: {details.get('index')}"
        if self.error is not None:
            return f"error: {self.error}"
        if (resource := self.resource) is not None:
            kind = self.text("resourceType")
            return f"resource: {kind}:{resource}" if kind else f"resource: {resource}"
        for member, label in (("workerName", "worker"), ("name", "name"), ("mapRunArn", "map run")):
            if (text := self.text(member)) is not None:
                return f"{label}: {text}"
        for member in ("length", "redriveCount"):
            if member in details:
                return f"{member}: {details[member]}"
        return ""

    def __str__(self) -> str:
        return f"{self.type} [{self.id}] @ {'-' if self.timestamp is None else self.timestamp}"


def read_events(raw: Iterable[Mapping[str, Any]]) -> Iterator[Event]:
    """Events one at a time, as they are paged in: memory does not grow with the history.

    Example:
        >>> [event.type for event in read_events([{"type": "ExecutionStarted", "id": 1, "timestamp": 0}])]
        ['ExecutionStarted']
    """
    return map(Event.read, raw)


def parse_history(raw: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Every event of a history, in the order given."""
    return list(read_events(raw))


_STATUS = {
    "ExecutionStarted": "RUNNING",
    "ExecutionRedriven": "RUNNING",
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
}


def execution_status(events: Iterable[Event]) -> str:
    """How the execution stands: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.

    The order of the events does not matter: a history read backwards gives the same answer.
    """
    latest, status = -1, "RUNNING"
    for event in events:
        if event.type in _STATUS and event.id >= latest:
            latest, status = event.id, _STATUS[event.type]
    return status


def as_text(value: object) -> str | None:
    """What AWS sends as text, where a reader of JSON may have parsed it already."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _value(text: object) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # AWS cuts what is too long to show


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _when(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=timezone.utc)
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            return _when(datetime.fromisoformat(value.replace("Z", "+00:00")))
        return datetime.fromtimestamp(float(value), timezone.utc)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, OSError):
        return None
