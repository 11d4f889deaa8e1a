"""A canvas as values: what the reader makes of Celery's signatures and the emitter turns into states.

Every node knows its path in the canvas (``chain[2].group[0]``), so that an error says where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["Constant", "Delay", "Group", "Node", "Sequence", "Step"]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One part of a canvas.

    Attributes:
        path: where it stands, empty for the whole canvas
        name: given with ``.set(sfn_name=...)``
    """

    path: str = ""
    name: str | None = None

    @property
    def place(self) -> str:
        """The path, or a word for the whole canvas."""
        return self.path or "canvas"


@dataclass(frozen=True)
class Delay:
    """A wait before a step: seconds, or a moment."""

    seconds: int | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Step(Node):
    """One call of a task.

    Attributes:
        task: its name
        args, kwargs: as the signature holds them
        immutable: whether the previous result is not passed
        options: the signature's options that the envelope carries
        queue: where it is routed on purpose, None for the task's own route
        delay: countdown or eta
        links: what runs with the result after success
        over: ``"map"`` or ``"starmap"`` where the task is applied to each of ``args`` within one activity task
    """

    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    immutable: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    delay: Delay | None = None
    links: tuple[Node, ...] = ()
    over: str = ""


@dataclass(frozen=True, kw_only=True)
class Sequence(Node):
    """One after the other, each with the result of the one before."""

    steps: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class Group(Node):
    """Side by side, all with the same previous result; the results are a list."""

    members: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class Constant(Node):
    """A result that is known: what a chord's body gets from an empty header."""

    value: Any
