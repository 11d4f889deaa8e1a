"""A worker without Celery: one activity, one task at a time, in a thread of this process."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  # its exit hook must be registered before the one here
import functools
import logging
import queue
import socket
import sys
import threading
import uuid
from typing import TYPE_CHECKING

from sfini_celery.activity import failure_of, write_cause, write_output
from sfini_celery.errors import Ending, InvalidInput, OutputNotSerializable, WorkerError
from sfini_celery.names import LONGEST_NAME, check_name
from sfini_celery.sfini.activities import CallableActivity

if TYPE_CHECKING:
    from sfini_celery.sfini.session import AWSSession
    from sfini_celery.worker.ledger import Job, Ledger
    from sfini_celery.worker.loop import Loop

__all__ = ["Worker", "WorkerCancel"]

_log = logging.getLogger(__name__)

DRAIN = 65.0
"""Seconds: AWS holds a poll for 60, and one that is abandoned can swallow a task."""

FLUSH = 30.0
"""Seconds that a stopping worker tries to deliver what it has to report."""


QUICK = 1.0
"""Seconds that a program which died of an exception finishes its workers in silence."""

FINISHING = "finishing, which can take a minute; Ctrl-C again leaves at once, and can lose a task"


class WorkerCancel(KeyboardInterrupt):
    """A task was interrupted; the state machine sees the error ``WorkerCancel``."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args or ("the task was interrupted, by the user or by its own function",))


