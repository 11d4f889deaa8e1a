"""Graphs in Mermaid's language: https://mermaid.js.org/syntax/flowchart.html."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sfini_celery.render.graph import Graph, Machine, Node, label_of, read_graph

__all__ = ["mermaid"]

_SHAPES = {"Choice": '{{"{}"}}', "Succeed": '(["{}"])', "Fail": '(["{}"])', "Pass": '("{}")', "Wait": '[/"{}"/]'}
_CLASSES = {
    "first": "stroke-width:3px",
    "failing": "stroke:#c33,color:#c33",
}
# Entities instead of whatever quoted labels take for something else: their own end, entities, tags, Markdown.
_SPECIAL = re.compile(
    r"""[^\w\s.:,/$=()@-]          # anything that is not surely text
      | (?<![^\W_])_ | _(?![^\W_])  # emphasis
      | ^\s | \s$ | \s(?=\s)        # code
      | ^[-.] | ^\d+\.             # lists
    """,
    re.VERBOSE,
)


def mermaid(definition: Mapping[str, Any], *, direction: str = "TD") -> str:
    """A definition as a Mermaid flowchart.

    Parameters:
        definition: in the states language
        direction: ``"TD"`` from top to bottom, ``"LR"`` from left to right
    Example:
        >>> print(mermaid({"StartAt": "add", "States": {"add": {"Type": "Pass", "End": True}}}))
        flowchart TD
          start((" "))
          s_add("add")
          finish(((" ")))
          start --> s_add
          s_add --> finish
    """
    graph = read_graph(definition)
    return "\n".join([f"flowchart {direction}", *(f"  {line}" for line in _lines(graph, direction))])


def _lines(graph: Graph, direction: str) -> Iterator[str]:
    if graph.start is not None:
        yield 'start((" "))'
    yield from _states(graph.machine, direction)
    if graph.ends:
        yield 'finish(((" ")))'
    if graph.start is not None:
        yield f"start --> {graph.start}"
    for edge in graph.edges:
        arrow = "-.->" if edge.catch else "-->"
        yield (
            f'{edge.source} {arrow}|"{_escaped(edge.label)}"| {edge.target}'
            if edge.label
            else (f"{edge.source} {arrow} {edge.target}")
        )
    for id in graph.ends:
        yield f"{id} --> finish"
    nodes = list(graph.nodes())
    marked = {
        "first": [node.id for node in nodes if node.first],
        "failing": [node.id for node in nodes if node.type == "Fail"],
    }
    for name, ids in marked.items():
        if ids:
            yield f"classDef {name} {_CLASSES[name]}"
            yield f"class {','.join(ids)} {name}"


def _states(machine: Machine, direction: str) -> Iterator[str]:
    for node in machine.nodes:
        yield from _group(node, direction) if node.machines else [_node(node)]


def _node(node: Node) -> str:
    return node.id + _SHAPES.get(node.type, '["{}"]').format(_label(node))


def _group(node: Node, direction: str) -> Iterator[str]:
    yield f'subgraph {node.id}["{_label(node)}"]'
    yield f"  direction {direction}"
    for machine in node.machines:
        yield f'  subgraph {machine.id}["{_escaped(machine.title)}"]'
        yield f"    direction {direction}"
        for line in _states(machine, direction):
            yield f"    {line}"
        yield "  end"
    yield "end"


def _label(node: Node) -> str:
    lines = [_escaped(node.name)]
    if node.detail:
        lines.append(_escaped(node.detail))
    return "<br/>".join(lines) or " "


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: "".join(f"#{ord(char)};" for char in found[0]), label_of(text)) or " "
