"""What went wrong in a state, and which Retry and Catch that matches.

Sources: the developer guide's "Handling errors"; AWS's recordings for what ``Cause`` holds when there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sfini_celery.local.data import DataError, StateError

__all__ = ["Failure", "matches_error"]

RUNTIME = "States.Runtime"
TIMEOUT = "States.Timeout"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
TASK_FAILED = "States.TaskFailed"
ALL = "States.ALL"
DATA_LIMIT_EXCEEDED = "States.DataLimitExceeded"
_NOT_IN_ALL = frozenset({RUNTIME, DATA_LIMIT_EXCEEDED})


class Failure(StateError):
    """A state's failure on its way to a Retry, a Catch, or the end of the execution.

    Attributes:
        error, cause: as AWS shows them; None where there is none
        missed_heartbeat: a ``States.Timeout`` that came from HeartbeatSeconds
    """

    def __init__(self, error: str | None, cause: str | None = None, *, missed_heartbeat: bool = False) -> None:
        super().__init__(error, cause)
        self.missed_heartbeat = missed_heartbeat

    def output(self) -> dict[str, Any]:
        """The error output, which a Catch puts at its ResultPath."""
        cause = "" if self.cause is None and self.error == TIMEOUT else self.cause
        return {"Error": self.error, "Cause": cause}


def failure_in(state: str, entered: int, error: StateError) -> Failure:
    """A state's failure: what is wrong with its data gets AWS's introduction, what a task reports stays as it is."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, DataError):
        where = f"An error occurred while executing the state '{state}' (entered at the event id #{entered})."
        return Failure(error.error, f"{where} {error.cause}")
    return Failure(error.error, error.cause)


def too_large(what: str) -> Failure:
    """The failure of a state or task (its name or resource) that returned more than a payload may hold."""
    cause = (
        f"The state/task '{what}' returned a result with a size exceeding the maximum number of bytes service limit."
    )
    return Failure(DATA_LIMIT_EXCEEDED, cause)


def matches_error(names: Iterable[str], failure: Failure) -> bool:
    """Whether a Retry or Catch with these ``ErrorEquals`` is for this failure."""
    if failure.error == RUNTIME:
        return False
    return any(_matches(name, failure) for name in names)


def _matches(name: str, failure: Failure) -> bool:
    if name == ALL:
        return failure.error not in _NOT_IN_ALL
    if name == TASK_FAILED:
        return failure.error != TIMEOUT
    if name == HEARTBEAT_TIMEOUT and failure.missed_heartbeat:
        return True
    return name == failure.error


def first_match(rules: Iterable[Mapping[str, Any]], failure: Failure) -> tuple[int, Mapping[str, Any]] | None:
    """The first retrier or catcher for a failure, with its index."""
    for index, rule in enumerate(rules):
        if matches_error(rule["ErrorEquals"], failure):
            return index, rule
    return None
