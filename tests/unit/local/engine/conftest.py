"""What the tests of the engine share: an engine on a clock that stands still, with one activity."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from sfini_celery.local import Engine, Execution, Payload, VirtualClock
from sfini_celery.local.engine import Ticket


class World:
    """An engine, its clock, and short ways to ask."""

    def __init__(self, *, auto: bool = False, **options: Any) -> None:
        self.clock = VirtualClock(start=1_700_000_000.0, auto=auto)
        self.engine = Engine(clock=self.clock, seed=1, **options)
        self.activity = self.engine.create_activity("work")

    def task(self, **fields: Any) -> dict[str, Any]:
        """A Task state for the activity; ``End`` unless there is a ``Next``."""
        return {"Type": "Task", "Resource": self.activity.arn, **({} if "Next" in fields else {"End": True}), **fields}

    def start(self, states: Mapping[str, Any], input: Any = None, **fields: Any) -> Execution:
        """Start a machine of these states, the first of them first."""
        definition = {"StartAt": next(iter(states)), "States": states, **fields}
        text = input if isinstance(input, Payload) else Payload(value={} if input is None else input)
        return self.engine.start(self.engine.revision("machine", definition), text)

    async def taken(self, worker: str | None = None) -> Ticket:
        """The next task; it must be there already."""
        await self.clock.advance(0)
        ticket = await self.activity.poll(worker, seconds=0)
        assert ticket is not None, "no task waits"
        return ticket

    async def has_task(self) -> bool:
        """Whether a poll would get one."""
        await self.clock.advance(0)
        return await self.activity.poll(seconds=0) is not None


@pytest.fixture
def world() -> World:
    """A world whose clock moves when told to."""
    return World()


@pytest.fixture
def skipping() -> World:
    """A world whose clock skips to what happens next."""
    return World(auto=True)


@pytest.fixture
def types() -> Any:
    """The types of an execution's events."""
    return lambda execution: [event.type for event in execution.history]


@pytest.fixture
def links() -> Any:
    """What hangs on what: (number, previous, type) of an execution's events."""
    return lambda execution: [(number, event.previous, event.type) for number, event in enumerate(execution.history, 1)]


@pytest.fixture
def details() -> Any:
    """The details of the last event of a type."""

    def find(execution: Execution, type: str) -> dict[str, Any]:
        event = [event for event in execution.history.rendered() if event["type"] == type][-1]
        return next(value for key, value in event.items() if key.endswith("EventDetails"))

    return find


@pytest.fixture
def settle() -> Any:
    """Let the event loop run what is ready."""

    async def turns() -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    return turns
