"""One execution, and the lines of execution (frames) it consists of.

A frame is a sequence of states: the machine's own, a branch of a Parallel, an iteration of a Map. Frames form a tree.
Ending part of the tree is done by walking it in one go: by the time anything else runs, its tasks have left the queues,
their tokens are closed and its history is written. What is left of the tree of an execution that has not succeeded is
what a redrive goes on from.
"""

from __future__ import annotations

import asyncio
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sfini_celery.local.engine.failure import RUNTIME
from sfini_celery.local.engine.history import LONGEST_HISTORY, History
from sfini_celery.local.engine.payload import Payload

if TYPE_CHECKING:
    from sfini_celery.local.clock import Timer
    from sfini_celery.local.engine.engine import Engine
    from sfini_celery.local.engine.maprun import MapRun
    from sfini_celery.local.engine.ticket import Ticket

__all__ = ["Below", "Execution", "Frame", "Position", "Revision", "Status"]

_ABORTED = frozenset({"Map", "Parallel", "Task", "Wait"})
"""States with an Aborted event; the others never last long enough."""


class Status(str, Enum):
    """Where an execution is. A redrive leads back to RUNNING from all but SUCCEEDED."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"
    PENDING_REDRIVE = "PENDING_REDRIVE"
    """A Map run's child that waits for a place to run again."""


@dataclass(frozen=True)
class Revision:
    """A state machine as it was when an execution started: later updates do not touch it.

    Attributes:
        machine_arn, machine_name: of the state machine
        definition: as parsed; nobody may change it
        definition_text: as registered
        role_arn: recorded, and shown to states as ``$$.Execution.RoleArn``; nothing is done with it
        id: changes with every update
        updated: when this revision was made, in seconds since the epoch
    """

    machine_arn: str
    machine_name: str
    definition: Mapping[str, Any]
    definition_text: str = ""
    role_arn: str = ""
    id: str = ""
    updated: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)


class Execution:
    """One run of a state machine.

    Attributes:
        arn, name: its identity
        revision: what it runs
        input: what it was started with
        version_arn, alias_arn: what it was started by, None for the state machine itself
        status: where it is
        started, stopped: seconds since the epoch; ``stopped`` is None while it runs
        output: the result, once it has succeeded
        error, cause: once it has failed or was stopped, where there are any
        history: what has happened
        is_doomed: its state machine was deleted: it ends where its next state would begin
        redrives, redriven: how often it was redriven, and when last, in seconds since the epoch
        root: its outermost frame; once it has ended without success, where that one stood
        map_run, items: the Map run whose child it is, and how many items are in its input
    """

    __slots__ = (
        "_done",
        "_engine",
        "alias_arn",
        "arn",
        "cause",
        "error",
        "history",
        "input",
        "is_doomed",
        "items",
        "map_run",
        "name",
        "output",
        "redriven",
        "redrives",
        "revision",
        "root",
        "started",
        "status",
        "stopped",
        "timer",
        "trace_header",
        "version_arn",
    )

    def __init__(
        self,
        engine: Engine,
        *,
        arn: str,
        name: str,
        revision: Revision,
        input: Payload,
        version_arn: str | None = None,
        alias_arn: str | None = None,
        trace_header: str | None = None,
        map_run: MapRun | None = None,
        items: int = 1,
    ) -> None:
        self._engine = engine
        self._done: asyncio.Future[None] | None = None
        self.arn, self.name, self.revision, self.input = arn, name, revision, input
        self.version_arn, self.alias_arn, self.trace_header = version_arn, alias_arn, trace_header
        self.status = Status.RUNNING
        self.started: float = engine.clock.now()
        self.stopped: float | None = None
        self.output: Payload | None = None
        self.error: str | None = None
        self.cause: str | None = None
        self.history = History()
        self.root: Frame | None = None
        self.timer: Timer | None = None
        self.is_doomed = False
        self.redrives = 0
        self.redriven: float | None = None
        self.map_run, self.items = map_run, items

    def __repr__(self) -> str:
        return f"<Execution {self.name} {self.status.value}>"

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status is not Status.RUNNING

    @property
    def is_unsuccessful(self) -> bool:
        """Whether it has ended, and not well."""
        return self.status in _UNSUCCESSFUL

    async def wait(self) -> Execution:
        """Return this execution once it has ended."""
        if not self.is_closed:
            if self._done is None:
                self._done = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._done)
        return self

    def record(self, type: str, previous: int, *details: Any) -> int:
        """Write an event down; return its number, or ``previous`` once the execution has ended."""
        if self.is_closed:
            return previous
        if len(self.history) >= LONGEST_HISTORY - 1:
            cause = f"The execution reached the maximum number of history events ({LONGEST_HISTORY})."
            self.end(Status.FAILED, previous=previous, error=RUNTIME, cause=cause)
            return previous
        return self.history.add(type, self._engine.clock.now(), previous, *details)

    def end(
        self,
        status: Status,
        *,
        previous: int = 0,
        output: Payload | None = None,
        error: str | None = None,
        cause: str | None = None,
    ) -> None:
        """End it now: write the last event down, close every open task and stop every frame."""
        if self.is_closed:
            return
        now = self._engine.clock.now()
        details = (output,) if status is Status.SUCCEEDED else (error, cause)
        self.history.add(_LAST_EVENT[status], now, previous, *details)
        self.status, self.stopped, self.output, self.error, self.cause = status, now, output, error, cause
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if self.root is not None:
            self.root.stop()
        if status is Status.SUCCEEDED:
            self.root = None
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
        if self.map_run is not None:
            self.map_run.child_ended(self)

    def reopen(self, *, from_start: bool = False) -> Frame:
        """Let it run again; returns its outermost frame, which goes on where the last one stood.

        Parameters:
            from_start: it goes on at the first state instead
        """
        now = self._engine.clock.now()
        self.redrives, self.redriven = self.redrives + 1, now
        self.history.add("ExecutionRedriven", now, len(self.history), self.redrives)
        self.status, self.stopped, self.error, self.cause = Status.RUNNING, None, None, None
        self._done = None
        self.root = Frame(self) if self.root is None or from_start else self.root.revived()
        return self.root

    def withdraw(self) -> None:
        """Take back that it waits to be redriven: it is again as it has ended."""
        last = self.history.last.type
        self.status = next(status for status, type in _LAST_EVENT.items() if type == last)

    def context(self) -> dict[str, Any]:
        """The part of the context object that all its states share."""
        revision = self.revision
        execution = {
            "Id": self.arn,
            "Input": self.input.value,
            "StartTime": iso(self.started),
            "Name": self.name,
            "RoleArn": revision.role_arn,
            "RedriveCount": self.redrives,
        }
        if self.redriven is not None:
            execution["RedriveTime"] = iso(self.redriven)
        return {
            "Execution": execution,
            "StateMachine": {"Id": revision.machine_arn, "Name": revision.machine_name},
        }

    @property
    def engine(self) -> Engine:
        """What runs it."""
        return self._engine


