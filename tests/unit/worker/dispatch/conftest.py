"""A consumer, a pool and a line to AWS that are lists, with everything of Celery's between them real."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import celery
import pytest
from billiard.einfo import ExceptionInfo
from celery import _state
from celery.app.trace import build_tracer, reset_worker_optimizations, setup_worker_optimizations
from celery.exceptions import TaskRevokedError
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.asynchronous.timer import Timer

from sfini_celery.activity import Activity, Parameters
from sfini_celery.config import Settings
from sfini_celery.worker.dispatcher import Dispatcher
from sfini_celery.worker.ledger import Job, Ledger, State
from sfini_celery.worker.mailbox import Mailbox
from sfini_celery.worker.queues import polled_activities


class Attempt:
    """What the pool was given, to be ended as the test wants."""

    def __init__(self, target: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.target, self.args, self.options = target, args, options
        self._job = id(self)
        self._accepted = self._ready = False

    def accepted(self) -> bool:
        return self._accepted

    def ready(self) -> bool:
        return self._ready

    @property
    def work(self) -> Any:
        return self.args[0]

    def accept(self) -> None:
        self._accepted = True
        self.options["accept_callback"](os.getpid(), 0.0)

    def run(self) -> None:
        """Run it, as a thread would."""
        self.accept()
        self._ready = True
        self.options["callback"](self.target(*self.args))

    def end(self, exc: BaseException) -> None:
        """The pool reports an exception that the child did not handle."""
        self._ready = True
        self.options["error_callback"](einfo_of(exc))

    def terminate(self, signal: Any) -> None:
        """What Celery calls on a pool's result."""

    def time_out(self, *, soft: bool = False) -> None:
        self.options["timeout_callback"](soft, 1.0)


def einfo_of(exc: BaseException) -> ExceptionInfo:
    try:
        raise exc
    except BaseException:
        return ExceptionInfo()


class Pool:
    def __init__(self, size: int) -> None:
        self.num_processes = size
        self.attempts: list[Attempt] = []
        self.terminated: list[Any] = []
        self.can_terminate = True
        self._pool: Any = None

    def become_asynchronous(self) -> None:
        """Be like Celery's prefork pool under the hub, which forgets what no child has accepted."""
        self._pool = SimpleNamespace(outbound_buffer=(), _cache={})

    def apply_async(self, target: Any, args: Any = (), **options: Any) -> Attempt:
        attempt = Attempt(target, tuple(args), options)
        self.attempts.append(attempt)
        if self._pool is not None:
            self._pool._cache[attempt._job] = attempt
        return attempt

    def terminate_job(self, pid: int, signal: Any = None) -> None:
        if not self.can_terminate:
            raise NotImplementedError
        self.terminated.append(pid)


class FakeConsumer:
    """As much of Celery's consumer as a strategy touches; what restarts do to it is Celery's own code."""

    _schedule_bucket_request = Consumer._schedule_bucket_request
    _limit_move_to_pool = Consumer._limit_move_to_pool
    on_close = Consumer.on_close
    _limit_order = 0

    def __init__(self, app: celery.Celery, slots: int) -> None:
        self.app, self.pool, self.timer = app, Pool(slots), Timer()
        self.pool.flush = None
        self.hostname, self.connection_errors, self.event_dispatcher = "worker@test", (), None
        self.hub = None
        self.disable_rate_limits = False
        self.task_buckets: dict[str, Any] = {
            name: Consumer.bucket_for_task(self, task) for name, task in app.tasks.items()
        }
        self.on_task_message: set[Any] = set()
        transport = SimpleNamespace(driver_type="amqp", polling_interval=None)
        self.connection = SimpleNamespace(transport=transport, drain_events=None)
        limits = {"time_limit": None, "soft_time_limit": None}
        self.controller = SimpleNamespace(state=state, autoscaler=None, semaphore=None, **limits)
        self.prefetch: list[int] = []
        self.qos = SimpleNamespace(
            increment_eventually=lambda n=1: self.prefetch.append(n),
            decrement_eventually=lambda n=1: self.prefetch.append(-n),
        )

    def on_task_request(self, request: Any) -> None:
        with contextlib.suppress(TaskRevokedError):
            request.execute_using_pool(self.pool)

    def apply_eta_task(self, request: Any) -> None:
        raise AssertionError("an activity task's time is not the broker's business")


