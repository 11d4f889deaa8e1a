"""What states have in common: a name, where they go next, and what happens when they fail.

States are builder objects with identity: a loop is a reference to a state that is already there. What they are made of
(retriers, catchers, choice rules) are values.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from sfini_celery.asl.fields import MISSING, ErrorNames, Missing, error_names, given
from sfini_celery.errors import DefinitionError, WrongType
from sfini_celery.names import check_state_name

__all__ = ["CanFail", "Catcher", "HasNext", "Retrier", "State", "check_state"]

_log = logging.getLogger(__name__)

AnyState = TypeVar("AnyState", bound="State")

Table = tuple[tuple[str, str], ...]
"""Which attribute is which field of the states language, in the order they are written."""


@dataclass(frozen=True)
class Retrier:
    """One entry of a state's ``Retry``: which errors are retried, and how often.

    Parameters:
        errors: error names, exact
        interval: seconds before the first retry; AWS's default is 1
        max_attempts: retries, 0 for none; AWS's default is 3
        backoff_rate: what the interval is multiplied with after each retry; AWS's default is 2.0
        max_delay: seconds that the interval does not grow beyond
        jitter: ``"FULL"`` or ``"NONE"``
        comment: for people
        extra: fields that this version does not know
    """

    FIELDS: ClassVar[Table] = (
        ("interval", "IntervalSeconds"),
        ("max_attempts", "MaxAttempts"),
        ("backoff_rate", "BackoffRate"),
        ("max_delay", "MaxDelaySeconds"),
        ("jitter", "JitterStrategy"),
        ("comment", "Comment"),
    )

    errors: tuple[str, ...]
    interval: int | Missing = MISSING
    max_attempts: int | Missing = MISSING
    backoff_rate: float | Missing = MISSING
    max_delay: int | Missing = field(default=MISSING, kw_only=True)
    jitter: str | Missing = field(default=MISSING, kw_only=True)
    comment: str | Missing = field(default=MISSING, kw_only=True)
    extra: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """The retrier in the states language."""
        written = {"ErrorEquals": list(self.errors), **write(self, self.FIELDS)}
        return {**written, **_others(self.extra, written)}


@dataclass(frozen=True)
class Catcher:
    """One entry of a state's ``Catch``: which errors go where.

    Parameters:
        errors: error names, exact
        next_state: where the execution goes on
        result_path: where the error is put in the state's input; ``None`` drops it; AWS's default is ``$``
        output: JSONata only: the input of the next state
        assign: variables to set
        comment: for people
        extra: fields that this version does not know
    """

    FIELDS: ClassVar[Table] = (
        ("result_path", "ResultPath"),
        ("output", "Output"),
        ("assign", "Assign"),
        ("comment", "Comment"),
    )

    errors: tuple[str, ...]
    next_state: State
    result_path: str | Missing | None = MISSING
    output: Any = field(default=MISSING, kw_only=True)
    assign: Mapping[str, Any] | Missing = field(default=MISSING, kw_only=True)
    comment: str | Missing = field(default=MISSING, kw_only=True)
    extra: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """The catcher in the states language."""
        errors = {"ErrorEquals": list(self.errors)}
        written = {**errors, **write(self, self.FIELDS), "Next": self.next_state.name}
        return {**written, **_others(self.extra, written)}


class State:
    """One state of a machine; :class:`Task`, :class:`Choice` and the others are its kinds.

    Parameters:
        name: 1 to 80 characters, unique in the whole machine
        comment: for people
        input_path: JSONPath of the part of the input that the state sees; ``None`` for an empty object
        output_path: JSONPath of the part of the output that is passed on; ``None`` for an empty object
        output: JSONata only: the state's output
        query_language: ``"JSONPath"`` or ``"JSONata"``; without it, the machine's
        extra: fields that this version does not know, by their name in the states language

    Raises:
        InvalidName: a name that AWS would refuse
    """

    TYPE: ClassVar[str]
    FIELDS: ClassVar[Table] = (
        ("comment", "Comment"),
        ("query_language", "QueryLanguage"),
        ("input_path", "InputPath"),
        ("output_path", "OutputPath"),
        ("output", "Output"),
    )

    def __init__(
        self,
        name: str,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        *,
        output: Any = MISSING,
        query_language: str | Missing = MISSING,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = check_state_name(name)
        self.comment = comment
        self.input_path = input_path
        self.output_path = output_path
        self.output = output
        self.query_language = query_language
        self.extra = dict(extra or {})

    def __str__(self) -> str:
        return f"{self.name} [{self.TYPE}]"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def successors(self) -> list[State]:
        """The states that can come right after this one, each once, in the order they are written."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """The state in the states language, without its name.

        Raises:
            DefinitionError: something that its kind cannot do without is not there
        """
        fields = self._fields()
        order = sorted(fields, key=_PLACES.__getitem__)
        return {**{name: fields[name] for name in order}, **_others(self.extra, fields)}

    def _fields(self) -> dict[str, Any]:
        """The state's own fields, in any order."""
        return {"Type": self.TYPE, **write(self, self.FIELDS)}


