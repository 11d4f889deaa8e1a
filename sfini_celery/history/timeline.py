"""From events to visits: every event hangs on an earlier one, and so finds the state it is about.

``previousEventId`` is a thread through the history. At each event the thread is somewhere: in a visit to a state, or
between two. An event about a Map or Parallel is found by climbing from there outwards. Where ids are missing, the
newest open visit that fits is taken instead, so that a damaged history still reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from sfini_celery.history.events import Event
from sfini_celery.history.visits import Attempt, StateVisit, VisitStatus

__all__ = ["Timeline", "timeline"]

_ENTERED, _EXITED, _ABORTED = "StateEntered", "StateExited", "StateAborted"
_KINDS = ("Activity", "LambdaFunction", "Task")
_SCHEDULED = frozenset(f"{kind}Scheduled" for kind in _KINDS)
_STARTED = frozenset(f"{kind}Started" for kind in _KINDS)
_SUCCEEDED = frozenset(f"{kind}Succeeded" for kind in _KINDS)
_FAILED = frozenset(
    f"{kind}{how}" for kind in _KINDS for how in ("Failed", "ScheduleFailed", "StartFailed", "SubmitFailed", "TimedOut")
)
_CONTAINERS = ("Map", "Parallel")
_CONTAINER_STARTED = frozenset({"MapStateStarted", "ParallelStateStarted"})
_CONTAINER_SUCCEEDED = frozenset({"MapStateSucceeded", "ParallelStateSucceeded"})
_CONTAINER_FAILED = frozenset({"MapStateFailed", "ParallelStateFailed"})
_EXECUTION_ENDED = frozenset({"ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"})


@dataclass(eq=False)
class _Scope:
    """Where states run one after the other: the machine itself, a branch, an iteration."""

    parent: _Visit | None = None
    index: int | None = None
    map: tuple[int, ...] = ()
    branch: str = ""


@dataclass(eq=False)
class _Visit:
    """A visit while it is being read."""

    number: int
    name: str
    type: str
    scope: _Scope
    entered: datetime | None
    input: str | None
    status: VisitStatus = VisitStatus.RUNNING
    exited: datetime | None = None
    output: str | None = None
    error: str | None = None
    cause: str | None = None
    tries: list[Attempt] = field(default_factory=list)
    length: int | None = None
    map_run: str | None = None
    hurt: bool = False  # a state inside failed or was aborted, in this attempt
    succeeded: bool = False

    @property
    def open(self) -> bool:
        return self.status is VisitStatus.RUNNING

    def around(self) -> Iterator[_Visit]:
        """The Parallels and Maps around it, innermost first."""
        visit = self.scope.parent
        while visit is not None:
            yield visit
            visit = visit.scope.parent

    def retry(self, **of: object) -> None:
        if self.tries:
            self.tries[-1] = replace(self.tries[-1], **of)  # type: ignore[arg-type]

    def freeze(self) -> StateVisit:
        parent = self.scope.parent
        return StateVisit(
            self.number,
            self.name,
            self.type,
            self.status,
            self.entered,
            self.tries[-1].started if self.tries else None,
            self.exited,
            self.input,
            self.output,
            self.error,
            self.cause,
            tuple(self.tries),
            None if parent is None else parent.number,
            sum(1 for _ in self.around()),
            self.scope.map,
            self.scope.branch,
            self.length,
            self.map_run,
        )


_Where = tuple[_Scope, "_Visit | None"]


class Timeline:
    """Visits to states, built up event by event, oldest first: feed it pages as they come.

    Parameters:
        data: keep inputs and outputs; without them ten thousand events of 256 KiB take a few megabytes
    Example:
        >>> line = Timeline()
        >>> line.add(Event(None, "PassStateEntered", 2, 0, {"name": "hello"}))
        >>> [(visit.name, str(visit.status)) for visit in line.visits()]
        [('hello', 'RUNNING')]
    """

    def __init__(self, *, data: bool = True) -> None:
        self._data = data
        self._root = _Scope()
        self._visits: list[_Visit] = []
        self._open: dict[int, _Visit] = {}
        self._where: dict[int, _Where] = {}
        self._redriven = False

    def visits(self) -> list[StateVisit]:
        """The visits as they stand, in the order in which they were entered."""
        return [visit.freeze() for visit in self._visits]

    def add(self, event: Event) -> None:
        """Take the next event. An event that says nothing about a state, or is of an unknown type, is let through."""
        before = self._before(event)
        after = self._read(event, before)
        if event.id:
            self._where[event.id] = after

    def _before(self, event: Event) -> _Where | None:
        if event.id and not event.previous_id:
            return self._root, None
        return self._where.get(event.previous_id)

    def _read(self, event: Event, before: _Where | None) -> _Where:
        kind = event.type
        if kind.endswith(_ENTERED):
            return self._enter(event, before)
        if kind.endswith(_EXITED):
            return self._exit(event, before)
        if kind in _SCHEDULED or kind in _STARTED or kind in _SUCCEEDED or kind in _FAILED or kind == "TaskSubmitted":
            return self._task(event, before)
        if kind == "EvaluationFailed":
            return self._evaluation_failed(event, before)
        if kind.startswith("MapIteration"):
            return self._iteration(event, before)
        if kind in _CONTAINER_STARTED or kind in _CONTAINER_SUCCEEDED or kind in _CONTAINER_FAILED:
            return self._container(event, before)
        if kind.startswith("MapRun"):
            return self._map_run(event, before)
        if kind.endswith(_ABORTED):
            return self._aborted(event, before)
        if kind in _EXECUTION_ENDED:
            self._execution_ended(event)
        elif kind == "ExecutionRedriven":
            self._redriven = True
        return before or (self._root, None)

    # finding

    def _find(self, before: _Where | None, fits: Callable[[_Visit], bool]) -> _Visit | None:
        """The visit an event is about: outwards from where the thread is, else the newest open one that fits."""
        chain: list[_Visit] = []
        if before is not None:
            scope, visit = before
            if visit is not None:
                chain.append(visit)
            if scope.parent is not None and scope.parent is not visit:
                chain += [scope.parent, *scope.parent.around()]
        chain = [visit for visit in chain if fits(visit)]
        candidates = [visit for visit in chain if visit.open] or chain
        if candidates:
            return candidates[0]
        newest = (visit for visit in reversed(self._open.values()) if fits(visit))
        ended = (v for v in reversed(self._visits) if self._redriven and v.status in _UNFINISHED and fits(v))
        return next(newest, None) or next(ended, None)

    def _reopen(self, visit: _Visit) -> None:
        """A redrive goes on where the execution failed: in the visit, and in all that is around it."""
        for each in (visit, *visit.around()):
            if not each.open:
                each.status, each.exited, each.error, each.cause = VisitStatus.RUNNING, None, None, None
                self._open[each.number] = each

    # ending

    def _close(self, visit: _Visit, status: VisitStatus, at: datetime | None) -> None:
        visit.status, visit.exited = status, at
        self._open.pop(visit.number, None)
        if status in _UNFINISHED and (parent := visit.scope.parent) is not None:
            parent.hurt = True
            if parent.error is None:
                parent.error, parent.cause = visit.error, visit.cause

    def _close_inside(self, inside: Callable[[_Visit], bool], at: datetime | None, culprit: _Visit | None) -> None:
        """End what still runs in something that failed: what failed itself, and what was stopped with it."""
        for visit in [visit for visit in reversed(self._open.values()) if inside(visit)]:
            failed = visit is culprit or visit.error is not None
            self._close(visit, VisitStatus.FAILED if failed else VisitStatus.ABORTED, at)

    # reading, one function per family of events

    def _enter(self, event: Event, before: _Where | None) -> _Where:
        name = event.state_name or "?"
        if before is None:
            around = self._find(None, lambda visit: visit.type in _CONTAINERS)
            scope = _Scope(around, None, around.scope.map) if around is not None else self._root
        else:
            scope, at = before
            if at is not None and at.type == "Parallel" and at.open:
                scope = _Scope(at, None, at.scope.map, name)
        visit = _Visit(
            len(self._visits),
            name,
            event.type.removesuffix(_ENTERED),
            scope,
            event.timestamp,
            event.text("input") if self._data else None,
        )
        self._visits.append(visit)
        self._open[visit.number] = visit
        return scope, visit

    def _exit(self, event: Event, before: _Where | None) -> _Where:
        visit = self._find(before, lambda visit: visit.name == event.state_name)
        if visit is None:
            return before or (self._root, None)
        if visit.type in _CONTAINERS and any(visit in other.around() for other in self._open.values()):
            visit.hurt = visit.hurt or not visit.succeeded
            self._close_inside(lambda other: visit in other.around(), event.timestamp, before[1] if before else None)
        caught = not visit.succeeded and (visit.error is not None or visit.hurt)
        visit.output = event.text("output") if self._data else None
        self._close(visit, VisitStatus.CAUGHT if caught else VisitStatus.SUCCEEDED, event.timestamp)
        return visit.scope, None

    def _task(self, event: Event, before: _Where | None) -> _Where:
        visit = self._find(before, lambda visit: visit.type == "Task")
        if visit is None:
            return before or (self._root, None)
        if event.type in _SCHEDULED:
            self._reopen(visit)
            visit.error = visit.cause = None
            visit.tries.append(Attempt(scheduled=event.timestamp, resource=event.resource))
        elif event.type in _STARTED:
            visit.retry(started=event.timestamp, worker=event.worker_name)
        elif event.type == "TaskSubmitted":
            visit.retry(execution=_started_by(event))
        elif event.type in _SUCCEEDED:
            visit.retry(ended=event.timestamp, output=event.text("output") if self._data else None)
        elif event.type in _FAILED:
            visit.error, visit.cause = event.error or "States.TaskFailed", event.cause
            visit.retry(ended=event.timestamp, error=visit.error, cause=visit.cause)
        return visit.scope, visit

    def _evaluation_failed(self, event: Event, before: _Where | None) -> _Where:
        name = event.state_name
        visit = next((each for each in reversed(self._open.values()) if each.name == name), None)
        found = self._find(before, lambda each: each.name == name) or visit
        if found is None:
            return before or (self._root, None)
        found.error, found.cause = event.error, event.cause
        return found.scope, found

    def _iteration(self, event: Event, before: _Where | None) -> _Where:
        visit = self._find(before, lambda visit: visit.type == "Map" and visit.name == event.state_name)
        if visit is None:
            return before or (self._root, None)
        raw = event.details.get("index")
        index = raw if isinstance(raw, int) else 0
        if event.type == "MapIterationStarted":
            self._reopen(visit)
            return _Scope(visit, index, (*visit.scope.map, index)), None
        if event.type != "MapIterationSucceeded":
            here = [other for other in self._open.values() if _within(other, visit, index)]
            culprit = next((other for other in here if other.scope.parent is visit), None)
            self._close_inside(
                lambda other: other in here, event.timestamp, culprit if event.type == "MapIterationFailed" else None
            )
        return visit.scope, visit

    def _container(self, event: Event, before: _Where | None) -> _Where:
        kind = "Map" if event.type.startswith("Map") else "Parallel"
        visit = self._find(before, lambda visit: visit.type == kind)
        if visit is None:
            return before or (self._root, None)
        if event.type in _CONTAINER_SUCCEEDED:
            visit.succeeded = True
            visit.retry(ended=event.timestamp)
            return visit.scope, visit
        culprit = before[1] if before else None
        self._close_inside(lambda other: visit in other.around(), event.timestamp, culprit)
        if event.type in _CONTAINER_FAILED:
            visit.retry(ended=event.timestamp, error=visit.error, cause=visit.cause)
            self._close(visit, VisitStatus.FAILED, event.timestamp)
            return visit.scope, visit
        if visit.hurt:
            visit.retry(ended=event.timestamp, error=visit.error, cause=visit.cause)
        self._reopen(visit)
        visit.error, visit.cause, visit.hurt, visit.succeeded = None, None, False, False
        visit.tries.append(Attempt(scheduled=event.timestamp, started=event.timestamp))
        length = event.details.get("length")
        visit.length = length if isinstance(length, int) else visit.length
        return visit.scope, visit

    def _map_run(self, event: Event, before: _Where | None) -> _Where:
        visit = self._find(before, lambda visit: visit.type == "Map")
        if visit is None:
            return before or (self._root, None)
        visit.map_run = event.text("mapRunArn") or visit.map_run
        if event.error is not None:
            visit.error, visit.cause = event.error, event.cause
        return visit.scope, visit

    def _aborted(self, event: Event, before: _Where | None) -> _Where:
        kind = event.type.removesuffix(_ABORTED)
        visit = self._find(before, lambda visit: visit.type == kind)
        if visit is None or not visit.open:
            return before or (self._root, None)
        self._close(visit, VisitStatus.FAILED if visit.error is not None else VisitStatus.ABORTED, event.timestamp)
        return visit.scope, visit

    def _execution_ended(self, event: Event) -> None:
        top = [visit for visit in self._visits if visit.scope.parent is None]
        last = top[-1] if top else None
        failed = event.type == "ExecutionFailed"
        self._close_inside(lambda visit: True, event.timestamp, last if failed else None)
        if failed and last is not None and last.status is VisitStatus.FAILED and last.error is None:
            last.error, last.cause = event.error, event.cause


def _started_by(event: Event) -> str | None:
    """The ARN of the execution that a task has started, if that is what it did."""
    try:
        told = json.loads(event.text("output") or "")
    except (ValueError, RecursionError):
        return None
    arn = told.get("ExecutionArn") if isinstance(told, dict) else None
    return arn if isinstance(arn, str) else None


_UNFINISHED = (VisitStatus.FAILED, VisitStatus.ABORTED)


def _within(visit: _Visit, around: _Visit, index: int) -> bool:
    scope: _Scope = visit.scope
    while scope.parent is not None:
        if scope.parent is around:
            return scope.index == index
        scope = scope.parent.scope
    return False


def timeline(events: Iterable[Event], *, data: bool = True) -> list[StateVisit]:
    """The visits to states that a history tells of, in the order in which they were entered.

    Parameters:
        events: a whole history or part of one, in any order
        data: keep inputs and outputs
    """
    known = list(events)
    if all(event.id for event in known):
        known.sort(key=lambda event: event.id)
    line = Timeline(data=data)
    for event in known:
        line.add(event)
    return line.visits()
