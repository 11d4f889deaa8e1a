"""A canvas as values: what the reader makes of Celery's signatures and the emitter turns into states.

Every node knows its path in the canvas (``chain[2].group[0]``), so that an error says where.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sfini_celery.canvas import Condition, Expression

__all__ = [
    "Branching",
    "Caught",
    "Constant",
    "Delay",
    "Each",
    "Group",
    "Handler",
    "Loop",
    "Nested",
    "Node",
    "Raw",
    "Sequence",
    "Step",
    "Waiting",
    "expressions_in",
    "walk",
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

    @property
    def reads(self) -> Iterator[Expression]:
        """The ``prev`` expressions of it, those of its parts left out."""
        return iter(())

    @property
    def title(self) -> str:
        """A few words for a state's name: what it does, as far as a name can say."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Delay:
    """A wait before something: seconds, or a moment."""

    seconds: int | None = None
    until: datetime | None = None

    @property
    def kind(self) -> str:
        """Which of the two."""
        return "seconds" if self.until is None else "until"


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
        return self.task, self.over, self.immutable, self.queue, self.delay and self.delay.kind

    @property
    def reads(self) -> Iterator[Expression]:
        return expressions_among([*self.args, *self.kwargs.values()])

    @cached_property
    def refers(self) -> bool:
        """Whether ``prev`` stands among the arguments."""
        return next(self.reads, None) is not None

    @property
    def title(self) -> str:
        return f"{self.over} {_short(self.task)}".strip()


@dataclass(frozen=True, kw_only=True)
class Nested(Step):
    """An execution of another workflow as a step: ``task`` is the workflow's Celery task."""

    @property
    def fixed(self) -> tuple[Any, ...]:
        return (*super().fixed, len(self.args), tuple(self.kwargs))  # each is named in the state


@dataclass(frozen=True, kw_only=True)
class Sequence(Node):
    """One after the other, each with the result of the one before. Its name is its last step's."""

    steps: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.steps

    @property
    def title(self) -> str:
        return self.steps[0].title if len(self.steps) == 1 else f"{self.steps[0].title} ..."


@dataclass(frozen=True, kw_only=True)
class Group(Node):
    """Side by side, all with the same previous result; the results are a list.

    Attributes:
        members: what runs
        delay: countdown or eta of the whole
    """

    members: tuple[Node, ...]
    delay: Delay | None = None

    @property
    def children(self) -> tuple[Node, ...]:
        return self.members

    @property
    def fixed(self) -> tuple[Any, ...]:
        return (self.delay and self.delay.kind,)

    @property
    def title(self) -> str:
        titles = dict.fromkeys(member.title for member in self.members[:100])
        return "group of " + ", ".join(titles)


@dataclass(frozen=True, kw_only=True)
class Constant(Node):
    """A result that is known: what a chord's body gets from an empty header."""

    value: Any

    @property
    def fixed(self) -> tuple[Any, ...]:
        return (repr(self.value),)

    @property
    def title(self) -> str:
        return "empty group"


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

    @property
    def title(self) -> str:
        return f"each {self.body.title}"


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

    @property
    def reads(self) -> Iterator[Expression]:
        for condition in self.conditions:
            yield from condition.expressions()

    @property
    def title(self) -> str:
        return f"{self.conditions[0]}?"


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

    @property
    def reads(self) -> Iterator[Expression]:
        return self.until.expressions()

    @property
    def title(self) -> str:
        return f"until {self.until}"


@dataclass(frozen=True, kw_only=True)
class Waiting(Node):
    """A wait; the previous result passes on."""

    delay: Delay | Expression
    kind: str

    @property
    def fixed(self) -> tuple[Any, ...]:
        return self.kind, repr(self.delay) if isinstance(self.delay, Expression) else None

    @property
    def reads(self) -> Iterator[Expression]:
        if isinstance(self.delay, Expression):
            yield self.delay

    @property
    def title(self) -> str:
        return "wait"


@dataclass(frozen=True)
class Handler:
    """What a ``catch`` does about some errors.

    Attributes:
        errors: their names, as an exception's class or AWS gives them
        ancestors: of those that were given as classes, the names of their base classes
        body: what runs
    """

    errors: tuple[str, ...]
    ancestors: Mapping[str, tuple[str, ...]]
    body: Node


@dataclass(frozen=True, kw_only=True)
class Caught(Node):
    """A body, and what runs instead of the rest of it when it fails with certain errors."""

    body: Node
    handlers: tuple[Handler, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.body, *(handler.body for handler in self.handlers))

    @property
    def fixed(self) -> tuple[Any, ...]:
        return tuple(handler.errors for handler in self.handlers)

    @property
    def title(self) -> str:
        return self.body.title


@dataclass(frozen=True, kw_only=True)
class Raw(Node):
    """A state of the states language, as the user wrote it."""

    state: Mapping[str, Any]

    @property
    def fixed(self) -> tuple[Any, ...]:
        return (json.dumps(self.state, sort_keys=True),)

    @property
    def title(self) -> str:
        resource = str(self.state.get("Resource", ""))
        return resource.rpartition(":")[2] or str(self.state.get("Type"))


def _short(task: str) -> str:
    return task.rpartition(".")[2] or task


def walk(node: Node) -> Iterator[Node]:
    """A node and all its parts."""
    todo = [node]
    while todo:
        part = todo.pop()
        yield part
        todo.extend(reversed(part.children))


def expressions_in(node: Node) -> Iterator[Expression]:
    """Every ``prev`` in a node and its parts."""
    for part in walk(node):
        yield from part.reads


def expressions_among(value: Any) -> Iterator[Expression]:
    """Every ``prev`` somewhere in a value."""
    if isinstance(value, Expression):
        yield value
    elif isinstance(value, Mapping):
        for member in value.values():
            yield from expressions_among(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from expressions_among(member)