class HasNext(State):
    """A state that another one can follow.

    Parameters:
        assign: variables to set, by name

    Attributes:
        next: the state that follows; ``None`` ends the execution
    """

    FIELDS = (*State.FIELDS, ("assign", "Assign"))

    def __init__(
        self,
        name: str,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        *,
        assign: Mapping[str, Any] | Missing = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, **fields)
        self.assign = assign
        self.next: State | None = None

    def goes_to(self, state: AnyState) -> AnyState:
        """Set the state that follows this one.

        Returns:
            the state given, so that calls chain: ``a.goes_to(b).goes_to(c)``
        """
        check_state(state)
        if self.next is not None and self.next is not state:
            _log.warning("next state of %s changes from %s to %s", self, self.next, state)
        self.next = state
        return state

    def remove_next(self) -> None:
        """Let the execution end after this state."""
        self.next = None

    def successors(self) -> list[State]:
        return [] if self.next is None else [self.next]

    def _fields(self) -> dict[str, Any]:
        goes_on = {"End": True} if self.next is None else {"Next": self.next.name}
        return {**super()._fields(), **goes_on}


class CanFail(HasNext):
    """A state whose failures can be retried and caught.

    Parameters:
        result_path: where the result is put in the state's input; ``None`` drops it
        result_selector: template that makes the result of what the task or the branches returned
        parameters: JSONPath only: template of the input
        arguments: JSONata only: the input

    Attributes:
        retriers, catchers: in the order AWS tries them
    """

    FIELDS = (
        *HasNext.FIELDS,
        ("parameters", "Parameters"),
        ("arguments", "Arguments"),
        ("result_selector", "ResultSelector"),
        ("result_path", "ResultPath"),
    )

    def __init__(
        self,
        name: str,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        result_path: str | Missing | None = MISSING,
        *,
        parameters: Any = MISSING,
        arguments: Any = MISSING,
        result_selector: Mapping[str, Any] | Missing = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, **fields)
        self.result_path = result_path
        self.parameters = parameters
        self.arguments = arguments
        self.result_selector = result_selector
        self.retriers: list[Retrier] = []
        self.catchers: list[Catcher] = []

    def retry_for(
        self,
        errors: ErrorNames,
        interval: int | Missing = MISSING,
        max_attempts: int | Missing = MISSING,
        backoff_rate: float | Missing = MISSING,
        *,
        max_delay: int | Missing = MISSING,
        jitter: str | Missing = MISSING,
    ) -> None:
        """Retry the state after these errors. A retrier for States.ALL stays last, whatever is added after it.

        Parameters:
            errors: one error name or exception class, or several; see :func:`error_names`
            interval: seconds before the first retry; AWS's default is 1
            max_attempts: retries, 0 for none; AWS's default is 3
            backoff_rate: what the interval is multiplied with after each retry; AWS's default is 2.0
            max_delay: seconds that the interval does not grow beyond
            jitter: ``"FULL"`` to spread retries at random, or ``"NONE"``

        Raises:
            DefinitionError: no errors, unknown reserved names, or States.ALL beside others or twice
        """
        names = error_names(errors)
        retrier = Retrier(names, interval, max_attempts, backoff_rate, max_delay=max_delay, jitter=jitter)
        self.retriers.insert(self._place(names, self.retriers, "retried"), retrier)

    def catch(
        self,
        errors: ErrorNames,
        next_state: State,
        result_path: str | Missing | None = MISSING,
        *,
        output: Any = MISSING,
        assign: Mapping[str, Any] | Missing = MISSING,
    ) -> None:
        """Go to another state after these errors, once retries are used up. A catcher for States.ALL stays last.

        Parameters:
            errors: one error name or exception class, or several; see :func:`error_names`
            next_state: where the execution goes on
            result_path: where ``{"Error": ..., "Cause": ...}`` is put in the state's input; ``None`` drops it
            output: JSONata only: the input of the next state
            assign: variables to set

        Raises:
            DefinitionError: no errors, unknown reserved names, or States.ALL beside others or twice
        """
        names = error_names(errors)
        catcher = Catcher(names, check_state(next_state), result_path, output=output, assign=assign)
        self.catchers.insert(self._place(names, self.catchers, "caught"), catcher)

    def _place(self, names: tuple[str, ...], there: list[Any], what: str) -> int:
        known = [name for handler in there for name in handler.errors if name in names]
        if "States.ALL" in known:
            raise DefinitionError(f"state {self.name!r}: States.ALL is already {what}, and AWS allows that once")
        if known:
            _log.warning("%s: already %s, so only the first counts: %s", self, what, ", ".join(known))
        ends_with_all = bool(there) and "States.ALL" in there[-1].errors
        return len(there) - ends_with_all

    def successors(self) -> list[State]:
        return list(dict.fromkeys([*super().successors(), *(catcher.next_state for catcher in self.catchers)]))

    def _fields(self) -> dict[str, Any]:
        handlers: dict[str, Any] = {}
        if self.retriers:
            handlers["Retry"] = [retrier.to_dict() for retrier in self.retriers]
        if self.catchers:
            handlers["Catch"] = [catcher.to_dict() for catcher in self.catchers]
        return {**super()._fields(), **handlers}


