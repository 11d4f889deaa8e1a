"""What the API keeps between calls: state machines with their revisions, versions, tags and executions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sfini_celery.local.engine import Execution, Revision
from sfini_celery.local.service.arns import MachineArn, read_machine_arn
from sfini_celery.local.service.errors import ApiError

__all__ = ["Machine", "Store", "Version"]


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
        executions: oldest first
        is_deleting: DeleteStateMachine was called and some execution is still running
    """

    number: int
    revision: Revision
    created: float
    published: tuple[bool, str]
    versions: dict[int, Version] = field(default_factory=dict)
    last_version: int = 0
    executions: dict[str, tuple[int, Execution]] = field(default_factory=dict)
    is_deleting: bool = False

    @property
    def arn(self) -> str:
        """Its ARN, without a version."""
        return self.revision.machine_arn


class Store:
    """State machines by ARN, and tags by the ARN of what they are on."""

    def __init__(self) -> None:
        self.machines: dict[str, Machine] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.numbers = itertools.count(1)

    def machine(self, arn: str) -> Machine:
        """The state machine of an ARN without a version."""
        machine = self.machines.get(arn)
        if machine is None:
            raise ApiError("StateMachineDoesNotExist", arn)
        return machine

    def resolve(self, arn: str) -> tuple[Machine, Version | None]:
        """The state machine of an ARN, with the version that it names, if it does."""
        found: MachineArn = read_machine_arn(arn)
        machine = self.machines.get(found.machine)
        if machine is None or found.alias is not None:
            raise ApiError("StateMachineDoesNotExist", arn)
        if found.version is None:
            return machine, None
        version = machine.versions.get(found.version)
        if version is None:
            raise ApiError("StateMachineDoesNotExist", arn)
        return machine, version

    def add_tags(self, arn: str, tags: list[Mapping[str, Any]]) -> None:
        """Put tags on a resource: at most 50 of them."""
        kept = {**self.tags.get(arn, {}), **{tag.get("key", ""): tag.get("value", "") for tag in tags}}
        if len(kept) > 50:
            raise ApiError("TooManyTags", f"Too many tags: {arn} would have {len(kept)}, 50 are allowed")
        if kept:
            self.tags[arn] = kept
