"""Endings that a real pool brings about too seldom to wait for, one by one."""

from __future__ import annotations

import contextlib
import inspect
from types import SimpleNamespace
from typing import Any

import celery
import pytest
from billiard.exceptions import Terminated
from celery import states
from celery.exceptions import Ignore, Reject, TimeLimitExceeded, WorkerLostError
from celery.worker import state
from celery.worker.request import Request

from sfini_celery.worker.ledger import State


def work() -> str:
    return "value"


def one(b: Any, input: Any = None) -> tuple[str, Any]:
    """A job that has begun to run, and its attempt."""
    id = b.take("work", input)
    attempt = b.attempts[-1]
    attempt.accept()
    return id, attempt


def error(b: Any, id: str) -> str:
    return str(b.line.sent[id][0])


@pytest.mark.parametrize(
    ("exc", "reported"),
    [
        (KeyError("x"), "KeyError"),
        (WorkerLostError("signal 9"), "sfini.WorkerLost"),
        (TimeLimitExceeded(1), "sfini.TimeLimitExceeded"),
        (Terminated(15), "sfini.TaskRevoked"),
        (Ignore(), "sfini.Ignored"),
        (Reject("no"), "sfini.Rejected"),
        (SystemExit(3), "SystemExit"),
        (MemoryError("full"), "MemoryError"),
    ],
)
def test_exception_that_the_child_did_not_handle_is_reported(bench: Any, exc: BaseException, reported: str) -> None:
    b = bench(work)
    id, attempt = one(b)
    attempt.end(exc)
    assert error(b, id) == reported
    assert b.line.sent[id][1]
    assert b.leaks() == 0


def test_memory_used_up_by_a_task_does_not_end_the_worker(bench: Any) -> None:
    b = bench(work)
    _, attempt = one(b)
    attempt.end(MemoryError("full"))  # Celery raises it again in the main process


def test_base_class_that_the_state_matches_is_named_for_what_the_child_did_not_handle(bench: Any) -> None:
    b = bench(work)
    id, attempt = one(b, {"sfini": 1, "task": "work", "errors": ["LookupError"]})
    attempt.end(KeyError("x"))
    assert error(b, id) == "LookupError"


def test_hard_time_limit_that_is_seen_twice_is_reported_once(bench: Any) -> None:
    b = bench(work)
    id, attempt = one(b)
    attempt.end(TimeLimitExceeded(1))
    attempt.time_out()
    assert error(b, id) == "sfini.TimeLimitExceeded"


def test_hard_time_limit_that_only_the_timer_sees_is_reported(bench: Any) -> None:
    b = bench(work)
    id, attempt = one(b)
    attempt.time_out(soft=True)
    assert b.line.sent == {}
    attempt.time_out()
    assert error(b, id) == "sfini.TimeLimitExceeded"


def test_hook_that_fails_does_not_keep_a_time_limit_from_being_reported(bench: Any, app: Any) -> None:
    b = bench(work)
    app.tasks["work"].on_failure = lambda *a: 1 / 0
    id, attempt = one(b)
    with contextlib.suppress(ZeroDivisionError):  # Celery before 5.7 does not call it
        attempt.time_out()
    assert error(b, id) == "sfini.TimeLimitExceeded"


def test_events_that_cannot_be_sent_do_not_keep_a_result_from_being_reported(bench: Any) -> None:
    b = bench(work)
    id, attempt = one(b)
    request = state.requests[id]

    def broken(*args: Any, **fields: Any) -> None:
        raise ConnectionError("the broker is away")

    request.eventer = SimpleNamespace(enabled=True, send=broken)
    request.task.send_events = True
    with pytest.raises(ConnectionError):
        attempt.options["callback"](attempt.target(*attempt.args))
    assert b.line.sent == {id: ("succeeded", "value")}


def test_killed_greenlet_is_not_taken_for_a_success(bench: Any) -> None:
    b = bench(work)
    id, attempt = one(b)
    attempt.options["callback"]((False, None, None))
    assert error(b, id) == "sfini.WorkerLost"


