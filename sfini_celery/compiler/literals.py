"""Literals of a canvas: as JSON in the definition, or lifted out of it into the execution input.

The lifted literals mirror the canvas: a list where it has a chain or a group, a leaf where it has a call. So the place
of a literal follows from the place of its call, and a group whose members are alike has its arguments in one list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kombu.utils import json as kombu_json

from sfini_celery.canvas import Condition, Expression
from sfini_celery.compiler.nodes import Group, Node, Step
from sfini_celery.errors import CompileError

__all__ = ["are_alike", "expressions_in", "has_path_key", "has_references", "lifted", "parts_of", "shape_of", "to_json"]


def to_json(value: Any, path: str, what: str) -> Any:
    """A literal as the JSON that Celery's serializer would send; raises CompileError where it is none."""
    try:
        return json.loads(kombu_json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as exc:
        raise CompileError(path or "canvas", f"{what} cannot be sent as JSON: {exc}", "pass plain data") from None


def parts_of(step: Step) -> dict[str, Any]:
    """The parts of a call that are literals and not empty: what is lifted."""
    parts: dict[str, Any] = {}
    if step.args or step.over:
        parts["args"] = list(step.args)
    if step.kwargs:
        parts["kwargs"] = dict(step.kwargs)
    if step.options:
        parts["options"] = dict(step.options)
    return parts


def lifted(node: Node) -> Any:
    """The literals of a node as they travel in the execution input."""
    children = [lifted(child) for child in node.children]
    if not isinstance(node, Step):
        return children
    parts = [] if has_references(node) else parts_of(node).items()
    written = [to_json(value, node.path, f"{part} of {node.task}") for part, value in parts]
    own = written[0] if len(written) == 1 else written
    return [own, *children] if children else own


def shape_of(node: Node) -> Any:
    """What is left of a node without its literals: two nodes of one shape can share their states."""
    shapes = [shape_of(child) for child in node.children]
    kind = type(node).__name__
    if isinstance(node, Group) and are_alike(shapes):
        return kind, node.name, "alike", shapes[0]
    if isinstance(node, Step):
        own = (repr((node.args, node.kwargs, node.options)),) if has_references(node) else tuple(parts_of(node))
        return kind, node.name, node.fixed, own, *shapes
    return kind, node.name, node.fixed, *shapes


def are_alike(shapes: list[Any]) -> bool:
    """Whether several nodes have one shape."""
    return len(shapes) > 1 and all(shape == shapes[0] for shape in shapes)


def has_references(value: Any) -> bool:
    """Whether ``prev`` stands somewhere in there."""
    if isinstance(value, Expression):
        return True
    if isinstance(value, Step):
        return has_references(value.args) or has_references(value.kwargs)
    if isinstance(value, Mapping):
        return any(map(has_references, value.values()))
    return isinstance(value, list | tuple) and any(map(has_references, value))


def expressions_in(node: Node) -> Iterator[Expression]:
    """Every ``prev`` in a node and its parts."""
    yield from _expressions(vars(node))
    for child in node.children:
        yield from expressions_in(child)


def _expressions(value: Any) -> Iterator[Expression]:
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, Condition):
        yield from _expressions(vars(value))
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from _expressions(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from _expressions(member)


def has_path_key(value: Any) -> bool:
    """Whether a key in there ends in ``.$``: AWS would evaluate it in a definition."""
    if isinstance(value, Mapping):
        return any(str(key).endswith(".$") or has_path_key(member) for key, member in value.items())
    if isinstance(value, list | tuple):
        return any(has_path_key(member) for member in value)
    return False
