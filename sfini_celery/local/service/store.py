"""What the API keeps between calls: state machines with their revisions, versions, aliases, tags and executions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from sfini_celery.local.engine import Execution, Revision
from sfini_celery.local.service.arns import MachineArn, read_machine_arn
from sfini_celery.local.service.errors import ApiError

__all__ = ["Alias", "Machine", "Store", "Target", "Version"]


@dataclass(frozen=True)
class Version:
    """A published revision.

    Attributes:
        number: counts up, and is never used twice
        arn: the machine's with the number
        revision: what it froze
        description: the publisher's
        created: seconds since the epoch
    """

    number: int
    arn: str
    revision: Revision
    description: str
    created: float


@dataclass(frozen=True)
class Alias:
    """A name for one version, or for two that share the executions it starts.

    Attributes:
        number: rises with every alias made
        name: unique for the state machine
        arn: the machine's with the name
        routing: percentages by version number
        description: its maker's
        created, updated: seconds since the epoch
    """

    number: int
    name: str
    arn: str
    routing: Mapping[int, int]
    description: str
    created: float
    updated: float


@dataclass
class Machine:
    """A registered state machine.

    Attributes:
        number: rises with every machine made
        revision: the current one
        created: seconds since the epoch
        published: the ``publish`` and ``versionDescription`` it was created with, which its idempotency heeds
        versions: by number
        last_version: the highest number given so far
        aliases: by name
        executions: oldest first
        is_deleting: DeleteStateMachine was called and some execution is still running
    """

    number: int
    revision: Revision
    created: float
    published: tuple[bool, str]
    versions: dict[int, Version] = field(default_factory=dict)
    last_version: int = 0
    aliases: dict[str, Alias] = field(default_factory=dict)
    executions: dict[str, tuple[int, Execution]] = field(default_factory=dict)
    is_deleting: bool = False

    @property
    def arn(self) -> str:
        """Its ARN, without a version."""
        return self.revision.machine_arn


class Target(NamedTuple):
    """What an ARN leads to.

    Attributes:
        machine: the state machine
        version, alias: what the ARN names, if it names one
    """

    machine: Machine
    version: Version | None = None
    alias: Alias | None = None

    def routed(self, randomness: Random) -> Version | None:
        """The version to start: the one that is named, or one of the alias's, by their weights."""
        if self.alias is None:
            return self.version
        numbers, weights = zip(*self.alias.routing.items(), strict=True)
        return self.machine.versions[randomness.choices(numbers, weights)[0]]


class Store:
    """State machines by ARN, tags by the ARN of what they are on, client tokens of redrives by execution ARN."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.redrives: dict[str, dict[str, float]] = {}
        self.numbers = itertools.count(1)

    def machine(self, arn: str) -> Machine:
        """The state machine of an ARN without a version."""
        machine = self.machines.get(arn)
        if machine is None:
            raise ApiError("StateMachineDoesNotExist", arn)
        return machine

    def resolve(self, arn: str) -> Target:
        """What the ARN of a state machine, of a version or of an alias leads to."""
        found: MachineArn = read_machine_arn(arn)
        machine = self.machines.get(found.machine)
        if machine is not None:
            if found.version is None and found.alias is None:
                return Target(machine)
            version = None if found.version is None else machine.versions.get(found.version)
            alias = None if found.alias is None else machine.aliases.get(found.alias)
            if version is not None or alias is not None:
                return Target(machine, version, alias)
        raise ApiError("StateMachineDoesNotExist", arn)

    def add_tags(self, arn: str, tags: list[Mapping[str, Any]]) -> None:
        """Put tags on a resource: at most 50 of them."""
        kept = {**self.tags.get(arn, {}), **{tag.get("key", ""): tag.get("value", "") for tag in tags}}
        if len(kept) > 50:
            raise ApiError("TooManyTags", f"Too many tags: {arn} would have {len(kept)}, 50 are allowed")
        if kept:
            self.tags[arn] = kept
