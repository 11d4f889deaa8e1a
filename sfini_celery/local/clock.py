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
    __slots__ = ("background", "callback")

    def __init__(self, callback: Callable[[], object], background: bool) -> None:
        self.callback: Callable[[], object] | None = callback
        self.background = background

    def cancel(self) -> None:
        self.callback = None


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
        self._timers: list[tuple[float, int, _VirtualTimer]] = []
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
        timer = _VirtualTimer(callback, background)
        heapq.heappush(self._timers, (self._now + max(0.0, seconds), next(self._sequence), timer))
        if self._auto and not background and self._skipper is None:
            self._skipper = asyncio.get_running_loop().create_task(self._skip(), name="virtual-clock")
        return timer

    async def advance(self, seconds: float) -> None:
        """Move the clock by ``seconds``, calling what falls due in its order and letting each call have its effect."""
        end = self._now + seconds
        await _settle()
        while (due := self._next(background=True)) is not None and due <= end:
            self._fire(due)
            await _settle()
        self._now = max(self._now, end)
        await _settle()

    async def _skip(self) -> None:
        try:
            while True:
                await _settle()
                due = self._next(background=False)
                if due is None:
                    return
                self._fire(due)
        finally:
            self._skipper = None

    def _next(self, *, background: bool) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if background:
            return self._timers[0][0] if self._timers else None
        return min((due for due, _, timer in self._timers if timer.callback and not timer.background), default=None)

    def _fire(self, due: float) -> None:
        self._now = max(self._now, due)
        while self._timers and self._timers[0][0] <= due:
            callback = heapq.heappop(self._timers)[2].callback
            if callback is not None:
                callback()


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
