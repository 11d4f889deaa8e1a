"""Time as a parameter: the engine asks a clock, never the machine.

:class:`RealClock` is the machine's time. :class:`VirtualClock` stands still until it is moved, so that a test of a
one-hour Wait takes milliseconds.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Clock", "RealClock", "Timer", "VirtualClock"]


class Timer(Protocol):
    """A call that was put off; it can be taken back."""

    def cancel(self) -> None:
        """Take the call back; harmless when it was made or taken back before."""


class Clock(Protocol):
    """What the engine needs of time; all of it on the running event loop."""

    def now(self) -> float:
        """Seconds since the epoch."""

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` (at once for zero or less)."""

    def call_later(self, seconds: float, callback: Callable[[], object], *, background: bool = False) -> Timer:
        """Call ``callback`` after ``seconds``.

        Parameters:
            seconds: how long from now
            callback: called without arguments, on the event loop
            background: not worth skipping time for, such as the end of a long poll
        """


class RealClock:
    """The machine's time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], object], *, background: bool = False) -> Timer:
        """Call ``callback`` after ``seconds``; ``background`` makes no difference here."""
        return asyncio.get_running_loop().call_later(seconds, callback)


class _VirtualTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


_Queue = list[tuple[float, int, _VirtualTimer]]
"""A heap: when, in which order, what."""


class VirtualClock:
    """A clock that stands still until it is moved.

    Parameters:
        start: what it shows at first, in seconds since the epoch
        auto: skip to the next timer as soon as nothing else on the event loop can run. Time spent outside the loop (in
            threads, in other processes, on the network) does not count as running, so leave it off where a worker
            talks to a server, and use :meth:`advance` there.

    Use one clock with one event loop.

    Example:
        >>> async def nap() -> float:
        ...     clock = VirtualClock(start=0.0, auto=True)
        ...     await clock.sleep(3600)
        ...     return clock.now()
        >>> asyncio.run(nap())
        3600.0
    """

    def __init__(self, start: float = 1_700_000_000.0, *, auto: bool = False) -> None:
        self._now = start
        self._auto = auto
        self._timers: _Queue = []
        self._background: _Queue = []
        self._sequence = itertools.count()
        self._skipper: asyncio.Task[None] | None = None

    def now(self) -> float:
        """What the clock shows, in seconds since the epoch."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Return once the clock has moved by ``seconds``."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: wake(woken))
        try:
            await woken
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], object], *, background: bool = False) -> Timer:
        """Call ``callback`` once the clock has moved by ``seconds``."""
        timer = _VirtualTimer(callback)
        queue = self._background if background else self._timers
        heapq.heappush(queue, (self._now + max(0.0, seconds), next(self._sequence), timer))
        if self._auto and not background and self._skipper is None:
            self._skipper = asyncio.get_running_loop().create_task(self._skip(), name="virtual-clock")
        return timer

    async def advance(self, seconds: float) -> None:
        """Move the clock by ``seconds``, calling what falls due in its order and letting each call have its effect."""
        end = self._now + seconds
        await _settle()
        while (due := min(_due(self._timers), _due(self._background))) <= end:
            self._fire(due)
            await _settle()
        self._now = max(self._now, end)
        await _settle()

    async def _skip(self) -> None:
        try:
            while True:
                await _settle()
                due = _due(self._timers)
                if due == _NEVER:
                    return
                self._fire(min(due, _due(self._background)))
        finally:
            self._skipper = None

    def _fire(self, until: float) -> None:
        """Move to ``until`` and call all that is due by then, in its order."""
        while (due := min(_due(self._timers), _due(self._background))) <= until:
            self._now = max(self._now, due)
            queue = self._timers if _due(self._timers) == due else self._background
            callback = heapq.heappop(queue)[2].callback
            if callback is not None:
                callback()


_NEVER = float("inf")


def _due(queue: _Queue) -> float:
    while queue and queue[0][2].callback is None:
        heapq.heappop(queue)
    return queue[0][0] if queue else _NEVER


def wake(future: asyncio.Future[None]) -> None:
    """Let go on what waits for ``future``; harmless when it has gone on before."""
    if not future.done():
        future.set_result(None)


async def _settle() -> None:
    """Return when nothing else on the event loop is ready to run."""
    # asyncio tells nobody how much is ready; its own loops keep it in this private queue. Other loops get enough turns
    # for the longest chain of wake-ups in the engine.
    ready = getattr(asyncio.get_running_loop(), "_ready", None)
    turns = 0
    while turns < 100:
        await asyncio.sleep(0)
        if ready is None:
            turns += 1
        elif not ready:
            return