@pytest.mark.skipif(not hasattr(Request, "_success_was_stored"), reason="this Celery does not look")
def test_child_lost_after_it_had_stored_its_success_is_a_success(bench: Any, app: Any) -> None:
    app.conf.result_backend = "cache+memory://"
    b = bench(work)
    id, attempt = one(b)
    app.backend.store_result(id, {"stored": True}, states.SUCCESS)
    attempt.end(WorkerLostError("while cleaning up"))
    assert b.line.sent == {id: ("succeeded", {"stored": True})}


class TestRevoked:
    def test_before_it_starts(self, bench: Any) -> None:
        b = bench(work, slots=1)
        one(b)
        waiting = b.take("work")
        state.revoked.add(waiting)
        b.attempts[0].run()
        b.settle()
        assert error(b, waiting) == "sfini.TaskRevoked"
        assert len(b.attempts) == 1 and b.leaks() == 0

    def test_while_it_runs_and_then_seen_again_as_terminated(self, bench: Any) -> None:
        b = bench(work)
        id, attempt = one(b)
        state.requests[id].terminate(b.consumer.pool, signal="TERM")
        assert error(b, id) == "sfini.TaskRevoked"
        attempt.end(Terminated(15))
        attempt.options["callback"]((False, None, None))

    def test_expired_is_another_name(self, bench: Any) -> None:
        b = bench(work)
        at = {"execution": "arn:x", "entered": "2020-01-01T00:00:00.000Z"}
        id = b.take("work", {"sfini": 1, "task": "work", "options": {"expires": 1}, "at": at})
        assert error(b, id) == "sfini.TaskExpired"
        assert not b.attempts and b.leaks() == 0


class TestCancelled:
    def test_child_that_a_cold_shutdown_killed_is_not_called_lost(self, bench: Any, monkeypatch: Any) -> None:
        b = bench(work)
        id, attempt = one(b)
        monkeypatch.setattr(state, "should_terminate", 1)
        attempt.end(WorkerLostError("signal 15"))
        assert error(b, id) == "sfini.WorkerShutdown"

    def test_cold_shutdown_is_handed_back(self, bench: Any) -> None:
        b = bench(work)
        id, attempt = one(b)
        state.requests[id].cancel(b.consumer.pool)
        assert error(b, id) == "sfini.WorkerShutdown"
        attempt.end(Terminated(15))

    def test_cold_shutdown_of_a_pool_that_cannot_kill_is_handed_back_all_the_same(self, bench: Any) -> None:
        b = bench(work)
        b.consumer.pool.can_terminate = False
        id, _ = one(b)
        with pytest.raises(NotImplementedError):
            state.requests[id].cancel(b.consumer.pool)
        assert error(b, id) == "sfini.WorkerShutdown"

    def test_loss_of_the_broker_cancels_nothing(self, bench: Any) -> None:
        b = bench(work, acks_late=True)
        id, attempt = one(b)
        state.requests[id].cancel(b.consumer.pool)  # as Celery does, for what it could not acknowledge any more
        assert b.line.sent == {} and b.consumer.pool.terminated == []
        attempt.options["callback"](attempt.target(*attempt.args))
        assert b.line.sent == {id: ("succeeded", "value")}

    @pytest.mark.skipif(
        "emit_retry" not in inspect.signature(Request.cancel).parameters, reason="this Celery cancels nothing then"
    )
    def test_cold_shutdown_cancels_a_task_that_acknowledges_late(self, bench: Any) -> None:
        b = bench(work, acks_late=True)
        id, _ = one(b)
        state.requests[id].cancel(b.consumer.pool, emit_retry=False)
        assert error(b, id) == "sfini.WorkerShutdown"


