"""Names in nested machines: AWS wants a state's name to be unique in the whole definition, branches included.

Machines are built one by one, so two branches may well have a state of the same name. The machine around them keeps
each name for the first state that has it, outer machines before inner ones, and puts the name of its machine after the
others: ``log`` and ``log (printSM)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sfini_celery.asl.state import State
from sfini_celery.asl.work import Map, Parallel
from sfini_celery.errors import DefinitionError
from sfini_celery.names import LONGEST_NAME

if TYPE_CHECKING:
    from sfini_celery.asl.machine import StateMachine

__all__ = ["check_nesting", "machines_in", "with_unique_names"]

Scope = tuple["StateMachine", dict[str, Any]]
"""A machine and its definition."""


def machines_in(state: State) -> list[StateMachine]:
    """The machines that a Parallel or Map state runs."""
    if isinstance(state, Parallel):
        return list(state.branches)
    if isinstance(state, Map) and state.processor is not None:
        return [state.processor]
    return []


def check_nesting(machine: StateMachine, around: tuple[StateMachine, ...] = ()) -> None:
    """Raise DefinitionError for a machine that is inside itself."""
    if any(outer is machine for outer in around):
        raise DefinitionError(f"machine {machine.name!r} is inside itself; a loop is made with goes_to")
    for state in machine.states.values():
        for inner in machines_in(state):
            check_nesting(inner, (*around, machine))


def with_unique_names(machine: StateMachine, definition: dict[str, Any]) -> dict[str, Any]:
    """The definition with every name of a state used once; unchanged when it is so already."""
    scopes = list(_scopes(machine, definition))
    names = [name for _, scope in scopes for name in scope["States"]]
    if len(set(names)) == len(names):
        return definition
    wanted = set(names)
    taken: set[str] = set()
    for owner, scope in scopes:
        changes: dict[str, str] = {}
        for name in scope["States"]:
            if name in taken:
                changes[name] = _free_name(name, owner.name, wanted | taken)
            taken.add(changes.get(name, name))
        if changes:
            _rename(scope, changes)
    return definition


def _scopes(machine: StateMachine, definition: dict[str, Any]) -> Iterator[Scope]:
    """The machine and all inside it, outer before inner, each with its part of the definition."""
    level: list[Scope] = [(machine, definition)]
    while level:
        yield from level
        inner: list[Scope] = []
        for owner, scope in level:
            for state, written in zip(owner.states.values(), scope["States"].values(), strict=True):
                inner.extend(zip(machines_in(state), _definitions_in(written), strict=True))
        level = inner


def _definitions_in(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    if state["Type"] == "Parallel":
        return list(state["Branches"])
    if state["Type"] == "Map":
        return [state["ItemProcessor"] if "ItemProcessor" in state else state["Iterator"]]
    return []


def _free_name(name: str, machine: str, taken: set[str]) -> str:
    number = 1
    while True:
        suffix = f" ({machine[:40]}{'' if number == 1 else f' {number}'})"
        free = name[: LONGEST_NAME - len(suffix)] + suffix
        if free not in taken:
            return free
        number += 1


def _rename(scope: dict[str, Any], changes: Mapping[str, str]) -> None:
    scope["StartAt"] = changes.get(scope["StartAt"], scope["StartAt"])
    scope["States"] = {changes.get(name, name): state for name, state in scope["States"].items()}
    for state in scope["States"].values():
        for field in ("Next", "Default"):
            if field in state:
                state[field] = changes.get(state[field], state[field])
        for target in (*state.get("Catch", ()), *state.get("Choices", ())):
            target["Next"] = changes.get(target["Next"], target["Next"])
