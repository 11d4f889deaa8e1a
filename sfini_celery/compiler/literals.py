"""Literals of a canvas: as JSON in the definition, or lifted out of it into the execution input.

The lifted literals mirror the canvas: a list where it has a chain or a group, a leaf where it has a call. So the place
of a literal follows from the place of its call, and a group whose members are alike has its arguments in one list.

===================  =================================================================================================
node                 its literals
===================  =================================================================================================
call                 ``args``, ``kwargs`` and ``options``, those that are not empty; alone if it is one, else as a list.
                     With ``prev`` among the arguments: what stands beside it, piece by piece, then the options
... delayed, linked  ``[the call's, the delay's, each link's]``
wait                 seconds, or the moment as text
group, delayed       ``[the delay's, [each member's]]``
anything else        ``[each part's]``
===================  =================================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timezone
from typing import Any

from kombu.utils import json as kombu_json

from sfini_celery.canvas import Expression
from sfini_celery.compiler.nodes import Delay, Group, Node, Step, Waiting, walk
from sfini_celery.errors import CompileError

__all__ = [
    "Hole",
    "Shapes",
    "call_of",
    "has_path_key",
    "hollowed",
    "lifted",
    "link_place",
    "literals_of",
    "moment",
    "parts_of",
    "size_of",
    "to_json",
]


def to_json(value: Any, path: str, what: str) -> Any:
    """A literal as the JSON that Celery's serializer would send; raises CompileError where it is none."""
    try:
        return json.loads(kombu_json.dumps(value, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as exc:
        raise CompileError(
            path or "canvas",
            f"{what} cannot be sent as JSON: {exc}",
            "pass what Celery's JSON serializer knows: plain data, times, UUIDs, decimals",
        ) from None


def size_of(value: Any) -> int:
    """Bytes of a value as JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def moment(delay: Delay) -> Any:
    """A delay as the states language writes it."""
    if delay.until is None:
        return delay.seconds
    return delay.until.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


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


@dataclass(frozen=True)
class Hole:
    """Where a literal was before it was lifted out from beside a ``prev``."""

    index: int


def hollowed(step: Step) -> tuple[dict[str, Any], list[Any]]:
    """The arguments of a call among which ``prev`` stands, with holes for literals, and what was in the holes."""
    taken: list[Any] = []
    call = {"args": list(step.args), "kwargs": dict(step.kwargs)}
    return {part: _hollowed(value, taken) for part, value in call.items() if value}, taken


def _hollowed(value: Any, taken: list[Any]) -> Any:
    if isinstance(value, Expression):
        return value
    if _refers(value):
        if isinstance(value, Mapping):
            return {str(key): _hollowed(member, taken) for key, member in value.items()}
        return [_hollowed(member, taken) for member in value]
    taken.append(value)
    return Hole(len(taken) - 1)


def _refers(value: Any) -> bool:
    if isinstance(value, Expression):
        return True
    if isinstance(value, Mapping):
        return any(map(_refers, value.values()))
    return isinstance(value, list | tuple) and any(map(_refers, value))


def call_of(step: Step) -> tuple[int, ...]:
    """Where the call's own literals are among those of its node."""
    return (0,) if step.delay is not None or step.links else ()


def link_place(step: Step, index: int) -> int:
    """Where a link's literals are among those of its step."""
    return 1 + (step.delay is not None) + index


def lifted(node: Node) -> Any:
    """The literals of a canvas as they travel in the execution input, as JSON.

    Raises:
        CompileError: one of them is not JSON
    """
    literals = literals_of(node)
    try:
        return json.loads(kombu_json.dumps(literals, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        for part in walk(node):
            if isinstance(part, Step):
                for name, value in parts_of(part).items():
                    if not (part.refers and name != "options"):
                        to_json(value, part.path, f"{name} of {part.task}")
                to_json(hollowed(part)[1] if part.refers else [], part.path, f"an argument of {part.task}")
        raise


def literals_of(node: Node) -> Any:
    """The literals of a node and its parts, as they were written."""
    if isinstance(node, Waiting):
        return moment(node.delay) if isinstance(node.delay, Delay) else []
    children = [literals_of(child) for child in node.children]
    if isinstance(node, Step):
        own = _of_call(node)
        delay = [] if node.delay is None else [moment(node.delay)]
        return [own, *delay, *children] if call_of(node) else own
    if isinstance(node, Group) and node.delay is not None:
        return [moment(node.delay), children]
    return children


def _of_call(step: Step) -> Any:
    if step.refers:
        taken = hollowed(step)[1]
        return [*taken, dict(step.options)] if step.options else taken
    values = list(parts_of(step).values())
    return values[0] if len(values) == 1 else values


@dataclass(frozen=True)
class Shapes:
    """What is left of nodes without their literals: two nodes of one shape can share their states."""

    _known: dict[int, Any] = field(default_factory=dict)

    def of(self, node: Node) -> Any:
        """The shape of a node; worked out once, so the node must live as long as this."""
        if (shape := self._known.get(id(node))) is None:
            shape = self._known[id(node)] = self._worked_out(node)
        return shape

    def alike(self, group: Group) -> bool:
        """Whether all members of a group have one shape, and there are several."""
        if len(group.members) < 2:
            return False
        first = self.of(group.members[0])
        return all(self.of(member) == first for member in group.members)

    def _worked_out(self, node: Node) -> Any:
        kind = type(node).__name__
        if isinstance(node, Group) and self.alike(node):
            return kind, node.name, node.fixed, "alike", self.of(node.members[0])
        shapes = [self.of(child) for child in node.children]
        if isinstance(node, Step):
            own = (repr(hollowed(node)[0]), bool(node.options)) if node.refers else tuple(parts_of(node))
            return kind, node.name, node.fixed, own, *shapes
        return kind, node.name, node.fixed, *shapes


def has_path_key(value: Any) -> bool:
    """Whether a key in there ends in ``.$``: AWS would evaluate it in a definition."""
    if isinstance(value, Mapping):
        return any(str(key).endswith(".$") or has_path_key(member) for key, member in value.items())
    if isinstance(value, list | tuple):
        return any(has_path_key(member) for member in value)
    return False
