"""A canvas as values: what the reader makes of Celery's signatures and the emitter turns into states.

Every node knows its path in the canvas (``chain[2].group[0]``), so that an error says where.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sfini_celery.canvas import Condition, Expression

__all__ = [
    "Branching",
    "Caught",
    "Constant",
    "Delay",
    "Each",
    "Group",
    "Loop",
    "Node",
    "Raw",
    "Sequence",
    "Step",
    "Waiting",
]


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

    @property
    def children(self) -> tuple[Node, ...]:
        """The parts of it, in the order in which their literals are lifted."""
        return ()

    @property
    def fixed(self) -> tuple[Any, ...]:
        """What is neither a literal nor a part: what makes its shape, with its name."""
        return ()


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

    @property
    def children(self) -> tuple[Node, ...]:
        return self.links

    @property
    def fixed(self) -> tuple[Any, ...]:
        return self.task, self.over, self.immutable, self.queue, self.delay


@dataclass(frozen=True, kw_only=True)
class Sequence(Node):
    """One after the other, each with the result of the one before."""

    steps: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.steps


@dataclass(frozen=True, kw_only=True)
class Group(Node):
    """Side by side, all with the same previous result; the results are a list."""

    members: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.members


@dataclass(frozen=True, kw_only=True)
class Constant(Node):
    """A result that is known: what a chord's body gets from an empty header."""

    value: Any

    @property
    def fixed(self) -> tuple[Any, ...]:
        return (repr(self.value),)


@dataclass(frozen=True, kw_only=True)
class Each(Node):
    """A body for every item of the previous result."""

    body: Node
    concurrency: int | None = None
    tolerate: bool = False
    distributed: bool = False

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.body,)

    @property
    def fixed(self) -> tuple[Any, ...]:
        return self.concurrency, self.tolerate, self.distributed


@dataclass(frozen=True, kw_only=True)
class Branching(Node):
    """The first branch whose condition holds; without ``otherwise`` the previous result passes on."""

    conditions: tuple[Condition, ...]
    branches: tuple[Node, ...]
    otherwise: Node | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        return self.branches if self.otherwise is None else (*self.branches, self.otherwise)

    @property
    def fixed(self) -> tuple[Any, ...]:
        return (*map(repr, self.conditions), self.otherwise is None)


@dataclass(frozen=True, kw_only=True)
class Loop(Node):
    """A body again and again on its own result, until a condition holds."""

    body: Node
    until: Condition
    at_most: int | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.body,)

    @property
    def fixed(self) -> tuple[Any, ...]:
        return repr(self.until), self.at_most


@dataclass(frozen=True, kw_only=True)
class Waiting(Node):
    """A wait; the previous result passes on."""

    seconds: int | Expression | None = None
    until: datetime | Expression | None = None

    @property
    def fixed(self) -> tuple[Any, ...]:
        return repr(self.seconds), repr(self.until)


@dataclass(frozen=True, kw_only=True)
class Caught(Node):
    """A body, and what runs instead of the rest of it when it fails with certain errors."""

    body: Node
    errors: tuple[tuple[str, ...], ...]
    handlers: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.body, *self.handlers)

    @property
    def fixed(self) -> tuple[Any, ...]:
        return self.errors


@dataclass(frozen=True, kw_only=True)
class Raw(Node):
    """A state of the states language, as the user wrote it."""

    state: Mapping[str, Any]

    @property
    def fixed(self) -> tuple[Any, ...]:
        return (json.dumps(self.state, sort_keys=True),)
