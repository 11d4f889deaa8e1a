"""One visit of a state: what its fields see, and how its input becomes its output.

What the fields mean is the query language's: :mod:`.jsonpath_visit` and :mod:`.jsonata_visit`. A payload that no field
touches stays the object it was, so that its text need not be written again.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from sfini_celery.local.data import StateError, parse_timestamp
from sfini_celery.local.engine.execution import Frame, Position, iso
from sfini_celery.local.engine.failure import RUNTIME, Failure, failure_in, too_large
from sfini_celery.local.engine.payload import Payload, is_too_large

__all__ = ["Outcome", "Visit"]

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """How a state ends when it ends well.

    Attributes:
        output: the next state's input
        next: the next state's name, None at the end
        assigned: the variables it sets
    """

    output: Payload
    next: str | None
    assigned: Mapping[str, Payload] | None = None


class Visit(ABC):
    """A state from its Entered event to its Exited one.

    Parameters:
        frame: where it is
        position: the state, entered
        state: its definition

    Attributes:
        name, input: the state's, as it came
        left: the number of the event before it
        entered: the number of its Entered event
        retry_count: how often it was retried
        token: the task token, where its fields may see one
        has_failed_frame: whether a frame below it has failed in this attempt
    """

    __slots__ = (
        "_entered_time",
        "entered",
        "frame",
        "has_failed_frame",
        "input",
        "left",
        "name",
        "retry_count",
        "state",
        "token",
    )

    def __init__(self, frame: Frame, position: Position, state: Mapping[str, Any]) -> None:
        self.frame, self.state = frame, state
        self.name, self.input, self.left, self.entered, self._entered_time = position
        self.retry_count = 0
        self.token: str | None = None
        self.has_failed_frame = False

    def context(self, item: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The context object.

        Parameters:
            item: ``$$.Map.Item``, which only an ItemSelector sees
        """
        context = self.frame.execution.context()
        state = {"Name": self.name, "EnteredTime": iso(self._entered_time)}
        if self.state["Type"] in ("Task", "Parallel", "Map"):
            state["RetryCount"] = self.retry_count  # type: ignore[assignment]
        context["State"] = state
        if item is not None:
            context["Map"] = {"Item": item}
        if self.token is not None:
            context["Task"] = {"Token": self.token}
        return context

    def item(self, effective: Payload, index: int, item: Any) -> Payload:
        """The input of a Map's iteration.

        Raises:
            Failure: it cannot be made
        """
        try:
            return self._item(effective, {"Index": index, "Value": item})
        except Exception as error:
            raise self.failure(error) from None

    def failure(self, error: Exception) -> Failure:
        """The state's failure that an error means."""
        if isinstance(error, StateError):
            return failure_in(self.name, self.entered, error)
        return self.crashed(error)

    def crashed(self, error: Exception) -> Failure:
        """The state's failure where this server has a bug, which the log shows."""
        arn = self.frame.execution.arn
        log.error("local.state_crashed execution=%s state=%s", arn, self.name, exc_info=error, stacklevel=2)
        where = f"An error occurred while executing the state '{self.name}' (entered at the event id #{self.entered})."
        cause = f"{where} This is a bug of the embedded server, whose log has the traceback: {error!r}"
        return Failure(RUNTIME, cause)

    @abstractmethod
    def effective_input(self) -> Payload:
        """The part of the input that the state works on."""

    @abstractmethod
    def parameters(self, effective: Payload) -> Payload:
        """What the state's work gets."""

    @abstractmethod
    def outcome(self, result: Payload, *, is_result: bool = True) -> Outcome:
        """The way out with what the state's work returned.

        Parameters:
            result: what it returned
            is_result: False for a state that does no work, whose ``result`` is the input it hands on
        """

    @abstractmethod
    def choose(self, effective: Payload) -> Outcome | None:
        """The way out of a Choice state, None where nothing matches and there is no Default."""

    @abstractmethod
    def caught(self, catcher: Mapping[str, Any], failure: Failure) -> Outcome:
        """The way out through a Catch."""

    @abstractmethod
    def number(self, field: str, effective: Payload) -> int | None:
        """A positive integer field such as TimeoutSeconds, None without it."""

    @abstractmethod
    def text(self, field: str) -> str | None:
        """A text field such as Error, None without it."""

    @abstractmethod
    def delay(self, effective: Payload) -> float:
        """How long a Wait state waits, in seconds."""

    @abstractmethod
    def credentials(self, effective: Payload) -> dict[str, Any] | None:
        """A Task state's Credentials, as its events show them."""

    @abstractmethod
    def items(self, effective: Payload) -> list[Any]:
        """What a Map state iterates over."""

    @abstractmethod
    def concurrency(self, effective: Payload) -> int:
        """A Map state's MaxConcurrency, 0 for no limit."""

    @abstractmethod
    def tolerance(self, effective: Payload) -> tuple[int | None, float | None]:
        """How many items of a distributed Map may fail, and how many in a hundred; None where it does not say."""

    @abstractmethod
    def nested(self, source: str, effective: Payload) -> Payload:
        """What a field such as ItemReader gives its resource: the field's Parameters or Arguments."""

    @abstractmethod
    def nested_number(self, source: str, config: Mapping[str, Any], field: str, effective: Payload) -> int | None:
        """A whole number in a field such as ItemBatcher, None without it.

        Parameters:
            source: the field, for the cause
            config: it, or what it holds
            field: the number's name, without ``Path``
            effective: the state's effective input
        """

    @abstractmethod
    def batch_input(self, effective: Payload) -> Payload | None:
        """The BatchInput of an ItemBatcher, None without it."""

    @abstractmethod
    def _item(self, effective: Payload, item: Mapping[str, Any]) -> Payload:
        """The input of a Map's iteration; ``item`` is what the context object shows of it."""

    def _until(self, timestamp: str) -> float:
        return parse_timestamp(timestamp).timestamp() - self.frame.engine.clock.now()

    def _variables(self, values: Mapping[str, Any]) -> Mapping[str, Payload]:
        return {name: self._checked(Payload(value=value)) for name, value in values.items()}

    def _checked(self, payload: Payload) -> Payload:
        if is_too_large(payload.text):
            raise too_large(self.name)
        return payload


def as_event_shows(credentials: Mapping[str, Any]) -> dict[str, Any]:
    """Credentials with the small first letters that events have."""
    return {f"{key[:1].lower()}{key[1:]}": value for key, value in credentials.items()}
