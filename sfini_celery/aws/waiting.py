"""Waiting for executions to end, with regard to what AWS allows an account.

DescribeExecution refills at 15 calls a second in the largest regions and at 10 elsewhere (Quotas, developer guide).
All waits of one control plane therefore count each other: the more there are, the longer each pauses.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from sfini_celery.aws.naming import name_in
from sfini_celery.errors import ServiceError, Throttled, Unreachable, WaitTimeout

__all__ = ["FINISHED", "Waiter", "pauses"]

FINISHED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
"""Statuses in which an execution stays until somebody redrives it."""

_FIRST, _LONGEST, _GROWTH, _JITTER = 0.05, 2.5, 1.5, 0.2
_CALLS_PER_SECOND = 10
_FORGIVEN = 60.0


def pauses(rng: Callable[[], float] = random.random) -> Iterator[float]:
    """Seconds to pause between two looks: 50 ms at first, 2 to 3 s in the end.

    Parameters:
        rng: gives numbers from 0 to 1, so that many waiters do not look at the same moment
    """
    pause = _FIRST
    while True:
        yield pause * (1 - _JITTER + 2 * _JITTER * rng())
        pause = min(_LONGEST, pause * _GROWTH)


class Waiter:
    """Looks at executions until they end. Thread-safe: one is shared by all waits of a control plane.

    Parameters:
        describe: gives DescribeExecution's answer for an ARN
        sleep, now, rng: time and chance, for tests
    """

    def __init__(
        self,
        describe: Callable[[str], dict[str, Any]],
        *,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._describe, self._sleep, self._now, self._rng = describe, sleep, now, rng
        self._lock = threading.Lock()
        self._waiting = 0

    def wait(self, arn: str, *, timeout: float | None = None) -> dict[str, Any]:
        """Return DescribeExecution's answer once the execution has ended, however it ended.

        An endpoint that stops answering, or answers with throttling or a failure of its own, is forgiven for a minute.
        The first look is not: a wrong endpoint shows at once.

        Parameters:
            arn: the execution's
            timeout: seconds, without end when None; 0 looks once
        Raises:
            WaitTimeout: it took longer; the execution goes on
        """
        begun = self._now()
        answered: float | None = None
        status = "unknown"
        with self._lock:
            self._waiting += 1
        try:
            for pause in pauses(self._rng):
                try:
                    found = self._describe(arn)
                    answered, status = self._now(), str(found.get("status"))
                    if status in FINISHED:
                        return found
                except (ServiceError, Unreachable) as exc:
                    if not _passes(exc) or answered is None or self._now() - answered > _FORGIVEN:
                        raise
                left = None if timeout is None else begun + timeout - self._now()
                if left is not None and left <= 0:
                    name = arn.rpartition(":")[2]
                    raise WaitTimeout(f"execution {name!r} of {name_in(arn)!r} is still {status} after {timeout:g} s")
                pause = max(pause, self._waiting / _CALLS_PER_SECOND if self._waiting > 1 else 0)
                self._sleep(pause if left is None else min(pause, left))
        finally:
            with self._lock:
                self._waiting -= 1
        raise AssertionError("pauses never end")


def _passes(exc: ServiceError | Unreachable) -> bool:
    return isinstance(exc, Throttled | Unreachable) or exc.status >= 500
