"""Between the loop, which takes and reports, and Celery's consumer, which runs.

A job comes in on the loop's thread, becomes a :class:`Held` and then a request on the consumer's, runs where the pool
runs it, and its ending is reported from whatever thread sees it first. Only the consumer's thread calls a strategy:
under Celery's hub its locks are dummies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from celery.utils.log import get_logger
from celery.worker import state
from kombu.utils import json as kombu_json

from sfini_celery.activity import Parameters, failure_of, read_input
from sfini_celery.errors import Ending, IllegalMove, InvalidInput
from sfini_celery.worker.backlog import Backlog
from sfini_celery.worker.capacity import Load, free_slots, may_start
from sfini_celery.worker.consumer import ConsumerView, forget_request, in_pool
from sfini_celery.worker.inject import Held, Retry, build_message, hold
from sfini_celery.worker.ledger import Job, Ledger, State
from sfini_celery.worker.mailbox import Mailbox
from sfini_celery.worker.queues import Polled
from sfini_celery.worker.request import ActivityRequest, strategy_for
from sfini_celery.worker.trace import write_ending

__all__ = ["Dispatcher", "Line"]

logger = get_logger(__name__)

TICK = 0.05  # seconds between looks for a slot while something waits and nothing of ours ends
LONGEST_REQUEUE = 60  # seconds


class Line(Protocol):
    """What the dispatcher needs of the loop."""

    def report_success(self, job: Job | str, output: str) -> bool:
        """Whether this was the first outcome."""

    def report_failure(self, job: Job | str, error: str, cause: str = "") -> bool:
        """Whether this was the first outcome."""


class Dispatcher:
    """Runs what was taken, by way of Celery, and says how it ended.

    Parameters:
        app: the Celery app
        ledger: shared with the loop
        mailbox: reaches the consumer's thread
        polled: the activities that this worker polls
        parameters: what a task, by its name, can be called with
        settings: the app's ``sfn_*`` settings

    Attributes:
        line: reports go there; set before the first job comes
        closing: the worker stops; what comes now is handed back. A plain flag, since a signal handler sets it
    """

    def __init__(
        self,
        *,
        app: Any,
        ledger: Ledger,
        mailbox: Mailbox,
        polled: Iterable[Polled],
        parameters: Callable[[str], Parameters],
        settings: Mapping[str, Any],
    ) -> None:
        self._app, self._ledger, self._mailbox, self._parameters = app, ledger, mailbox, parameters
        self._polled = {each.name: each for each in polled}
        self._share = float(settings["sfn_reserved_share"])
        self._parked_limit = int(settings["sfn_parked_limit"])
        self._terminate = bool(settings["sfn_revoke_terminate"])
        self.line: Line | None = None
        self.closing = False
        self._consumer: Any = None
        self._strategies: dict[str, Any] = {}
        self._held: dict[str, Held] = {}
        self._backlog = Backlog()
        self._ticking = False
        self._told: set[tuple[str, str]] = set()

    # -- the loop's thread

    def capacity(self) -> int:
        """How many more tasks may be taken now."""
        consumer = self._consumer
        if consumer is None or self.closing:
            return 0
        return free_slots(self._load(consumer))

    def deliver(self, job: Job) -> None:
        """A task was taken."""
        self._mailbox.post(self._admit, job)

    def closed(self, job: Job) -> None:
        """Nobody waits for a task any more."""
        self._mailbox.post(self._revoke, job)

    # -- the consumer's thread: connections come and go

    def attach(self, consumer: Any) -> None:
        """The consumer is up, at first or again: what its restart wiped out is put in line again."""
        view = ConsumerView(consumer, park=self._park, due=self._due)
        tasks = {activity.task for polled in self._polled.values() for activity in polled.serving}
        tasks |= {"celery.map", "celery.starmap"} & self._app.tasks.keys()
        self._strategies = {name: strategy_for(self._app.tasks[name], self._app, view, self) for name in tasks}
        transport = getattr(consumer.connection, "transport", None)
        self._backlog = Backlog(ascending=getattr(transport, "driver_type", None) == "redis")
        self._ticking = False
        self._consumer = consumer
        for held in list(self._held.values()):
            if held.id not in self._ledger:
                self._held.pop(held.id, None)
            elif held.request is not None and in_pool(consumer.pool, held):
                state.task_reserved(held.request)  # Celery has taken it for lost
            elif held.in_pool and held.activity.at_most_once:
                self._report_failure(
                    held.id, Ending.WORKER_LOST, "the pool lost the task, and may have begun to run it"
                )
            else:
                held.leave()
                self._line_up(held)
        self._mailbox.post(self.pump)

    def detach(self) -> None:
        """The consumer is down; nothing can be started until it is up again."""
        self._consumer = None

    def pump(self) -> None:
        """Give waiting jobs to the pool while slots are free."""
        consumer = self._consumer
        if consumer is None or self.closing:
            return
        # As many as there are slots and then back to the event loop: on the solo pool each of them runs right here.
        for _ in range(max(_slots(consumer), 1)):
            if not self._backlog or not may_start(self._load(consumer)):
                break
            self._start(self._backlog.pop())
        if self._backlog and not self._ticking:
            self._ticking = True
            consumer.timer.call_after(TICK, self._mailbox.post, (self._tick,))

    def _tick(self) -> None:
        self._ticking = False
        self.pump()

    # -- the consumer's thread: a job's way to the pool

    def _admit(self, job: Job) -> None:
        if job.id not in self._ledger:
            return
        polled = self._polled[job.activity]
        try:
            call = read_input(job.input, polled.serving, self._parameters)
            activity = next(activity for activity in polled.serving if activity.task == call.task)
            held = hold(job.id, call, activity, polled.queue)
        except InvalidInput as exc:
            logger.warning("sfini_input_invalid id=%s activity=%s: %s", job.id, job.activity, exc)
            self._report_failure(job.id, Ending.INVALID_INPUT, str(exc))
            return
        except Exception as exc:
            logger.exception("sfini_input_unreadable id=%s activity=%s", job.id, job.activity)
            self._report_failure(job.id, Ending.INVALID_INPUT, f"the input cannot be read: {type(exc).__name__}")
            return
        if self.closing:
            self._report_failure(job.id, Ending.NOT_STARTED, "the worker stops")
            return
        for option in call.ignored:
            if (key := (activity.name, option)) not in self._told:
                self._told.add(key)
                logger.warning("sfini_option_ignored activity=%s option=%s: not one of an envelope's", *key)
        self._held[job.id] = held
        self._backlog.push(held)
        self.pump()

    def _line_up(self, held: Held) -> None:
        """Have a job's next attempt made: at once, or when its time has come."""
        if self._consumer is None:
            return  # attach() will
        if held.eta is not None and held.eta > datetime.now(timezone.utc):
            if self._move(held, State.PARKED):
                self._inject(held)
        elif self._move(held, State.TAKEN):
            held.eta = None
            self._backlog.push(held)
        # A slot may be free now. Not in here: attach() comes before the event loop, and solo would run the task in it.
        self._mailbox.post(self.pump)

    def _start(self, held: Held) -> None:
        job = self._ledger.get(held.id)
        if job is None:
            self._held.pop(held.id, None)
        elif job.state is not State.TAKEN or not self._move(held, State.RESERVED):
            return  # put in line twice, around a restart of the consumer: the first one had it started
        elif held.request is None:
            self._inject(held)
        else:  # made before its time, which has come
            request = held.request
            state.task_reserved(request)
            for callback in self._consumer.on_task_message:
                callback(request)
            self._guarded(held, self._consumer.on_task_request, request)

    def _inject(self, held: Held) -> None:
        def inject() -> None:
            message = build_message(self._app, held, origin=self._consumer.hostname)
            strategy = self._strategies[held.task]
            strategy(message, None, _nothing, _nothing, self._consumer.on_task_message)

        self._guarded(held, inject)

    def _guarded(self, held: Held, start: Callable[..., object], *args: Any) -> None:
        try:
            start(*args)
        except Exception as exc:
            logger.exception("sfini_start_failed id=%s task=%s", held.id, held.task)
            if held.request is not None:
                forget_request(self._consumer, held.request)
            self._report_failure(held.id, Ending.NOT_STARTED, f"the worker could not start the task: {exc!r}")

    def _park(self, request: ActivityRequest) -> None:
        """The strategy holds a request back: its task's rate limit is used up."""
        self._move(request.held, State.PARKED)

    def _due(self, request: ActivityRequest) -> None:
        """A request's time has come; from the timer, whatever thread that is in."""
        self._mailbox.post(self._due_here, request)

    def _due_here(self, request: ActivityRequest) -> None:
        held = request.held
        if held.request is not request or held.id not in self._ledger:
            state.task_ready(request)
        elif self._consumer is not None and self._move(held, State.TAKEN):
            self._backlog.push(held)
            self.pump()

    def _revoke(self, job: Job) -> None:
        held = self._held.pop(job.id, None)
        request = None if held is None else held.request
        if held is None or request is None or self._consumer is None:
            return
        if request in state.active_requests:
            if self._terminate:
                try:
                    request.terminate(self._consumer.pool)
                except NotImplementedError:
                    logger.warning("sfini_terminate_unsupported id=%s: this pool cannot stop a running task", job.id)
            return
        state.revoked.add(job.id)
        forget_request(self._consumer, request)
        if not held.in_pool:
            request._announce_revoked("its execution waits for it no longer", False, None, False)

    # -- any thread: what becomes of a request (see request.Desk)

    def started(self, held: Held) -> None:
        """The pool has begun to run it."""
        self._move(held, State.RUNNING)

    def may_run(self, request: ActivityRequest) -> bool:
        """Whether the request still speaks for a job that is held."""
        job = self._ledger.get(request.held.id)
        if job is None or request.held.request is not request:
            return False
        return job.state is State.RESERVED or self._move(request.held, State.RESERVED)

    def succeeded(self, held: Held, output: str) -> None:
        """Report a result."""
        if self.line is not None and self.line.report_success(held.id, output):
            self._over(held)

    def failed(self, held: Held, error: str, cause: str) -> None:
        """Report a failure."""
        if self.line is not None and self.line.report_failure(held.id, error, cause):
            self._over(held)

    def retry(self, held: Held, asked: str) -> None:
        """Hold it until its next attempt."""
        if self._ledger.get(held.id) is None:
            return
        if self.closing:
            self._report_failure(held.id, Ending.WORKER_SHUTDOWN, "the worker stops; the task had asked for a retry")
            return
        try:
            retry = Retry.read(kombu_json.loads(asked), datetime.now(timezone.utc))
        except Exception as exc:  # a value that says it is typed and is not
            self.failed(held, *failure_of(exc))
            return
        # At once, so that no poll is opened for the slot that a countdown of zero needs itself.
        self._move(held, State.PARKED if retry.eta else State.TAKEN)
        self._mailbox.post(self._retry_here, held, retry)

    def _retry_here(self, held: Held, retry: Retry) -> None:
        held.retry(retry)
        self._line_up(held)

    def requeue(self, held: Held) -> None:
        """Have it run again from the beginning, after a pause that grows."""
        if self.closing:
            self._report_failure(held.id, Ending.WORKER_SHUTDOWN, "the worker stops; the task was to run again")
            return
        self._mailbox.post(self._requeue_here, held)

    def _requeue_here(self, held: Held) -> None:
        pause = min(2**held.requeued - 1, LONGEST_REQUEUE)
        held.eta = datetime.now(timezone.utc) + timedelta(seconds=pause) if pause else None
        held.requeued, held.redelivered = held.requeued + 1, True
        held.leave()
        self._line_up(held)

    # -- the end

    def hand_back(self, *states: State) -> int:
        """Report what cannot run here any more, for the state machine to retry elsewhere; how many there were.

        Parameters:
            states: only what is there; everything without any
        """
        jobs = [job for job in self._ledger.jobs() if not states or job.state in states]
        for job in jobs:
            held = self._held.get(job.id)
            if held is not None and held.request is not None and not held.in_pool:
                forget_request(self._consumer, held.request)
            if job.attempts or (held is not None and held.in_pool):
                self._report_failure(
                    job.id, Ending.WORKER_SHUTDOWN, "the worker stopped before the task had an outcome"
                )
            else:
                self._report_failure(job.id, Ending.NOT_STARTED, "the worker stopped before it began to run the task")
        return len(jobs)

    # -- parts

    def _report_failure(self, id: str, ending: Ending, message: str) -> None:
        if self.line is not None and self.line.report_failure(id, ending.value, write_ending(ending, message)):
            self._held.pop(id, None)

    def _over(self, held: Held) -> None:
        self._held.pop(held.id, None)
        if self._backlog:
            self._mailbox.post(self.pump)

    def _move(self, held: Held, to: State) -> bool:
        """Whether the job is there now; False when it has ended meanwhile."""
        job = self._ledger.get(held.id)
        if job is None:
            return False
        if job.state is to:
            return True
        try:
            return self._ledger.move(held.id, to) is not None
        except IllegalMove:
            logger.exception("sfini_move_refused id=%s", held.id)
            return True

    def _load(self, consumer: Any) -> Load:
        counts = self._ledger.counts()
        return Load(
            slots=_slots(consumer),
            reserved=len(state.reserved_requests),
            ours=counts[State.RESERVED] + counts[State.RUNNING],
            waiting=counts[State.TAKEN],
            parked=counts[State.PARKED],
            parked_limit=self._parked_limit,
            share=self._share,
        )


def _slots(consumer: Any) -> int:
    scaler = getattr(consumer.controller, "autoscaler", None)
    try:
        return int(scaler.max_concurrency if scaler else consumer.pool.num_processes)
    except AttributeError:  # a pool that was stopped has no processes to count
        return 0


def _nothing(*_: object, **__: object) -> None:
    """Acknowledging means nothing to a message that never was at a broker."""
