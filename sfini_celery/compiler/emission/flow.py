"""Branches and loops."""

from __future__ import annotations

from dataclasses import replace

from sfini_celery import asl
from sfini_celery.asl import MISSING
from sfini_celery.asl.comparisons import COMPARISONS
from sfini_celery.canvas import Condition
from sfini_celery.compiler.emission.emitter import Emitter, emits, pass_on, settled
from sfini_celery.compiler.emission.fragment import End, Fragment, enclosed, state_end
from sfini_celery.compiler.emission.frame import Frame, Previous
from sfini_celery.compiler.emission.paths import path_of, rule_of
from sfini_celery.compiler.nodes import Branching, Loop, Node
from sfini_celery.errors import Ending

__all__: list[str] = []


def _rule(condition: Condition, node: Node, frame: Frame, previous: Previous) -> asl.ChoiceRule:
    return rule_of(condition, lambda expression: path_of(expression, frame, previous, node.place))


@emits(Branching)
def _emit_choice(emitter: Emitter, node: Branching, frame: Frame, previous: Previous) -> Fragment:
    state = asl.Choice(
        emitter.names.give(node.title, node.path, chosen=node.name),
        comment=str(node.conditions[0]) if node.name else MISSING,
    )
    ends: list[End] = []
    for place, (condition, branch) in enumerate(zip(node.conditions, node.branches, strict=True)):
        fragment = _branch(emitter, branch, place, frame, previous)
        rule = _rule(condition, node, frame, previous)
        state.add(replace(rule, next_state=fragment.start))  # type: ignore[call-arg]
        ends.extend(fragment.ends)
    if node.otherwise is not None:
        fragment = _branch(emitter, node.otherwise, len(node.branches), frame, previous)
        state.set_default(fragment.start)
        ends.extend(fragment.ends)
    elif previous is Previous.RESULT:
        ends.append(End(state.set_default, lambda result: _end_choice(emitter, node, state, result)))
    else:
        passing = pass_on(emitter, frame, previous, node)
        state.set_default(passing)
        ends.append(state_end(passing))
    return Fragment(state, tuple(ends))


def _branch(emitter: Emitter, node: Node, place: int, frame: Frame, previous: Previous) -> Fragment:
    inner = replace(frame.at(place), named=dict(frame.named))
    return settled(emitter, emitter.emit(node, inner, previous), inner, node)


def _end_choice(emitter: Emitter, node: Node, state: asl.Choice, result: str) -> None:
    name = emitter.names.give("no condition holds", node.path)
    state.set_default(asl.Pass(name, output_path=result if result != "$" else MISSING))


@emits(Loop)
def _emit_loop(emitter: Emitter, node: Loop, frame: Frame, previous: Previous) -> Fragment:
    if node.at_most is None:
        return _loop(emitter, node, frame.at(0), frame, previous)
    around = frame.branch() if frame.guarded else frame
    fragment = _loop(emitter, node, around.at(0), around, previous)
    if not frame.guarded:
        return fragment
    # A Fail state cannot be caught, but what it is in can.
    name = emitter.names.give(f"loop {node.body.title}", node.path)
    whole = enclosed(fragment, frame, name, "so that its end without success can be caught")
    if previous is Previous.START:
        emitter.first.add(whole.start)
    return whole


def _loop(emitter: Emitter, node: Loop, inner: Frame, frame: Frame, previous: Previous) -> Fragment:
    check = asl.Choice(
        emitter.names.give(node.title, node.path, chosen=node.name), comment=str(node.until) if node.name else MISSING
    )
    first = settled(emitter, emitter.emit(node.body, inner, previous), inner, node)
    again = first
    if previous is not Previous.RESULT:  # the first round gets the start, and not a result
        with emitter.names.repeating():
            again = settled(emitter, emitter.emit(node.body, inner, Previous.RESULT), inner, node)
    for end in (*first.ends, *(again.ends if again is not first else ())):
        end.connect(check)
    done = asl.Pass(emitter.names.give("done", node.path))
    holds = _rule(node.until, node, replace(frame, named=inner.named), Previous.RESULT)
    check.add(replace(holds, next_state=done))  # type: ignore[call-arg]
    start: asl.State = first.start
    if node.at_most is None:
        check.set_default(again.start)
    else:
        start = _counted(emitter, node, check, first.start, again.start)
    return Fragment(start, (_skipped(check, done),))


def _counted(emitter: Emitter, node: Loop, check: asl.Choice, first: asl.State, again: asl.State) -> asl.State:
    """The state that begins to count the rounds of a loop."""
    rounds = emitter.variable("rounds")
    left = COMPARISONS["NumericLessThan"](f"${rounds}", node.at_most, again)
    check.add(replace(left, assign={f"{rounds}.$": f"States.MathAdd(${rounds}, 1)"}))
    check.set_default(
        asl.Fail(
            emitter.names.give("loop exhausted", node.path),
            error=str(Ending.LOOP_EXHAUSTED),
            cause=f"the condition did not hold after {node.at_most} rounds",
        )
    )
    start = asl.Pass(
        emitter.names.give("count rounds", node.path), comment=f"at most {node.at_most}", assign={rounds: 1}
    )
    start.goes_to(first)
    return start


def _skipped(check: asl.Choice, done: asl.Pass) -> End:
    """The end of a loop: the state that follows takes the place of ``done``, which is there for when none does."""

    def connect(following: asl.State) -> None:
        check.choices[0] = replace(check.choices[0], next_state=following)  # type: ignore[call-arg]

    return End(connect, state_end(done).finish)
