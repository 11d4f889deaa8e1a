"""What a plan is made of: the things as they should be, and what is to be done with each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from sfini_celery.config import Settings
from sfini_celery.render import colour, definition_diff, printable, value_diff

__all__ = ["Action", "Item", "Kind", "Machine", "Plan"]

Kind = Literal["activity", "state machine", "alias"]


class Action(str, Enum):
    """What a plan does with one thing."""

    CREATE = "create"
    UPDATE = "update"
    KEEP = "keep"
    DELETE = "delete"

    def __str__(self) -> str:
        return self.value


_MARKS = {Action.CREATE: "+", Action.UPDATE: "~", Action.KEEP: "=", Action.DELETE: "-"}
_STYLES = {Action.CREATE: "green", Action.UPDATE: "yellow", Action.KEEP: "dim", Action.DELETE: "red"}
_TOTALS = {each: "unchanged" if each is Action.KEEP else f"to {each}" for each in Action}


@dataclass(frozen=True)
class Machine:
    """A state machine as it should be.

    Attributes:
        name: its name in AWS, prefix included
        definition: in the states language
        role_arn: IAM role it runs under; the plan's, or the one it has, without it
        logging, tracing: LoggingConfiguration and TracingConfiguration of the API; as they are without them
    """

    name: str
    definition: Mapping[str, Any]
    role_arn: str | None = None
    logging: Mapping[str, Any] | None = None
    tracing: Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls, name: str, definition: Mapping[str, Any], settings: Settings, *, role_arn: str | None = None
    ) -> Machine:
        """A machine with the role, logging and tracing of the app's settings.

        Parameters:
            name: its name in AWS, prefix included
            definition: in the states language
            settings: the app's
            role_arn: instead of the setting ``sfn_role_arn``
        """
        logging = None
        if group := settings.log_group:
            arn = group if group.endswith(":*") else f"{group}:*"  # AWS wants all streams of the group
            logging = {
                "level": settings.log_level,
                "includeExecutionData": settings.log_data,
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
            }
        tracing = None if settings.tracing is None else {"enabled": settings.tracing}
        return cls(name, definition, role_arn or settings.role_arn, logging, tracing)


@dataclass(frozen=True)
class Item:
    """One thing of a plan.

    Attributes:
        action: what is to be done, or was
        kind: ``activity``, ``state machine`` or ``alias``
        name, arn: of what; an alias's name is ``machine:alias``
        definition, role_arn: what a machine is to have; no role means: the one it has
        old_definition, old_role_arn: what it has now
        changed: which of ``definition``, ``role``, ``logging``, ``tracing``, ``tags``, ``version`` differ
        settings, old_settings: ``logging`` and ``tracing`` that differ, as they are to be and as they are
        tags: to be added
        revision: id of what the plan was made from, None where AWS gives none
        publish: whether a version is to be published
        version: ARN of the version that was published, or that an alias is to lead to; None where that is not known yet
        routes: where an alias leads now, version ARNs to percentages
        note: why it stays as it is, or what else to know
        is_needed: it was to be deleted, and a running execution may need it
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
    settings: Mapping[str, Any] = field(default_factory=dict)
    old_settings: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    revision: str | None = None
    publish: bool = False
    version: str | None = None
    routes: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    is_needed: bool = False

    def __str__(self) -> str:
        what = f" ({' and '.join(self.changed)})" if self.changed else ""
        if self.kind == "alias":
            what = f" ({self._leads()})"
        note = f": {self.note}" if self.note else ""
        return f"{_MARKS[self.action]} {self.kind} {printable(self.name + what + note)}"

    def _leads(self) -> str:
        target = f"version {_number(self.version)}" if self.version else "the version to be published"
        if not self.routes or self.action is not Action.UPDATE:
            return target
        now = ", ".join(
            f"version {_number(arn)}{'' if share == 100 else f' {share}%'}" for arn, share in self.routes.items()
        )
        return f"{now} -> {target}"

    def diff(self, *, colours: bool = False) -> str:
        """What would change, state by state and setting by setting; empty where that says nothing more.

        Parameters:
            colours: for a terminal
        """
        if self.action is not Action.UPDATE:
            return ""
        parts = []
        if "definition" in self.changed and self.definition is not None:
            if self.old_definition is None:
                parts.append("~ the definition that is there cannot be read")
            else:
                parts.append(definition_diff(self.old_definition, self.definition, colours=colours))
        now, then = dict(self.old_settings), dict(self.settings)
        if "role" in self.changed:
            now["role"], then["role"] = self.old_role_arn, self.role_arn
        if self.tags:
            then["tags"] = dict(self.tags)
            now["tags"] = {}
        parts.append(value_diff(now, then, colours=colours))
        return "\n".join(filter(None, parts))


def _number(version: str | None) -> str:
    return (version or "").rpartition(":")[2]


@dataclass(frozen=True)
class Plan:
    """What would be done: activities before the machines that use them, aliases after those, deletions last.

    Attributes:
        items: one for everything asked about, also for what stays as it is
    """

    items: tuple[Item, ...]

    @property
    def changes(self) -> tuple[Item, ...]:
        """What would be done; empty where all is as it should be."""
        return tuple(item for item in self.items if item.action is not Action.KEEP)

    def show(self, *, colours: bool = False) -> str:
        """The plan as text: a line for each item, below it what differs.

        Parameters:
            colours: for a terminal
        """
        return "\n".join(self._lines(colours))

    def __str__(self) -> str:
        return self.show()

    def _lines(self, colours: bool) -> Iterator[str]:
        for item in self.items:
            yield colour(str(item), _STYLES[item.action]) if colours else str(item)
            yield from (f"    {line}" for line in item.diff(colours=colours).splitlines())
        counts = [(action, sum(item.action is action for item in self.items)) for action in Action]
        yield ", ".join(f"{count} {_TOTALS[action]}" for action, count in counts if count) or "nothing declared"
