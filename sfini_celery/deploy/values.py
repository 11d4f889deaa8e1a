"""What a plan is made of: the things as they should be, and what is to be done with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

__all__ = ["Action", "Item", "Kind", "Machine", "Plan"]

Kind = Literal["activity", "state machine"]


class Action(str, Enum):
    """What a plan does with one thing."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    DELETE = "delete"

    def __str__(self) -> str:
        return self.value


_MARKS = {Action.CREATE: "+", Action.UPDATE: "~", Action.KEEP: "=", Action.DELETE: "-"}
_TOTALS = {each: "unchanged" if each is Action.KEEP else f"to {each}" for each in Action}


@dataclass(frozen=True)
class Machine:
    """A state machine as it should be.

    Attributes:
        name: its name in AWS, prefix included
        definition: in the states language
        role_arn: IAM role it runs under; the plan's, or the one it has, without it
    """

    name: str
    definition: Mapping[str, Any]
    role_arn: str | None = None


@dataclass(frozen=True)
class Item:
    """One line of a plan.

    Attributes:
        action: what is to be done, or was
        kind: ``activity`` or ``state machine``
        name, arn: of what
        definition, role_arn: what a machine is to have; no role means: the one it has
        old_definition, old_role_arn: what it has now
        changed: which of ``definition`` and ``role`` differ
    """

    action: Action
    kind: Kind
    name: str
    arn: str
    definition: Mapping[str, Any] | None = None
    role_arn: str | None = None
    old_definition: Mapping[str, Any] | None = None
    old_role_arn: str | None = None
    changed: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = f" ({' and '.join(self.changed)})" if self.changed else ""
        return f"{_MARKS[self.action]} {self.kind} {self.name}{what}"


@dataclass(frozen=True)
class Plan:
    """What would be done, activities before the machines that use them.

    Attributes:
        items: one for everything asked about, also for what stays as it is
    """

    items: tuple[Item, ...]

    @property
    def changes(self) -> tuple[Item, ...]:
        """What would be done; empty where all is as it should be."""
        return tuple(item for item in self.items if item.action is not Action.KEEP)

    def __str__(self) -> str:
        counts = [(action, sum(item.action is action for item in self.items)) for action in Action]
        total = ", ".join(f"{count} {_TOTALS[action]}" for action, count in counts if count)
        return "\n".join([*map(str, self.items), total or "nothing declared"])
