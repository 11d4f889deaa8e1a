"""What runs side by side: literal groups, and a body for every item of a list."""

from __future__ import annotations

from typing import Any

from sfini_celery.asl import MISSING, Map, Parallel, Pass
from sfini_celery.compiler.emission.emitter import Emitter, emits
from sfini_celery.compiler.emission.failures import tolerant
from sfini_celery.compiler.emission.fragment import Fragment, close, joined, of_state
from sfini_celery.compiler.emission.frame import Frame, Previous
from sfini_celery.compiler.emission.steps import delayed
from sfini_celery.compiler.limits import runs_distributed
from sfini_celery.compiler.nodes import Constant, Each, Group

__all__: list[str] = []


@emits(Constant)
def _emit_constant(emitter: Emitter, node: Constant, frame: Frame, previous: Previous) -> Fragment:
    name = emitter.names.give(node.title, node.path)
    return of_state(Pass(name, result=node.value, result_path=frame.result_path))


@emits(Group)
def _emit_group(emitter: Emitter, node: Group, frame: Frame, previous: Previous) -> Fragment:
    if not node.members:
        return emitter.emit(Constant(path=node.path, value=[]), frame, previous)
    inner = frame if node.delay is None else frame.at(1)
    alike = frame.literals is not None and emitter.shapes.alike(node)
    state = (_map_of if alike else _parallel_of)(emitter, node, inner, previous)
    if previous is Previous.START:
        emitter.first.add(state)
    fragment = of_state(state, main=True)
    if node.delay is None:
        return fragment
    return joined(delayed(emitter, node, node.delay, f"wait for {node.title}", frame.at(0), previous), fragment)


def _parallel_of(emitter: Emitter, node: Group, frame: Frame, previous: Previous) -> Any:
    state = Parallel(emitter.names.give(node.title, node.path, chosen=node.name), result_path=frame.result_path)
    for place, member in enumerate(node.members):
        inner = frame.branch(place)
        state.add(close(emitter.emit(member, inner, previous), inner, f"group[{place}]"))
    return state


def _map_of(emitter: Emitter, node: Group, frame: Frame, previous: Previous) -> Any:
    """Like members: one body for all, over the list of their literals."""
    assert frame.literals is not None
    first = node.members[0]
    distributed = runs_distributed(node, emitter.shapes)
    name = emitter.names.give(node.title, node.path, chosen=node.name)
    selector, inner = frame.item(previous, literals="$.a", wanted=emitter.wanted(first), distributed=distributed)
    return Map(
        name,
        close(emitter.emit(first, inner, previous), inner, "member"),
        comment="members of one shape; an item is what differs",
        items_path=frame.literals,
        item_selector={"a.$": "$$.Map.Item.Value", **selector},
        result_path=frame.result_path,
        mode="DISTRIBUTED" if distributed else MISSING,
    )


@emits(Each)
def _emit_each(emitter: Emitter, node: Each, frame: Frame, previous: Previous) -> Fragment:
    name = emitter.names.give(node.title, node.path, chosen=node.name)
    literals, carried = frame.at(0).literals, {}
    if literals is not None and (node.distributed or frame.literals_travel):
        literals, carried = "$.a", {"a.$": literals}
    selector, inner = frame.item(
        None, literals=literals, wanted=emitter.wanted(node.body), distributed=node.distributed
    )
    if node.tolerate:
        body = tolerant(emitter, node, inner)
    else:
        body = emitter.emit(node.body, inner, Previous.RESULT)
    state = Map(
        name,
        close(body, inner, "item"),
        items_path=frame.value(previous),
        item_selector={"r.$": "$$.Map.Item.Value", **carried, **selector},
        max_concurrency=MISSING if node.concurrency is None else node.concurrency,
        mode="DISTRIBUTED" if node.distributed else MISSING,
        result_path=frame.result_path,
    )
    if previous is Previous.START:
        emitter.first.add(state)
    return of_state(state, main=True)
