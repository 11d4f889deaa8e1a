"""A fragment: where a part of a machine starts, and its open ends.

Compiling returns fragments, so that chains, groups and choices compose without special cases.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sfini_celery.asl import MISSING, Parallel, State, StateMachine, construct_state_machine
from sfini_celery.compiler.emission.frame import Frame, Previous

__all__ = ["End", "Fragment", "close", "enclosed", "joined", "of_state", "state_end", "states_of"]


@dataclass(frozen=True)
class End:
    """An open end: what to do when a state follows, and when none does.

    Attributes:
        connect: called with the state that follows
        finish: called with the JSONPath of the result, which the last state of a Map's body must put out alone
    """

    connect: Callable[[State], Any]
    finish: Callable[[str], Any]


@dataclass(frozen=True)
class Fragment:
    """A part of a machine.

    Attributes:
        start: its first state
        ends: its open ends
        after: what the next step follows: the same as this one did, after a mere wait
        main: the state whose raw result is the fragment's; None where that is not one state
    """

    start: State
    ends: tuple[End, ...]
    after: Previous = Previous.RESULT
    main: Any = None


def state_end(state: Any) -> End:
    """The end of a state that another one can follow."""

    def finish(result: str) -> None:
        if getattr(state, "result_path", None) == result:
            state.result_path = MISSING  # the result alone, and no longer beside what the item carried
        elif result != "$":
            state.output_path = result

    return End(state.goes_to, finish)


def of_state(state: Any, after: Previous = Previous.RESULT, *, main: bool = False) -> Fragment:
    """The fragment of one state that another one can follow."""
    return Fragment(state, (state_end(state),), after, state if main else None)


def joined(first: Fragment, second: Fragment) -> Fragment:
    """One fragment after the other."""
    for end in first.ends:
        end.connect(second.start)
    return Fragment(first.start, second.ends, second.after, second.main)


def states_of(fragment: Fragment) -> list[State]:
    """The states of a fragment whose ends are still open, those inside a Map or Parallel left out."""
    return list(construct_state_machine("fragment", fragment.start).states.values())


def close(fragment: Fragment, frame: Frame, name: str, **fields: Any) -> StateMachine:
    """The machine of a fragment: a branch, a Map's body, or the whole."""
    for end in fragment.ends:
        end.finish(frame.value(fragment.after))
    machine: StateMachine = construct_state_machine(name, fragment.start, **fields)
    return machine


def enclosed(fragment: Fragment, frame: Frame, name: str, comment: str) -> Fragment:
    """A fragment as one state that can be caught: a Parallel of one branch, which hands on the data as it finds it."""
    state: Any = Parallel(name, comment=comment, output_path="$[0]")
    if frame.kept:  # the branch puts out the whole item
        state.add(construct_state_machine("enclosed", fragment.start))
    else:
        state.add(close(fragment, frame, "enclosed"))

    def finish(result: str) -> None:
        state.output_path = "$[0]" + result[1:]

    return Fragment(state, (End(state.goes_to, finish),), fragment.after)