def check_state(state: AnyState) -> AnyState:
    """Return the state, or raise :class:`WrongType` for what is none, such as a state's name."""
    if not isinstance(state, State):
        raise WrongType(f"the next state must be a state, not {state!r}")
    return state


def write(owner: object, table: Table) -> dict[str, Any]:
    """The fields of a table that the owner has, in the states language."""
    return given({name: getattr(owner, attribute) for attribute, name in table})


def _others(extra: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in extra.items() if name not in written}


# fmt: off
_ORDER = (
    "Type", "Comment", "QueryLanguage", "Resource", "Credentials",
    "InputPath", "ItemsPath", "Items", "ItemReader", "ItemSelector", "ItemBatcher", "Parameters", "Arguments",
    "MaxConcurrency", "MaxConcurrencyPath", "ToleratedFailureCount", "ToleratedFailureCountPath",
    "ToleratedFailurePercentage", "ToleratedFailurePercentagePath", "Label",
    "ItemProcessor", "Iterator", "Branches", "Choices", "Default",
    "Seconds", "SecondsPath", "Timestamp", "TimestampPath", "Error", "ErrorPath", "Cause", "CausePath",
    "TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath",
    "Result", "ResultSelector", "ResultPath", "ResultWriter", "Assign", "Output", "OutputPath",
    "Retry", "Catch", "Next", "End",
)
# fmt: on
_PLACES = {name: place for place, name in enumerate(_ORDER)}
