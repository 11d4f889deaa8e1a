from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
from typing import Any

import celery
import pytest
from celery import _state
from celery.app.trace import reset_worker_optimizations, setup_worker_optimizations
from celery.exceptions import Ignore, Reject, Retry, WorkerShutdown

from sfini_celery.worker.trace import HIDDEN, Outcome, Work, keeping_retries, traced


class Strange(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Base(Exception):
    pass


class Derived(Base):
    pass


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(_state, "default_app", _state.default_app)
    monkeypatch.setattr(_state._tls, "current_app", None, raising=False)
    app = celery.Celery("traced", broker="memory://", set_as_current=True)
    setup_worker_optimizations(app)
    yield app
    reset_worker_optimizations(app)
    app.close()


def run(
    app: celery.Celery, function: Any, *args: Any, bind: bool = False, **work: Any
) -> tuple[int, Any, float, Outcome]:
    task = app.task(bind=bind, shared=False, name=f"task-{id(function)}", **work.pop("options", {}))(function)
    request = {"id": "some-id", "task": task.name, "delivery_info": {}, "retries": 0, **work.pop("request", {})}
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return traced(
        Work(
            **{
                "task": task.name,
                "id": "some-id",
                "request": request,
                "body": (args, {}, embed),
                "parent": os.getpid(),
                **work,
            }
        )
    )


def cause(outcome: Outcome) -> dict[str, Any]:
    assert outcome.error is not None
    return dict(json.loads(outcome.error[1]))


def raising(exc: BaseException) -> Any:
    def function() -> None:
        raise exc

    return function


def test_return_value_comes_back_whole_where_celery_would_bring_a_shortened_repr(app: celery.Celery) -> None:
    def long() -> list[int]:
        return list(range(5000))

    failed, text, _, outcome = run(app, long)
    assert (failed, outcome.error, outcome.retry) == (0, None, None)
    assert len(text) < 2000
    assert json.loads(outcome.output or "") == list(range(5000))


def test_failure_is_named_and_traced_where_it_happened(app: celery.Celery) -> None:
    failed, _, _, outcome = run(app, raising(Derived("broken", 7)), matches=("Base",))
    assert failed == 1
    assert outcome.error is not None
    assert outcome.error[0] == "Base"
    told = cause(outcome)
    assert (told["errorType"], told["errorArgs"]) == ("Derived", ["broken", 7])
    assert told["stackTrace"].splitlines()[1].strip().startswith(f'File "{__file__}"')


def test_wrong_arguments_still_have_a_trace(app: celery.Celery) -> None:
    def takes_one(x: int) -> None:
        pass

    *_, outcome = run(app, takes_one)
    assert outcome.error is not None
    assert outcome.error[0] == "TypeError"
    assert "takes_one() missing 1 required positional argument" in cause(outcome)["stackTrace"]


def test_exception_whose_text_cannot_be_had_is_reported_by_its_name(app: celery.Celery) -> None:
    *_, outcome = run(app, raising(Strange()))
    assert outcome.error is not None
    assert outcome.error[0] == "Strange"


@pytest.mark.parametrize("value", [{1}, float("inf"), object(), {"a": threading.Lock()}])
def test_result_that_is_not_json_is_a_failure_although_celery_says_success(app: celery.Celery, value: Any) -> None:
    def function() -> Any:
        return value

    failed, _, _, outcome = run(app, function)
    assert failed == 0
    assert outcome.output is None
    assert outcome.error is not None
    assert outcome.error[0] == "sfini.OutputNotSerializable"
    assert cause(outcome)["errorMessage"]


def test_object_that_fails_while_it_is_written_is_a_failure(app: celery.Celery) -> None:
    class Bad:
        def __json__(self) -> Any:  # kombu asks for it
            raise KeyError("no")

    def function() -> Any:
        return Bad()

    *_, outcome = run(app, function, typed=True)
    assert outcome.error is not None
    assert outcome.error[0] == "sfini.OutputNotSerializable"


@pytest.mark.parametrize("exc", [Ignore(), Reject("no")])
def test_ignored_and_rejected_are_left_for_the_main_process_to_tell_apart(app: celery.Celery, exc: Exception) -> None:
    assert run(app, raising(exc))[3] == Outcome()


def test_retry_that_was_raised_by_hand_is_a_failure_since_nothing_would_run_again(app: celery.Celery) -> None:
    *_, outcome = run(app, raising(Retry("later")))
    assert outcome.retry is None
    assert outcome.error is not None
    assert outcome.error[0] == "Retry"


@pytest.mark.parametrize("exc", [SystemExit(3), asyncio.CancelledError("gone"), GeneratorExit()])
def test_exception_that_a_thread_pool_would_drop_comes_back_as_a_failure(
    app: celery.Celery, exc: BaseException
) -> None:
    failed, einfo, _, outcome = run(app, raising(exc))
    assert failed == 1
    assert not isinstance(einfo.exception, SystemExit)  # Celery would raise it in the worker
    assert outcome.escaped
    assert outcome.error is not None
    assert outcome.error[0] == type(exc).__name__


def test_keyboard_interrupt_in_a_pool_thread_is_the_tasks_own(app: celery.Celery) -> None:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(run(app, raising(KeyboardInterrupt()))))
    thread.start()
    thread.join()
    assert found[0][3].error[0] == "KeyboardInterrupt"
    with pytest.raises(KeyboardInterrupt):
        run(app, raising(KeyboardInterrupt()))


