"""The states with frames below them: Parallel and inline Map.

Every branch, and every slot of a Map's concurrency, is a coroutine of its own on the one event loop. The first frame to
fail ends its siblings in the same breath.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from sfini_celery.local.engine.distributed import run_distributed
from sfini_celery.local.engine.execution import Frame
from sfini_celery.local.engine.failure import Failure
from sfini_celery.local.engine.payload import Payload, joined
from sfini_celery.local.engine.visit import Outcome, Visit

__all__ = ["run_map", "run_parallel"]

MOST_ITERATIONS = 40
"""Iterations of an inline Map that run at once, whatever MaxConcurrency says."""


class Fan:
    """The frames below one attempt of a state.

    Parameters:
        visit: the state
        started: the number of its Started event
        results: those there are, None for the others
        ended: frames whose execution was ended, to go on where they stood, by their places

    Attributes:
        started, results: those two
    """

    def __init__(
        self, visit: Visit, started: int, results: list[Payload | None], ended: Mapping[int, Frame] | None = None
    ) -> None:
        self.started, self.results = started, results
        self._visit, self._frame = visit, visit.frame
        self._ended = ended or {}
        self._frames: dict[int, Frame] = {}
        self._left = results.count(None)
        self._outcome: asyncio.Future[Failure | None] = asyncio.get_running_loop().create_future()

    @classmethod
    def begin(cls, visit: Visit, size: int, *details: int) -> Fan:
        """Start all frames of a state, or after a redrive those that have not succeeded.

        Parameters:
            visit: the state
            size: how many results there will be
            details: of its Started event
        """
        frame = visit.frame
        left = frame.below
        if isinstance(left, Fan) and len(left.results) == size:
            fan = cls(visit, left.started, left.results, {**left._ended, **left._frames})
        else:
            started = frame.record(f"{visit.state['Type']}StateStarted", *details)
            fan = cls(visit, started, [None] * size)
        frame.below = fan
        return fan

    def todo(self) -> list[int]:
        """The places without a result."""
        return [place for place, result in enumerate(self.results) if result is None]

    def open(self, place: int, last: int, iteration: tuple[str, int] | None = None) -> Frame:
        """A frame below the state: a new one, or one that goes on where it stood."""
        ended = self._ended.get(place)
        if ended is None:
            frame = Frame(self._frame.execution, above=self._frame, last=last, iteration=iteration)
            if iteration is not None:
                frame.record("MapIterationStarted", *iteration)
        else:
            frame = ended.revived(self._frame, iteration)
        self._frames[place] = frame
        return frame

    def succeed(self, place: int, result: Payload, last: int) -> None:
        """A frame has ended well; ``last`` is the number of its last event."""
        del self._frames[place]
        self.results[place] = result
        self._left -= 1
        if not self._left:
            self._frame.last = last
            self._end(None)

    def fail(self, place: int, failure: Failure) -> None:
        """A frame has failed: end the others."""
        if self._outcome.done():
            return
        frame = self._frames[place]
        frame.fail()
        if frame.iteration is not None:
            frame.note("MapIterationFailed", *frame.iteration)
        for sibling in self._frames.values():
            if sibling is not frame:
                sibling.abort()
        self._frame.last = frame.last
        self._visit.has_failed_frame = True
        self._end(failure)

    async def wait(self) -> Payload:
        """The list of the results; raises the first failure."""
        failure = await self._outcome if self._left else None
        if failure is not None:
            raise failure
        self._frame.below = None
        return joined(result for result in self.results if result is not None)

    def abort(self) -> None:
        """End the frames that run because a sibling of the state's frame failed."""
        if not self._outcome.done():
            for frame in self._frames.values():
                frame.abort()

    def stop(self) -> None:
        """End the frames that run because the execution has ended."""
        for frame in self._frames.values():
            frame.stop()

    def _end(self, failure: Failure | None) -> None:
        if not self._outcome.done():
            self._outcome.set_result(failure)


async def run_parallel(visit: Visit) -> Outcome:
    """Run the branches, each on the same input."""
    input = visit.parameters(visit.effective_input())
    branches = visit.state["Branches"]
    fan = Fan.begin(visit, len(branches))
    for place in fan.todo():
        frame = fan.open(place, fan.started)
        frame.task = asyncio.create_task(_run_branch(fan, frame, place, branches[place], input))
    result = await fan.wait()
    visit.frame.note("ParallelStateSucceeded")
    return visit.outcome(result)


async def _run_branch(fan: Fan, frame: Frame, place: int, branch: Mapping[str, Any], input: Payload) -> None:
    try:
        result = await frame.engine.interpret(frame, branch, input)
    except Failure as failure:
        fan.fail(place, failure)
    else:
        fan.succeed(place, result, frame.last)


async def run_map(visit: Visit) -> Outcome:
    """Run the item processor on every item."""
    state = visit.state
    processor = state["ItemProcessor"] if "ItemProcessor" in state else state["Iterator"]
    if processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
        return await run_distributed(visit, processor)
    effective = visit.effective_input()
    slots = min(visit.concurrency(effective) or MOST_ITERATIONS, MOST_ITERATIONS)
    items = visit.items(effective)
    mapping = _Mapping(visit, Fan.begin(visit, len(items), len(items)), processor, effective, items)
    for _ in range(slots):
        mapping.next(mapping.fan.started)
    result = await mapping.fan.wait()
    visit.frame.note("MapStateSucceeded")
    return visit.outcome(result)


class _Mapping:
    """The iterations of one attempt of an inline Map.

    Parameters:
        visit, fan, processor, items: the state, its frames, what they run and on what
        effective: the state's effective input
    """

    def __init__(
        self, visit: Visit, fan: Fan, processor: Mapping[str, Any], effective: Payload, items: Sequence[Any]
    ) -> None:
        self.fan = fan
        self._visit, self._processor, self._effective, self._items = visit, processor, effective, items
        self._todo = iter(fan.todo())

    def next(self, last: int) -> None:
        """Start the next iteration, if there is one, in the history after the event ``last``."""
        for index in self._todo:
            frame = self.fan.open(index, last, (self._visit.name, index))
            frame.task = asyncio.create_task(self._run(frame, index))
            return

    async def _run(self, frame: Frame, index: int) -> None:
        visit = self._visit
        try:
            if frame.position is None:
                input = visit.item(self._effective, index, self._items[index])
            else:
                input = frame.position.input
            result = await frame.engine.interpret(frame, self._processor, input)
        except Failure as failure:
            self.fan.fail(index, failure)
            return
        succeeded = frame.note("MapIterationSucceeded", visit.name, index)
        self.fan.succeed(index, result, succeeded)
        self.next(frame.last)
