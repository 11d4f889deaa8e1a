"""Nodes -> states. One function per kind of node, registered by type; each returns a fragment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timezone
from itertools import count
from typing import Any, TypeVar

from sfini_celery.asl import MISSING, Map, Parallel, Pass, State, Task, Wait
from sfini_celery.compiler.envelope import envelope
from sfini_celery.compiler.fragment import End, Fragment, close, joined, state_end
from sfini_celery.compiler.frame import Frame, Previous
from sfini_celery.compiler.literals import are_alike, expressions_in, shape_of
from sfini_celery.compiler.naming import StateNames
from sfini_celery.compiler.nodes import Constant, Each, Group, Node, Raw, Sequence, Step
from sfini_celery.compiler.paths import variable_of
from sfini_celery.compiler.retries import add_infrastructure_retries
from sfini_celery.compiler.view import AppView
from sfini_celery.errors import ActivityNotFound, CompileError

__all__ = ["Emitter", "emits"]

MOST_INLINE_ITEMS = 1000
"""A literal group of more members is a distributed map: an inline one's events all count in one history."""

Emission = Callable[["Emitter", Any, Frame, Previous], Fragment]
_EMISSIONS: dict[type[Node], Emission] = {}
AnyEmission = TypeVar("AnyEmission", bound=Emission)


def emits(kind: type[Node]) -> Callable[[AnyEmission], AnyEmission]:
    """Register the function that turns nodes of this type into states."""

    def register(emission: AnyEmission) -> AnyEmission:
        _EMISSIONS[kind] = emission
        return emission

    return register


@dataclass
class Emitter:
    """Turns the nodes of one canvas into states.

    Attributes:
        view: the app
        names: the names given so far
        used: the activities used, by their name in AWS
        references: names of steps whose results are read later
    """

    view: AppView
    names: StateNames = field(default_factory=StateNames)
    used: set[str] = field(default_factory=set)
    references: frozenset[str] = frozenset()
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def emit(self, node: Node, frame: Frame, previous: Previous) -> Fragment:
        """The states of a node. What it is named can be seen from where the frame is used further on."""
        fragment = _EMISSIONS[type(node)](self, node, frame, previous)
        if node.name is not None and node.name in self.references:
            self._remember(node, fragment, frame)
        return fragment

    def number(self) -> int:
        """A number for a variable, each once in the machine."""
        return next(self._numbers)

    def wanted(self, node: Node) -> set[str]:
        """The named steps that a node reads."""
        return {name for expression in expressions_in(node) if (name := expression.step) is not None}

    @contextmanager
    def repeating(self) -> Iterator[None]:
        """While the same node is turned into states a second time: names that the user chose get a number."""
        self.names.repeating = True
        try:
            yield
        finally:
            self.names.repeating = False

    def _remember(self, node: Node, fragment: Fragment, frame: Frame) -> None:
        state: Any = fragment.start
        if not (isinstance(node, Step | Group | Each | Raw) and hasattr(state, "assign")):
            raise CompileError(
                node.place,
                f"prev.of({node.name!r}) names a {type(node).__name__.lower()}",
                "name a task, group or each",
            )
        if isinstance(node, Step) and node.delay is not None:
            state = state.next
        variable = variable_of(node.name or "")
        state.assign = {**(state.assign or {}), f"{variable}.$": "$"}
        frame.named[node.name or ""] = f"${variable}"  # type: ignore[index]


@emits(Sequence)
def _emit_sequence(emitter: Emitter, node: Sequence, frame: Frame, previous: Previous) -> Fragment:
    whole = emitter.emit(node.steps[0], frame.at(0), previous)
    for place, step in enumerate(node.steps[1:], 1):
        whole = joined(whole, emitter.emit(step, frame.at(place), whole.after))
    return whole


@emits(Step)
def _emit_step(emitter: Emitter, node: Step, frame: Frame, previous: Previous) -> Fragment:
    try:
        activity = emitter.view.activities.of_task(node.task)
    except ActivityNotFound as exc:
        raise CompileError(node.place, str(exc), "decorate the task with @app.activity") from exc
    name = activity.name
    if node.queue is not None and node.queue != emitter.view.queue_of(node.task):
        if node.queue not in activity.queues:
            raise CompileError(
                node.place,
                f"task {node.task!r} is routed to queue {node.queue!r}, for which no activity is declared",
                f"write @app.activity(queues=[{node.queue!r}, ...])",
            )
        name = f"{name}@{node.queue}"
    emitter.used.add(name)
    state = Task(
        emitter.names.give(node.task, node.path, chosen=node.name),
        emitter.view.arn_of("activity", name),
        parameters=envelope(node, frame, previous),
        result_path=frame.result_path,
        heartbeat=activity.heartbeat,
        timeout=activity.timeout if activity.timeout is not None else MISSING,
    )
    add_infrastructure_retries(state, at_most_once=activity.at_most_once)
    fragment = Fragment(state, (state_end(state),))
    for place, link in enumerate(node.links):
        fragment = joined(fragment, _emit_link(emitter, link, frame.at(place + 1)))
    return _delayed(emitter, node, frame, previous, fragment)


