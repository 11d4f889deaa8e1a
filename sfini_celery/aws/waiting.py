"""Waiting for executions to end, with regard to what AWS allows an account."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from functools import partial

from sfini_celery.aws.naming import name_in
from sfini_celery.aws.rounds import FINISHED, Answer, Rounds
from sfini_celery.errors import Throttled, WaitTimeout

__all__ = ["FINISHED", "Waiter"]


def _rest(changed: threading.Condition, seconds: float) -> None:
    changed.wait(seconds)


class Waiter:
    """Looks at executions until they end. Thread-safe: one is shared by all waits of a control plane.

    However many wait, in threads or in event loops, one thread named ``sfini-waiter`` looks for all of them, at the
    pace of :class:`~sfini_celery.aws.rounds.Rounds`. It is there only while somebody waits.

    Parameters:
        describe: gives DescribeExecution's answer for an ARN
        now, rng: time and chance, for tests
        rest: lets seconds pass, or less if the condition is notified; for tests
    """

    def __init__(
        self,
        describe: Callable[[str], Answer],
        *,
        now: Callable[[], float] = time.monotonic,
        rng: Callable[[], float] = random.random,
        rest: Callable[[threading.Condition, float], None] = _rest,
    ) -> None:
        self._describe, self._now, self._rest = describe, now, rest
        self._changed = threading.Condition()
        self._rounds = Rounds(rng)
        self._thread: threading.Thread | None = None

    def wait(self, arn: str, *, timeout: float | None = None, interval: float | None = None) -> Answer:
        """Return DescribeExecution's answer once the execution has ended, however it ended.

        An endpoint that stops answering, or answers with throttling or a failure of its own, is forgiven for a minute.
        The first look is not: a wrong endpoint shows at once.

        Parameters:
            arn: the execution's
            timeout: seconds, without end when None; 0 looks once
            interval: seconds between two looks; they grow from 50 ms to 2 or 3 s without it
        Raises:
            WaitTimeout: it took longer; the execution goes on
        """
        begun = self._now()
        once = timeout is not None and timeout <= 0
        status: str | None = None
        if once or self._may_look():
            found = self._glance(arn, patient=not once)
            status = None if found is None else str(found.get("status"))
            if found is not None and status in FINISHED:
                return found
        if once:
            raise _too_long(arn, status, 0)
        future = self._join(arn, interval, status)
        try:
            wait_for([future], None if timeout is None else max(0.0, begun + timeout - self._now()))
            if timeout is not None and not future.done():
                return self._last_look(arn, future, timeout)
            return future.result()
        finally:
            future.cancel()

    def watch(self, arn: str, *, interval: float | None = None) -> Future[Answer]:
        """A future of DescribeExecution's answer once the execution has ended; whoever cancels it waits no more.

        Parameters:
            arn: the execution's
            interval: seconds between two looks; they grow from 50 ms to 2 or 3 s without it
        """
        return self._join(arn, interval, None)

    def _may_look(self) -> bool:
        with self._changed:
            return self._rounds.pace.take(self._now())

    def _glance(self, arn: str, *, patient: bool) -> Answer | None:
        """A look from the thread that waits: it needs no other where the execution has ended."""
        try:
            return self._describe(arn)
        except Throttled:
            if not patient:
                raise
            with self._changed:
                self._rounds.pace.slow(self._now())
            return None

    def _last_look(self, arn: str, future: Future[Answer], timeout: float) -> Answer:
        with self._changed:
            status = self._rounds.status(arn)
        if not future.cancel():  # it ended at this very moment
            return future.result()
        if self._may_look():
            found = self._describe(arn)
            status = str(found.get("status"))
            if status in FINISHED:
                return found
        raise _too_long(arn, status, timeout)

    def _join(self, arn: str, interval: float | None, status: str | None) -> Future[Answer]:
        future: Future[Answer] = Future()
        with self._changed:
            self._rounds.join(arn, future, self._now(), interval=interval, status=status)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="sfini-waiter", daemon=True)
                self._thread.start()
            self._changed.notify()
        future.add_done_callback(partial(self._leave, arn))
        return future

    def _leave(self, arn: str, future: Future[Answer]) -> None:
        with self._changed:
            self._rounds.leave(arn, future)
            self._changed.notify()

    def _run(self) -> None:
        try:
            while (arn := self._next()) is not None:
                self._look(arn)
        except BaseException as exc:  # whoever waits must not wait for a thread that is gone
            with self._changed:
                self._thread, left = None, self._rounds.all()
            _tell(left, exc)
            raise

    def _next(self) -> str | None:
        with self._changed:
            while True:
                arn, pause = self._rounds.next(self._now())
                if arn is not None:
                    return arn
                if pause is None:
                    self._thread = None
                    return None
                self._rest(self._changed, pause)

    def _look(self, arn: str) -> None:
        found: Answer | Exception
        try:
            found = self._describe(arn)
        except Exception as exc:
            found = exc
        with self._changed:
            told = self._rounds.looked(arn, found, self._now())
        _tell(told, found)


def _tell(futures: list[Future[Answer]], found: Answer | BaseException) -> None:
    for future in futures:
        if not future.set_running_or_notify_cancel():
            continue
        if isinstance(found, BaseException):
            future.set_exception(found)
        else:
            future.set_result(found)


def _too_long(arn: str, status: str | None, timeout: float) -> WaitTimeout:
    name = arn.rpartition(":")[2]
    seen = f"is still {status}" if status else "was not looked at"
    return WaitTimeout(f"execution {name!r} of {name_in(arn)!r} {seen} after {timeout:g} s")
