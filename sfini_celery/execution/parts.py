"""The results of an execution's parts, from its history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from celery import states

from sfini_celery.errors import ExecutionAborted, NotFinished
from sfini_celery.execution.execution import Execution, typed
from sfini_celery.execution.failure import exception_of
from sfini_celery.execution.outcome import Outcome
from sfini_celery.history import StateVisit, VisitStatus

if TYPE_CHECKING:
    from sfini_celery.execution.result import ExecutionResult

__all__ = ["PartResult", "parts_of"]

_GROUPS = ("Parallel", "Map")
_STATES = {
    VisitStatus.RUNNING: states.STARTED,
    VisitStatus.SUCCEEDED: states.SUCCESS,
    VisitStatus.CAUGHT: states.FAILURE,
    VisitStatus.FAILED: states.FAILURE,
    VisitStatus.ABORTED: states.REVOKED,
}


class PartResult(Outcome):
    """One step of an execution, or one member of a group: a result with the names of Celery's AsyncResult.

    It shows what the history told when it was made.

    Attributes:
        parent: the result of the whole execution
        name: the state's name; of a member that has several states, its first one's
        index: its place in the group it is a member of; None for a step
        visits: the visits to states it is made of
    """

    def __init__(
        self, parent: ExecutionResult, visits: list[StateVisit], inside: list[StateVisit], index: int | None = None
    ) -> None:
        self.parent, self.visits, self.index = parent, tuple(visits), index
        self.name = visits[0].name
        self._inside = inside

    @property
    def id(self) -> str:
        """The execution's ARN, and after a ``#`` the place of the state among those that were entered."""
        return f"{self.parent.id}#{self.visits[0].number}"

    task_id = id

    @property
    def is_group(self) -> bool:
        """Whether it has members."""
        return len(self.visits) == 1 and self.visits[0].type in _GROUPS

    # how it stands

    @property
    def state(self) -> str:
        """PENDING (no worker has taken it yet), STARTED, RETRY, SUCCESS, FAILURE or REVOKED."""
        last = self.visits[-1]
        if last.status is VisitStatus.RUNNING and last.type == "Task":
            if last.tries and last.tries[-1].error is not None:
                return str(states.RETRY)
            return str(states.PENDING if last.started is None else states.STARTED)
        if self.index is not None and self._goes_on(last):
            return str(states.STARTED)
        return str(_STATES[last.status])

    status = state

    def _goes_on(self, last: StateVisit) -> bool:
        """Whether a member of a group that still runs has a state left to enter."""
        around = next(visit for visit in self._inside if visit.number == last.parent)
        if around.status is not VisitStatus.RUNNING or last.status in (VisitStatus.FAILED, VisitStatus.ABORTED):
            return False
        state = _state_in(self.parent.execution.definition(), last.name) or {}
        return last.status is VisitStatus.CAUGHT or not (state.get("End") or state.get("Type") in ("Succeed", "Fail"))

    @property
    def date_done(self) -> datetime | None:
        """When it ended, timezone-aware; None before that."""
        return self.visits[-1].exited if self.ready() else None

    @property
    def retries(self) -> int:
        """How often its state was retried."""
        return self.visits[-1].attempts - 1

    @property
    def worker(self) -> str | None:
        """The worker that took it last."""
        return self.visits[-1].worker

    def get(self, timeout: float | None = None, propagate: bool = True, **options: Any) -> Any:
        """Its result. Where it has not ended, the whole execution is waited for first.

        Parameters:
            timeout, options: as for the whole
            propagate: raise what it failed with; returned otherwise
        Raises:
            the task's own exception: where its class is at hand, as for the whole
            NotFinished: the execution ended before it
        """
        part = self
        if not part.ready():
            self.parent.get(timeout, propagate=False, **options)
            part = self._again()
            if not part.ready():
                raise NotFinished(f"{self.name!r} of {self.parent.id} has not ended, and does not go on")
        failure = part._failure()
        if failure is not None and propagate:
            raise failure
        return part._value() if failure is None else failure

    wait = get

    def _again(self) -> PartResult:
        """The same part, from the history as it is now."""
        for part in _walk(parts_of(self.parent)):
            if part.id == self.id and part.index == self.index:
                return part
        return self

    def _value(self) -> Any:
        last = self.visits[-1]
        text = last.output
        if last.type == "Task" and last.tries and last.tries[-1].output is not None:
            # What the task answered: the state's own output may hold more, or less, than that.
            text = last.tries[-1].output
            if last.tries[-1].execution is not None:
                return typed(text)["Output"]
        return typed(text or "null")

    def _failure(self) -> BaseException | None:
        last = self.visits[-1]
        if last.status in (VisitStatus.FAILED, VisitStatus.CAUGHT):
            return exception_of(last.error, last.cause, self.parent.id)
        if last.status is VisitStatus.ABORTED:
            return ExecutionAborted(self.parent.id, "ABORTED", last.error, last.cause)
        return None

    # what it consists of

    @property
    def children(self) -> list[Any]:
        """A group's members; the steps of a chain inside one; the execution that a step started."""
        first = self.visits[0]
        if len(self.visits) > 1:
            return [PartResult(self.parent, [visit], self._inside) for visit in self.visits if _is_step(visit)]
        if first.map_run is not None:
            return self._of_map_run(first.map_run)
        if self.is_group:
            return self._members(first)
        child = first.tries[-1].execution if first.tries else None
        return [] if child is None else [self._outcome(child)]

    def _members(self, group: StateVisit) -> list[PartResult]:
        inside = [visit for visit in self._inside if visit.parent == group.number and not _retried(visit, group)]
        places = {} if group.type == "Map" else self._branches(group.name)
        members: dict[int, list[StateVisit]] = {}
        for visit in inside:
            index = visit.map[-1] if group.type == "Map" else places.get(visit.branch, len(places))
            members.setdefault(index, []).append(visit)
        return [PartResult(self.parent, visits, self._inside, index) for index, visits in sorted(members.items())]

    def _branches(self, parallel: str) -> dict[str, int]:
        """The place of each branch by its first state: histories tell when a branch began, and not which it is."""
        state = _state_in(self.parent.execution.definition(), parallel) or {}
        return {branch["StartAt"]: place for place, branch in enumerate(state.get("Branches", ()))}

    def _of_map_run(self, arn: str) -> list[Any]:
        """The executions of a distributed map, in the order of its items."""
        control = self.parent.execution.control
        found = control.list_executions(map_run=arn)
        return [self._outcome(item["executionArn"]) for item in sorted(found, key=lambda item: item["startDate"])]

    def _outcome(self, arn: str) -> ExecutionResult:
        return type(self.parent)(Execution.from_arn(arn, control=self.parent.execution.control, look=False))

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.state}>"

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartResult) and (self.id, self.index) == (other.id, other.index)


def parts_of(outcome: ExecutionResult) -> list[PartResult]:
    """The steps of an execution that have begun, in order."""
    visits = outcome.execution.timeline()
    return [PartResult(outcome, [visit], visits) for visit in visits if visit.parent is None and _is_step(visit)]


def _is_step(visit: StateVisit) -> bool:
    return visit.type == "Task" or visit.type in _GROUPS


def _retried(visit: StateVisit, group: StateVisit) -> bool:
    """Whether a visit belongs to an attempt of the group that was retried since."""
    if len(group.tries) < 2 or visit.entered is None or group.started is None:
        return False
    return visit.entered < group.started


def _state_in(machine: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """A state by its name, which AWS wants to be the only one in the whole machine."""
    for own, state in machine["States"].items():
        if own == name:
            return state  # type: ignore[no-any-return]
        processor = state.get("ItemProcessor") or state.get("Iterator")
        for inner in [*state.get("Branches", ()), *([processor] if processor else ())]:
            if (found := _state_in(inner, name)) is not None:
                return found
    return None


def _walk(parts: Iterable[Any]) -> Iterable[PartResult]:
    for part in parts:
        if isinstance(part, PartResult):
            yield part
            yield from _walk(part.children)