class Line:
    """Reports, first come first served, as the loop sends them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.sent: dict[str, tuple[Any, ...]] = {}

    def report_success(self, job: Job | str, output: str) -> bool:
        return self._report(job, "succeeded", json.loads(output))

    def report_failure(self, job: Job | str, error: str, cause: str = "") -> bool:
        return self._report(job, error, json.loads(cause)["errorMessage"])

    def _report(self, job: Job | str, *what: Any) -> bool:
        id = job if isinstance(job, str) else job.id
        if self.ledger.pop(id) is None:
            return False
        assert id not in self.sent, "reported twice"
        self.sent[id] = what
        return True


class Bench:
    """A dispatcher with everything around it."""

    def __init__(self, app: celery.Celery, activities: list[Activity], *, slots: int, **settings: Any) -> None:
        self.app, self.ledger, self.mailbox = app, Ledger(), Mailbox()
        self.consumer = FakeConsumer(app, slots)
        self.dispatcher = Dispatcher(
            app=app,
            ledger=self.ledger,
            mailbox=self.mailbox,
            polled=polled_activities(app, activities, polls=1),
            parameters=lambda name: Parameters.of(app.tasks[name].run),
            settings=Settings(settings, {}),
        )
        self.line = self.dispatcher.line = Line(self.ledger)
        self.tokens = 0
        self.dispatcher.attach(self.consumer)
        self.mailbox.run()

    @property
    def attempts(self) -> list[Attempt]:
        return self.consumer.pool.attempts

    def take(self, task: str, input: Any = None, *, name: str | None = None) -> str:
        """An activity task arrives on the loop's thread; its id."""
        self.tokens += 1
        text = input if isinstance(input, str) else json.dumps({} if input is None else input)
        job = self.ledger.take(f"token-{self.tokens}", name or task, text, heartbeat=60)
        thread = threading.Thread(target=self.dispatcher.deliver, args=(job,))
        thread.start()
        thread.join()
        self.mailbox.run()
        return job.id

    def settle(self) -> None:
        """Make every call that was posted, and those that they post."""
        for _ in range(10):
            self.mailbox.run()

    def pass_time(self) -> None:
        """Everything that waits in the timer falls due."""
        entries = [scheduled.entry for scheduled in self.consumer.timer.queue]
        self.consumer.timer.clear()
        for entry in entries:
            if not entry.canceled:
                entry()
        self.settle()

    def restart(self) -> None:
        """The broker is lost and found again."""
        self.dispatcher.detach()
        self.consumer.on_close()
        self.dispatcher.attach(self.consumer)
        self.settle()

    def state(self, id: str) -> State | None:
        job = self.ledger.get(id)
        return None if job is None else job.state

    def leaks(self) -> int:
        """What is still held of jobs that have ended, by us or by Celery."""
        return len(self.dispatcher._held) + len(self.dispatcher._backlog) + len(state.requests)


@pytest.fixture(autouse=True)
def _nothing_failed_out_of_sight(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert "sfini_call_failed" not in caplog.text
    assert "sfini_move_refused" not in caplog.text


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[celery.Celery]:
    monkeypatch.setattr(_state, "default_app", _state.default_app)
    monkeypatch.setattr(_state._tls, "current_app", None, raising=False)
    app = celery.Celery("bench", broker="memory://", set_as_current=True)
    yield app
    reset_worker_optimizations(app)
    state.reset_state()
    app.close()


@pytest.fixture
def make_consumer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[celery.Celery], FakeConsumer]]:
    """Makes consumers for apps of the test's own."""
    monkeypatch.setattr(_state, "default_app", _state.default_app)
    monkeypatch.setattr(_state._tls, "current_app", None, raising=False)
    state.reset_state()
    made: list[celery.Celery] = []

    def make(app: celery.Celery) -> FakeConsumer:
        made.append(app)
        setup_worker_optimizations(app)
        return FakeConsumer(app, 2)

    yield make
    for app in made:
        reset_worker_optimizations(app)
    state.reset_state()


@pytest.fixture
def bench(app: celery.Celery) -> Callable[..., Bench]:
    """Makes the bench for some functions, each a task and an activity of its own name."""

    def make(
        *functions: Any,
        slots: int = 2,
        activity: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> Bench:
        for function in functions:
            app.task(name=function.__name__, shared=False, **options)(function)
        setup_worker_optimizations(app)
        for name, task in app.tasks.items():
            task.__trace__ = build_tracer(name, task, app=app)
        found = [Activity(name=f.__name__, task=f.__name__, **(activity or {})) for f in functions]
        return Bench(app, found, slots=slots, **(settings or {}))

    state.reset_state()
    return make
