"""A definition as a graph: text in Mermaid's language, which GitHub and GitLab draw, or in Graphviz's.

    definition --read_graph--> Graph --mermaid | dot--> text

What is inside a Parallel or Map is drawn inside it. A state's id comes from its name, so that a definition with one
state more is a graph with one line more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sfini_celery.render.conditions import condition_text
from sfini_celery.render.tables import printable

__all__ = ["Edge", "Graph", "Machine", "Node", "read_graph"]

_LONGEST_LABEL = 80
_WAITS = {
    "Seconds": "wait {} s",
    "SecondsPath": "wait {} s",
    "Timestamp": "wait until {}",
    "TimestampPath": "wait until {}",
}


@dataclass(frozen=True)
class Node:
    """A state.

    Attributes:
        id: letters, digits and ``_``; no other node, machine or edge has it
        name: of the state
        type: ``Task``, ``Choice`` ...; empty where the definition has none
        detail: what else is worth a line, such as how long a Wait waits; empty where the name says it
        first: whether a machine inside another starts here
        machines: what a Parallel or Map runs
    """

    id: str
    name: str
    type: str
    detail: str = ""
    first: bool = False
    machines: tuple[Machine, ...] = ()


@dataclass(frozen=True)
class Machine:
    """The definition's states, or those of a branch or of a Map's items.

    Attributes:
        id: as a node's
        title: empty for the outermost one
        nodes: its states, in the definition's order
    """

    id: str
    title: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Edge:
    """An arrow.

    Attributes:
        source, target: ids of nodes
        label: when it is taken; empty for always
        catch: whether it is taken on a failure
    """

    source: str
    target: str
    label: str = ""
    catch: bool = False


@dataclass(frozen=True)
class Graph:
    """A definition, ready to be drawn.

    Attributes:
        machine: the outermost one
        edges: in the definition's order, those inside a state before those around it
        start: id of the first node, None where there is none
        ends: ids of the outermost nodes at which an execution succeeds
    """

    machine: Machine
    edges: tuple[Edge, ...]
    start: str | None
    ends: tuple[str, ...]

    def nodes(self) -> Iterator[Node]:
        """Every node, each before those inside it."""
        todo = [self.machine]
        while todo:
            for node in todo.pop(0).nodes:
                yield node
                todo.extend(node.machines)


@dataclass
class _Reader:
    taken: set[str] = field(default_factory=set)
    edges: list[Edge] = field(default_factory=list)

    def machine(self, definition: object, title: str, prefix: str) -> Machine:
        id = self.free_id(prefix)
        states = _states(definition)
        ids = {name: self.free_id(f"s_{_slug(name)}") for name in states}
        start = definition.get("StartAt") if isinstance(definition, Mapping) and title else None
        nodes = tuple(self.node(ids[name], name, state, first=name == start) for name, state in states.items())
        for name, state in states.items():
            self.arrows(ids[name], state, ids)
        return Machine(id, title, nodes)

    def node(self, id: str, name: str, state: Mapping[str, Any], *, first: bool) -> Node:
        type = str(state.get("Type", ""))
        machines = tuple(
            self.machine(inner, title, f"m{id[1:]}_{number}") for number, (title, inner) in enumerate(_inner(state), 1)
        )
        detail = _detail(state)
        return Node(id, name, type, "" if detail in name else detail, first, machines)

    def arrows(self, id: str, state: Mapping[str, Any], ids: Mapping[str, str]) -> None:
        def to(target: object, label: str = "", *, catch: bool = False) -> None:
            if isinstance(target, str) and target in ids:
                self.edges.append(Edge(id, ids[target], label, catch))

        for rule in _objects(state.get("Choices")):
            to(rule.get("Next"), condition_text(rule))
        to(state.get("Next"))
        to(state.get("Default"), "otherwise")
        for catcher in _objects(state.get("Catch")):
            errors = catcher.get("ErrorEquals")
            names = ", ".join(map(str, errors)) if isinstance(errors, list) else ""
            to(catcher.get("Next"), names, catch=True)

    def free_id(self, wanted: str) -> str:
        id, number = wanted, 1
        while id in self.taken:
            number += 1
            id = f"{wanted}_{number}"
        self.taken.add(id)
        return id


def read_graph(definition: Mapping[str, Any]) -> Graph:
    """The graph of a definition; what makes no sense in it is left out, see :func:`sfini_celery.asl.lint`.

    Parameters:
        definition: in the states language
    """
    reader = _Reader()
    machine = reader.machine(definition, "", "m")
    ids = {node.name: node.id for node in machine.nodes}
    states = _states(definition)
    ends = tuple(
        ids[name] for name, state in states.items() if state.get("End") is True or state.get("Type") == "Succeed"
    )
    return Graph(machine, tuple(reader.edges), ids.get(str(definition.get("StartAt"))), ends)


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")


def _states(definition: object) -> dict[str, Mapping[str, Any]]:
    states = definition.get("States") if isinstance(definition, Mapping) else None
    if not isinstance(states, Mapping):
        return {}
    return {str(name): state for name, state in states.items() if isinstance(state, Mapping)}


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _inner(state: Mapping[str, Any]) -> list[tuple[str, object]]:
    if state.get("Type") == "Parallel":
        return [(f"branch {number}", each) for number, each in enumerate(_objects(state.get("Branches")), 1)]
    if state.get("Type") == "Map":
        return [("each item", state.get("ItemProcessor", state.get("Iterator")))]
    return []


def _detail(state: Mapping[str, Any]) -> str:
    match state.get("Type"):
        case "Task":
            return _short(str(state.get("Resource", "")))
        case "Wait":
            for key, text in _WAITS.items():
                if key in state:
                    return text.format(state[key])
        case "Fail":
            return str(state.get("Error", ""))
        case "Map":
            processor = state.get("ItemProcessor")
            config = processor.get("ProcessorConfig") if isinstance(processor, Mapping) else None
            is_distributed = isinstance(config, Mapping) and config.get("Mode") == "DISTRIBUTED"
            return "distributed Map" if is_distributed else "Map"
        case "Parallel":
            return "Parallel"
    return ""


def _short(resource: str) -> str:
    """What an ARN names: an activity or function by its name, a service's call without its prefix."""
    parts = resource.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return resource
    kind, _, name = parts[5].partition(":")
    return name if name and kind in ("activity", "function") else parts[5]


def label_of(text: str) -> str:
    """A label of one line that no graph is stretched by, and that cannot steer a terminal."""
    text = printable(text)
    return text if len(text) <= _LONGEST_LABEL else f"{text[: _LONGEST_LABEL - 3]}..."