class Worker:
    """Polls one activity and runs its function, one task at a time, in a thread of its own.

    It sends heartbeats while the function runs. A failure is reported with the exception's class name as ``Error``. A
    task that arrives when the worker is ending is handed back as ``sfini.NotStarted``: a state that names it in
    ``retry_for`` loses nothing when workers come and go.

    Parameters:
        activity: made by ``ActivityRegistration.activity`` or ``smart_activity``
        name: shown in the executions' histories; made of the host's name without it
        session: the account and region to poll; the activity's own without it

    Raises:
        InvalidName: AWS would refuse the name

    Example:
        >>> worker = Worker(add_activity)
        >>> worker.start()
        >>> execution.wait()
        >>> worker.end()
        >>> worker.join()
    """

    def __init__(
        self, activity: CallableActivity, name: str | None = None, *, session: AWSSession | None = None
    ) -> None:
        self.activity = activity
        self.name = check_name("worker name", name) if name is not None else _default_name()
        self._session = session
        self._starting = threading.Lock()
        # Plain flags, each only ever set: end() has to work in a signal handler, where taking a lock can hang.
        self._started = False
        self._ended = False
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._occupied = False
        self._error: BaseException | None = None
        self._ledger: Ledger | None = None
        self._loop: Loop | None = None
        # Not a daemon: like sfini's, it keeps the process until it has ended, so that no task is lost at exit.
        self._thread = threading.Thread(target=self._serve, name=f"sfini-worker {self.name}"[:80])

    @property
    def session(self) -> AWSSession:
        """The account and region polled."""
        return self._session or self.activity.session

    def start(self) -> None:
        """Begin to poll, and return.

        Raises:
            TypeError: the activity has no function to run
            WorkerError: the worker was started before, or ended
            NoRegion, NoCredentials: AWS is not configured
        """
        if not isinstance(self.activity, CallableActivity):
            raise TypeError(
                f"{self.activity!r} has no function to run: decorate one with ActivityRegistration.activity"
            )
        with self._starting:
            if self._started or self._ended:
                was = "ended" if self._ended else "started"
                raise WorkerError(f"worker {self.name!r} was {was} already, and a worker works once: make another one")
            self._connect()
            self._started = True
            _hold_exit()
            _serving.add(self)
            self._thread.start()

    def _connect(self) -> None:
        from sfini_celery.worker.ledger import Ledger
        from sfini_celery.worker.loop import ActivityPoll, Loop

        beats = self.activity.heartbeat
        poll = ActivityPoll(
            name=self.activity.name,
            arn=self.activity.arn,
            polls=1,  # one task at a time; a second poll could bring a second one
            # Beats go at a third of this: at least as often as asked for, and with time to try again.
            heartbeat=min(3 * beats, beats + 5),
        )
        plane = self.session.data_plane()
        self._ledger = Ledger()
        self._loop = Loop(
            connect=lambda: plane,
            ledger=self._ledger,
            activities=[poll],
            worker=self.name,
            capacity=self._capacity,
            deliver=self._deliver,
            refused=self._refused,
            on_crash=self._crashed,
        )

    def end(self) -> None:
        """Take no more tasks. Returns at once; the task that is running goes on to its end.

        An open poll is not cut off, since it may bring a task that would be lost with it: :meth:`join` waits for it, on
        AWS for up to a minute. Callable from any thread and any signal handler, as often as you like.
        """
        self._ended = True
        self._inbox.put(None)

    def join(self) -> None:
        """Wait until the worker has ended. Ctrl-C ends it; the process then goes on until the worker has finished.

        Raises:
            WorkerError: it was never started
            SfiniError: what made the worker end by itself, such as NotFound where the activity is not registered
        """
        if self._thread.ident is None:
            raise WorkerError(f"worker {self.name!r} was never started, so there is nothing to wait for")
        try:
            self._thread.join()
        except KeyboardInterrupt:
            self.end()
            _log.warning("sfini_worker_interrupted %s: %s", self.name, FINISHING)
            return
        if self._error is not None:
            raise self._error

    def run(self) -> None:
        """Start, and wait until the worker has ended; the errors are those of :meth:`start` and :meth:`join`."""
        self.start()
        self.join()

    def __str__(self) -> str:
        return f"{self.name} [{self.activity.name}]"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.activity!r}, {self.name!r})"

    # -- called on the loop's thread

    def _capacity(self) -> int:
        # Its token may be closed and the ledger empty, but a function cannot be stopped: it holds the one place.
        return 0 if self._occupied or self._ended else 1

    def _deliver(self, job: Job) -> None:
        self._occupied = True
        self._inbox.put(job)

    def _refused(self, activity: str, error: Exception) -> None:
        _log.error("sfini_worker_refused %s: %s", self.name, error)
        self._error = error
        self.end()

    def _crashed(self, error: BaseException) -> None:
        self._error = error
        self._inbox.put(None)

    # -- the worker's own thread

    def _serve(self) -> None:
        loop, ledger = self._loop, self._ledger
        assert loop is not None
        assert ledger is not None
        loop.start()
        _log.info("sfini_worker_started %s polls %s", self.name, self.activity.name)
        try:
            while (job := self._inbox.get()) is not None:
                self._carry_out(job, loop, ledger)
                self._occupied = False
                loop.wake()
        except BaseException as exc:
            _log.critical("sfini_worker_crashed %s", self.name, exc_info=True)
            self._error = exc
        finally:
            loop.drain(DRAIN)
            for job in ledger.jobs():
                _hand_back(job, loop)
            loop.flush(FLUSH)
            loop.close()
            _serving.discard(self)
            _log.info("sfini_worker_ended %s", self.name)

    def _carry_out(self, job: Job, loop: Loop, ledger: Ledger) -> None:
        from sfini_celery.worker.ledger import State

        if self._ended:
            _hand_back(job, loop)
            return
        if ledger.move(job.id, State.RUNNING) is None:
            return
        try:
            call = self.activity.read(job.input)
        except InvalidInput as exc:
            loop.report_failure(job, Ending.INVALID_INPUT, failure_of(exc)[1])
            return
        try:
            output = write_output(self.activity.fn(*call.args, **call.kwargs), typed=False)
        except BaseException as exc:  # a SystemExit of the function is a failure of its task, not the worker's end
            error, cause = self._failure(exc)
            _log.warning("sfini_task_failed %s of %s: %s", job.id, self.activity.name, error, exc_info=exc)
            loop.report_failure(job, error, cause)
        else:
            loop.report_success(job, output)

    def _failure(self, exc: BaseException) -> tuple[str, str]:
        if isinstance(exc, KeyboardInterrupt) and not isinstance(exc, WorkerCancel):
            cancel = WorkerCancel().with_traceback(exc.__traceback__)
            return failure_of(cancel)
        error, cause = failure_of(exc)
        return (Ending.OUTPUT_NOT_SERIALIZABLE if isinstance(exc, OutputNotSerializable) else error), cause


def _default_name() -> str:
    return f"{socket.gethostname()[: LONGEST_NAME - 9]}-{uuid.uuid4().hex[:8]}"


def _hand_back(job: Job, loop: Loop) -> None:
    why = "the worker was ending before the task ran"
    loop.report_failure(job, Ending.NOT_STARTED, write_cause("NotStarted", "sfini_celery", why, [], ""))


_serving: set[Worker] = set()


@functools.cache
def _hold_exit() -> None:
    # Once the main thread has ended no thread pool takes work any more, and asyncio needs one to look up hosts.
    # Private to threading, but what concurrent.futures itself uses; hooks run last in, first out.
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(_finish_workers)


def _finish_workers() -> None:
    """A program that came to its end goes on serving, as with sfini; one that died of an exception does not linger."""
    workers = [worker for worker in list(_serving) if worker._thread.is_alive()]
    if getattr(sys, "last_value", None) is not None:
        for worker in workers:
            worker.end()
        for worker in workers:
            worker._thread.join(QUICK)
        if any(worker._thread.is_alive() for worker in workers):
            _log.warning("sfini_workers_finishing: %s", FINISHING)
    try:
        for worker in workers:
            worker._thread.join()
    except KeyboardInterrupt:
        for worker in workers:
            worker.end()
        for worker in workers:
            worker._thread.join()
