"""The Celery request of an activity task: every way it can end becomes one report.

Requests are built by the task's own strategy, so that they get all that Celery gives to broker messages: events,
revoke, rate limits, ETA, logging, ``inspect``, autoscaling. :func:`strategy_for` puts :class:`ActivityRequest` in front
of the task's Request class while the strategy is made; broker messages of the same task keep their own.

Several endings are seen twice, from different methods (``docs/endings.md``). Each of them speaks up; the ledger lets
the first one through.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery.exceptions import (
    Ignore,
    Reject,
    TaskError,
    TaskRevokedError,
    Terminated,
    TimeLimitExceeded,
    WorkerLostError,
)
from celery.utils.imports import symbol_by_name
from celery.utils.log import get_logger
from celery.worker import state

from sfini_celery.activity import failure_of, write_output
from sfini_celery.errors import Ending, OutputNotSerializable
from sfini_celery.worker.inject import Held
from sfini_celery.worker.trace import HIDDEN, Outcome, Work, keeping_retries, traced, write_ending

__all__ = ["ActivityRequest", "Desk", "strategy_for"]

logger = get_logger(__name__)

LOST_WORKER_RETRIES = 3
"""How often ``reject_on_worker_lost`` gives a task another child process here before its loss is reported."""


class Desk(Protocol):
    """Where a request reports; each method may be called from any thread, and more than once."""

    def started(self, held: Held) -> None:
        """The pool has begun to run it."""

    def may_run(self, request: ActivityRequest) -> bool:
        """Whether the request still speaks for a job that is held; it is about to be given to the pool."""

    def succeeded(self, held: Held, output: str) -> None:
        """It returned."""

    def failed(self, held: Held, error: str, cause: str) -> None:
        """It ended in any other way."""

    def retry(self, held: Held, asked: str) -> None:
        """It asked to be retried: it goes on being held."""

    def requeue(self, held: Held) -> None:
        """It is to run again, from the beginning: it goes on being held."""


class ActivityRequest:
    """What an activity task's request does otherwise than a broker message's. A mixin, first in the order.

    Attributes:
        held: what the bridge knows of the job
        outcome: what came back from where the task ran; None when nothing did
        moved: the job goes on without this request: it is retried here, or was given back
    """

    desk: Desk
    held: Held
    outcome: Outcome | None = None
    moved = False

    # of celery.worker.request.Request
    id: str
    name: str
    task: Any
    acknowledged: bool
    _already_cancelled: bool

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__ == "celery.worker.request":  # create_request_cls() shadows these two without super()
            for name in ("execute_using_pool", "on_success"):
                if name in vars(cls):
                    delattr(cls, name)

    def __init__(self, message: Any, *args: Any, **options: Any) -> None:
        super().__init__(message, *args, **options)  # type: ignore[call-arg]
        self.held = message.held
        self.held.leave()
        self.held.request = self

    # -- into the pool

    def execute_using_pool(self, pool: Any, **options: Any) -> Any:
        """Send the task to the pool, under :func:`~sfini_celery.worker.trace.traced`."""
        if not self.desk.may_run(self):
            state.task_ready(self)
            raise TaskRevokedError(self.id)
        held = self.held
        held.in_pool = True
        result = super().execute_using_pool(_Pool(pool, held), **options)  # type: ignore[misc]
        if held.request is self:  # on the solo pool it is over already
            held.result = result
        return result

    def on_accepted(self, pid: Any, time_accepted: float) -> None:
        """The pool has begun to run it."""
        self.desk.started(self.held)
        super().on_accepted(pid, time_accepted)  # type: ignore[misc]

    # -- endings

    def on_success(self, failed__retval__runtime: Any, **options: Any) -> Any:
        """The pool has a result, be it a failure."""
        failed, retval, runtime, *rest = failed__retval__runtime
        self.outcome = rest[0] if rest else None
        if failed:
            escaped = self.outcome is not None and self.outcome.escaped
            return self.on_failure(retval, return_ok=not escaped)
        try:
            return super().on_success((0, retval, runtime), **options)  # type: ignore[misc]
        finally:
            self._settle_return()

    def _settle_return(self) -> None:
        outcome = self.outcome
        if outcome is None:  # a killed greenlet looks like a success that brings nothing
            self._fail(Ending.WORKER_LOST, "what ran the task was killed")
        elif outcome.retry is not None:
            self._retry(outcome.retry)
        elif outcome.output is not None:
            self.desk.succeeded(self.held, outcome.output)
        elif outcome.error is not None:
            self.desk.failed(self.held, *outcome.error)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """The task raised, or its process is gone."""
        exc = _real(exc_info.exception)
        if isinstance(exc, MemoryError):
            # Celery raises it again in the main process, which ends the worker and everything it runs.
            exc_info = _in_place_of(exc)
        try:
            return super().on_failure(exc_info, send_failed_event, return_ok)  # type: ignore[misc]
        finally:
            if self.outcome is not None and self.outcome.retry is not None:
                self._retry(self.outcome.retry)
            if not self.moved:
                self._settle_failure(exc, getattr(exc_info, "traceback", None))

    def _settle_failure(self, exc: BaseException, trace: Any) -> None:
        if self.outcome is not None and self.outcome.error is not None:
            self.desk.failed(self.held, *self.outcome.error)
        elif isinstance(exc, Reject):
            self._fail(Ending.REJECTED, f"the task rejected its message: {exc.reason!r}")
        elif isinstance(exc, Ignore):
            self._fail(Ending.IGNORED, "the task raised Ignore, or replaced itself by another: it has no outcome")
        elif isinstance(exc, TimeLimitExceeded):
            self._fail(Ending.TIME_LIMIT_EXCEEDED, f"the task ran into its hard time limit: {exc}")
        elif isinstance(exc, WorkerLostError):
            self._settle_lost(exc)
        elif isinstance(exc, Terminated):
            ending = Ending.WORKER_SHUTDOWN if self._already_cancelled else Ending.TASK_REVOKED
            self._fail(ending, f"the task's process was terminated: {exc}")
        else:
            self.desk.failed(
                self.held, *failure_of(exc, matches=self.held.call.matches, trace=None if trace is None else str(trace))
            )

    def _settle_lost(self, exc: BaseException) -> None:
        stored = getattr(self, "_stored", None)
        if stored:  # it had succeeded, and its process died while cleaning up
            try:
                self.desk.succeeded(self.held, write_output(stored.get("result"), typed=self.held.call.typed))
                return
            except OutputNotSerializable as broken:
                self._fail(Ending.OUTPUT_NOT_SERIALIZABLE, str(broken))
                return
        if state.should_terminate is None or state.should_terminate is False:
            self._fail(Ending.WORKER_LOST, str(exc))
        else:  # not lost: Celery before 5.5 kills its children in a cold shutdown and says nothing first
            self._fail(Ending.WORKER_SHUTDOWN, f"killed by the worker's cold shutdown: {exc}")

    def _success_was_stored(self) -> Any:
        self._stored = super()._success_was_stored()  # type: ignore[misc]
        return self._stored

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """A time limit has passed; on prefork a hard one also comes to :meth:`on_failure`."""
        try:
            super().on_timeout(soft, timeout)  # type: ignore[misc]
        finally:
            if not soft and not self.moved:
                self._fail(Ending.TIME_LIMIT_EXCEEDED, f"the task ran into its hard time limit of {timeout} s")

    def on_retry(self, exc_info: Any) -> None:
        """The task raised Retry."""
        try:
            super().on_retry(exc_info)  # type: ignore[misc]
        finally:
            if self.outcome is not None and self.outcome.retry is not None:
                self._retry(self.outcome.retry)

    def _retry_worker_lost(self, exc: BaseException, exc_info: Any) -> Any:
        # Celery's retry_on_worker_lost publishes from here what a task's own retry publishes from the child.
        with keeping_retries(self.task, self.id) as asked:
            retried = super()._retry_worker_lost(exc, exc_info)  # type: ignore[misc]
        if asked.retry is not None:
            self._retry(asked.retry)
        return retried

    def reject(self, requeue: bool = False) -> None:
        """The task, or Celery in its name, gives the message back."""
        before = self.acknowledged
        super().reject(requeue)  # type: ignore[misc]
        if requeue and not before and self.held.requeued < self._most_requeues():
            self.moved = True
            self.desk.requeue(self.held)

    def _most_requeues(self) -> float:
        # A task that asks for it may go on asking, at growing intervals; one that kills its process may not.
        if self.outcome is not None:
            return float("inf")
        return 0 if self.held.activity.at_most_once else LOST_WORKER_RETRIES

    def cancel(self, pool: Any, signal: Any = None, **options: Any) -> None:
        """Cold shutdown; or the broker is lost and Celery ends what it could no longer acknowledge."""
        if self.task.acks_late and options.get("emit_retry", True):
            return  # the broker is lost: it has nothing to do with this task
        try:
            super().cancel(pool, signal, **options)  # type: ignore[misc]
        finally:  # the threads pool cannot, and raises
            self._fail(Ending.WORKER_SHUTDOWN, "cancelled by the worker's cold shutdown")

    def _announce_revoked(self, reason: str, terminated: bool, signum: Any, expired: bool) -> None:
        try:
            super()._announce_revoked(reason, terminated, signum, expired)  # type: ignore[misc]
        finally:
            if expired:
                self._fail(Ending.TASK_EXPIRED, f"the task expired at {self.expires}")  # type: ignore[attr-defined]
            else:
                self._fail(Ending.TASK_REVOKED, f"the task was {'terminated' if terminated else 'revoked'} by Celery")

    def _retry(self, asked: str) -> None:
        if not self.moved:
            self.moved = True
            self.desk.retry(self.held, asked)

    def _fail(self, ending: Ending, message: str) -> None:
        self.desk.failed(self.held, ending.value, write_ending(ending, message))

    # -- what others see

    def info(self, safe: bool = False) -> dict[str, Any]:
        """What ``inspect`` shows."""
        shown: dict[str, Any] = super().info(safe)  # type: ignore[misc]
        if self.held.activity.sensitive:
            shown = {**shown, "args": HIDDEN, "kwargs": HIDDEN}
        return shown


class _Pool:
    """The pool as a request sees it: what it gives to Celery's target goes to the bridge's."""

    def __init__(self, pool: Any, held: Held) -> None:
        self._pool, self._held = pool, held

    def apply_async(self, target: Any, args: Any = (), **options: Any) -> Any:
        name, id, request, body, _, _ = args
        call = self._held.call
        work = Work(name, id, request, body, call.typed, call.matches, self._held.activity.sensitive, os.getpid())
        return self._pool.apply_async(traced, args=(work,), **options)


def _real(exc: BaseException) -> BaseException:
    """An exception that came from a child process, out of billiard's wrapping."""
    inner = exc.exc if isinstance(exc, ExceptionWithTraceback) else exc
    return inner if isinstance(inner, BaseException) else exc


def _in_place_of(exc: MemoryError) -> ExceptionInfo:
    try:
        raise TaskError(f"the task ran out of memory: {exc}")
    except TaskError:
        return ExceptionInfo()


def strategy_for(task: Any, app: Any, consumer: Any, desk: Desk) -> Any:
    """Celery's strategy for a task, making :class:`ActivityRequest` requests that report to ``desk``."""
    own = vars(task).get("Request")
    task.Request = type("ActivityRequest", (ActivityRequest, symbol_by_name(task.Request)), {"desk": desk})
    try:
        return task.start_strategy(app, consumer)
    finally:
        if own is None:
            del task.Request
        else:
            task.Request = own
