"""Turns the nodes of one canvas into states: one function per kind of node, registered by type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar

from sfini_celery.asl import Pass, State
from sfini_celery.compiler.emission.fragment import Fragment, joined, of_state
from sfini_celery.compiler.emission.frame import Frame, Previous
from sfini_celery.compiler.emission.naming import StateNames
from sfini_celery.compiler.emission.paths import variable_of
from sfini_celery.compiler.emission.retries import ancestors_of, policy_of
from sfini_celery.compiler.literals import Shapes
from sfini_celery.compiler.nodes import Caught, Node, Sequence, Step, expressions_in, walk
from sfini_celery.compiler.view import AppView

__all__ = ["Emitter", "emits", "known_errors", "pass_on", "settled"]

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
        shapes: of the nodes
        ancestors: of error names that catches or retries list, where they are known as classes, the base classes'
        references: names of steps whose results are read later
        names: the names given so far
        used: the activities used, by their name in AWS
        first: states that come before there is any result
        callbacks: states whose failure is dropped, whatever is around them
    """

    view: AppView
    shapes: Shapes = field(default_factory=Shapes)
    ancestors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    references: frozenset[str] = frozenset()
    names: StateNames = field(default_factory=StateNames)
    used: set[str] = field(default_factory=set)
    first: set[State] = field(default_factory=set)
    callbacks: set[State] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def emit(self, node: Node, frame: Frame, previous: Previous) -> Fragment:
        """The states of a node. What it is named can be seen from where the frame is used further on."""
        fragment = _EMISSIONS[type(node)](self, node, frame, previous)
        if node.name is not None and node.name in self.references:
            fragment = self._remember(node, fragment, frame)
        return fragment

    def variable(self, purpose: str) -> str:
        """The name of a variable of our own, each once in the machine."""
        return f"sfini_{purpose}_{next(self._numbers)}"

    def wanted(self, node: Node) -> set[str]:
        """The named steps that a node reads."""
        if not self.references:
            return set()
        return {name for expression in expressions_in(node) if (name := expression.step) is not None}

    def matching(self, errors: Iterable[str]) -> tuple[str, ...]:
        """Names that catch or retry what these do: a worker reports the nearest class that is listed anywhere."""
        wanted = list(errors)
        below = [name for name, bases in self.ancestors.items() if name not in wanted and not bases.isdisjoint(wanted)]
        return (*wanted, *below)

    def _remember(self, node: Node, fragment: Fragment, frame: Frame) -> Fragment:
        variable = variable_of(node.name or "")
        if fragment.main is not None:
            fragment.main.assign = {**(fragment.main.assign or {}), f"{variable}.$": "$"}
        else:
            fragment = settled(self, fragment, frame, node)
            state = Pass(
                self.names.give(f"remember {node.name}", node.path),
                comment=f"keeps the result for prev.of({node.name!r})",
                assign={f"{variable}.$": frame.result},
            )
            fragment = joined(fragment, of_state(state))
        frame.named[node.name or ""] = f"${variable}"
        return fragment


def settled(emitter: Emitter, fragment: Fragment, frame: Frame, node: Node) -> Fragment:
    """The fragment with a result at its end: a mere wait at the start has none."""
    if fragment.after is Previous.RESULT:
        return fragment
    state = pass_on(emitter, frame, fragment.after, node)
    return joined(fragment, of_state(state))


def pass_on(emitter: Emitter, frame: Frame, previous: Previous, node: Node) -> Pass:
    """A state whose result is what came before."""
    name = emitter.names.give("pass on", node.path)
    if previous is Previous.RESULT:
        return Pass(name)
    return Pass(
        name,
        comment="the first argument of the start is the result",
        input_path=frame.value(previous),
        result_path=frame.result_path,
    )


@emits(Sequence)
def _emit_sequence(emitter: Emitter, node: Sequence, frame: Frame, previous: Previous) -> Fragment:
    whole = emitter.emit(node.steps[0], frame.at(0), previous)
    for place, step in enumerate(node.steps[1:], 1):
        whole = joined(whole, emitter.emit(step, frame.at(place), whole.after))
    return whole


def known_errors(node: Node, view: AppView) -> dict[str, frozenset[str]]:
    """The error names that a canvas's catches and its tasks' retries list, and what they are subclasses of."""
    known: dict[str, frozenset[str]] = {}
    for part in walk(node):
        if isinstance(part, Caught):
            for handler in part.handlers:
                known.update({name: frozenset(bases) for name, bases in handler.ancestors.items()})
        elif isinstance(part, Step) and view.retries == "states" and (task := view.celery.tasks.get(part.task)):
            policy = policy_of(task)
            for kind in () if policy is None else (*policy.never, *policy.classes):
                known[kind.__name__] = frozenset(ancestors_of(kind))
    return known
