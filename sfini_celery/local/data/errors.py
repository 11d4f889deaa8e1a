"""Errors of the states language, as a state meets them.

    StateError                an error with a name a Retry or Catch can match, and a cause
    `-- DataError             the data of a state could not be worked on
        |-- PathNotFound      a path that finds nothing
        `-- QueryError        a field in JSONata gives nothing, or what its state cannot use

A :class:`DataError`'s cause is AWS's sentence about the data alone: whoever runs the state puts in front of it which
state that was (``An error occurred while executing the state 'X' (entered at the event id #2). ``).
"""

from __future__ import annotations


class StateError(Exception):
    """An error of the states language.

    Attributes:
        error: its name, as in ``States.Runtime``; None where a task or Fail state gave none
        cause: what happened, or None
    """

    def __init__(self, error: str | None, cause: str | None = None) -> None:
        super().__init__(error, cause)
        self.error, self.cause = error, cause

    def __str__(self) -> str:
        return ": ".join(part for part in (self.error, self.cause) if part) or "unnamed error"


class DataError(StateError):
    """A state's data could not be read, rendered, compared or put where it was asked to go."""


class PathNotFound(DataError):
    """A path that finds nothing in what it is applied to.

    Attributes:
        path: the path as written
        why: what was missing where
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__("States.Runtime", f"Invalid path '{path}' : {why}")
        self.path, self.why = path, why


class QueryError(DataError):
    """A field in JSONata that fails, gives nothing, or gives what its state cannot use.

    Attributes:
        location: the field, as in ``Output/total``; None where it is the state's input
    """

    def __init__(self, cause: str, location: str | None = None) -> None:
        super().__init__("States.QueryEvaluationError", cause)
        self.location = location
