"""What a timeline is made of: visits to states, and the attempts within them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

__all__ = ["Attempt", "StateVisit", "VisitStatus"]


class VisitStatus(str, Enum):
    """How a visit to a state stands."""

    RUNNING = "RUNNING"
    """entered and not left; between two attempts as well"""
    SUCCEEDED = "SUCCEEDED"
    CAUGHT = "CAUGHT"
    """failed, and its Catch went on from there"""
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    """ended from outside: a sibling failed, or the execution ended"""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Attempt:
    """One try of a Task, Parallel or Map.

    Attributes:
        scheduled: when it was put up for a worker or a service
        started: when a worker or the service took it
        ended: when it was answered
        worker: the name under which an activity worker took it
        resource: the ARN or service action it went to
        output: what it was answered with, JSON as text; None where not (yet) known, or not kept
        execution: ARN of the execution that it started
        error, cause: what it failed with
    """

    scheduled: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    worker: str | None = None
    resource: str | None = None
    output: str | None = None
    execution: str | None = None
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True)
class StateVisit:
    """One visit to a state; a state in a loop, a Map or a retried Parallel is visited more than once.

    Attributes:
        number: place among the visits, by when they were entered, from 0
        name: the state's name
        type: ``Task``, ``Pass``, ``Map``...
        status: how it stands
        entered: when the state was entered
        started: when its last attempt was taken
        exited: when the state was left, or ended
        input, output: JSON as text; None where not (yet) known, or not kept
        error, cause: of the last failure that was not retried since
        tries: the attempts, oldest first; empty for states that have none
        parent: number of the visit to the Parallel or Map it is in, None at the top
        depth: how many Parallels and Maps are around it
        map: index in each Map around it, outermost first
        branch: in a Parallel, the name of the first state of its branch; the first's own name too
        length: how many items a Map has
        map_run: ARN of a distributed Map's run
    """

    number: int
    name: str
    type: str
    status: VisitStatus
    entered: datetime | None = None
    started: datetime | None = None
    exited: datetime | None = None
    input: str | None = None
    output: str | None = None
    error: str | None = None
    cause: str | None = None
    tries: tuple[Attempt, ...] = ()
    parent: int | None = None
    depth: int = 0
    map: tuple[int, ...] = ()
    branch: str = ""
    length: int | None = None
    map_run: str | None = None

    @property
    def attempts(self) -> int:
        """How often it was tried, at least 1."""
        return max(1, len(self.tries))

    @property
    def worker(self) -> str | None:
        """The worker that took the last attempt."""
        return self.tries[-1].worker if self.tries else None

    @property
    def seconds(self) -> float | None:
        """How long the visit took; None while it goes on."""
        if self.entered is None or self.exited is None:
            return None
        return (self.exited - self.entered).total_seconds()