@pytest.mark.parametrize("name", ["GreenletExit", "Timeout"])
def test_greenlet_that_is_killed_is_not_kept_alive(app: celery.Celery, name: str) -> None:
    kill = type(name, (BaseException,), {})
    with pytest.raises(kill):
        run(app, raising(kill()))


def test_shutdown_of_the_worker_is_not_swallowed(app: celery.Celery) -> None:
    with pytest.raises(WorkerShutdown):
        run(app, raising(WorkerShutdown(0)))


def test_what_escapes_in_a_child_process_is_left_to_the_pool(app: celery.Celery) -> None:
    with pytest.raises(SystemExit):
        run(app, raising(SystemExit(3)), parent=1)


def test_outcome_and_work_travel_between_processes_and_show_no_data(app: celery.Celery) -> None:
    work = Work("task", "id", {"args": ("hunter2",)}, (("hunter2",), {}, {}))
    outcome = Outcome(output='"hunter2"', error=("E", "hunter2"), retry="hunter2")
    for value in (work, outcome):
        assert pickle.loads(pickle.dumps(value)) == value
        assert "hunter2" not in repr(value)


class TestRetries:
    def test_retry_comes_back_with_what_it_would_have_published(self, app: celery.Celery) -> None:
        def function(self: Any, x: int) -> None:
            raise self.retry(args=(x + 1,), kwargs={"y": 2}, countdown=5, time_limit=9)

        failed, _, _, outcome = run(app, function, 1, bind=True)
        assert failed == 1
        assert outcome.error is None
        asked = json.loads(outcome.retry or "")
        assert (asked["args"], asked["kwargs"], asked["countdown"]) == ([2], {"y": 2}, 5)
        assert (asked["retries"], asked["time_limit"]) == (1, 9)

    def test_nothing_is_published(self, app: celery.Celery, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(app, "send_task", lambda *a, **kw: pytest.fail("published"))

        def function(self: Any) -> None:
            raise self.retry(countdown=0)

        assert run(app, function, bind=True)[3].retry

    def test_retry_wins_over_the_value_that_the_task_then_returns(self, app: celery.Celery) -> None:
        def function(self: Any) -> str:
            self.retry(countdown=0, throw=False)
            return "value"

        failed, _, _, outcome = run(app, function, bind=True)
        assert failed == 0
        assert outcome.retry and outcome.output is None

    def test_retries_used_up_are_a_failure(self, app: celery.Celery) -> None:
        def function(self: Any) -> None:
            raise self.retry(exc=Derived("never"), max_retries=0)

        *_, outcome = run(app, function, bind=True)
        assert outcome.retry is None
        assert outcome.error is not None
        assert outcome.error[0] == "Derived"

    def test_arguments_that_no_broker_would_take_are_a_rejection_as_in_celery(self, app: celery.Celery) -> None:
        def function(self: Any) -> None:
            raise self.retry(args=(object(),), countdown=0)

        failed, _, _, outcome = run(app, function, bind=True)
        assert (failed, outcome) == (1, Outcome())

    def test_another_requests_retry_is_published_as_always(self, app: celery.Celery) -> None:
        task = app.task(name="other", shared=False)(raising(Derived()))
        sent: list[Any] = []
        with keeping_retries(task, "mine") as asked:
            signature = task.signature_from_request(
                celery.app.task.Context(id="another", args=(), kwargs={}, delivery_info={}), retries=1
            )
            signature.type.apply_async = lambda *a, **kw: sent.append(kw)
            signature.apply_async()
        assert asked.retry is None
        assert sent

    def test_threads_do_not_see_each_others_retries(self, app: celery.Celery) -> None:
        barrier = threading.Barrier(2, timeout=5)

        def function(self: Any, n: int) -> str:
            barrier.wait()
            if n:
                raise self.retry(countdown=0)
            return "value"

        task = app.task(name="threads", bind=True, shared=False)(function)
        found: dict[int, Outcome] = {}

        def attempt(n: int) -> None:
            request = {"id": f"id-{n}", "task": task.name, "delivery_info": {}}
            embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
            found[n] = traced(Work(task.name, f"id-{n}", request, ((n,), {}, embed), parent=os.getpid()))[3]

        threads = [threading.Thread(target=attempt, args=(n,)) for n in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found[0].output == '"value"' and found[1].retry


def test_sensitive_result_is_in_no_log_and_no_answer(app: celery.Celery, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="celery.app.trace")
    logging.getLogger("celery.app.trace").addHandler(caplog.handler)

    def function() -> str:
        return "hunter2"

    options = {"options": {}, "request": {"argsrepr": HIDDEN, "kwargsrepr": HIDDEN}}
    try:
        failed, text, _, outcome = run(app, function, sensitive=True, **options)
        assert (failed, text, outcome.output) == (0, HIDDEN, '"hunter2"')
        assert "hunter2" not in caplog.text
        assert all("hunter2" not in str(vars(record)) for record in caplog.records)
    finally:
        logging.getLogger("celery.app.trace").removeHandler(caplog.handler)


def test_children_that_import_this_module_do_not_import_what_talks_to_aws() -> None:
    code = (
        "import sys, sfini_celery.worker.trace\n"
        "print(sorted({'boto3', 'botocore', 'aiohttp', 'sfini_celery.worker.loop'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
