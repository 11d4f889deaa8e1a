"""A machine and those inside it: where it starts, what can be reached, what has which name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sfini_celery.asl.lint import values
from sfini_celery.asl.lint.findings import Spot
from sfini_celery.asl.lint.states import check_state
from sfini_celery.asl.lint.values import JSONATA, JSONPATH, kind_of
from sfini_celery.names import LONGEST_NAME

__all__ = ["check_machine"]


@dataclass(frozen=True)
class Scope:
    """A machine, or one inside another.

    Attributes:
        definition: of it
        at: where it is
        states: those that are objects, by name
    """

    definition: Mapping[Any, Any]
    at: Spot
    states: Mapping[str, Mapping[Any, Any]]


def check_machine(definition: Mapping[Any, Any], at: Spot) -> None:
    """Everything about a definition."""
    language = definition.get("QueryLanguage", JSONPATH)
    language = JSONPATH if language == JSONPATH else JSONATA
    _fields(definition, at, outermost=True)
    scopes = list(_scopes(definition, at))
    places = _names(scopes)
    for scope in scopes:
        for name, state in scope.states.items():
            check_state(state, scope.at["States"][name], language)
        _graph(scope, places)


_OUTERMOST = values.object_of(
    {
        "StartAt": (values.text, ""),
        "States": (values.json_object, ""),
        "Comment": (values.text, ""),
        "Version": (values.one_of("1.0"), ""),
        "TimeoutSeconds": (values.whole(1, 99_999_999), ""),
        "QueryLanguage": (values.one_of(JSONPATH, JSONATA), ""),
    }
)
_INNER = values.object_of(
    {
        "StartAt": (values.text, ""),
        "States": (values.json_object, ""),
        "Comment": (values.text, ""),
        "ProcessorConfig": (values.anything, ""),
    }
)


def _fields(definition: Mapping[Any, Any], at: Spot, *, outermost: bool) -> None:
    (_OUTERMOST if outermost else _INNER)(definition, at, "")
    for name, what in (("StartAt", "the name of the first state"), ("States", "the states by name")):
        if name not in definition:
            at.error("MISSING_FIELD", f"needs {name}, {what}")
    states = definition.get("States")
    if not isinstance(states, Mapping):
        return
    if not states:
        at["States"].error("EMPTY", "must hold at least one state")
    for name, state in states.items():
        if not isinstance(state, Mapping):
            at["States"][name].error("WRONG_TYPE", f"must be a state, an object, not {kind_of(state)}")
        if not 0 < len(str(name)) <= LONGEST_NAME:
            message = f"is {len(str(name))} characters long, AWS allows 1 to {LONGEST_NAME}"
            at["States"][name].error("INVALID_STATE_NAME", message)


def _scopes(definition: Mapping[Any, Any], at: Spot) -> Iterator[Scope]:
    """The machine and all inside it, in the order of the definition."""
    todo = [(definition, at)]
    while todo:
        machine, where = todo.pop()
        written = machine.get("States")
        states = written if isinstance(written, Mapping) else {}
        scope = Scope(machine, where, {str(name): s for name, s in states.items() if isinstance(s, Mapping)})
        yield scope
        inner = [found for name, state in scope.states.items() for found in _inner(state, where["States"][name])]
        for inside, place in inner:
            _fields(inside, place, outermost=False)
        todo.extend(reversed(inner))


def _inner(state: Mapping[Any, Any], at: Spot) -> Iterator[tuple[Mapping[Any, Any], Spot]]:
    """The machines that a Parallel or Map state runs."""
    if state.get("Type") == "Parallel" and "Branches" in state:
        branches = state["Branches"]
        if not isinstance(branches, list):
            at["Branches"].error("WRONG_TYPE", f"must be a list of machines, not {kind_of(branches)}")
            return
        if not branches:
            at["Branches"].error("EMPTY", "must hold at least one machine")
        for index, branch in enumerate(branches):
            if isinstance(branch, Mapping):
                yield branch, at["Branches"][index]
            else:
                at["Branches"][index].error("WRONG_TYPE", f"must be a machine, an object, not {kind_of(branch)}")
    if state.get("Type") == "Map":
        for field in ("ItemProcessor", "Iterator"):
            if isinstance(state.get(field), Mapping):
                yield state[field], at[field]


def _names(scopes: list[Scope]) -> dict[str, Spot]:
    """Where each name is first used; a name that is used twice is a finding."""
    places: dict[str, Spot] = {}
    for scope in scopes:
        for name in scope.states:
            here = scope.at["States"][name]
            first = places.setdefault(name, here)
            if first is not here:
                here.error("DUPLICATE_STATE_NAME", f"there is a state of this name at {first.path} already")
    return places


def _targets(state: Mapping[Any, Any], at: Spot) -> Iterator[tuple[object, Spot]]:
    """The names of the states that a state goes to."""
    for field in ("Next", "Default"):
        if field in state:
            yield state[field], at[field]
    for field in ("Catch", "Choices"):
        entries = state.get(field)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, Mapping) and "Next" in entry:
                yield entry["Next"], at[field][index]["Next"]


def _graph(scope: Scope, places: Mapping[str, Spot]) -> None:
    goes_to: dict[str, list[str]] = {}
    for name, state in scope.states.items():
        targets = list(_targets(state, scope.at["States"][name]))
        goes_to[name] = [str(target) for target, at in targets if _is_there(target, at, scope, places)]
    start = scope.definition.get("StartAt")
    if not _is_there(start, scope.at["StartAt"], scope, places):
        return
    if not any(_is_terminal(state) for state in scope.states.values()):
        scope.at["States"].error("NO_TERMINAL_STATE", "no state ends it: one must have an End, or be Succeed or Fail")
    reached: set[str] = set()
    todo = [str(start)]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo.extend(goes_to[name])
    for name in scope.states:
        if name not in reached:
            scope.at["States"][name].error("UNREACHABLE_STATE", f"nothing leads from StartAt to state {name!r}")


def _is_there(target: object, at: Spot, scope: Scope, places: Mapping[str, Spot]) -> bool:
    if not isinstance(target, str):
        return False
    if target in scope.states:
        return True
    elsewhere = places.get(target)
    why = f"it is in another machine, at {elsewhere.path}" if elsewhere else "there is none of that name"
    at.error("UNKNOWN_TARGET", f"there is no state {target!r} to go to: {why}")
    return False


def _is_terminal(state: Mapping[Any, Any]) -> bool:
    return state.get("Type") in ("Succeed", "Fail") or state.get("End") is True
