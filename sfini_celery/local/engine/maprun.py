"""A Map run: the child executions of one distributed Map, how many of them run at once, and how many may fail.

    RUNNING --all have ended--> SUCCEEDED
       |--more have failed than are tolerated, or it cannot go on--> FAILED --redriven--> RUNNING
       `--its parent was stopped, or a sibling failed--> ABORTED --redriven--> RUNNING

Sources: the developer guide's "Map state in Distributed mode", "Setting failure thresholds", "Redriving Map Runs".
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from sfini_celery.local.engine.execution import Execution, Frame, Revision, Status
from sfini_celery.local.engine.failure import Failure, too_large
from sfini_celery.local.engine.payload import Payload, is_too_large, joined
from sfini_celery.local.engine.redrive import hindrance

if TYPE_CHECKING:
    from sfini_celery.local.engine.visit import Visit

__all__ = ["MOST_CHILDREN", "MapRun", "MapRunStatus"]

MOST_CHILDREN = 10_000
"""Child executions that run at once where MaxConcurrency says nothing."""

_CHILDREN_PER_TURN = 50
"""Child executions that are started before others have a turn."""

_STOPPED = "The parent Map Run was stopped."
_PENDING, _PENDING_REDRIVE = "pending", "pendingRedrive"
_COUNTED = {
    Status.RUNNING: "running",
    Status.SUCCEEDED: "succeeded",
    Status.FAILED: "failed",
    Status.TIMED_OUT: "timedOut",
    Status.ABORTED: "aborted",
    Status.PENDING_REDRIVE: _PENDING_REDRIVE,
}


class MapRunStatus(str, Enum):
    """Where a Map run is."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


class Inputs(Protocol):
    """What the child executions get, by their places.

    Attributes:
        total: how many items there are in all
    """

    total: int

    def __len__(self) -> int:
        """How many child executions there will be."""

    def weight(self, place: int) -> int:
        """How many items are in an input."""

    def make(self, visit: Visit, place: int) -> Payload:
        """The input of a child execution; raises Failure where it cannot be made."""


