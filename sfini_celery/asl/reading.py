"""States from a definition in the states language.

A definition is read in two passes: first every state, then what they go to, so that loops are references to states
that are already there. What is not known is kept as it is, so that writing a machine that was read changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sfini_celery.asl.rules import ChoiceRule
from sfini_celery.asl.state import CanFail, Catcher, HasNext, Retrier, State
from sfini_celery.asl.states import Choice, Fail, Pass, Succeed, Wait
from sfini_celery.asl.work import Map, Parallel, Task
from sfini_celery.errors import DefinitionError

if TYPE_CHECKING:
    from sfini_celery.asl.machine import StateMachine

__all__ = ["KINDS", "read_states"]

KINDS: Mapping[str, type[State]] = {
    kind.TYPE: kind for kind in (Task, Pass, Wait, Choice, Parallel, Map, Succeed, Fail)
}
"""The class of each ``Type``."""

ReadMachine = Callable[[str, Any], "StateMachine"]


def read_states(machine: str, definitions: object, read_machine: ReadMachine) -> dict[str, State]:
    """The states of one machine.

    Parameters:
        machine: its name, for messages
        definitions: the ``States`` field
        read_machine: reads a branch or an item processor, given a name and its definition

    Raises:
        DefinitionError: what is there is no definition of states, or a state goes to one that is not there
    """
    if not isinstance(definitions, Mapping):
        raise DefinitionError(f"machine {machine!r}: States must be an object of states")
    rests = {name: _object(f"state {name!r}", definition) for name, definition in definitions.items()}
    states = {name: _create(name, rest, read_machine) for name, rest in rests.items()}
    for name, state in states.items():
        _link(state, rests[name], states)
        state.extra = rests[name]
    return states


def _object(what: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DefinitionError(f"{what} must be an object, not {value!r}")
    return dict(value)


def _list(what: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise DefinitionError(f"{what} must be a list, not {value!r}")
    return value


def _create(name: str, rest: dict[str, Any], read_machine: ReadMachine) -> State:
    """The state without what it goes to; what was used is taken out of ``rest``."""
    type_name = rest.pop("Type", None)
    kind = KINDS.get(type_name) if isinstance(type_name, str) else None
    if kind is None:
        raise DefinitionError(f"state {name!r}: the Type is one of {', '.join(KINDS)}, not {type_name!r}")
    fields = {attribute: rest.pop(field) for attribute, field in kind.FIELDS if field in rest}
    if kind is Task:
        return _task(name, rest, fields)
    if kind is Map:
        return _map(name, rest, fields, read_machine)
    state = kind(name, **fields)
    if isinstance(state, Parallel):
        branches = _list(f"state {name!r}: Branches", rest.pop("Branches", None))
        state.branches = [read_machine(f"{name} {number}", branch) for number, branch in enumerate(branches, 1)]
    return state


def _task(name: str, rest: dict[str, Any], fields: dict[str, Any]) -> Task:
    if not isinstance(rest.get("Resource"), str):
        raise DefinitionError(f"state {name!r}: a Task needs a Resource, an ARN")
    if "HeartbeatSeconds" in rest and rest["HeartbeatSeconds"] is not None:
        fields["heartbeat"] = rest.pop("HeartbeatSeconds")
    return Task(name, rest.pop("Resource"), **fields)


def _map(name: str, rest: dict[str, Any], fields: dict[str, Any], read_machine: ReadMachine) -> Map:
    field = "ItemProcessor" if "ItemProcessor" in rest else "Iterator"
    processor = _object(f"state {name!r}: {field}", rest.pop(field, None))
    state = Map(name, legacy=field == "Iterator", **fields)
    if "ProcessorConfig" in processor:
        state.processor_config = processor.pop("ProcessorConfig")
    state.processor = read_machine(name, processor)
    return state


def _link(state: State, rest: dict[str, Any], states: Mapping[str, State]) -> None:
    def target(of: Mapping[str, Any], field: str) -> State:
        found = states.get(of[field]) if isinstance(of.get(field), str) else None
        if found is None:
            raise DefinitionError(f"state {state.name!r}: {field} is {of.get(field)!r}, which is no state beside it")
        return found

    if isinstance(state, HasNext):
        if "Next" in rest:
            state.next = target(rest, "Next")
            del rest["Next"]
        elif rest.get("End") is True:
            del rest["End"]
        else:
            raise DefinitionError(f"state {state.name!r} needs a Next or an End")
    if isinstance(state, CanFail):
        # An empty list is no handler and stays in ``rest``, to be written as it was read.
        if rest.get("Retry"):
            state.retriers = [_retrier(state, retrier) for retrier in _list("Retry", rest.pop("Retry"))]
        if rest.get("Catch"):
            catchers = [_object("a catcher", catcher) for catcher in _list("Catch", rest.pop("Catch"))]
            state.catchers = [_catcher(state, catcher, target(catcher, "Next")) for catcher in catchers]
    if isinstance(state, Choice):
        rules = _list(f"state {state.name!r}: Choices", rest.pop("Choices", None))
        for rule in rules:
            state.add(ChoiceRule.from_dict(rule, states))
        if "Default" in rest:
            state.default = target(rest, "Default")
            del rest["Default"]


def _errors(state: State, handler: dict[str, Any]) -> tuple[str, ...]:
    errors = handler.pop("ErrorEquals", None)
    if not isinstance(errors, list) or not all(isinstance(error, str) for error in errors):
        raise DefinitionError(f"state {state.name!r}: ErrorEquals must be a list of names, not {errors!r}")
    return tuple(errors)


def _retrier(state: State, definition: object) -> Retrier:
    rest = _object(f"state {state.name!r}: a retrier", definition)
    fields = {attribute: rest.pop(field) for attribute, field in Retrier.FIELDS if field in rest}
    return Retrier(_errors(state, rest), **fields, extra=rest)


def _catcher(state: State, rest: dict[str, Any], next_state: State) -> Catcher:
    del rest["Next"]
    fields = {attribute: rest.pop(field) for attribute, field in Catcher.FIELDS if field in rest}
    return Catcher(_errors(state, rest), next_state, **fields, extra=rest)
