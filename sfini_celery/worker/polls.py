"""Which polls to open and when: enough that no activity starves, not so many that tasks come which cannot start.

An open poll is not a slot: most of them wait for a minute and bring nothing, and counting them as slots starves the
other activities. What counts is what they are likely to bring. An activity whose last poll brought a task at once is
*warm*: more of them wait there, so a poll on it takes one, and such polls are opened only for free slots. A poll on a
*cold* activity waits; while any slot is free every cold activity has one, and more as long as there are fewer polls
than free slots.

Polls that bring nothing are paced; one that brought a task is replaced at once.

A poll is never cancelled: the task that was on its way would be lost until its heartbeat times out.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sfini_celery.dataplane import ActivityTask, DataPlane
from sfini_celery.errors import (
    AccessDenied,
    ConfigurationError,
    IllegalMove,
    LimitExceeded,
    NotFound,
    SfiniError,
    Throttled,
)
from sfini_celery.worker.endpoint import Endpoint, is_outage, name_of
from sfini_celery.worker.ledger import Job, Ledger
from sfini_celery.worker.pace import Backoff, Bucket, Sayings

__all__ = ["ActivityPoll", "Line", "Polls", "choose"]

log = logging.getLogger(__name__)

# A poll of an activity that has tasks is answered within this; one that is still open waits for a task to come. It is
# learnt from the fastest answer there was, between these two.
PATIENCE = 1.0
LEAST_PATIENCE = 0.1
# Capacity may grow without anybody saying so (an autoscaler, a pool that replaced a child).
TICK = 1.0
# A timer that is nearer than this would only spin.
MOMENT = 0.001
HALF_LIFE = 30.0
# How long a cut number of polls is kept before one more is tried.
LIMIT_REST = 300.0


@dataclass(frozen=True)
class ActivityPoll:
    """An activity to poll.

    Attributes:
        name: the activity's name, without any ARN
        arn: the activity's ARN
        polls: open at once, at most
        heartbeat: HeartbeatSeconds of its tasks; beats go at a third of it
    """

    name: str
    arn: str
    polls: int = 4
    heartbeat: float = 60.0


class Line:
    """What is known of one activity's polls."""

    def __init__(self, activity: ActivityPoll, rng: random.Random, *, not_before: float = 0.0) -> None:
        self.activity = activity
        # When each open poll was opened, seconds on the loop's clock.
        self.open: dict[object, float] = {}
        self.limit = activity.polls
        self.limit_cut_at = 0.0
        self.paused = False
        self.not_before = not_before
        self.quick = Backoff(0.5, 30.0, rng)
        self.slow = Backoff(5.0, 60.0, rng, floor=0.5)
        self.last_hit = 0.0
        self.last_error: str | None = None
        self.polled = self.taken = 0
        self._hot = False
        self._score = 0.0

    def warm(self, now: float, patience: float = PATIENCE) -> bool:
        """Whether a poll opened now would bring a task at once, as far as one can tell."""
        # The dict keeps the order of opening: its first is the oldest.
        return self._hot and now - next(iter(self.open.values()), now) <= patience

    def score(self, now: float) -> float:
        """How many tasks it brought lately."""
        return float(self._score * 0.5 ** ((now - self.last_hit) / HALF_LIFE))

    def hit(self, now: float, *, at_once: bool = True) -> None:
        """A poll brought a task, that had waited for it or that the task had waited for."""
        self._score, self.last_hit, self._hot = self.score(now) + 1, now, at_once
        self.taken += 1

    def empty(self) -> None:
        """A poll brought none."""
        self._hot = False

    def cut(self, now: float) -> None:
        """AWS says that too many workers poll this activity."""
        self.limit, self.limit_cut_at = max(1, self.limit // 2), now

    def allowed(self, now: float) -> int:
        """How many polls may be open."""
        if self.limit < self.activity.polls and now - self.limit_cut_at >= LIMIT_REST:
            self.limit, self.limit_cut_at = self.limit + 1, now
        return self.limit


def choose(lines: Iterable[Line], *, free: int, now: float, patience: float = PATIENCE) -> Line | None:
    """The activity that most deserves one more poll, or None: a pure decision.

    Parameters:
        lines: all of them, the paused and the failing too
        free: slots that are free
        now: seconds
        patience: seconds within which a poll brings a task that is there
    """
    if free <= 0:
        return None
    lines = list(lines)
    warm = {id(line) for line in lines if line.warm(now, patience)}
    imminent = sum(len(line.open) for line in lines if id(line) in warm)
    total = sum(len(line.open) for line in lines)
    best: Line | None = None
    best_rank = (True, 0.0)
    for line in lines:
        count = len(line.open)
        if line.paused or line.not_before > now or count >= line.allowed(now):
            continue
        if id(line) in warm:
            if imminent >= free:
                continue
        elif count and total >= free:
            continue
        # First those without a poll, the longest unserved of them first; then by what they bring for each poll.
        rank = (count > 0, -(line.score(now) + 0.1) / (count + 1) if count else line.last_hit)
        if best is None or rank < best_rank:
            best, best_rank = line, rank
    return best


class Polls:
    """Opens polls on the running loop, hands on what they bring, and minds what went wrong.

    Parameters:
        plane: the open data plane
        ledger: where a taken task is entered
        activities: to poll
        worker: this worker's name, as AWS shows it
        capacity: free slots now, what is in the ledger already subtracted
        bucket: the pace of new polls
        endpoint: shared with reports and heartbeats
        taken: gets each job, and whether it came too late to be run
        missing: called in a helper thread with the name of an activity that does not exist
        refused: called with the name of an activity that may not be polled, and the error
        changed: called when the number of open polls went down
        crash: called when capacity cannot be asked any more
        start_jitter: seconds over which the first polls are spread
        rng: where the randomness comes from
    """

    def __init__(
        self,
        *,
        plane: DataPlane,
        ledger: Ledger,
        activities: Iterable[ActivityPoll],
        worker: str,
        capacity: Callable[[], int],
        bucket: Bucket,
        endpoint: Endpoint,
        taken: Callable[[Job, bool], None],
        missing: Callable[[str], object] | None = None,
        refused: Callable[[str, Exception], None] | None = None,
        changed: Callable[[], None] = lambda: None,
        crash: Callable[[BaseException], None],
        start_jitter: float = 0.0,
        rng: random.Random,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._plane, self._ledger, self._worker = plane, ledger, worker
        self._capacity, self._taken, self._changed, self._crash = capacity, taken, changed, crash
        self._missing, self._refused = missing, refused
        self._bucket, self._endpoint, self._rng = bucket, endpoint, rng
        self.lines = {
            activity.name: Line(activity, rng, not_before=now + rng.uniform(0, start_jitter)) for activity in activities
        }
        self._outage = Backoff(0.25, 30.0, rng)
        self._not_before = now
        self._sayings = Sayings()
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled = False
        self._asking: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopped = False
        self.patience = PATIENCE

    @property
    def open(self) -> int:
        """Polls that are open now."""
        return sum(len(line.open) for line in self.lines.values())

    def kick(self) -> None:
        """Something changed: look again, once, however often this is called."""
        if not self._scheduled and not self.stopped:
            self._scheduled = True
            self._loop.call_soon(self._look)

    def stop(self) -> None:
        """Open no more. Those that are open stay so until they are answered."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
        self._changed()

    def abandon(self) -> int:
        """Cut the open polls off, at the very end, when nobody waits for them any more; how many there were."""
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        return len(tasks)

    def pause(self, name: str | None, *, paused: bool) -> None:
        """Open no polls of an activity, or of all; or open them again."""
        for line in self.lines.values():
            if name is None or line.activity.name == name:
                line.paused = paused
        self.kick()

    def _look(self) -> None:
        self._scheduled = False
        if self.stopped:
            return
        try:
            wait = self._open_some(self._loop.time())
        except Exception as exc:
            self._crash(exc)
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(wait, self.kick)

    def _open_some(self, now: float) -> float:
        """Open what may be opened; seconds until something may change by itself."""
        if now < self._not_before:
            return self._not_before - now
        free = self._capacity()
        while (line := choose(self.lines.values(), free=free, now=now, patience=self.patience)) is not None:
            if not self._bucket.take(now):
                return min(TICK, max(MOMENT, self._bucket.wait(now)))
            poll = object()
            line.open[poll] = now
            line.polled += 1
            task = asyncio.ensure_future(self._poll(line, poll))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        due = [line.not_before - now for line in self.lines.values() if line.not_before > now]
        return min([TICK, *due])

    async def _poll(self, line: Line, poll: object) -> None:
        try:
            task = await self._plane.get_activity_task(line.activity.arn, self._worker)
        except SfiniError as exc:
            self._failed(line, exc, self._loop.time())
        except Exception as exc:
            log.exception("sfini_poll_failed activity=%s", line.activity.name)
            self._failed(line, exc, self._loop.time())
        else:
            self._answered(line, poll, task, self._loop.time())
        finally:
            del line.open[poll]
            self._changed()
        self.kick()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            self._crash(exc)

    def _answered(self, line: Line, poll: object, task: ActivityTask | None, now: float) -> None:
        self._endpoint.answered(now)
        waited = now - line.open[poll]
        for backoff in (self._outage, line.quick, line.slow):
            backoff.reset()
        if line.last_error is not None:
            if self._sayings.over((line, line.last_error)):
                log.info("sfini_poll_recovered activity=%s after=%s", line.activity.name, line.last_error)
            line.last_error = None
        if task is None:
            line.empty()
            return
        line.hit(now, at_once=waited <= self.patience)
        # The pace is for polls that find nothing or are turned down. A task costs a poll, and as many as AWS grants
        # may come: paid for by the one before, they cannot add up to more than that.
        self._bucket.give_back()
        self.patience = min(self.patience, max(LEAST_PATIENCE, 5 * waited))
        try:
            job = self._ledger.take(
                task.token, line.activity.name, task.input, heartbeat=line.activity.heartbeat
            )  # fmt: skip
        except IllegalMove:
            log.warning("sfini_task_twice activity=%s; it is held already", line.activity.name)
            return
        self._taken(job, self.stopped)

    def _failed(self, line: Line, error: Exception, now: float) -> None:
        line.last_error = name_of(error)
        if is_outage(error):
            # Several polls that fail together are one failure.
            if now >= self._not_before:
                self._not_before = now + self._outage.next()
            self._endpoint.failed(error, now)
            return
        self._endpoint.answered(now)
        if now < line.not_before:
            return
        line.not_before = now + (line.quick if isinstance(error, Throttled) else line.slow).next()
        if isinstance(error, Throttled):
            self._bucket.slow_down(now)
        elif isinstance(error, LimitExceeded):
            line.cut(now)
        elif isinstance(error, NotFound):
            self._ask_for(line)
        self._say(line, error, now)
        if self._refused is not None and _is_final(error, helped=self._missing is not None):
            self._refused(line.activity.name, error)

    def _say(self, line: Line, error: Exception, now: float) -> None:
        if not self._sayings.due((line, line.last_error), now):
            return
        name, wait = line.activity.name, line.not_before - now
        if isinstance(error, Throttled):
            log.warning(
                "sfini_poll_throttled activity=%s wait=%.1f rate=%.1f; other workers of this account poll too",
                name, wait, self._bucket.rate(now),
            )  # fmt: skip
        elif isinstance(error, LimitExceeded):
            log.warning(
                "sfini_worker_limit activity=%s wait=%.1f polls=%d; too many workers poll it", name, wait, line.limit
            )
        elif isinstance(error, NotFound):
            log.warning("sfini_activity_missing activity=%s arn=%s wait=%.1f", name, line.activity.arn, wait)
        else:
            log.error("sfini_poll_refused activity=%s wait=%.1f error=%s", name, wait, error)

    def _ask_for(self, line: Line) -> None:
        name, missing = line.activity.name, self._missing
        if missing is None or name in self._asking:
            return
        self._asking.add(name)

        def answered(done: asyncio.Future[Any]) -> None:
            self._asking.discard(name)
            if done.cancelled():
                return
            if (exc := done.exception()) is not None:
                log.error("sfini_activity_not_created activity=%s error=%s", name, exc)
            elif done.result():
                line.not_before = self._loop.time()
                self.kick()

        self._loop.run_in_executor(None, missing, name).add_done_callback(answered)


def _is_final(error: Exception, *, helped: bool) -> bool:
    return isinstance(error, (AccessDenied, ConfigurationError)) or (isinstance(error, NotFound) and not helped)
