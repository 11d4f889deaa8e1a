"""How the input of an activity task becomes a call."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from kombu.utils import json as kombu_json

from sfini_celery.activity.registry import Activity, is_whole
from sfini_celery.errors import InvalidInput

__all__ = ["OPTIONS", "Call", "Parameters", "Position", "StateRetries", "read_input"]

ENVELOPE = "sfini"
ENVELOPE_VERSION = 1
REFERENCE = "sfini.ref"
TEXT = "sfini.json"

OPTIONS = frozenset(
    {"priority", "headers", "stamps", "stamped_headers", "soft_time_limit", "time_limit", "expires", "link_error"}
)
"""Options of a signature that an envelope may carry; any other is ignored and logged."""


@dataclass(frozen=True)
class Parameters:
    """What a function can be called with by name.

    Attributes:
        names: parameters that a keyword reaches, in order
        required: those without a default
        open: whether it takes any keyword (``**kwargs``)
        positional: parameters that no keyword reaches (``def f(x, /)``)
    """

    names: tuple[str, ...]
    required: frozenset[str] = frozenset()
    open: bool = False
    positional: tuple[str, ...] = ()

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Parameters:
        """The parameters of a function, as :func:`inspect.signature` tells them; open where it cannot tell."""
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return cls((), open=True)
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        return cls(
            tuple(p.name for p in named),
            frozenset(p.name for p in named if p.default is p.empty),
            any(p.kind is p.VAR_KEYWORD for p in parameters),
            tuple(p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.default is p.empty),
        )

    def __str__(self) -> str:
        return ", ".join([*self.names, *(["**"] if self.open else [])]) or "none"


@dataclass(frozen=True)
class Position:
    """Where in an execution a task runs; ``self.request.sfn`` shows it.

    Attributes:
        execution: the execution's ARN, empty where a hand-written machine did not say
        name: the execution's name
        state: the state's name
        entered: when the state was entered, as AWS writes it
        attempt: how often the state was retried, from 0
        map: index in each Map around the state, outermost first
    """

    execution: str = ""
    name: str = ""
    state: str = ""
    entered: str = ""
    attempt: int = 0
    map: tuple[int, ...] = ()

    @property
    def key(self) -> str:
        """One text for one unit of work, the same over its retries: use it as an idempotency key.

        Empty where the input was not an envelope.
        """
        if not self.execution:
            return ""
        return str(uuid5(NAMESPACE_URL, json.dumps([self.execution, self.state, self.entered, self.map])))

    @property
    def root_id(self) -> str | None:
        """The Celery ``root_id`` of every task of the execution."""
        return str(uuid5(NAMESPACE_URL, self.execution)) if self.execution else None


@dataclass(frozen=True)
class StateRetries:
    """What the state itself retries of a task's exceptions, in place of Celery's ``autoretry_for``.

    Attributes:
        times: how often at most
        errors: names of the classes that are retried, None for every exception
        never: names of the classes that are not, although a base class of theirs is
    """

    times: int
    errors: tuple[str, ...] | None = None
    never: tuple[str, ...] = ()

    def again(self, kind: type[BaseException], attempt: int) -> bool:
        """Whether the state will retry after this exception, so that it is not the final failure.

        Parameters:
            kind: the exception's class
            attempt: :attr:`Position.attempt`; retries for infrastructure's sake count in it too
        """
        names = {base.__name__ for base in kind.__mro__}
        if attempt >= self.times or names.intersection(self.never) or not issubclass(kind, Exception):
            return False
        return self.errors is None or not names.isdisjoint(self.errors)


@dataclass(frozen=True)
class Call:
    """An activity task's input, read.

    Attributes:
        task: the Celery task to call
        args, kwargs: what to call it with
        typed: came in an envelope, so the output is written as Celery's serializer does
        at: where in the execution
        options: the whitelisted options of the signature
        over: ``"map"`` or ``"starmap"``: the task is applied to each of ``args``, as Celery's ``task.map`` does
        ignored: names of options that are not on the whitelist
        matches: error names that the state's Retry and Catch list, for :func:`failure_of`
        retries: what the state retries in place of the worker, which then leaves ``autoretry_for`` alone
    """

    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    typed: bool = False
    over: str = ""
    at: Position = Position()
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    ignored: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    retries: StateRetries | None = None

    @property
    def run(self) -> tuple[str, tuple[Any, ...], Mapping[str, Any]]:
        """The Celery task that runs, its arguments and keywords: Celery's own ``celery.map`` where ``over`` is set."""
        if not self.over:
            return self.task, self.args, self.kwargs
        inner: dict[str, Any] = {"task": self.task, "args": [], "kwargs": {}, "options": {}, "immutable": False}
        return f"celery.{self.over}", (), {"task": inner, "it": list(self.args)}


