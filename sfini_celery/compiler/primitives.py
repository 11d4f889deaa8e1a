"""Steps that Celery lacks -> states."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sfini_celery import asl
from sfini_celery.asl import MISSING
from sfini_celery.asl.comparisons import COMPARISONS
from sfini_celery.canvas import Condition, Expression
from sfini_celery.compiler.emit import Emitter, emits
from sfini_celery.compiler.fragment import End, Fragment, close, joined, state_end, states_of
from sfini_celery.compiler.frame import Frame, Previous
from sfini_celery.compiler.nodes import Branching, Caught, Each, Loop, Node, Raw, Sequence, Step, Waiting
from sfini_celery.compiler.paths import path_of, rule_of
from sfini_celery.errors import CompileError, Ending

_RAW_TYPES = ("Task", "Pass", "Wait", "Parallel", "Map", "Fail")


def _rule(condition: Condition, node: Node, frame: Frame, previous: Previous) -> asl.ChoiceRule:
    return rule_of(condition, lambda expression: path_of(expression, frame, previous, node.place))


def _settled(emitter: Emitter, fragment: Fragment, frame: Frame, node: Node) -> Fragment:
    """The fragment with a result at its end: a mere wait at the start has none."""
    if fragment.after is Previous.RESULT:
        return fragment
    state = _pass_on(emitter, frame, fragment.after, node)
    return joined(fragment, Fragment(state, (state_end(state),)))


def _pass_on(emitter: Emitter, frame: Frame, previous: Previous, node: Node) -> asl.Pass:
    """A state whose result is what came before."""
    name = emitter.names.give("pass on", node.path)
    if previous is Previous.RESULT:
        return asl.Pass(name)
    return asl.Pass(name, input_path=frame.value(previous), result_path=frame.result_path)


@emits(Waiting)
def _emit_wait(emitter: Emitter, node: Waiting, frame: Frame, previous: Previous) -> Fragment:
    name = emitter.names.give("wait", node.path, chosen=node.name)
    if isinstance(node.seconds, Expression):
        state = asl.Wait(name, seconds_path=path_of(node.seconds, frame, previous, node.place))
    elif isinstance(node.until, Expression):
        state = asl.Wait(name, timestamp_path=path_of(node.until, frame, previous, node.place))
    elif isinstance(node.until, datetime):
        state = asl.Wait(name, node.until)
    else:
        state = asl.Wait(name, node.seconds or 0)
    return Fragment(state, (state_end(state),), previous)


@emits(Each)
def _emit_each(emitter: Emitter, node: Each, frame: Frame, previous: Previous) -> Fragment:
    name = emitter.names.give(f"each {_describe(node.body)}", node.path, chosen=node.name)
    selector: dict[str, Any] = {"r.$": "$$.Map.Item.Value"}
    inner = frame.at(0)
    literals, named = inner.literals, dict(frame.named)
    if inner.literals is not None and (node.distributed or inner.literals_travel):
        selector["a.$"] = inner.literals
        literals = "$.a"
    if node.distributed:  # it sees no variables of the parent's
        wanted = emitter.wanted(node.body) & named.keys()
        if wanted:
            selector["v"] = {f"n{place}.$": named[key] for place, key in enumerate(sorted(wanted))}
        named = {key: f"$.v.n{place}" for place, key in enumerate(sorted(wanted))}
    body_frame = frame.item(literals=literals, named=named)
    body = _settled(emitter, emitter.emit(node.body, body_frame, Previous.RESULT), body_frame, node)
    if node.tolerate:
        body = _tolerant(emitter, node, body)
    state = asl.Map(
        name,
        close(body, body_frame, "item"),
        items_path=frame.value(previous),
        item_selector={**selector, **frame.indexes()},
        max_concurrency=MISSING if node.concurrency is None else node.concurrency,
        mode="DISTRIBUTED" if node.distributed else MISSING,
        result_path=frame.result_path,
    )
    return Fragment(state, (state_end(state),))


def _describe(node: Node) -> str:
    if isinstance(node, Step):
        return node.task
    return f"{_describe(node.steps[0])} ..." if isinstance(node, Sequence) else "item"


def _tolerant(emitter: Emitter, node: Each, body: Fragment) -> Fragment:
    """A body whose failure is its result: ``{"error", "message", "traceback"}``, as far as the cause tells."""
    told = asl.Choice(emitter.names.give("what failed", node.path))
    read = asl.Pass(
        emitter.names.give("read the cause", node.path),
        parameters={"error.$": "$.e.Error", "cause.$": "States.StringToJson($.e.Cause)"},
    )
    known = asl.Pass(
        emitter.names.give("failed", node.path),
        parameters={"error.$": "$.error", "message.$": "$.cause.errorMessage", "traceback.$": "$.cause.stackTrace"},
    )
    unknown = asl.Pass(
        emitter.names.give("failed without a trace", node.path),
        parameters={"error.$": "$.e.Error", "message.$": "$.e.Cause", "traceback": ""},
    )
    told.add(COMPARISONS["StringMatches"]("$.e.Cause", '{"errorType":*', read))
    told.set_default(unknown)
    read.goes_to(known)
    for state in states_of(body):
        _catch(state, ("States.ALL",), told, "$.e")
    closed = [End(state.goes_to, lambda result: None) for state in (known, unknown)]
    return Fragment(body.start, (*body.ends, *closed))


def _catch(state: Any, errors: tuple[str, ...], handler: asl.State, path: str | None, **fields: Any) -> None:
    """Catch what nothing on the state catches yet: an inner handler comes first."""
    if not hasattr(state, "catchers"):
        return
    caught = {name for catcher in state.catchers for name in catcher.errors}
    left = tuple(name for name in errors if name not in caught)
    if left and "States.ALL" not in caught:
        state.catch(left, handler, path, **fields)


@emits(Branching)
def _emit_choice(emitter: Emitter, node: Branching, frame: Frame, previous: Previous) -> Fragment:
    state = asl.Choice(emitter.names.give("choice", node.path, chosen=node.name))
    ends: list[End] = []
    for place, (condition, branch) in enumerate(zip(node.conditions, node.branches, strict=True)):
        inner = replace(frame.at(place), named=dict(frame.named))
        fragment = _settled(emitter, emitter.emit(branch, inner, previous), inner, branch)
        rule = _rule(condition, node, frame, previous)
        state.add(replace(rule, next_state=fragment.start))  # type: ignore[call-arg]
        ends.extend(fragment.ends)
    if node.otherwise is not None:
        inner = replace(frame.at(len(node.branches)), named=dict(frame.named))
        fragment = _settled(emitter, emitter.emit(node.otherwise, inner, previous), inner, node.otherwise)
        state.set_default(fragment.start)
        ends.extend(fragment.ends)
    elif previous is Previous.RESULT:
        ends.append(End(state.set_default, lambda result: _end_choice(emitter, node, state, result)))
    else:
        passing = _pass_on(emitter, frame, previous, node)
        state.set_default(passing)
        ends.append(state_end(passing))
    return Fragment(state, tuple(ends))


def _end_choice(emitter: Emitter, node: Node, state: asl.Choice, result: str) -> None:
    name = emitter.names.give("none holds", node.path)
    state.set_default(asl.Pass(name, output_path=result if result != "$" else MISSING))


@emits(Loop)
def _emit_loop(emitter: Emitter, node: Loop, frame: Frame, previous: Previous) -> Fragment:
    inner = frame.at(0)
    check = asl.Choice(emitter.names.give("until", node.path, chosen=node.name))
    first = _settled(emitter, emitter.emit(node.body, inner, previous), inner, node)
    again = first
    if previous is not Previous.RESULT:  # the first round gets the start, or an error, and not a result
        with emitter.repeating():
            again = _settled(emitter, emitter.emit(node.body, inner, Previous.RESULT), inner, node)
    for end in (*first.ends, *(again.ends if again is not first else ())):
        end.connect(check)
    holds = _rule(node.until, node, replace(frame, named=inner.named), Previous.RESULT)
    done = asl.Pass(emitter.names.give("done", node.path))
    check.add(replace(holds, next_state=done))  # type: ignore[call-arg]
    start: Any = first.start
    if node.at_most is None:
        check.set_default(again.start)
    else:
        rounds = f"rounds_{emitter.number()}"
        left = COMPARISONS["NumericLessThan"](f"${rounds}", node.at_most, again.start)
        check.add(replace(left, assign={f"{rounds}.$": f"States.MathAdd(${rounds}, 1)"}))
        check.set_default(
            asl.Fail(
                emitter.names.give("loop exhausted", node.path),
                error=str(Ending.LOOP_EXHAUSTED),
                cause=f"the condition did not hold after {node.at_most} rounds",
            )
        )
        start = asl.Pass(emitter.names.give("count rounds", node.path), assign={rounds: 1})
        start.goes_to(first.start)
    return Fragment(start, (_skipped(check, done),))


def _skipped(check: asl.Choice, done: asl.Pass) -> End:
    """The end of a loop: the state that follows takes the place of ``done``, which is there for when none does."""

    def connect(following: asl.State) -> None:
        check.choices[0] = replace(check.choices[0], next_state=following)  # type: ignore[call-arg]

    return End(connect, state_end(done).finish)


@emits(Caught)
def _emit_catch(emitter: Emitter, node: Caught, frame: Frame, previous: Previous) -> Fragment:
    names = tuple(name for errors in node.errors for name in errors if not name.startswith("States."))
    inner = replace(frame.at(0), errors=(*frame.errors, *names), named=dict(frame.named))
    body = _settled(emitter, emitter.emit(node.body, inner, previous), inner, node)
    failing = states_of(body)
    if any(isinstance(state, asl.Fail) for state in failing):
        raise CompileError(
            node.place, "a loop(at_most=...) or a Fail state cannot be caught here", "catch outside of it"
        )
    ends = list(body.ends)
    for place, (errors, handler) in enumerate(zip(node.errors, node.handlers, strict=True)):
        variable = f"caught_{emitter.number()}"
        error = "$.e" if frame.kept else f"${variable}"
        around = replace(frame.at(place + 1), error=error, named=dict(frame.named))
        fragment = _settled(emitter, emitter.emit(handler, around, Previous.CAUGHT), around, handler)
        for state in failing:
            if frame.kept:
                _catch(state, errors, fragment.start, "$.e")
            else:
                _catch(state, errors, fragment.start, None, assign={f"{variable}.$": "$"})
        ends.extend(fragment.ends)
    return Fragment(body.start, tuple(ends))


@emits(Raw)
def _emit_raw(emitter: Emitter, node: Raw, frame: Frame, previous: Previous) -> Fragment:
    kind = node.state.get("Type")
    if kind not in _RAW_TYPES:
        raise CompileError(
            node.place,
            f"asl: a {kind} state cannot be a step",
            "use choice(...); a step is a Task, Pass, Wait, Map or Parallel",
        )
    name = emitter.names.give(
        str(node.state.get("Resource", kind)).rpartition(":")[2] or str(kind), node.path, chosen=node.name
    )
    written = dict(node.state) if kind == "Fail" else {**node.state, "End": True}
    try:
        machine = asl.StateMachine.from_dict("step", {"StartAt": name, "States": {name: written}})
    except ValueError as exc:
        raise CompileError(node.place, f"asl: {exc}") from exc
    state: Any = machine.states[name]
    if kind == "Fail":
        return Fragment(state, ())
    where = frame.value(previous)
    if where != "$":
        _reroot(state, where, frame, node)
    return Fragment(state, (state_end(state),), previous if kind == "Wait" else Previous.RESULT)


def _reroot(state: Any, where: str, frame: Frame, node: Raw) -> None:
    """Make the paths of a state begin at the previous result, where the data holds more than that."""
    if node.state.get("QueryLanguage") == "JSONata" or (frame.kept and state.output_path is not MISSING):
        raise CompileError(
            node.place,
            "asl: inside each(...) or a group, or at the start, a state can have neither JSONata nor OutputPath",
            "use Parameters and ResultSelector",
        )
    if isinstance(state, asl.Wait):
        raise CompileError(node.place, "asl: a Wait state here", "use wait(...)")
    own = state.input_path
    state.input_path = where if own is MISSING else None if own is None else where + own[1:]
    if frame.kept:
        result = state.result_path
        state.result_path = frame.result if result is MISSING else None if result is None else frame.result + result[1:]
