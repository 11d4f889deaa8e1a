"""The events of an execution, kept small.

An event is a tuple, its number its place; payloads in it are shared with the states that made them. The dicts of
GetExecutionHistory are made when somebody asks. The table below is the one place that knows which details each type of
event has, and under which key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sfini_celery.local.engine.payload import Payload

__all__ = ["LONGEST_HISTORY", "Event", "History"]

LONGEST_HISTORY = 25_000
"""Events an execution may have, its last one included."""


class Event(NamedTuple):
    """One event, without its number.

    Attributes:
        type: as in ``TaskStateEntered``
        timestamp: seconds since the epoch
        previous: the number of the event it follows from, 0 for none
        details: in the order of the table's fields
    """

    type: str
    timestamp: float
    previous: int
    details: tuple[Any, ...]


_FAILED = ("error", "cause")
_ITERATION = ("name", "index")
_TASK = ("resourceType", "resource")
_DETAILS: dict[str, tuple[str, ...]] = {
    "ActivityFailed": _FAILED,
    "ActivityScheduleFailed": _FAILED,
    "ActivityScheduled": ("resource", "input", "timeoutInSeconds", "heartbeatInSeconds"),
    "ActivityStarted": ("workerName",),
    "ActivitySucceeded": ("output",),
    "ActivityTimedOut": _FAILED,
    "EvaluationFailed": (*_FAILED, "location", "state"),
    "ExecutionAborted": _FAILED,
    "ExecutionFailed": _FAILED,
    "ExecutionRedriven": ("redriveCount",),
    "ExecutionStarted": ("input", "roleArn", "stateMachineVersionArn", "stateMachineAliasArn"),
    "ExecutionSucceeded": ("output",),
    "ExecutionTimedOut": _FAILED,
    "LambdaFunctionFailed": _FAILED,
    "LambdaFunctionScheduled": ("resource", "input", "timeoutInSeconds", "taskCredentials"),
    "LambdaFunctionSucceeded": ("output",),
    "LambdaFunctionTimedOut": _FAILED,
    "MapIterationAborted": _ITERATION,
    "MapIterationFailed": _ITERATION,
    "MapIterationStarted": _ITERATION,
    "MapIterationSucceeded": _ITERATION,
    "MapRunFailed": _FAILED,
    "MapRunRedriven": ("mapRunArn", "redriveCount"),
    "MapRunStarted": ("mapRunArn",),
    "MapStateStarted": ("length",),
    "TaskFailed": (*_TASK, *_FAILED),
    "TaskScheduled": (
        *_TASK, "region", "parameters", "timeoutInSeconds", "heartbeatInSeconds", "taskCredentials",
    ),
    "TaskStarted": _TASK,
    "TaskSubmitted": (*_TASK, "output"),
    "TaskSucceeded": (*_TASK, "output"),
    "TaskTimedOut": (*_TASK, *_FAILED),
}  # fmt: skip
_ENTERED = ("stateEnteredEventDetails", ("name", "input"))
_EXITED = ("stateExitedEventDetails", ("name", "output", "assignedVariables"))
_EXECUTION_DATA = frozenset({"input", "output", "assignedVariables"})
_HIDDEN = _EXECUTION_DATA | {"parameters", "error", "cause"}


class History:
    """What happened in one execution, oldest first.

    Example:
        >>> history = History()
        >>> history.add("ExecutionSucceeded", 0.0, 0, Payload("1"))
        1
        >>> history.render(1)["executionSucceededEventDetails"]
        {'output': '1', 'outputDetails': {'truncated': False}}
    """

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events: list[Event] = []

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    @property
    def last(self) -> Event:
        """The newest event."""
        return self._events[-1]

    def add(self, type: str, timestamp: float, previous: int, *details: Any) -> int:
        """Write an event down and return its number."""
        self._events.append(Event(type, timestamp, previous, details))
        return len(self._events)

    def render(self, number: int, *, data: bool = True) -> dict[str, Any]:
        """An event as GetExecutionHistory shows it.

        Parameters:
            number: the event's, from 1
            data: with inputs, outputs, errors and causes
        """
        event = self._events[number - 1]
        shown: dict[str, Any] = {
            "timestamp": event.timestamp,
            "type": event.type,
            "id": number,
            "previousEventId": event.previous,
        }
        key, fields = _fields(event.type)
        if key:
            shown[key] = _details(fields, event.details, data=data)
        return shown

    def rendered(self, *, data: bool = True) -> list[dict[str, Any]]:
        """All events as GetExecutionHistory shows them."""
        return [self.render(number, data=data) for number in range(1, len(self._events) + 1)]


def _fields(type: str) -> tuple[str, tuple[str, ...]]:
    if type.endswith("StateEntered"):
        return _ENTERED
    if type.endswith("StateExited"):
        return _EXITED
    fields = _DETAILS.get(type)
    return (f"{type[0].lower()}{type[1:]}EventDetails", fields) if fields else ("", ())


def _details(fields: Sequence[str], values: Sequence[Any], *, data: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for field, value in zip(fields, values, strict=False):
        if value is None or (field in _HIDDEN and not data):
            continue
        shown[field] = value.text if isinstance(value, Payload) else value
        if field in _EXECUTION_DATA:
            shown[f"{field}Details"] = {"truncated": False}
    return shown