class MapRun:
    """One run of a distributed Map.

    Parameters:
        visit: the Map state
        label: names its children's state machine
        revision: what they run
        is_express: of their ExecutionType
        concurrency: how many of them run at once
        tolerated_count, tolerated_percentage: of items that may fail, None where the state does not say

    Attributes:
        arn: its identity
        execution: the parent
        status: where it is
        started, stopped: seconds since the epoch; ``stopped`` is None while it runs
        redrives, redriven: how often it was redriven, and when last, in seconds since the epoch
        items: what it iterates over, None where an ItemReader finds it
        inputs: of the children, once the items are there
        written: children whose results were written by a ResultWriter
    """

    def __init__(
        self,
        visit: Visit,
        *,
        label: str,
        revision: Revision,
        is_express: bool,
        concurrency: int,
        tolerated_count: int | None,
        tolerated_percentage: float | None,
    ) -> None:
        self.label, self.revision, self.is_express = label, revision, is_express
        self.concurrency = concurrency
        self.tolerated_count, self.tolerated_percentage = tolerated_count, tolerated_percentage
        self.execution = visit.frame.execution
        self._engine = visit.frame.engine
        self._visit = visit
        self._opened = visit.frame.last
        self.id = str(uuid.uuid4())
        self.arn = self._engine.arn("mapRun", revision.machine_name, self.id)
        self.status = MapRunStatus.RUNNING
        self.started: float = self._engine.clock.now()
        self.stopped: float | None = None
        self.redrives = 0
        self.redriven: float | None = None
        self.items: Sequence[Any] | None = None
        self.inputs: Inputs | None = None
        self.written = 0
        self._children: dict[int, Execution] = {}
        self._todo: deque[int] = deque()
        self._running = self._failed = 0
        self._failure: Failure | None = None
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<MapRun {self.label} {self.status.value}: {self._running} of {len(self._children)} children run>"

    @property
    def frame(self) -> Frame:
        """Whose open state it is."""
        return self._visit.frame

    @property
    def children(self) -> list[Execution]:
        """The child executions that were started, in the order of their items."""
        return [self._children[place] for place in sorted(self._children)]

    def fill(self, inputs: Inputs) -> None:
        """Say what its children get."""
        self.inputs = inputs
        self._todo.extend(range(len(inputs)))

    def counts(self, *, items: bool) -> dict[str, int]:
        """How many children are where, or how many items are in them; the names are DescribeMapRun's."""
        names = [_PENDING, *_COUNTED.values(), "failuresNotRedrivable", "total", "resultsWritten"]
        counted = dict.fromkeys(names, 0)
        now = self._engine.clock.now()
        for child in self._children.values():
            number = child.items if items else 1
            counted[_COUNTED[child.status]] += number
            if child.is_unsuccessful and hindrance(child, now) is not None:
                counted["failuresNotRedrivable"] += number
        if self.inputs is not None:
            counted["total"] = self.inputs.total if items else len(self.inputs)
            fresh = [place for place in self._todo if place not in self._children]
            counted[_PENDING] = sum(map(self.inputs.weight, fresh)) if items else len(fresh)
        counted["resultsWritten"] = counted["succeeded"] if self.written else 0
        return counted

    async def wait(self) -> Payload:
        """Run the children to their ends; returns the list of what the good ones returned.

        Raises:
            Failure: more have failed than are tolerated, an input cannot be made, or the results are too large
        """
        while self.status is MapRunStatus.RUNNING and (self._running or self._todo):
            self._changed.clear()
            await self._start_children()
            if self.status is MapRunStatus.RUNNING and self._running and (self._is_full() or not self._todo):
                await self._changed.wait()
        if self._failure is not None:
            raise self._failure
        return joined(child.output for child in self.children if child.output is not None)

    def checked(self, result: Payload) -> Payload:
        """A result that is not too large; raises Failure for another."""
        if is_too_large(result.text):
            raise too_large(self._visit.name)
        return result

    def succeed(self) -> None:
        """It has ended well."""
        self._end(MapRunStatus.SUCCEEDED)

    def fail(self, failure: Failure) -> None:
        """It cannot go on: end its children. Harmless when it has ended."""
        if self.status is MapRunStatus.RUNNING:
            self._failure = failure
            self._end(MapRunStatus.FAILED)

    def abort(self) -> None:
        """End it because a sibling of the state's frame failed."""
        if self.status is MapRunStatus.RUNNING:
            self._end(MapRunStatus.ABORTED)
            self.frame.note("MapRunAborted")

    def stop(self) -> None:
        """End it because the parent has ended."""
        if self.status is MapRunStatus.RUNNING:
            self._end(MapRunStatus.ABORTED)

    def update(self, changes: Mapping[str, Any]) -> None:
        """Give it other limits: ``concurrency``, ``tolerated_count``, ``tolerated_percentage``."""
        for name, value in changes.items():
            setattr(self, name, value)
        self._check_failures()
        self._changed.set()

    def child_ended(self, child: Execution) -> None:
        """One of its children has ended."""
        self._running -= 1
        if child.is_unsuccessful:
            self._failed += child.items
        if self.status is MapRunStatus.RUNNING:
            self._check_failures()
            self._changed.set()

    def redrive(self, visit: Visit) -> None:
        """Go on with the children that have not succeeded, for the same state redriven.

        Parameters:
            visit: of that state
        """
        self._visit = visit
        now = self._engine.clock.now()
        self.status, self.stopped, self._failure = MapRunStatus.RUNNING, None, None
        self.redrives, self.redriven = self.redrives + 1, now
        visit.frame.last = self._opened
        visit.frame.record("MapRunRedriven", self.arn, self.redrives)
        again = [place for place, child in sorted(self._children.items()) if _is_redrivable(child, now)]
        for place in again:
            child = self._children[place]
            child.status = Status.PENDING_REDRIVE
            self._failed -= child.items
        self._todo.extendleft(reversed(again))
        self._check_failures()

    async def _start_children(self) -> None:
        turn = 0
        while self._todo and self.status is MapRunStatus.RUNNING and not self._is_full():
            self._start_child(self._todo.popleft())
            turn += 1
            if turn % _CHILDREN_PER_TURN == 0:
                await asyncio.sleep(0)

    def _start_child(self, place: int) -> None:
        assert self.inputs is not None
        child = self._children.get(place)
        if child is not None:
            self._running += 1
            self._engine.redrive(child, from_start=self.is_express)
            return
        try:
            input = self.inputs.make(self._visit, place)
        except Failure as failure:
            self._todo.appendleft(place)
            self.fail(failure)
            return
        name = str(uuid.uuid4())
        parts = ("express", name, str(uuid.uuid4())) if self.is_express else ("execution", name)
        arn = self._engine.arn(parts[0], self.revision.machine_name, *parts[1:])
        self._running += 1
        items = self.inputs.weight(place)
        self._children[place] = self._engine.start(self.revision, input, name=name, arn=arn, map_run=self, items=items)

    def _is_full(self) -> bool:
        return self._running >= (self.concurrency or MOST_CHILDREN)

    def _check_failures(self) -> None:
        total = self.inputs.total if self.inputs is not None else 0
        count, percentage = self.tolerated_count, self.tolerated_percentage
        # A percentage alone lifts the count's default of none.
        is_exceeded = self._failed > (count or 0) and (count is not None or percentage is None)
        if percentage is not None:
            is_exceeded = is_exceeded or self._failed * 100 > percentage * total
        if is_exceeded:
            cause = "The specified tolerated failure threshold was exceeded"
            self.fail(Failure("States.ExceedToleratedFailureThreshold", cause))

    def _end(self, status: MapRunStatus) -> None:
        self.status, self.stopped = status, self._engine.clock.now()
        for child in self._children.values():
            if child.status is Status.RUNNING:
                child.end(Status.ABORTED, cause=_STOPPED)
            elif child.status is Status.PENDING_REDRIVE:
                child.withdraw()
                self._failed += child.items
        self._todo = deque(place for place in self._todo if place not in self._children)
        self._changed.set()


def _is_redrivable(child: Execution, now: float) -> bool:
    return child.is_unsuccessful and hindrance(child, now) is None
