"""State machines: states, where they start, and their definition in the states language."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from sfini_celery.asl.fields import MISSING, Missing
from sfini_celery.asl.lint import Finding, lint
from sfini_celery.asl.reading import read_states
from sfini_celery.asl.scopes import check_nesting, with_unique_names
from sfini_celery.asl.state import State, Table, check_state, write
from sfini_celery.asl.states import Choice, Fail, Pass, Succeed, Wait
from sfini_celery.asl.text import read_json
from sfini_celery.asl.work import Map, Parallel, Task
from sfini_celery.errors import DefinitionError, DuplicateName, WrongType

__all__ = ["StateMachine", "construct_state_machine"]

_log = logging.getLogger(__name__)

AnyMachine = TypeVar("AnyMachine", bound="StateMachine")
AnyState = TypeVar("AnyState", bound=State)
P = ParamSpec("P")


def _makes(kind: Callable[P, AnyState]) -> Callable[Concatenate[StateMachine, P], AnyState]:
    def make(self: StateMachine, /, *args: P.args, **kwargs: P.kwargs) -> AnyState:
        return self.add(kind(*args, **kwargs))

    name = kind.__name__.lower()
    make.__name__ = "pass_" if name == "pass" else name
    make.__qualname__ = f"StateMachine.{make.__name__}"
    make.__doc__ = (
        f"Add a :class:`{kind.__name__}` to this machine; it takes the same parameters.\n\n    {kind.__doc__}"
    )
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.signature(kind)
    make.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[own, *signature.parameters.values()], return_annotation=kind.__name__
    )
    return make


class StateMachine:
    """States and where they start.

    A machine is made in one of three ways: from its first state, with :func:`construct_state_machine`; state by state,
    with :meth:`task`, :meth:`choice` and so on, and then :meth:`start_at`; or from states that are there already.

    Parameters:
        name: of the machine; that AWS accepts it is checked when it is registered, since a machine inside another one
            can have any name
        states: the states by name
        start_state: the first one, or its name
        comment: for people
        timeout: seconds that an execution may take; AWS's default is no limit
        query_language: ``"JSONPath"`` (AWS's default) or ``"JSONata"``
        version: of the states language; AWS's default, and the only one there is, is ``"1.0"``
        extra: fields that this version does not know

    Raises:
        DefinitionError: a state under another name than its own
        WrongType: states that are no mapping

    Example:
        >>> machine = StateMachine("greeting")
        >>> machine.start_at(machine.pass_("greet", result="hello"))
        >>> machine.to_dict()["StartAt"]
        'greet'
    """

    FIELDS: ClassVar[Table] = (
        ("comment", "Comment"),
        ("query_language", "QueryLanguage"),
        ("version", "Version"),
        ("timeout", "TimeoutSeconds"),
    )

    def __init__(
        self,
        name: str,
        states: Mapping[str, State] | None = None,
        start_state: str | State | None = None,
        comment: str | Missing = MISSING,
        timeout: int | Missing = MISSING,
        *,
        query_language: str | Missing = MISSING,
        version: str | Missing = MISSING,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if states is not None and not isinstance(states, Mapping):
            raise WrongType(f"machine {name!r}: the states are a mapping of names to states, not {states!r}")
        self.name = name
        self.states: dict[str, State] = {}
        self.start_state: str | None = start_state.name if isinstance(start_state, State) else start_state
        self.comment = comment
        self.timeout = timeout
        self.query_language = query_language
        self.version = version
        self.extra = dict(extra or {})
        for key, state in (states or {}).items():
            if check_state(state).name != key:
                raise DefinitionError(f"machine {name!r}: the state under {key!r} is named {state.name!r}")
            self.states[key] = state

    def __str__(self) -> str:
        return f"{self.name!r} ({len(self.states)} states)"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    task = _makes(Task)
    pass_ = _makes(Pass)
    wait = _makes(Wait)
    choice = _makes(Choice)
    parallel = _makes(Parallel)
    map = _makes(Map)
    succeed = _makes(Succeed)
    fail = _makes(Fail)

    def add(self, state: AnyState) -> AnyState:
        """Add a state.

        Returns:
            the state

        Raises:
            DuplicateName: another state has this name
        """
        other = self.states.setdefault(check_state(state).name, state)
        if other is not state:
            raise _duplicate(state.name, f"{other} of machine {self.name!r}", str(state))
        return state

    def start_at(self, state: State) -> None:
        """Set the first state; it is added to the machine if it is not there.

        Raises:
            DuplicateName: another state has its name
        """
        self.add(state)
        if self.start_state not in (None, state.name):
            _log.warning("start of machine %s changes from %s to %s", self.name, self.start_state, state.name)
        self.start_state = state.name

    @classmethod
    def construct(
        cls: type[AnyMachine],
        name: str,
        start_state: State,
        comment: str | Missing = MISSING,
        timeout: int | Missing = MISSING,
        **fields: Any,
    ) -> AnyMachine:
        """A machine of a state and all that can be reached from it; see :func:`construct_state_machine`."""
        return cls(name, _reachable(start_state), start_state.name, comment, timeout, **fields)

    def definition(self) -> dict[str, Any]:
        """The definition as it is as a part of another one: names are the states' own.

        Raises:
            DefinitionError: no start state, or a state goes to one that is not of this machine
        """
        if self.start_state is None:
            raise DefinitionError(f"machine {self.name!r} has no start state: call start_at")
        self._check_targets()
        states = {name: state.to_dict() for name, state in self.states.items()}
        return {**write(self, self.FIELDS), "StartAt": self.start_state, "States": states, **self.extra}

    def _check_targets(self) -> None:
        for name, state in self.states.items():
            if state.name != name:
                raise DefinitionError(f"machine {self.name!r}: the state under {name!r} is named {state.name!r}")
            for target in state.successors():
                if self.states.get(target.name) is not target:
                    raise DefinitionError(
                        f"machine {self.name!r}: {state} goes to {target}, which is not a state of this machine; "
                        "add it to the machine, or use construct_state_machine once all states are connected"
                    )
        if self.start_state not in self.states:
            raise DefinitionError(f"machine {self.name!r} starts at {self.start_state!r}, which is none of its states")

    def to_dict(self) -> dict[str, Any]:
        """The definition in the states language.

        Names that several machines inside this one use are made unique, as AWS wants them to be: the second ``log``
        becomes ``log (printSM)`` if it is in machine ``printSM``.

        Raises:
            DefinitionError: no start state, a state that goes to one of another machine, a Choice without rules, a Map
                without a processor, or a machine inside itself
        """
        check_nesting(self)
        return with_unique_names(self, self.definition())

    def lint(self) -> list[Finding]:
        """What AWS would say about this machine, its name included; see :func:`lint`.

        Raises:
            DefinitionError: as :meth:`to_json`
        """
        return lint(self.to_json(), name=self.name)

    def check(self) -> None:
        """Raise DefinitionError, with the findings, if AWS would refuse this machine."""
        errors = [finding for finding in self.lint() if finding.severity == "error"]
        if errors:
            raise DefinitionError(f"AWS would refuse machine {self.name!r}:", errors)

    def to_json(self, indent: int | None = None) -> str:
        """The definition as text.

        Parameters:
            indent: spaces per level; without it, all is in one line

        Raises:
            DefinitionError: as :meth:`to_dict`, or a value that is not JSON
        """
        try:
            return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            if isinstance(error, DefinitionError):
                raise
            raise DefinitionError(f"machine {self.name!r} holds a value that is not JSON: {error}") from error

    @classmethod
    def from_dict(cls: type[AnyMachine], name: str, definition: Mapping[str, Any], **fields: Any) -> AnyMachine:
        """Read a definition in the states language.

        What :func:`lint` finds no error in can be read, and ``from_dict(name, definition).to_dict() == definition``.

        Parameters:
            name: of the machine; definitions hold none
            definition: as AWS takes it
            fields: passed on to the class

        Raises:
            DefinitionError: what is there cannot be made into states; :func:`lint` says more about it
        """
        if not isinstance(definition, Mapping):
            raise DefinitionError(f"machine {name!r}: a definition is an object, not {definition!r}")
        rest = dict(definition)
        known = {attribute: rest.pop(field) for attribute, field in cls.FIELDS if field in rest}
        start_at = rest.pop("StartAt", None)
        if not isinstance(start_at, str):
            raise DefinitionError(f"machine {name!r}: StartAt must be the name of a state, not {start_at!r}")
        try:
            states = read_states(name, rest.pop("States", None), StateMachine.from_dict)
        except RecursionError:
            raise DefinitionError(f"machine {name!r} is nested too deeply to be read") from None
        return cls(name, states, start_at, extra=rest, **known, **fields)

    @classmethod
    def from_json(cls: type[AnyMachine], name: str, text: str, **fields: Any) -> AnyMachine:
        """Read a definition from text; see :meth:`from_dict`.

        Raises:
            DefinitionError: the text is not JSON, or uses a key twice in one object
        """
        document = read_json(text)
        if document.problem or document.duplicates:
            problem = document.problem or f"the key {document.duplicates[0]!r} is there twice"
            raise DefinitionError(f"machine {name!r}: not a definition: {problem}")
        return cls.from_dict(name, document.value, **fields)


def construct_state_machine(
    name: str,
    start_state: State,
    comment: str | Missing = MISSING,
    timeout: int | Missing = MISSING,
    *,
    cls: type[AnyMachine] = StateMachine,  # type: ignore[assignment]
    **fields: Any,
) -> AnyMachine:
    """Make a machine of a state and all that can be reached from it: by next, choices, default and catch.

    Connect the states first: what is connected later has to be added to the machine with its ``add``.

    Parameters:
        name: of the machine
        start_state: the first state
        comment: for people
        timeout: seconds that an execution may take
        cls: the class to make
        fields: passed on to the class

    Raises:
        DuplicateName: two states that can be reached have one name

    Example:
        >>> first = Pass("first")
        >>> first.goes_to(Succeed("last"))
        Succeed('last')
        >>> list(construct_state_machine("two", first).states)
        ['first', 'last']
    """
    return cls.construct(name, start_state, comment, timeout, **fields)


def _reachable(start: State) -> dict[str, State]:
    """The states by name, each followed by what comes after it, as one would read them."""
    found: dict[str, State] = {}
    came_from: dict[str, str] = {}
    todo: list[tuple[State, str]] = [(check_state(start), "the start state")]
    while todo:
        state, whence = todo.pop()
        other = found.setdefault(state.name, state)
        if other is not state:
            raise _duplicate(state.name, f"{other} ({came_from[state.name]})", f"{state} ({whence})")
        if state.name not in came_from:
            came_from[state.name] = whence
            todo.extend((after, f"after {state}") for after in reversed(state.successors()))
    return found


def _duplicate(name: str, first: str, second: str) -> DuplicateName:
    remedy = "give one of them another name"
    return DuplicateName("state name", name, first=first, second=second, remedy=remedy)
