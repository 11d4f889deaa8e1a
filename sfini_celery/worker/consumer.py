"""The consumer as an activity's strategy sees it, and what its restarts do to requests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from celery.worker import state

from sfini_celery.worker.inject import Held

__all__ = ["ConsumerView", "forget_request", "in_pool"]


class ConsumerView:
    """Celery's consumer, with two differences for requests that no broker sent.

    The broker's prefetch count is not touched: Celery raises it by one for each task that waits for its ETA, which for
    a thousand local retries would draw a thousand more messages. And a task whose time has come is not pushed into
    the pool from the timer (which is a thread of its own under the synchronous loop, and may block) but put in line.

    Parameters:
        consumer: Celery's
        park: gets a request that its task's rate limit holds back
        due: gets a request whose ETA has come
    """

    def __init__(self, consumer: Any, *, park: Callable[[Any], None], due: Callable[[Any], None]) -> None:
        self._consumer, self._park, self._due = consumer, park, due
        self.qos = _NoPrefetch()
        self.timer = _RememberingTimer(consumer.timer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)

    def apply_eta_task(self, request: Any) -> None:
        """The timer's call for a request whose ETA has come."""
        self._due(request)

    def _limit_task(self, request: Any, bucket: Any, tokens: int) -> Any:
        self._park(request)
        bucket.add((request, tokens))
        return self._consumer._schedule_bucket_request(bucket)

    def _limit_post_eta(self, request: Any, bucket: Any, tokens: int) -> Any:
        return self._limit_task(request, bucket, tokens)


class _RememberingTimer:
    """The consumer's timer; a request knows its entry, also before Celery 5.7, so that it can be cancelled."""

    def __init__(self, timer: Any) -> None:
        self._timer = timer

    def call_at(self, eta: float, function: Any, args: Any = (), **options: Any) -> Any:
        entry = self._timer.call_at(eta, function, args, **options)
        args[0]._eta_timer_entry = entry
        return entry


class _NoPrefetch:
    def increment_eventually(self, n: int = 1) -> None:
        pass

    def decrement_eventually(self, n: int = 1) -> None:
        pass


def in_pool(pool: Any, held: Held) -> bool:
    """Whether a job's request is still in the pool after the consumer was restarted.

    Celery wipes the queues before the pool and, in the asynchronous prefork pool, what no child has accepted. Before
    5.7 that pool also forgets what runs, and drops its result when it comes: for our jobs it is reminded.
    """
    if not held.in_pool:
        return False
    inner: Any = getattr(pool, "_pool", None)
    if not hasattr(inner, "outbound_buffer"):
        return True
    result = held.result
    if result is None or result.ready():
        return held.request in state.active_requests
    if result.accepted():
        inner._cache.setdefault(result._job, result)
    return result._job in inner._cache


def forget_request(consumer: Any, request: Any) -> None:
    """Take a request that will not run out of Celery's tables and its timer."""
    entry = getattr(request, "_eta_timer_entry", None)
    if entry is not None:
        with contextlib.suppress(Exception):
            consumer.timer.cancel(entry)
            entry.args = ()  # it stays in the timer until it is due, and `inspect scheduled` would go on showing it
    state.task_ready(request)
