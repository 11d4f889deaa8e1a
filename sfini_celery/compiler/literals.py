"""Literals of a canvas: as JSON in the definition, or lifted out of it into the execution input.

The lifted literals mirror the canvas: a list where it has a chain or a group, a leaf where it has a call. So the place
of a literal follows from the place of its call, and a group whose members are alike has its arguments in one list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kombu.utils import json as kombu_json

from sfini_celery.compiler.nodes import Constant, Delay, Group, Node, Sequence, Step
from sfini_celery.errors import CompileError

__all__ = ["lifted", "parts_of", "shape_of", "to_json"]


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
    if isinstance(node, Step):
        parts = [to_json(value, node.path, f"{part} of {node.task}") for part, value in parts_of(node).items()]
        own = parts[0] if len(parts) == 1 else parts
        return [own, [lifted(link) for link in node.links]] if node.links else own
    if isinstance(node, Sequence):
        return [lifted(step) for step in node.steps]
    if isinstance(node, Group):
        return [lifted(member) for member in node.members]
    if isinstance(node, Constant):
        return None
    raise NotImplementedError(type(node).__name__)


def shape_of(node: Node) -> Any:
    """What is left of a node without its literals: two nodes of one shape can share their states."""
    if isinstance(node, Step):
        return (
            "step", node.task, node.over, node.immutable, node.queue, node.name, _delay(node.delay),
            tuple(parts_of(node)), tuple(map(shape_of, node.links)),
        )  # fmt: skip
    if isinstance(node, Sequence):
        return ("sequence", node.name, *map(shape_of, node.steps))
    if isinstance(node, Group):
        shapes = [shape_of(member) for member in node.members]
        alike = len(shapes) > 1 and all(shape == shapes[0] for shape in shapes)
        return ("group", node.name, "alike", shapes[0]) if alike else ("group", node.name, *shapes)
    if isinstance(node, Constant):
        return ("constant", json.dumps(node.value))
    raise NotImplementedError(type(node).__name__)


def _delay(delay: Delay | None) -> Any:
    return None if delay is None else (delay.seconds, delay.until)


def has_path_key(value: Any) -> bool:
    """Whether a key in there ends in ``.$``: AWS would evaluate it in a definition."""
    if isinstance(value, Mapping):
        return any(str(key).endswith(".$") or has_path_key(member) for key, member in value.items())
    if isinstance(value, list | tuple):
        return any(has_path_key(member) for member in value)
    return False