def read_input(text: str, serving: Sequence[Activity], parameters: Callable[[str], Parameters]) -> Call:
    """Turn an activity task's input into a call.

    Parameters:
        text: the input as GetActivityTask gave it
        serving: the activities behind the name that was polled (more than one when tasks share it)
        parameters: gives the :class:`Parameters` of a task by its name
    Raises:
        InvalidInput: with what was wrong; the bridge reports it as ``sfini.InvalidInput``
    """
    first = serving[0]
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(f"activity {first.name!r}: the input is not JSON: {exc}") from None
    if first.input == "auto" and isinstance(value, dict) and ENVELOPE in value:
        return _read_envelope(text, serving)
    if len(serving) > 1:
        tasks = ", ".join(sorted(activity.task for activity in serving))
        raise InvalidInput(
            f"activity {first.name!r} is shared by {tasks}: its input must be an envelope that names one"
        )
    return _read_raw(value, first, parameters(first.task))


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _read_raw(value: Any, activity: Activity, parameters: Parameters) -> Call:
    if activity.input == "data" or not (isinstance(value, dict) or activity.input == "kwargs"):
        return Call(activity.task, (value,))
    if not isinstance(value, dict):
        raise InvalidInput(
            f"activity {activity.name!r} takes an object whose members are its parameters ({parameters}), "
            f"not {_kind(value)}"
        )
    unknown = [] if parameters.open else [name for name in value if name not in parameters.names]
    if unknown and activity.input == "auto":
        raise InvalidInput(
            f"activity {activity.name!r}: {', '.join(map(repr, unknown))} match no parameter of {activity.task!r} "
            f"({parameters}); input='data' passes the whole object as one argument, input='kwargs' drops such members"
        )
    kwargs = {name: member for name, member in value.items() if name not in unknown}
    missing = sorted(parameters.required - kwargs.keys()) + list(parameters.positional)
    if missing:
        raise InvalidInput(
            f"activity {activity.name!r}: the input has nothing for parameter {', '.join(map(repr, missing))} "
            f"of {activity.task!r}"
        )
    return Call(activity.task, (), kwargs)


def _read_envelope(text: str, serving: Sequence[Activity]) -> Call:
    name = serving[0].name
    try:
        envelope = kombu_json.loads(text)
    except Exception as exc:  # a value that says it is typed and is not
        raise InvalidInput(f"activity {name!r}: the envelope cannot be read: {exc}") from None
    version = envelope[ENVELOPE]
    if version != ENVELOPE_VERSION or isinstance(version, bool):
        raise InvalidInput(
            f"activity {name!r}: envelope version {version!r} is not one this worker reads ({ENVELOPE_VERSION}); "
            "upgrade the worker before the state machines"
        )
    task = envelope.get("task", serving[0].task if len(serving) == 1 else None)
    if task not in [activity.task for activity in serving]:
        raise InvalidInput(f"activity {name!r} does not serve a task {task!r}")
    args, kwargs, options = _literals(envelope, name)
    over = _member(envelope, "over", str, "", name)
    if over not in ("", "map", "starmap"):
        raise InvalidInput(f"activity {name!r}: 'over' must be 'map' or 'starmap', not {over!r}")
    errors = _member(envelope, "errors", list, [], name)
    if "start" in envelope:
        start = envelope["start"]
        if start is not None and not isinstance(start, dict):
            raise InvalidInput(f"the execution input must be an object with 'args' and 'kwargs', not {_kind(start)}")
        args = [*_member(start or {}, "args", list, [], "the execution input"), *args]
        kwargs = {**kwargs, **_member(start or {}, "kwargs", dict, {}, "the execution input")}
    if "result" in envelope:
        args = [envelope["result"], *args]
    if "caught" in envelope:
        args = [_caught(_member(envelope, "caught", dict, {}, name)), *args]
    known = {key: value for key, value in options.items() if key in OPTIONS}
    return Call(
        task,
        tuple(args),
        kwargs,
        typed=True,
        over=over,
        at=_read_position(_member(envelope, "at", dict, {}, name)),
        options=known,
        ignored=tuple(sorted(options.keys() - known.keys())),
        matches=tuple(str(error) for error in errors),
        retries=_read_retries(_member(envelope, "retry", dict, None, name), name),
    )


