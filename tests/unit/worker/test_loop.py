"""The loop as its owner sees it: a thread, its callbacks, and a shutdown that loses nothing."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from sfini_celery.errors import WorkerError, service_error
from sfini_celery.worker.ledger import Job, Ledger, State, task_id
from sfini_celery.worker.loop import ActivityPoll, Loop

ADD = ActivityPoll("add", "arn:add", polls=2, heartbeat=60)


def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.002)


@pytest.fixture
def world(plane, caplog) -> Iterator[Callable[..., SimpleNamespace]]:
    """Loops on the fake plane, ended with the test; whatever was logged, it holds no token and no payload."""
    caplog.set_level(logging.DEBUG)
    plane.latency = 0.0
    made: list[Loop] = []

    def make(**options) -> SimpleNamespace:
        ledger = Ledger()
        inbox: queue.Queue[Job] = queue.Queue()
        crashes: list[BaseException] = []
        slots = options.pop("slots", 2)
        settings = {
            "connect": lambda: plane,
            "activities": [ADD],
            "worker": "worker@here",
            "capacity": lambda: slots - ledger.busy,
            "deliver": inbox.put,
            "on_crash": crashes.append,
            "start_jitter": 0.0,
            "poll_rate": 1000.0,
        }
        loop = Loop(ledger=ledger, **{**settings, **options})
        made.append(loop)
        return SimpleNamespace(loop=loop, ledger=ledger, inbox=inbox, crashes=crashes)

    yield make
    for loop in made:
        loop.close()
        assert not loop.running
    assert "SECRET" not in caplog.text and "payload-of-the-task" not in caplog.text


def named(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().split()[0] for record in caplog.records if record.name.startswith("sfini_celery")]


# -- work


def test_tasks_are_taken_delivered_and_reported(world, plane) -> None:
    here = world()
    here.loop.start()
    tokens = [plane.offer("arn:add") for _ in range(20)]
    for number in range(20):
        job = here.inbox.get(timeout=5)
        assert here.ledger.get(job.id) == job and job.state is State.TAKEN
        here.ledger.move(job.id, State.RUNNING)
        if number % 2:
            assert here.loop.report_success(job.id, str(number))
        else:
            assert here.loop.report_failure(job, "ValueError", "why")
    assert here.loop.flush(5)
    assert sorted(sent[1] for sent in plane.sent) == sorted(tokens)
    stats = here.loop.stats()
    assert (stats["taken"], stats["reported"]["succeeded"], stats["reported"]["failed"]) == (20, 10, 10)
    assert len(here.ledger) == 0


def test_only_the_first_outcome_is_sent(world, plane) -> None:
    here = world()
    here.loop.start()
    token = plane.offer("arn:add")
    job = here.inbox.get(timeout=5)
    assert here.loop.report_failure(job, "sfini.TaskRevoked") is True
    assert here.loop.report_success(job, "42") is False
    assert here.loop.report_success("no such job", "42") is False
    assert here.loop.flush(5)
    assert plane.sent == [("failure", token, "sfini.TaskRevoked", "")]


def test_an_outcome_that_cannot_be_made_a_report_does_not_cost_the_job(world, plane) -> None:
    here = world()
    here.loop.start()
    token = plane.offer("arn:add")
    job = here.inbox.get(timeout=5)
    with pytest.raises(TypeError):
        here.loop.report_success(job, 42)
    assert job.id in here.ledger
    assert here.loop.report_failure(job, "TypeError", "not text")
    assert here.loop.flush(5) and plane.sent == [("failure", token, "TypeError", "not text")]


def test_callbacks_run_on_the_one_named_daemon_thread(world, plane) -> None:
    names: queue.Queue[tuple[str, bool]] = queue.Queue()

    def note(job: Job) -> None:
        names.put((threading.current_thread().name, threading.current_thread().daemon))

    here = world(deliver=note)
    here.loop.start()
    here.loop.start()
    plane.offer("arn:add")
    assert names.get(timeout=5) == ("sfini-loop", True)
    assert [thread.name for thread in threading.enumerate()].count("sfini-loop") == 1


def test_a_task_that_cannot_be_delivered_is_handed_back_to_the_state_machine(world, plane, caplog) -> None:
    def refuse(job: Job) -> None:
        raise RuntimeError("the consumer is gone")

    here = world(deliver=refuse)
    here.loop.start()
    token = plane.offer("arn:add")
    until(lambda: plane.sent)
    assert plane.sent[0][:3] == ("failure", token, "sfini.NotStarted")
    assert "sfini_task_not_delivered" in named(caplog)


class FrozenLoop(asyncio.SelectorEventLoop):
    """No timer ever fires: what happens, happens because somebody said so."""

    def time(self) -> float:
        return 1000.0


def test_capacity_that_grew_is_used_at_once_when_told(world, plane) -> None:
    free = 0
    here = world(capacity=lambda: free - here.ledger.busy, new_event_loop=FrozenLoop)
    here.loop.start()
    plane.offer("arn:add")
    until(lambda: here.loop.stats()["state"] == "running" and plane.entered)
    free = 1
    for _ in range(1000):
        here.loop.wake()
    assert here.inbox.get(timeout=5).activity == "add"


def test_a_report_frees_its_slot_without_being_told(world, plane) -> None:
    here = world(slots=1, new_event_loop=FrozenLoop)
    here.loop.start()
    for _ in range(10):
        plane.offer("arn:add")
    for _ in range(10):
        here.loop.report_success(here.inbox.get(timeout=5), "1")


def test_a_closed_token_is_out_of_the_ledger_when_the_owner_hears_of_it(world, plane, caplog) -> None:
    told: queue.Queue[tuple[Job, bool]] = queue.Queue()
    quick = ActivityPoll("add", "arn:add", polls=1, heartbeat=0.9)
    here = world(activities=[quick], closed=lambda job: told.put((job, job.id in here.ledger)))
    here.loop.start()
    token = plane.offer("arn:add")
    job = here.inbox.get(timeout=5)
    here.ledger.move(job.id, State.RUNNING)
    plane.closed[token] = "TaskTimedOut"
    closed, in_ledger = told.get(timeout=5)
    assert (closed.id, closed.state, in_ledger) == (job.id, State.RUNNING, False)
    assert here.loop.report_success(job, "42") is False
    assert here.loop.flush(1) and plane.sent == []


def test_a_revoke_that_fails_stops_nothing(world, plane, caplog) -> None:
    def explode(job: Job) -> None:
        raise RuntimeError("no such process")

    here = world(activities=[ActivityPoll("add", "arn:add", polls=1, heartbeat=0.9)], closed=explode)
    here.loop.start()
    plane.closed[plane.offer("arn:add")] = "TaskTimedOut"
    here.inbox.get(timeout=5)
    until(lambda: "sfini_task_not_revoked" in named(caplog))
    plane.offer("arn:add")
    assert here.inbox.get(timeout=5)


def test_an_activity_can_be_paused_and_resumed_from_any_thread(world, plane) -> None:
    here = world(activities=[ADD, ActivityPoll("mul", "arn:mul", polls=1)])
    with pytest.raises(WorkerError, match="does not poll an activity 'div'"):
        here.loop.pause("div")
    here.loop.pause("add")
    here.loop.start()
    until(lambda: plane.open["arn:mul"] == 1)
    assert plane.open["arn:add"] == 0 and here.loop.stats()["activities"]["add"]["paused"]
    here.loop.resume()
    until(lambda: plane.open["arn:add"])
    assert not here.loop.stats()["activities"]["add"]["paused"]


def test_a_missing_activity_is_created_off_the_loop(world, plane) -> None:
    threads: list[str] = []
    plane.faults["poll"] = service_error("GetActivityTask", "ActivityDoesNotExist")

    def create(name: str) -> bool:
        threads.append(threading.current_thread().name)
        plane.faults.clear()
        return True

    here = world(missing=create)
    plane.offer("arn:add")
    here.loop.start()
    assert here.inbox.get(timeout=5)
    assert len(threads) == 1 and threads[0].startswith("sfini-helper")


# -- the end


def test_drain_does_not_abandon_an_open_poll_and_its_task_is_handed_back(world, plane, caplog) -> None:
    here = world()
    here.loop.start()
    until(lambda: plane.open["arn:add"] == 2)
    assert here.loop.drain(0.05) is False
    assert (plane.open["arn:add"], plane.cancelled) == (2, 0)
    tokens = [plane.offer("arn:add"), plane.offer("arn:add")]
    assert here.loop.drain(5) is True
    assert here.loop.flush(5) is True
    assert sorted(sent[:3] for sent in plane.sent) == [("failure", token, "sfini.NotStarted") for token in tokens]
    assert here.inbox.empty() and plane.cancelled == 0
    assert named(caplog).count("sfini_task_late") == 2


def test_a_late_task_goes_to_the_owner_who_wants_it(world, plane) -> None:
    late: queue.Queue[Job] = queue.Queue()
    here = world(on_late=late.put)
    here.loop.start()
    until(lambda: plane.open["arn:add"] == 2)
    here.loop.stop_polling()
    plane.offer("arn:add")
    assert late.get(timeout=5).id in here.ledger
    assert here.inbox.empty() and plane.sent == []


def test_idle_polls_end_at_once_on_a_server_that_can_end_them(world, plane) -> None:
    plane.releasable = True
    here = world()
    here.loop.start()
    until(lambda: plane.open["arn:add"] == 2)
    begun = time.monotonic()
    assert here.loop.drain(30) is True
    assert time.monotonic() - begun < 10 and plane.cancelled == 0


def test_a_stop_before_the_start_is_not_lost(world, plane) -> None:
    here = world()
    here.loop.stop_polling()
    here.loop.stop_polling()
    plane.offer("arn:add")
    here.loop.start()
    assert here.loop.drain(5) is True
    assert plane.times("poll") == []
    assert here.loop.state == "stopping"


def test_stopping_from_many_threads_at_once_is_one_stop(world, plane) -> None:
    plane.releasable = True
    here = world()
    here.loop.start()
    until(lambda: plane.open["arn:add"] == 2)
    drained: list[bool] = []
    threads = [threading.Thread(target=lambda: drained.append(here.loop.drain(10))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drained == [True] * 8
    for thread in [threading.Thread(target=here.loop.close) for _ in range(4)]:
        thread.start()
        thread.join()
    assert here.loop.state == "closed" and plane.exited == 1


def test_a_loop_that_was_never_started_can_be_drained_flushed_and_closed(world) -> None:
    here = world()
    assert here.loop.drain(5) and here.loop.flush(5)
    here.loop.close()
    here.loop.close()
    with pytest.raises(WorkerError, match="closed"):
        here.loop.start()


def test_a_close_with_open_polls_says_that_they_were_abandoned(world, plane, caplog) -> None:
    here = world()
    here.loop.start()
    until(lambda: plane.open["arn:add"] == 2)
    here.loop.close()
    assert plane.cancelled == 2 and plane.exited == 1
    assert "sfini_polls_abandoned" in named(caplog)


def test_flush_waits_for_what_is_on_its_way_and_says_when_it_is_not_delivered(world, plane, unreachable) -> None:
    here = world()
    here.loop.start()
    plane.offer("arn:add")
    job = here.inbox.get(timeout=5)
    plane.faults["success"] = unreachable()
    assert here.loop.report_success(job, "42")
    assert here.loop.flush(0.05) is False
    assert here.loop.stats()["reported"]["pending"] == 1
    plane.faults.clear()
    assert here.loop.flush(10) is True


def test_reports_that_are_lost_with_the_loop_are_an_error_in_the_log(world, plane, caplog, unreachable) -> None:
    here = world()
    here.loop.start()
    plane.offer("arn:add"), plane.offer("arn:add")
    first, second = here.inbox.get(timeout=5), here.inbox.get(timeout=5)
    plane.faults["success"] = unreachable()
    here.loop.report_success(first, "42")
    here.loop.close()
    assert here.loop.report_success(second, "42") is True
    assert "sfini_report_lost" in named(caplog)
    assert here.loop.flush(1)


def test_a_callback_that_would_wait_for_its_own_thread_is_told_so(world, plane) -> None:
    caught: queue.Queue[BaseException] = queue.Queue()

    def wait(job: Job) -> None:
        try:
            here.loop.flush()
        except WorkerError as exc:
            caught.put(exc)

    here = world(deliver=wait)
    here.loop.start()
    plane.offer("arn:add")
    assert "callback" in str(caught.get(timeout=5))


# -- crashes


def test_a_crash_is_loud_reaches_the_owner_and_ends_every_wait(world, plane, caplog, unreachable) -> None:
    boom = False

    def capacity() -> int:
        if boom:
            raise ZeroDivisionError("capacity")
        return 2 - len(here.ledger)

    here = world(capacity=capacity)
    here.loop.start()
    plane.offer("arn:add")
    job = here.inbox.get(timeout=5)
    plane.faults["success"] = unreachable()
    here.loop.report_success(job, "42")
    waited: list[bool] = []
    waiter = threading.Thread(target=lambda: waited.append(here.loop.flush(60)))
    waiter.start()
    boom = True
    here.loop.wake()
    until(lambda: here.crashes)
    waiter.join(5)
    assert not waiter.is_alive()
    here.loop.drain(60)
    assert isinstance(here.crashes[0], ZeroDivisionError) and here.loop.crashed is here.crashes[0]
    assert here.loop.state == "crashed" and not here.loop.running
    critical = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert [record.getMessage().split()[0] for record in critical] == ["sfini_loop_crashed"]
    assert critical[0].exc_info is not None


def test_a_data_plane_that_cannot_be_made_is_a_crash(world, caplog) -> None:
    def connect() -> None:
        raise WorkerError("no region")

    here = world(connect=connect)
    here.loop.start()
    until(lambda: here.crashes)
    assert "sfini_loop_crashed" in named(caplog)
    assert here.loop.drain(5) is True


# -- what others see of it


def test_a_worker_name_is_made_one_that_aws_takes(world) -> None:
    assert world(worker="celery@host").loop.worker == "celery@host"
    assert world(worker="a b:c/" + "x" * 100).loop.worker == "a-b-c-" + "x" * 74
    assert world(worker="").loop.worker == "worker"


def test_the_figures_are_complete_before_during_and_after(world, plane) -> None:
    here = world()
    new = here.loop.stats()
    assert (new["state"], new["open_polls"], new["activities"]) == ("new", 0, {})
    here.loop.start()
    plane.offer("arn:add")
    job = here.inbox.get(timeout=5)
    until(lambda: here.loop.stats()["open_polls"] == 1)
    stats = here.loop.stats()
    assert stats["activities"]["add"] == {
        "open_polls": 1, "polled": 2, "taken": 1, "paused": False, "last_error": None
    }  # fmt: skip
    assert stats["ledger"] == {"taken": 1, "reserved": 0, "running": 0, "parked": 0}
    here.loop.close()
    closed = here.loop.stats()
    assert closed.keys() == new.keys() and closed["state"] == "closed"
    assert job.id == task_id(job.token.reveal())


def test_no_token_or_payload_is_logged_even_when_everything_fails_at_debug_level(world, plane, caplog) -> None:
    here = world(activities=[ActivityPoll("add", "arn:add", polls=2, heartbeat=0.9)])

    def refuse(token: str) -> None:
        raise service_error("SendTaskSuccess", "ValidationException", f"Value '{token}' at 'taskToken' is bad")

    plane.faults.update(success=refuse, failure=refuse, heartbeat=refuse)
    here.loop.start()
    for _ in range(4):
        plane.offer("arn:add")
    for number in range(4):
        job = here.inbox.get(timeout=5)
        logging.getLogger("user").debug("%s %r %s", job, job, job.token)
        if number:
            here.loop.report_success(job, '"payload-of-the-task"')
    until(lambda: here.loop.stats()["reported"]["abandoned"] == 3)
    until(lambda: here.loop.stats()["heartbeats"]["failed"] >= 1)
    assert len(caplog.records) > 5
