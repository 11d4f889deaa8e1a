from __future__ import annotations

from typing import Any

import pytest
from celery.worker import state

from sfini_celery.worker.ledger import State


def add(x: int, y: int) -> int:
    return x + y


def later(self: Any, countdown: float = 60) -> int:
    if not self.request.retries:
        raise self.retry(countdown=countdown)
    return int(self.request.retries)


def test_task_is_run_and_its_value_reported(bench: Any) -> None:
    b = bench(add)
    id = b.take("add", {"x": 1, "y": 2})
    (attempt,) = b.attempts
    assert b.state(id) is State.RESERVED
    attempt.accept()
    assert b.state(id) is State.RUNNING
    attempt.options["callback"](attempt.target(*attempt.args))
    assert b.line.sent == {id: ("succeeded", 3)}
    assert b.leaks() == 0


def test_no_more_is_given_to_the_pool_than_can_start(bench: Any) -> None:
    b = bench(add, slots=2)
    ids = [b.take("add", {"x": n, "y": 0}) for n in range(4)]
    assert len(b.attempts) == 2
    assert [b.state(id) for id in ids] == [State.RESERVED] * 2 + [State.TAKEN] * 2
    assert b.dispatcher.capacity() == 0
    b.attempts[0].run()
    b.settle()
    assert len(b.attempts) == 3
    for attempt in b.attempts[1:3]:
        attempt.run()
    b.settle()
    b.attempts[3].run()
    assert {value for _, value in b.line.sent.values()} == {0, 1, 2, 3}
    assert b.dispatcher.capacity() == 2
    assert b.leaks() == 0


def test_slot_that_a_broker_message_frees_is_found_by_the_tick(bench: Any) -> None:
    b = bench(add, slots=1, settings={"sfn_reserved_share": 0})
    message = type("Request", (), {"id": "broker's", "name": "x"})()
    state.task_reserved(message)
    b.take("add", {"x": 1, "y": 1})
    assert not b.attempts
    state.task_ready(message)
    b.pass_time()
    assert len(b.attempts) == 1


def test_the_most_urgent_of_what_one_worker_holds_goes_first(bench: Any) -> None:
    b = bench(add, slots=1)
    b.take("add", {"x": 0, "y": 0})
    for x, priority in ((1, 0), (2, 9), (3, 5)):
        b.take("add", {"sfini": 1, "task": "add", "args": [x, 0], "options": {"priority": priority}})
    while len(b.line.sent) < 4:
        b.attempts[-1].run()
        b.settle()
    assert [value for _, value in b.line.sent.values()] == [0, 2, 3, 1]


@pytest.mark.parametrize(
    "text", ['{"x": 1}', '{"x": 1, "y": 2, "z": 3}', '{"sfini": 99}', "[" * 100_000, '{"sfini": 1, "args": 3}']
)
def test_input_that_cannot_be_read_is_reported_and_stops_nothing(bench: Any, text: str) -> None:
    b = bench(add)
    id = b.take("add", text)
    assert b.line.sent[id][0] == "sfini.InvalidInput"
    assert not b.attempts and b.leaks() == 0


