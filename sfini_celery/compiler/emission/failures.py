"""What runs when something fails: ``catch``, and items of ``each(tolerate=True)``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from sfini_celery import asl
from sfini_celery.asl.comparisons import COMPARISONS
from sfini_celery.compiler.emission.emitter import Emitter, emits, settled
from sfini_celery.compiler.emission.fragment import Fragment, of_state, states_of
from sfini_celery.compiler.emission.frame import Error, Frame, Previous
from sfini_celery.compiler.nodes import Caught, Each, Group, Handler, Node, Sequence, Step, Waiting
from sfini_celery.errors import CompileError

__all__ = ["tolerant"]

_WILDCARDS = frozenset({"States.ALL", "States.TaskFailed", "States.ExceedToleratedFailureThreshold"})
_ALL = "States.ALL"


@emits(Caught)
def _emit_catch(emitter: Emitter, node: Caught, frame: Frame, previous: Previous) -> Fragment:
    _refuse_impossible_names(node)
    listed = tuple(name for handler in node.handlers for name in handler.errors if "." not in name)
    inner = replace(frame.branch(0), errors=tuple(dict.fromkeys((*frame.errors, *listed))), guarded=True)
    body = settled(emitter, emitter.emit(node.body, inner, previous), inner, node)
    failing = _failing(emitter, body)
    _refuse_names_from_distributed(node, failing)
    ends = list(body.ends)
    for place, handler in enumerate(node.handlers):
        repeated = False
        for before in (Previous.START, Previous.RESULT):
            states = [state for state in failing if (state in emitter.first) is (before is Previous.START)]
            if not states:
                continue
            with emitter.names.repeating() if repeated else nullcontext():
                fragment, variable = _emit_handler(emitter, handler, frame.at(place + 1), frame.failed(before))
            for state in states:
                _catch(state, emitter.matching(handler.errors), fragment.start, variable)
            ends.extend(fragment.ends)
            repeated = True
    return Fragment(body.start, tuple(ends))


def _emit_handler(emitter: Emitter, handler: Handler, frame: Frame, input: Mapping[str, Any]) -> tuple[Fragment, str]:
    """A handler's states, and the variable in which they expect the error."""
    variable, frame = emitter.variable("caught"), replace(frame, named=dict(frame.named))
    if _takes_envelope(handler.body) and not frame.guarded:  # the worker puts together what the handler gets
        around = replace(frame, error=Error(f"${variable}", input))
        fragment = emitter.emit(handler.body, around, Previous.CAUGHT)
        return fragment, variable
    told = _told(emitter, handler.body, frame, variable, input)
    fragment = settled(emitter, emitter.emit(handler.body, frame, Previous.RESULT), frame, handler.body)
    for end in told.ends:
        end.connect(fragment.start)
    return Fragment(told.start, fragment.ends), variable


def _takes_envelope(node: Node) -> bool:
    """Whether the first to look at what comes before is a worker."""
    if type(node) is Step:
        return all(expression.step is not None for expression in node.reads)
    if isinstance(node, Group):
        return bool(node.members) and all(map(_takes_envelope, node.members))
    if isinstance(node, Sequence):
        for step in node.steps:
            if not (isinstance(step, Waiting) and next(step.reads, None) is None):
                return _takes_envelope(step)
    return False


def _refuse_impossible_names(node: Caught) -> None:
    for name in (name for handler in node.handlers for name in handler.errors if name.startswith("States.")):
        if name == "States.Runtime":
            raise CompileError(node.place, f"{name} cannot be caught: AWS ends the execution")
        if name not in asl.RESERVED_ERRORS and not name.startswith("States.Http."):
            known = ", ".join(sorted(asl.RESERVED_ERRORS - {"States.Runtime"}))
            raise CompileError(node.place, f"there is no error {name!r}", f"those with States. are {known}")


def _refuse_names_from_distributed(node: Caught, failing: list[Any]) -> None:
    """A distributed map fails with an error of its own, whatever its items failed with."""
    maps = [name for state in failing for name in _distributed_in(state)]
    for handler in node.handlers:
        if maps and not _WILDCARDS.intersection(handler.errors):
            raise CompileError(
                node.place,
                f"catch of {', '.join(handler.errors)} around {maps[0]!r}, which runs in executions of its own and "
                "fails with States.ExceedToleratedFailureThreshold, whatever a member failed with",
                "catch inside of it, or catch Exception",
            )


def _distributed_in(state: Any) -> Iterator[str]:
    """Names of the distributed maps that a state is or holds."""
    machines: list[asl.StateMachine] = []
    if isinstance(state, asl.Map) and state.processor is not None:
        config = state.processor_config
        if config is not asl.MISSING and config["Mode"] == "DISTRIBUTED":
            yield state.name
        machines = [state.processor]
    elif isinstance(state, asl.Parallel):
        machines = state.branches
    for machine in machines:
        for inner in machine.states.values():
            yield from _distributed_in(inner)


def _failing(emitter: Emitter, body: Fragment) -> list[Any]:
    """The states of a body whose failure is the body's."""
    return [state for state in states_of(body) if hasattr(state, "catchers") and state not in emitter.callbacks]


def _catch(state: Any, errors: tuple[str, ...], handler: asl.State, variable: str) -> None:
    """Catch what nothing on the state catches yet: an inner handler comes first."""
    caught = {name for catcher in state.catchers for name in catcher.errors}
    left = tuple(name for name in errors if name not in caught)
    if left and _ALL not in caught:
        state.catchers.append(asl.Catcher(left, handler, None, assign={f"{variable}.$": "$"}))


def _told(emitter: Emitter, node: Node, frame: Frame, variable: str, input: Mapping[str, Any]) -> Fragment:
    """An error as a result: ``{"error", "message", "traceback"}`` and the input, as far as the cause tells."""
    give, path = emitter.names.give, node.path
    known = asl.Pass(
        give("error with its cause", path),
        parameters={
            "error.$": f"${variable}_cause.errorType",
            "message.$": f"${variable}_cause.errorMessage",
            "traceback.$": f"${variable}_cause.stackTrace",
            **input,
        },
        result_path=frame.result_path,
    )
    unknown = asl.Pass(
        give("error without a trace", path),
        comment="no worker wrote the cause",
        parameters={
            "error.$": f"${variable}.Error", "message.$": f"${variable}.Cause", "traceback": "", **input,
        },
        result_path=frame.result_path,
    )  # fmt: skip
    read = asl.Pass(
        give("read the cause", path), assign={f"{variable}_cause.$": f"States.StringToJson(${variable}.Cause)"}
    )
    read.goes_to(known)
    told = asl.Choice(give("what failed", path), comment="a worker's cause is JSON, anyone else's is text")
    told.add(COMPARISONS["StringMatches"](f"${variable}.Cause", '{"errorType":*', read))
    told.set_default(unknown)
    return Fragment(told, (*of_state(known).ends, *of_state(unknown).ends))


def tolerant(emitter: Emitter, node: Each, frame: Frame) -> Fragment:
    """The body of an ``each`` whose failure is its result."""
    inner = replace(frame.branch(), guarded=True)
    body = settled(emitter, emitter.emit(node.body, inner, Previous.RESULT), inner, node)
    failing = _failing(emitter, body)
    if not failing:
        return body
    variable = emitter.variable("failed")
    told = _told(emitter, node, frame, variable, {})
    for state in failing:
        _catch(state, (_ALL,), told.start, variable)
    return Fragment(body.start, (*body.ends, *told.ends))