_UNSUCCESSFUL = frozenset({Status.FAILED, Status.TIMED_OUT, Status.ABORTED})
_LAST_EVENT = {
    Status.SUCCEEDED: "ExecutionSucceeded",
    Status.FAILED: "ExecutionFailed",
    Status.TIMED_OUT: "ExecutionTimedOut",
    Status.ABORTED: "ExecutionAborted",
}


class Position(NamedTuple):
    """The state that a frame stands at.

    Attributes:
        name, input: the state and its input
        left: the number of the event before its Entered event
        entered: the number of its Entered event, 0 before that
        time: when it was entered, in seconds since the epoch
    """

    name: str
    input: Payload
    left: int = 0
    entered: int = 0
    time: float = 0.0


class Below(Protocol):
    """What runs below a frame, for its open state."""

    def abort(self) -> None:
        """End it because a sibling of the frame failed; harmless when it has ended."""

    def stop(self) -> None:
        """End it because the execution has ended; harmless when it has ended."""


class Frame:
    """One line of execution: at most one state of it is open, and that one may have frames below it.

    Attributes:
        execution: what it is part of
        last: the number of the event that the next one follows from
        variables: its own variables before those of the frames around it
        iteration: Map state and index, where it is an iteration
        position: the state that it stands at; None before it begins
        state: the type of the state that is open
        ticket: the task that the open state waits for
        task: the coroutine that runs it
        below: what the open Parallel or Map state runs
    """

    __slots__ = ("below", "execution", "iteration", "last", "position", "state", "task", "ticket", "variables")

    def __init__(
        self,
        execution: Execution,
        *,
        above: Frame | None = None,
        last: int = 0,
        iteration: tuple[str, int] | None = None,
    ) -> None:
        self.execution = execution
        self.last = last
        self.iteration = iteration
        self.variables: ChainMap[str, Any] = ChainMap({}) if above is None else above.variables.new_child()
        self.position: Position | None = None
        self.state: str | None = None
        self.ticket: Ticket | None = None
        self.task: asyncio.Task[None] | None = None
        self.below: Below | None = None

    @property
    def engine(self) -> Engine:
        """What runs it."""
        return self.execution.engine

    def record(self, type: str, *details: Any) -> int:
        """Write an event down that the next one follows from."""
        self.last = self.execution.record(type, self.last, *details)
        return self.last

    def note(self, type: str, *details: Any) -> int:
        """Write an event down that nothing in this frame follows from."""
        return self.execution.record(type, self.last, *details)

    def fail(self) -> None:
        """Write down that its open state ends here, after the failure that ended this frame."""
        if self.state == "Task":
            self.note("TaskStateAborted")
        self.state = None

    def abort(self) -> None:
        """End it because a sibling failed: innermost states first, as AWS writes them down."""
        if self.below is not None:
            self.below.abort()
        self._close()
        if self.state in _ABORTED:
            self.note(f"{self.state}StateAborted")
        if self.iteration is not None:
            self.note("MapIterationAborted", *self.iteration)
        self.state = self.iteration = None

    def stop(self) -> None:
        """End it because its execution has ended."""
        if self.below is not None:
            self.below.stop()
        self._close()

    def revived(self, above: Frame | None = None, iteration: tuple[str, int] | None = None) -> Frame:
        """A frame that goes on where this one, which was ended, stood."""
        frame = Frame(self.execution, above=above, last=self.last, iteration=iteration)
        frame.variables.update(self.variables.maps[0])
        frame.position, frame.below = self.position, self.below
        return frame

    def _close(self) -> None:
        if self.ticket is not None:
            self.ticket.close()
        if self.task is not None:
            self.task.cancel()
        self.ticket = self.task = None


def iso(seconds: float) -> str:
    """A time as the context object shows it, to the millisecond."""
    moment = datetime.fromtimestamp(round(seconds, 3), timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