def _delayed(emitter: Emitter, node: Step, frame: Frame, previous: Previous, fragment: Fragment) -> Fragment:
    if node.delay is None:
        return fragment
    until: Any = node.delay.seconds
    if node.delay.until is not None:
        until = node.delay.until.astimezone(timezone.utc)
    wait = Wait(emitter.names.give(f"wait for {node.task}", node.path), until)
    return joined(Fragment(wait, (state_end(wait),), previous), fragment)


def _emit_link(emitter: Emitter, node: Node, frame: Frame) -> Fragment:
    """A callback: it gets the result, and what becomes of it is dropped; the chain waits for it."""
    fragment = emitter.emit(node, frame, Previous.RESULT)
    state: Any = fragment.start
    if not (isinstance(state, Task) and isinstance(node, Step) and not node.links and node.delay is None):
        branch = close(fragment, frame, "link")
        state = Parallel(emitter.names.give("links", node.path))
        state.add(branch)
    state.result_path = None
    caught = End(
        lambda following: state.catch("States.ALL", following, None),
        lambda result: _end_quietly(emitter, node, state, result),
    )
    return Fragment(state, (state_end(state), caught))


def _end_quietly(emitter: Emitter, node: Node, state: Any, result: str) -> None:
    done = Pass(emitter.names.give("link failed", node.path), output_path=result if result != "$" else MISSING)
    state.catch("States.ALL", done, None)


@emits(Constant)
def _emit_constant(emitter: Emitter, node: Constant, frame: Frame, previous: Previous) -> Fragment:
    state = Pass(
        emitter.names.give("empty group", node.path),
        result=node.value,
        result_path=frame.result_path,
    )
    return Fragment(state, (state_end(state),))


@emits(Group)
def _emit_group(emitter: Emitter, node: Group, frame: Frame, previous: Previous) -> Fragment:
    if not node.members:
        return emitter.emit(Constant(path=node.path, name=node.name, value=[]), frame, previous)
    alike = frame.literals is not None and are_alike([shape_of(member) for member in node.members])
    state = _map_of(emitter, node, frame, previous) if alike else _parallel_of(emitter, node, frame, previous)
    return Fragment(state, (state_end(state),))


def _parallel_of(emitter: Emitter, node: Group, frame: Frame, previous: Previous) -> State:
    state = Parallel(
        emitter.names.give("group", node.path, chosen=node.name),
        result_path=frame.result_path,
    )
    for place, member in enumerate(node.members):
        inner = replace(frame.at(place), named=dict(frame.named))
        state.add(close(emitter.emit(member, inner, previous), inner, f"group[{place}]"))
    return state


def _map_of(emitter: Emitter, node: Group, frame: Frame, previous: Previous) -> State:
    assert frame.literals is not None
    first = node.members[0]
    distributed = len(node.members) > MOST_INLINE_ITEMS
    name = emitter.names.give(f"group of {_describe(first)}", node.path, chosen=node.name)
    named, carried = dict(frame.named), frame.carried(previous)
    if distributed:
        wanted = sorted(emitter.wanted(first) & named.keys())
        if wanted:
            carried["v"] = {f"n{place}.$": named[key] for place, key in enumerate(wanted)}
        named = {key: f"$.v.n{place}" for place, key in enumerate(wanted)}
    inner = frame.item(literals="$.a", named=named)
    body = close(emitter.emit(first, inner, previous), inner, "member")
    return Map(
        name,
        body,
        items_path=frame.literals,
        item_selector={"a.$": "$$.Map.Item.Value", **carried, **frame.indexes()},
        result_path=frame.result_path,
        mode="DISTRIBUTED" if distributed else MISSING,
    )


def _describe(node: Node) -> str:
    if isinstance(node, Step):
        return node.task
    if isinstance(node, Sequence):
        return _describe(node.steps[0]) + " ..."
    return "groups" if isinstance(node, Group) else "constants"
