"""Graphs in Graphviz's language: https://graphviz.org/doc/info/lang.html."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sfini_celery.render.graph import Graph, Machine, Node, label_of, read_graph

__all__ = ["dot"]

_SHAPES = {
    "Choice": "shape=diamond",
    "Succeed": "shape=oval",
    "Fail": "shape=oval color=red fontcolor=red",
    "Pass": 'shape=box style="rounded"',
    "Wait": "shape=parallelogram",
}


def dot(definition: Mapping[str, Any], *, direction: str = "TB") -> str:
    """A definition as a Graphviz digraph, for ``dot -Tsvg``.

    Parameters:
        definition: in the states language
        direction: ``"TB"`` from top to bottom, ``"LR"`` from left to right
    Example:
        >>> print(dot({"StartAt": "add", "States": {"add": {"Type": "Pass", "End": True}}}))
        digraph {
          compound=true rankdir=TB
          node [shape=box fontname="Helvetica"] edge [fontname="Helvetica"]
          start [shape=circle style=filled fillcolor=black width=0.2 label=""]
          s_add [label="add" shape=box style="rounded"]
          finish [shape=doublecircle style=filled fillcolor=black width=0.15 label=""]
          start -> s_add
          s_add -> finish
        }
    """
    graph = read_graph(definition)
    lines = [
        f"compound=true rankdir={direction}",
        'node [shape=box fontname="Helvetica"] edge [fontname="Helvetica"]',
        *_lines(graph),
    ]
    return "\n".join(["digraph {", *(f"  {line}" for line in lines), "}"])


def _lines(graph: Graph) -> Iterator[str]:
    groups = {node.id for node in graph.nodes() if node.machines}
    if graph.start is not None:
        yield 'start [shape=circle style=filled fillcolor=black width=0.2 label=""]'
    yield from _states(graph.machine)
    if graph.ends:
        yield 'finish [shape=doublecircle style=filled fillcolor=black width=0.15 label=""]'
    if graph.start is not None:
        yield _edge("start", graph.start, groups)
    for edge in graph.edges:
        yield _edge(edge.source, edge.target, groups, label=edge.label, catch=edge.catch)
    for id in graph.ends:
        yield _edge(id, "finish", groups)


def _edge(source: str, target: str, groups: set[str], *, label: str = "", catch: bool = False) -> str:
    # An edge leads from node to node; cut at the box around them, it leads from box to box.
    attributes = [f"ltail=cluster_{source}"] if source in groups else []
    attributes += [f"lhead=cluster_{target}"] if target in groups else []
    attributes += [f"label={_quoted(label)}"] if label else []
    attributes += ["style=dashed"] if catch else []
    if source == target:
        attributes = [each for each in attributes if not each.startswith(("ltail", "lhead"))]
    return f"{source} -> {target}" + (f" [{' '.join(attributes)}]" if attributes else "")


def _states(machine: Machine) -> Iterator[str]:
    for node in machine.nodes:
        yield from _group(node) if node.machines else [_node(node)]


def _node(node: Node) -> str:
    shape = _SHAPES.get(node.type, "")
    width = "penwidth=3" if node.first else ""
    return f"{node.id} [{' '.join(filter(None, [f'label={_label(node)}', shape, width]))}]"


def _group(node: Node) -> Iterator[str]:
    yield f"subgraph cluster_{node.id} {{"
    yield f"  label={_label(node)}{' penwidth=3' if node.first else ''}"
    yield f"  {node.id} [shape=point width=0.1]"
    for machine in node.machines:
        yield f"  subgraph cluster_{machine.id} {{"
        yield f"    label={_quoted(machine.title)} style=dotted"
        for line in _states(machine):
            yield f"    {line}"
        yield "  }"
    yield "}"


def _label(node: Node) -> str:
    return '"' + "\\n".join(_escaped(text) for text in (node.name, node.detail) if text) + '"'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return label_of(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