class TestGivenBack:
    def test_rejected_with_requeue_runs_again_at_growing_intervals(self, bench: Any) -> None:
        b = bench(work, acks_late=True)
        id, attempt = one(b)
        parked = []
        for _ in range(4):
            self.reject(attempt)
            b.settle()
            parked.append(b.state(id) is State.PARKED)
            b.pass_time()
            attempt = b.attempts[-1]
            attempt.accept()
        assert parked == [False, True, True, True]
        assert attempt.work.request["delivery_info"]["redelivered"] is True
        attempt.options["callback"](attempt.target(*attempt.args))
        assert b.line.sent == {id: ("succeeded", "value")} and b.leaks() == 0

    def reject(self, attempt: Any) -> None:
        """As the trace brings it back from the child."""
        from sfini_celery.worker.trace import Outcome

        from_child = attempt.options["callback"]
        from_child((1, SimpleNamespace(exception=Reject("later", requeue=True), traceback=""), 0.0, Outcome()))

    def test_rejected_after_it_was_acknowledged_is_final_as_in_celery(self, bench: Any) -> None:
        b = bench(work)
        id, attempt = one(b)
        self.reject(attempt)
        assert error(b, id) == "sfini.Rejected"

    def test_child_lost_is_given_another_a_few_times(self, bench: Any) -> None:
        b = bench(work, acks_late=True, reject_on_worker_lost=True)
        id, attempt = one(b)
        for _ in range(3):
            attempt.end(WorkerLostError("signal 9"))
            b.settle()
            b.pass_time()
            attempt = b.attempts[-1]
            attempt.accept()
        assert b.line.sent == {}
        attempt.end(WorkerLostError("signal 9"))
        assert error(b, id) == "sfini.WorkerLost"
        assert len(b.attempts) == 4

    def test_child_lost_is_final_for_a_task_that_may_run_once_at_most(self, bench: Any) -> None:
        b = bench(work, acks_late=True, reject_on_worker_lost=True, activity={"at_most_once": True})
        id, attempt = one(b)
        attempt.end(WorkerLostError("signal 9"))
        assert error(b, id) == "sfini.WorkerLost"

    @pytest.mark.skipif(not hasattr(Request, "_retry_worker_lost"), reason="this Celery has no such setting")
    def test_child_lost_is_retried_here_and_not_by_the_broker(self, bench: Any, app: Any, monkeypatch: Any) -> None:
        monkeypatch.setattr(app, "send_task", lambda *a, **kw: pytest.fail("published"))
        b = bench(work, retry_on_worker_lost=True, default_retry_delay=60)
        id, attempt = one(b)
        attempt.end(WorkerLostError("signal 9"))
        b.settle()
        assert b.state(id) is State.PARKED
        b.pass_time()
        assert b.attempts[-1].work.request["retries"] == 1
        b.attempts[-1].run()
        assert b.line.sent == {id: ("succeeded", "value")}

    @pytest.mark.skipif(not hasattr(celery.Task, "acks_on_timeout"), reason="this Celery does not give it back")
    def test_time_limit_that_gives_back_is_not_also_reported(self, bench: Any) -> None:
        b = bench(work, acks_late=True, acks_on_failure_or_timeout=False)
        id, attempt = one(b)
        attempt.end(TimeLimitExceeded(1))
        attempt.time_out()
        b.settle()
        assert b.line.sent == {} and len(b.attempts) == 2
        b.attempts[1].run()
        assert b.line.sent == {id: ("succeeded", "value")}

    def test_failure_of_a_task_that_does_not_acknowledge_failures_is_a_failure(self, bench: Any) -> None:
        b = bench(work, acks_late=True, acks_on_failure_or_timeout=False)
        id, attempt = one(b)
        attempt.end(KeyError("x"))
        assert error(b, id) == "KeyError"


def test_sensitive_arguments_are_not_shown_to_inspect(bench: Any) -> None:
    b = bench(work, activity={"sensitive": True})
    id, _ = one(b)
    assert state.requests[id].info()["args"] == state.requests[id].info(safe=True)["kwargs"] == "<hidden>"


def test_token_goes_neither_to_the_pool_nor_into_a_repr(bench: Any) -> None:
    b = bench(work)
    id, attempt = one(b)
    request = state.requests[id]
    assert "token-1" not in f"{vars(attempt.work)} {attempt.work!r} {request!r} {request.held!r} {request.info()}"
    assert "token-1" not in str(request.request_dict)