def _literals(envelope: Mapping[str, Any], name: str) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    """The call's own arguments and options."""
    refers = bool(envelope.get("refs"))
    literal = _member(envelope, "json", str, None, name)
    if literal is not None:  # AWS would have evaluated them
        envelope, refers = _from_text(literal, name), False
        if not isinstance(envelope, dict):
            raise InvalidInput(f"activity {name!r}: 'json' in the envelope must hold an object, not {_kind(envelope)}")
    args = _member(envelope, "args", list, [], name)
    kwargs = _member(envelope, "kwargs", dict, {}, name)
    options = _member(envelope, "options", dict, {}, name)
    if refers:
        args, kwargs, options = (_with_references(value, name) for value in (args, kwargs, options))
    return args, kwargs, options


def _from_text(text: Any, name: str) -> Any:
    try:
        return kombu_json.loads(text)
    except Exception as exc:
        raise InvalidInput(f"activity {name!r}: 'json' in the envelope cannot be read: {exc}") from None


def _read_retries(retry: Mapping[str, Any] | None, name: str) -> StateRetries | None:
    if retry is None:
        return None
    if not is_whole(retry.get("times")):
        raise InvalidInput(f"activity {name!r}: 'times' in 'retry' of the envelope must be a whole number")
    errors = _member(retry, "errors", list, None, name)
    return StateRetries(
        retry["times"],
        None if errors is None else tuple(map(str, errors)),
        tuple(map(str, _member(retry, "never", list, [], name))),
    )


def _caught(caught: Mapping[str, Any]) -> dict[str, Any]:
    """What a handler gets: an error as AWS tells it, its cause read where a worker of ours wrote it."""
    cause = caught.get("cause")
    error, message, trace = caught.get("error"), cause, ""
    try:
        told = json.loads(cause) if isinstance(cause, str) else None
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict) and "errorType" in told:
        # The error's name may be that of a base class, where the state's Catch names that.
        error, message, trace = told["errorType"], told.get("errorMessage", ""), told.get("stackTrace", "")
    return {"error": error, "message": message, "traceback": trace, "input": caught.get("input")}


def _read_position(at: Mapping[str, Any]) -> Position:
    indexes = at.get("map") or ()
    return Position(
        execution=str(at.get("execution") or ""),
        name=str(at.get("name") or ""),
        state=str(at.get("state") or ""),
        entered=str(at.get("entered") or ""),
        attempt=at["attempt"] if is_whole(at.get("attempt")) else 0,
        map=tuple(index for index in indexes if is_whole(index)) if isinstance(indexes, list) else (),
    )


def _member(of: Mapping[str, Any], key: str, kind: type, default: Any, where: str) -> Any:
    value = of.get(key, default)
    value = default if value is None else value
    if value is not default and not isinstance(value, kind):
        wanted = {"list": "an array", "dict": "an object", "str": "a string"}[kind.__name__]
        raise InvalidInput(f"{where}: {key!r} must be {wanted}, not {_kind(value)}")
    return value


def _with_references(value: Any, name: str) -> Any:
    """An argument with what AWS put in place of each ``{"sfini.ref.$": path}``: no element of an array is a path.

    What came so is a result of somebody's and is not looked into; literals that could be mistaken came as text.
    """
    if isinstance(value, dict):
        if len(value) == 1 and REFERENCE in value:
            return value[REFERENCE]
        if len(value) == 1 and TEXT in value:
            return _from_text(value[TEXT], name)
        return {key: _with_references(member, name) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_references(member, name) for member in value]
    return value


def _kind(value: object) -> str:
    words = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return words.get(type(value), "a number" if isinstance(value, int | float) else type(value).__name__)