def test_options_that_are_not_known_are_logged_once(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    b = bench(add)
    for _ in range(3):
        b.take("add", {"sfini": 1, "task": "add", "args": [1, 2], "options": {"serializer": "pickle"}})
        b.attempts[-1].run()
        b.settle()
    assert caplog.text.count("sfini_option_ignored") == 1


class TestRetries:
    def test_countdown_is_parked_without_a_slot_and_then_run(self, bench: Any) -> None:
        b = bench(later, slots=1, bind=True)
        id = b.take("later")
        b.attempts[0].run()
        b.settle()
        assert b.state(id) is State.PARKED
        assert b.dispatcher.capacity() == 1
        assert len(b.attempts) == 1
        b.pass_time()
        b.attempts[1].run()
        assert b.line.sent == {id: ("succeeded", 1)}
        assert b.leaks() == 0

    def test_retry_without_a_countdown_waits_for_a_slot_like_any_other(self, bench: Any) -> None:
        b = bench(later, slots=1, bind=True)
        first = b.take("later", {"countdown": 0})
        second = b.take("later", {"countdown": 0})
        b.attempts[0].run()
        assert b.state(first) is State.TAKEN
        b.settle()
        assert len(b.attempts) == 2  # the second one's turn
        assert b.attempts[1].work.id == second

    def test_countdowns_do_not_draw_more_messages_from_the_broker(self, bench: Any) -> None:
        b = bench(later, bind=True)
        b.take("later")
        b.attempts[0].run()
        b.settle()
        b.pass_time()
        b.attempts[1].run()
        assert b.consumer.prefetch == []

    def test_time_that_comes_while_every_slot_is_taken_waits(self, bench: Any) -> None:
        b = bench(later, slots=1, bind=True)
        id = b.take("later")
        b.attempts[0].run()
        b.settle()
        other = b.take("later")
        b.pass_time()
        assert b.state(id) is State.TAKEN
        assert len(b.attempts) == 2 and b.attempts[1].work.id == other
        b.attempts[1].run()
        b.settle()
        assert b.attempts[2].work.id == id

    def test_autoscaler_sees_a_task_whose_time_has_come(self, bench: Any) -> None:
        b, seen = bench(later, bind=True), []
        b.consumer.on_task_message.add(lambda request: seen.append(request.id))
        id = b.take("later")
        b.attempts[0].run()
        b.settle()
        b.pass_time()
        assert seen == [id, id]

    def test_too_many_countdowns_use_capacity(self, bench: Any) -> None:
        b = bench(later, slots=2, bind=True, settings={"sfn_parked_limit": 1})
        for _ in range(2):
            b.take("later")
            b.attempts[-1].run()
            b.settle()
        assert b.dispatcher.capacity() == 1


def test_rate_limit_parks_and_is_kept(bench: Any) -> None:
    b = bench(add, rate_limit="1/m", slots=4)
    ids = [b.take("add", {"x": n, "y": 0}) for n in range(3)]
    assert len(b.attempts) == 1
    assert [b.state(id) for id in ids] == [State.RESERVED, State.PARKED, State.PARKED]
    assert b.dispatcher.capacity() == 3


class TestClosedTokens:
    """AWS waits for a task no longer: its execution was stopped, or timed out."""

    def close(self, b: Any, id: str) -> None:
        job = b.ledger.pop(id)
        b.dispatcher.closed(job)
        b.settle()

    def test_waiting_task_is_never_run(self, bench: Any) -> None:
        b = bench(add, slots=1)
        b.take("add", {"x": 1, "y": 1})
        waiting = b.take("add", {"x": 2, "y": 2})
        self.close(b, waiting)
        b.attempts[0].run()
        b.settle()
        assert len(b.attempts) == 1
        assert b.leaks() == 0

    def test_countdown_is_forgotten(self, bench: Any) -> None:
        b = bench(later, bind=True)
        id = b.take("later")
        b.attempts[0].run()
        b.settle()
        self.close(b, id)
        (entry,) = [scheduled.entry for scheduled in b.consumer.timer.queue]
        assert entry.canceled and not entry.args  # neither run, nor shown by `inspect scheduled`, nor kept in memory
        b.pass_time()
        assert len(b.attempts) == 1
        assert b.line.sent == {} and b.leaks() == 0

    def test_task_that_its_rate_limit_lets_go_before_we_hear_of_it_is_not_run(self, bench: Any) -> None:
        b = bench(add, rate_limit="1/m")
        b.take("add", {"x": 0, "y": 0})
        id = b.take("add", {"x": 1, "y": 1})
        b.ledger.pop(id)
        b.consumer.task_buckets["add"]._tokens = 1
        b.pass_time()
        assert len(b.attempts) == 1

    def test_running_task_goes_on_and_reports_nothing(self, bench: Any) -> None:
        b = bench(add)
        id = b.take("add", {"x": 1, "y": 1})
        b.attempts[0].accept()
        self.close(b, id)
        assert b.consumer.pool.terminated == []
        b.attempts[0].options["callback"](b.attempts[0].target(*b.attempts[0].args))
        assert b.line.sent == {} and b.leaks() == 0

    def test_running_task_is_killed_where_that_was_asked_for(self, bench: Any) -> None:
        b = bench(add, settings={"sfn_revoke_terminate": True})
        id = b.take("add", {"x": 1, "y": 1})
        b.attempts[0].accept()
        self.close(b, id)
        assert len(b.consumer.pool.terminated) == 1
        assert b.line.sent == {} and b.leaks() == 0

    def test_pool_that_cannot_kill_is_not_held_against_anyone(self, bench: Any, caplog: Any) -> None:
        b = bench(add, settings={"sfn_revoke_terminate": True})
        b.consumer.pool.can_terminate = False
        id = b.take("add", {"x": 1, "y": 1})
        b.attempts[0].accept()
        self.close(b, id)
        assert "sfini_terminate_unsupported" in caplog.text

    def test_retry_of_a_closed_task_is_not_run(self, bench: Any) -> None:
        b = bench(later, bind=True)
        id = b.take("later", {"countdown": 0})
        b.attempts[0].accept()
        self.close(b, id)
        b.attempts[0].options["callback"](b.attempts[0].target(*b.attempts[0].args))
        b.settle()
        assert len(b.attempts) == 1 and b.leaks() == 0


class TestReconnect:
    """The broker is lost and found again: Celery wipes what does not run."""

    def test_running_task_is_left_alone(self, bench: Any) -> None:
        b = bench(add)
        id = b.take("add", {"x": 1, "y": 1})
        b.attempts[0].accept()
        b.restart()
        assert len(b.attempts) == 1
        b.attempts[0].options["callback"](b.attempts[0].target(*b.attempts[0].args))
        assert b.line.sent == {id: ("succeeded", 2)}

    def test_task_in_a_pool_that_forgets_nothing_is_left_alone_and_still_counts(self, bench: Any) -> None:
        b = bench(add, slots=1)
        b.take("add", {"x": 1, "y": 1})
        b.restart()
        assert len(b.attempts) == 1
        assert b.dispatcher.capacity() == 0

    def test_task_that_the_asynchronous_pool_has_forgotten_is_given_to_it_again(self, bench: Any) -> None:
        b = bench(add)
        b.consumer.pool.become_asynchronous()
        id = b.take("add", {"x": 1, "y": 1})
        b.consumer.pool._pool._cache.clear()
        b.restart()
        assert len(b.attempts) == 2
        b.attempts[1].run()
        assert b.line.sent == {id: ("succeeded", 2)}

    def test_running_task_that_an_older_celery_has_forgotten_is_brought_to_its_mind(self, bench: Any) -> None:
        b = bench(add)
        b.consumer.pool.become_asynchronous()
        b.take("add", {"x": 1, "y": 1})
        (attempt,) = b.attempts
        attempt.accept()
        b.consumer.pool._pool._cache.clear()
        b.restart()
        assert b.attempts == [attempt]
        assert b.consumer.pool._pool._cache == {attempt._job: attempt}

    def test_task_that_may_run_once_at_most_is_not(self, bench: Any) -> None:
        b = bench(add, activity={"at_most_once": True})
        b.consumer.pool.become_asynchronous()
        id = b.take("add", {"x": 1, "y": 1})
        b.consumer.pool._pool._cache.clear()
        b.restart()
        assert len(b.attempts) == 1
        assert b.line.sent[id][0] == "sfini.WorkerLost"

    def test_countdown_and_backlog_are_put_in_line_again_once(self, bench: Any) -> None:
        b = bench(later, slots=1, bind=True)
        parked = b.take("later")
        b.attempts[0].run()
        b.settle()
        running, waiting = b.take("later"), b.take("later")
        b.attempts[1].accept()
        b.restart()
        b.restart()
        assert (b.state(parked), b.state(running), b.state(waiting)) == (State.PARKED, State.RUNNING, State.TAKEN)
        b.pass_time()
        for _ in range(8):
            for attempt in b.attempts[1:]:
                if attempt.work.id not in b.line.sent and b.state(attempt.work.id) in (State.RESERVED, State.RUNNING):
                    attempt.options["callback"](attempt.target(*attempt.args))
                    b.settle()
                    b.pass_time()
        assert sorted(b.line.sent) == sorted([parked, running, waiting])

    def test_timer_that_outlives_a_restart_does_not_start_a_second_attempt(self, bench: Any) -> None:
        b = bench(later, bind=True)
        b.take("later")
        b.attempts[0].run()
        b.settle()
        (outlived,) = [scheduled.entry for scheduled in b.consumer.timer.queue]
        arguments = outlived.fun, outlived.args
        b.restart()
        arguments[0](*arguments[1])
        b.settle()
        assert len(b.attempts) == 1
        b.pass_time()
        assert len(b.attempts) == 2

    def test_retry_asked_for_just_before_is_made_once(self, bench: Any) -> None:
        b = bench(later, bind=True)
        b.consumer.pool.become_asynchronous()
        b.take("later", {"countdown": 0})
        b.attempts[0].run()  # the mailbox has the retry
        b.consumer.pool._pool._cache.clear()
        b.restart()
        assert len(b.attempts) == 2
        assert b.attempts[1].work.request["retries"] == 1

    def test_rate_limited_task_is_put_in_line_again(self, bench: Any) -> None:
        b = bench(add, rate_limit="1/m", slots=4)
        b.take("add", {"x": 0, "y": 0})
        limited = b.take("add", {"x": 1, "y": 0})
        b.restart()
        assert b.state(limited) is State.PARKED
        bucket = b.consumer.task_buckets["add"]
        assert [request.id for request, _ in bucket.contents] == [limited]

    def test_nothing_is_taken_or_started_while_the_broker_is_away(self, bench: Any) -> None:
        b = bench(add)
        b.dispatcher.detach()
        assert b.dispatcher.capacity() == 0
        id = b.take("add", {"x": 1, "y": 1})
        assert not b.attempts and b.state(id) is State.TAKEN
        b.dispatcher.attach(b.consumer)
        b.settle()
        assert len(b.attempts) == 1


class TestShutdown:
    def test_what_has_begun_and_what_has_not_are_told_apart(self, bench: Any) -> None:
        b = bench(later, slots=1, bind=True)
        parked = b.take("later")
        b.attempts[0].run()
        b.settle()
        given = b.take("later")
        waiting = b.take("later")
        b.dispatcher.closing = True
        assert b.dispatcher.hand_back(State.TAKEN, State.PARKED) == 2
        assert given not in b.line.sent
        assert b.dispatcher.hand_back() == 1
        assert {id: error for id, (error, _) in b.line.sent.items()} == {
            parked: "sfini.WorkerShutdown",
            waiting: "sfini.NotStarted",
            given: "sfini.WorkerShutdown",
        }

    def test_what_comes_while_the_worker_stops_is_handed_back(self, bench: Any) -> None:
        b = bench(add)
        b.dispatcher.closing = True
        id = b.take("add", {"x": 1, "y": 1})
        assert b.line.sent[id][0] == "sfini.NotStarted"
        assert b.dispatcher.capacity() == 0

    def test_retry_asked_for_while_the_worker_stops_is_handed_back(self, bench: Any) -> None:
        b = bench(later, bind=True)
        id = b.take("later")
        b.dispatcher.closing = True
        b.attempts[0].run()
        assert b.line.sent[id][0] == "sfini.WorkerShutdown"


def test_task_that_the_pool_does_not_take_is_handed_back(bench: Any, caplog: Any) -> None:
    b = bench(add)

    def refuse(*args: Any, **options: Any) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    b.consumer.pool.apply_async = refuse
    id = b.take("add", {"x": 1, "y": 1})
    assert b.line.sent[id][0] == "sfini.NotStarted"
    assert "sfini_start_failed" in caplog.text
    assert b.leaks() == 0


def test_broker_messages_of_the_same_task_keep_their_own_request(bench: Any, app: Any) -> None:
    b = bench(add)
    assert app.tasks["add"].Request == "celery.worker.request:Request"
    assert "Request" not in vars(app.tasks["add"])
    assert b.dispatcher.capacity() == 2
