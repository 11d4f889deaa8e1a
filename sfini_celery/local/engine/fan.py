"""The states with frames below them: Parallel and inline Map.

Every branch, and every slot of a Map's concurrency, is a coroutine of its own on the one event loop. The first frame to
fail ends its siblings in the same breath.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from sfini_celery.local.engine.execution import Frame
from sfini_celery.local.engine.failure import RUNTIME, Failure
from sfini_celery.local.engine.payload import Payload, joined
from sfini_celery.local.engine.visit import Outcome, Visit

__all__ = ["run_map", "run_parallel"]

MOST_ITERATIONS = 40
"""Iterations of an inline Map that run at once, whatever MaxConcurrency says."""


class Fan:
    """The frames below one attempt of a state.

    Parameters:
        visit: the state
        size: how many results there will be
    """

    def __init__(self, visit: Visit, size: int) -> None:
        self.visit, self.frame = visit, visit.frame
        self.first = self.frame.last
        self.results: list[Payload | None] = [None] * size
        self._left = size
        self._ended: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()

    def open(self, last: int, iteration: tuple[str, int] | None = None) -> Frame:
        """A new frame below the state."""
        frame = Frame(self.frame.execution, above=self.frame, last=last, iteration=iteration)
        self.frame.children.append(frame)
        return frame

    def succeed(self, frame: Frame, index: int, result: Payload, last: int) -> None:
        """A frame has ended well; ``last`` is the number of its last event."""
        self.frame.children.remove(frame)
        self.results[index] = result
        self._left -= 1
        if not self._left:
            self.frame.last = last
            self._end(None)

    def fail(self, frame: Frame, failure: Failure) -> None:
        """A frame has failed: end the others."""
        if self._ended.done():
            return
        frame.fail()
        if frame.iteration is not None:
            frame.note("MapIterationFailed", *frame.iteration)
        self.frame.children.remove(frame)
        for sibling in self.frame.children:
            sibling.abort()
        self.frame.children = []
        self.frame.last = frame.last
        self.visit.has_failed_frame = True
        self._end(failure)

    async def wait(self) -> Payload:
        """The list of the results; raises the first failure."""
        failure = await self._ended if self.results else None
        if failure is not None:
            raise failure
        return joined(result for result in self.results if result is not None)

    def _end(self, failure: Failure | None) -> None:
        if not self._ended.done():
            self._ended.set_result(failure)


async def run_parallel(visit: Visit) -> Outcome:
    """Run the branches, each on the same input."""
    input = visit.parameters(visit.effective_input())
    branches = visit.state["Branches"]
    visit.frame.record("ParallelStateStarted")
    fan = Fan(visit, len(branches))
    for index, branch in enumerate(branches):
        frame = fan.open(fan.first)
        frame.task = asyncio.create_task(_run_branch(fan, frame, index, branch, input))
    result = await fan.wait()
    visit.frame.note("ParallelStateSucceeded")
    return visit.outcome(result)


async def _run_branch(fan: Fan, frame: Frame, index: int, branch: Mapping[str, Any], input: Payload) -> None:
    try:
        result = await frame.engine.interpret(frame, branch, input)
    except Failure as failure:
        fan.fail(frame, failure)
    else:
        fan.succeed(frame, index, result, frame.last)


async def run_map(visit: Visit) -> Outcome:
    """Run the item processor on every item."""
    state = visit.state
    processor = state.get("ItemProcessor")
    if processor is None:
        processor = state["Iterator"]
    elif processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
        raise Failure(RUNTIME, f"The state '{visit.name}' is a distributed Map, which this server does not run.")
    effective = visit.effective_input()
    slots = min(visit.concurrency(effective) or MOST_ITERATIONS, MOST_ITERATIONS)
    items = visit.items(effective)
    visit.frame.record("MapStateStarted", len(items))
    fan = Fan(visit, len(items))
    todo = enumerate(items)
    for _ in range(min(slots, len(items))):
        _next_iteration(fan, todo, processor, effective, fan.first)
    result = await fan.wait()
    visit.frame.note("MapStateSucceeded")
    return visit.outcome(result)


def _next_iteration(
    fan: Fan, todo: Iterator[tuple[int, Any]], processor: Mapping[str, Any], effective: Payload, last: int
) -> None:
    for index, item in todo:
        frame = fan.open(last, (fan.visit.name, index))
        frame.record("MapIterationStarted", fan.visit.name, index)
        frame.task = asyncio.create_task(_run_iteration(fan, frame, todo, index, item, processor, effective))
        return


async def _run_iteration(
    fan: Fan,
    frame: Frame,
    todo: Iterator[tuple[int, Any]],
    index: int,
    item: Any,
    processor: Mapping[str, Any],
    effective: Payload,
) -> None:
    visit = fan.visit
    try:
        result = await frame.engine.interpret(frame, processor, visit.item(effective, index, item))
    except Failure as failure:
        fan.fail(frame, failure)
        return
    succeeded = frame.note("MapIterationSucceeded", visit.name, index)
    fan.succeed(frame, index, result, succeeded)
    _next_iteration(fan, todo, processor, effective, frame.last)
