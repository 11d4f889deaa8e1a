"""Heartbeats for everything in the ledger: waiting, running or parked, at a third of its HeartbeatSeconds.

One heap and one timer, not a task per job: what is due within a moment goes out together, a bounded number at once.
A beat's answer is also how AWS says that nobody waits any more: the execution was stopped, or the task timed out.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections import Counter, deque
from collections.abc import Callable

from sfini_celery.dataplane import DataPlane
from sfini_celery.errors import AccessDenied, NoCredentials, ServiceError, TokenClosed, Unreachable
from sfini_celery.worker.endpoint import Endpoint, name_of
from sfini_celery.worker.ledger import Job, Ledger
from sfini_celery.worker.pace import Sayings

__all__ = ["Heartbeats"]

log = logging.getLogger(__name__)

# Beats that are due within this long go out together.
TOGETHER = 0.1
# A beat that hangs must leave time for another one.
SHORTEST_WAIT = 1.0


class Heartbeats:
    """Beats for the jobs of a ledger, on the running loop.

    Parameters:
        plane: the open data plane
        ledger: a job that is not in it any more is not beaten for
        endpoint: shared with polls and reports
        closed: gets a job whose token AWS closed; it is out of the ledger already
        rng: where the randomness comes from
        at_once: calls under way at once
    """

    def __init__(
        self,
        *,
        plane: DataPlane,
        ledger: Ledger,
        endpoint: Endpoint,
        closed: Callable[[Job], None],
        rng: random.Random,
        at_once: int = 16,
    ) -> None:
        self._plane, self._ledger, self._endpoint, self._closed, self._rng = plane, ledger, endpoint, closed, rng
        self._loop = asyncio.get_running_loop()
        self._at_once = at_once
        self._due: list[tuple[float, str]] = []
        self._ready: deque[str] = deque()
        self._failures: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._sayings = Sayings()
        # sent, failed, closed
        self.counts: Counter[str] = Counter()

    def add(self, job: Job) -> None:
        """Begin to beat for a job, until it leaves the ledger."""
        self._again(job.id, _third(job) * self._rng.uniform(0.9, 1.0))

    def stop(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._due.clear()
        self._ready.clear()
        for task in self._tasks:
            task.cancel()

    def _again(self, id: str, seconds: float) -> None:
        heapq.heappush(self._due, (self._loop.time() + seconds, id))
        when = self._due[0][0]
        if self._timer is None or self._timer.when() > when:
            self._set(when)

    def _set(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._collect)

    def _collect(self) -> None:
        self._timer = None
        horizon = self._loop.time() + TOGETHER
        while self._due and self._due[0][0] <= horizon:
            self._ready.append(heapq.heappop(self._due)[1])
        if self._due:
            self._set(self._due[0][0])
        self._send()

    def _send(self) -> None:
        while self._ready and len(self._tasks) < self._at_once:
            id = self._ready.popleft()
            if id in self._ledger:
                task = asyncio.ensure_future(self._beat(id))
                self._tasks.add(task)
                task.add_done_callback(self._sent)
            else:
                self._failures.pop(id, None)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if (exc := task.exception()) is not None:
            # A beat has its own handler for every failure of the wire; this is a bug, and the beats must go on.
            log.critical("sfini_heartbeat_crashed", exc_info=exc)
        self._send()

    async def _beat(self, id: str) -> None:
        job = self._ledger.get(id)
        if job is None:
            return
        third = _third(job)
        wait = third * self._rng.uniform(0.9, 1.0)
        try:
            await asyncio.wait_for(self._plane.send_heartbeat(job.token.reveal()), max(SHORTEST_WAIT, third))
        except TokenClosed as exc:
            self._endpoint.answered(self._loop.time())
            # Some servers say InvalidToken where the state has no HeartbeatSeconds: no proof that nobody waits.
            if exc.code != "InvalidToken":
                self._close(id, exc)
                return
            if self._sayings.due((job.activity, exc.code), self._loop.time()):
                log.info("sfini_heartbeat_not_wanted activity=%s code=%s", job.activity, exc.code)
        except Exception as exc:
            wait = self._failed(job, exc)
        else:
            self.counts["sent"] += 1
            self._failures.pop(id, None)
            self._endpoint.answered(self._loop.time())
        self._again(id, wait)

    def _close(self, id: str, error: TokenClosed) -> None:
        self._failures.pop(id, None)
        # Out of the ledger first: a task that reports in this moment must not be reported and then revoked.
        job = self._ledger.pop(id)
        if job is None:
            return
        self.counts["closed"] += 1
        log.warning("sfini_task_closed id=%s activity=%s was=%s code=%s", id, job.activity, job.state, error.code)
        self._closed(job)

    def _failed(self, job: Job, error: Exception) -> float:
        self.counts["failed"] += 1
        now = self._loop.time()
        if isinstance(error, asyncio.TimeoutError):
            error = Unreachable("SendTaskHeartbeat", "", "no answer in time")
        self._endpoint.heard(error, now)
        if isinstance(error, (AccessDenied, NoCredentials)):
            if self._sayings.due((job.activity, name_of(error)), now):
                log.error("sfini_heartbeat_denied activity=%s error=%s", job.activity, name_of(error))
        elif not isinstance(error, (ServiceError, Unreachable)):
            log.error("sfini_heartbeat_failed id=%s activity=%s", job.id, job.activity, exc_info=error)
        failures = self._failures[job.id] = self._failures.get(job.id, 0) + 1
        # Sooner than the next beat would be: two more may fail before the task times out.
        return self._rng.uniform(0.5, 1.0) * min(_third(job), 0.5 * 2.0 ** min(failures, 10))


def _third(job: Job) -> float:
    return max(job.heartbeat / 3, 0.3)
