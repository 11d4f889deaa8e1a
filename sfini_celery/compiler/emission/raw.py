"""States of the states language as the user wrote them."""

from __future__ import annotations

from typing import Any

from sfini_celery import asl
from sfini_celery.asl import MISSING
from sfini_celery.compiler.emission.emitter import Emitter, emits
from sfini_celery.compiler.emission.fragment import Fragment, enclosed, joined, of_state
from sfini_celery.compiler.emission.frame import Frame, Previous
from sfini_celery.compiler.nodes import Raw
from sfini_celery.errors import CompileError

__all__: list[str] = []

_STEPS = ("Task", "Pass", "Wait", "Parallel", "Map", "Fail")


@emits(Raw)
def _emit_raw(emitter: Emitter, node: Raw, frame: Frame, previous: Previous) -> Fragment:
    kind = node.state.get("Type")
    if kind not in _STEPS:
        raise CompileError(
            node.place,
            f"asl: a {kind} state cannot be a step",
            "use choice(...); a step is one of " + ", ".join(_STEPS),
        )
    if node.state.get("Catch"):
        raise CompileError(node.place, "asl: a state with Catch leads out of its step", "use catch(asl(...), {...})")
    name = emitter.names.give(node.title, node.path, chosen=node.name)
    state = _read(node, name)
    if kind == "Fail":
        if not frame.guarded:
            return Fragment(state, ())
        around = emitter.names.give(f"fail at {name}", node.path)
        return _first(emitter, previous, enclosed(Fragment(state, ()), frame, around, "so that it can be caught"))
    where = frame.value(previous)
    if where == "$":
        return of_state(state, previous if kind == "Wait" else Previous.RESULT)
    if state.query_language == "JSONata" or kind == "Wait" or state.output_path is not MISSING:
        return _first(emitter, previous, _alone(emitter, node, frame, state, where))
    _reroot(state, where, frame)
    return _first(emitter, previous, of_state(state))


def _first(emitter: Emitter, previous: Previous, fragment: Fragment) -> Fragment:
    if previous is Previous.START:
        emitter.first.add(fragment.start)
    return fragment


def _read(node: Raw, name: str) -> Any:
    written = dict(node.state) if node.state.get("Type") == "Fail" else {**node.state, "End": True}
    try:
        return asl.StateMachine.from_dict("step", {"StartAt": name, "States": {name: written}}).states[name]
    except ValueError as exc:
        raise CompileError(node.place, f"asl: {exc}") from exc


def _reroot(state: Any, where: str, frame: Frame) -> None:
    """Make the paths of a state begin at the previous result, where the data holds more than that."""
    own = state.input_path
    state.input_path = where if own is MISSING else None if own is None else where + own[1:]
    if frame.kept:
        result = state.result_path
        state.result_path = frame.result if result is MISSING else None if result is None else frame.result + result[1:]


def _alone(emitter: Emitter, node: Raw, frame: Frame, state: Any, where: str) -> Fragment:
    """A state in a branch of its own, whose data is the previous result and nothing else; its output is unpacked."""
    machine: asl.StateMachine = asl.construct_state_machine("alone", state)
    around: Any = asl.Parallel(
        emitter.names.give(f"around {state.name}", node.path),
        comment="gives the state the previous result alone",
        input_path=where,
        result_path=frame.result_path,
    )
    around.add(machine)
    unpack = asl.Pass(
        emitter.names.give(f"result of {state.name}", node.path),
        input_path=f"{frame.result}[0]",
        result_path=frame.result_path,
    )
    return joined(of_state(around), of_state(unpack))
