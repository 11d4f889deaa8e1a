"""What the tests of the engine share: an engine on a clock that stands still, with one activity."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from sfini_celery.local import Engine, Execution, Payload, VirtualClock
from sfini_celery.local.engine import MapRun, Ticket


class World:
    """An engine, its clock, and short ways to ask."""

    def __init__(self, *, auto: bool = False, **options: Any) -> None:
        self.clock = VirtualClock(start=1_700_000_000.0, auto=auto)
        self.engine = Engine(clock=self.clock, seed=1, **options)
        self.activity = self.engine.create_activity("work")

    def task(self, **fields: Any) -> dict[str, Any]:
        """A Task state for the activity; ``End`` unless there is a ``Next``."""
        return {"Type": "Task", "Resource": self.activity.arn, **({} if "Next" in fields else {"End": True}), **fields}

    def payload(self, text: str) -> Payload:
        """A result as a worker sends it."""
        return Payload(text)

    def start(self, states: Mapping[str, Any], input: Any = None, **fields: Any) -> Execution:
        """Start a machine of these states, the first of them first."""
        definition = {"StartAt": next(iter(states)), "States": states, **fields}
        text = input if isinstance(input, Payload) else Payload(value={} if input is None else input)
        return self.engine.start(self.engine.revision("machine", definition), text)

    @staticmethod
    def distributed(*states: dict[str, Any], kind: str = "STANDARD", **fields: Any) -> dict[str, Any]:
        """A distributed Map over states one after the other."""
        named = {}
        for index, state in enumerate(states):
            last = index + 1 == len(states)
            ends = {} if state["Type"] == "Fail" else {"End": True} if last else {"Next": f"S{index + 1}"}
            named[f"S{index}"] = {**{name: value for name, value in state.items() if name != "End"}, **ends}
        config = {"Mode": "DISTRIBUTED", "ExecutionType": kind}
        processor = {"ProcessorConfig": config, "StartAt": "S0", "States": named}
        return {"Type": "Map", "ItemProcessor": processor, **({} if "Next" in fields else {"End": True}), **fields}

    @property
    def map_run(self) -> MapRun:
        """The one Map run that there is."""
        (run,) = self.engine.map_runs.values()
        return run

    @staticmethod
    def statuses(run: MapRun) -> list[str]:
        """Of the children of a Map run, in the order of their items."""
        return [child.status.value for child in run.children]

    async def answer(self, *answers: str | None) -> None:
        """Take a task for each answer; None fails it."""
        for text in answers:
            task = await self.taken()
            task.fail("Bad", "why") if text is None else task.succeed(Payload(text))
        await self.clock.advance(0)

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
