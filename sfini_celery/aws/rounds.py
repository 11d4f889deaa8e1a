"""Which execution to look at next, and when: pure, time is given.

DescribeExecution refills at 15 calls a second in the largest regions and at 10 elsewhere (Quotas, developer guide). All
waits of one control plane therefore share one pace. Where they want more looks than it allows, what has just begun goes
first, since it may end at once, and after it whoever is late by the largest factor; but every third look is for the one
that was left alone the longest, so that what goes on for hours is not forgotten.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sfini_celery.errors import ServiceError, Throttled, Unreachable

__all__ = ["FINISHED", "Answer", "Pace", "Rounds", "pause_after"]

FINISHED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
"""Statuses in which an execution stays until somebody redrives it."""

CALLS_PER_SECOND = 10.0
BURST = 5.0
_FIRST, _LONGEST, _SHARE_OF_AGE, _JITTER = 0.05, 2.5, 0.5, 0.2
_FORGIVEN = 60.0
_FOR_THE_OLDEST = 3
_ROUNDING, _LEAST = 1e-6, 1e-3

Answer = dict[str, Any]
"""What DescribeExecution answers."""


def pause_after(age: float, rng: Callable[[], float] = random.random) -> float:
    """Seconds to pause between two looks at what is waited for since ``age`` seconds: 50 ms at first, 2 to 3 s later.

    Parameters:
        age: seconds
        rng: gives numbers from 0 to 1, so that many waiters do not look at the same moment
    """
    pause = min(max(age * _SHARE_OF_AGE, _FIRST), _LONGEST)
    return pause * (1 - _JITTER + 2 * _JITTER * rng())


class Pace:
    """How many calls may be made: ``rate`` a second, and ``burst`` at once after a rest.

    No second sees more than the two together: 15.
    """

    def __init__(self, rate: float = CALLS_PER_SECOND, burst: float = BURST) -> None:
        self.rate, self.burst = rate, burst
        self._left, self._at = burst, float("-inf")

    def delay(self, now: float) -> float:
        """Seconds until a call may be made, 0 for now."""
        missing = 1 - self._filled(now)
        return 0.0 if missing <= _ROUNDING else max(missing / self.rate, _LEAST)

    def take(self, now: float) -> bool:
        """Whether a call may be made now; if so, it is counted."""
        filled = self._filled(now)
        if filled < 1 - _ROUNDING:
            return False
        self._left, self._at = filled - 1, now
        return True

    def slow(self, now: float) -> None:
        """The service asked for patience: a second without a call."""
        self._left, self._at = 1 - self.rate, now

    def _filled(self, now: float) -> float:
        return min(self.burst, self._left + max(0.0, now - self._at) * self.rate)


@dataclass(eq=False)
class _Watched:
    """One execution that somebody waits for."""

    arn: str
    looked: float
    since: float
    pause: float
    interval: float | None
    answered: float | None
    status: str | None
    futures: list[Future[Answer]] = field(default_factory=list)

    @property
    def due(self) -> float:
        return self.looked + self.pause

    def lateness(self, now: float) -> float:
        """How often its pause has passed since the last look; endless before the first."""
        return (now - self.looked) / self.pause if self.answered is not None and self.pause > 0 else float("inf")


class Rounds:
    """The executions that are waited for.

    Parameters:
        rng: chance in the pauses
        pace: how many looks are allowed
    """

    def __init__(self, rng: Callable[[], float] = random.random, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self._rng = rng
        self._watched: dict[str, _Watched] = {}
        self._looks = 0

    def __len__(self) -> int:
        return len(self._watched)

    def join(
        self,
        arn: str,
        future: Future[Answer],
        now: float,
        *,
        interval: float | None = None,
        status: str | None = None,
    ) -> None:
        """Somebody waits for an execution.

        Parameters:
            arn: the execution's
            future: gets DescribeExecution's answer, or what it raised
            now: the time
            interval: seconds between two looks, instead of pauses that grow with age
            status: what a look just now saw; None where there was none
        """
        watched = self._watched.get(arn)
        if watched is None:
            pause = pause_after(0.0, self._rng) if interval is None else interval
            looked, answered = (now - pause, None) if status is None else (now, now)
            watched = _Watched(arn, looked, now, pause, interval, answered, status)
            self._watched[arn] = watched
        elif interval is not None:
            watched.interval = interval if watched.interval is None else min(interval, watched.interval)
            watched.pause = min(watched.pause, interval)
        watched.futures.append(future)

    def leave(self, arn: str, future: Future[Answer]) -> None:
        """Somebody does not wait any more; the last one takes the execution out of the rounds."""
        watched = self._watched.get(arn)
        if watched is None or future not in watched.futures:
            return
        watched.futures.remove(future)
        if not watched.futures:
            del self._watched[arn]

    def status(self, arn: str) -> str | None:
        """What the last look at an execution saw."""
        return self._watched[arn].status if arn in self._watched else None

    def next(self, now: float) -> tuple[str | None, float | None]:
        """The execution to look at now, which counts as a call; or none, and the seconds until there is one."""
        if not self._watched:
            return None, None
        due = [watched for watched in self._watched.values() if watched.due <= now + _ROUNDING]
        if not due:
            return None, min(watched.due for watched in self._watched.values()) - now
        if not self.pace.take(now):
            return None, self.pace.delay(now)
        self._looks += 1
        if self._looks % _FOR_THE_OLDEST == 0:
            return min(due, key=lambda watched: watched.looked).arn, 0.0
        return max(due, key=lambda watched: watched.lateness(now)).arn, 0.0

    def looked(self, arn: str, found: Answer | Exception, now: float) -> list[Future[Answer]]:
        """A look was made; returns who is to be told, nobody where it is to be looked at again."""
        watched = self._watched.get(arn)
        if watched is None:
            return []
        watched.looked = now
        if isinstance(found, Throttled):
            self.pace.slow(now)
        if isinstance(found, Exception):
            over = not self._passes(found, watched, now)
        else:
            watched.answered, watched.status = now, str(found.get("status"))
            over = watched.status in FINISHED
        if over:
            del self._watched[arn]
            return watched.futures
        pause = watched.interval
        watched.pause = pause_after(now - watched.since, self._rng) if pause is None else pause
        return []

    def all(self) -> list[Future[Answer]]:
        """Everybody who waits; the rounds are empty then."""
        futures = [future for watched in self._watched.values() for future in watched.futures]
        self._watched.clear()
        return futures

    def _passes(self, error: Exception, watched: _Watched, now: float) -> bool:
        """Whether an error is one to wait away: not for longer than a minute, and not a wrong endpoint's."""
        if isinstance(error, Throttled):
            return now - (watched.since if watched.answered is None else watched.answered) <= _FORGIVEN
        passing = isinstance(error, Unreachable) or (isinstance(error, ServiceError) and error.status >= 500)
        return passing and watched.answered is not None and now - watched.answered <= _FORGIVEN
