from __future__ import annotations

import asyncio
import datetime
import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sfini_celery.dataplane import ActivityTask
from sfini_celery.errors import InvalidName, NotFound, TokenClosed, WorkerError, service_error
from sfini_celery.sfini.activities import Activity, CallableActivity, SmartCallableActivity
from sfini_celery.sfini.session import AWSSession
from sfini_celery.sfini.worker import Worker, WorkerCancel

TOKEN = "AQCEAAAASECRETTOKEN"


class Plane:
    """A data plane on queues: tasks are offered by the test, reports are kept for it."""

    endpoint_url = "http://127.0.0.1:1"
    region = "eu-west-1"

    def __init__(self, hold: float = 0.05) -> None:
        self.hold = hold
        self.reports: list[tuple[str, ...]] = []
        self.polls = self.open_polls = self.most_open = self.beats = 0
        self.closed_tokens: set[str] = set()
        self.poll_error: Exception | None = None
        self.open_error: Exception | None = None
        self._tasks: list[ActivityTask] = []

    def offer(self, value: Any, token: str = TOKEN) -> None:
        self._tasks.append(ActivityTask(token, json.dumps(value)))

    async def __aenter__(self) -> Plane:
        if self.open_error is not None:
            raise self.open_error
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def get_activity_task(self, arn: str, worker: str) -> ActivityTask | None:
        self.polls += 1
        self.open_polls += 1
        self.most_open = max(self.most_open, self.open_polls)
        try:
            if self.poll_error is not None:
                raise self.poll_error
            deadline = time.monotonic() + self.hold
            while not self._tasks and time.monotonic() < deadline:
                await asyncio.sleep(0.005)
            return self._tasks.pop(0) if self._tasks else None
        finally:
            self.open_polls -= 1

    async def release_polls(self, arn: str) -> bool:
        return False

    async def send_success(self, token: str, output: str) -> None:
        self._check(token)
        self.reports.append(("success", token, output))

    async def send_failure(self, token: str, error: str, cause: str) -> None:
        self._check(token)
        self.reports.append(("failure", token, error, cause))

    async def send_heartbeat(self, token: str) -> None:
        self.beats += 1
        self._check(token)

    def _check(self, token: str) -> None:
        if token in self.closed_tokens:
            raise service_error("SendTaskHeartbeat", "TaskTimedOut", "Task Timed Out")


class Session(AWSSession):
    def __init__(self, control: Any, plane: Plane) -> None:
        super().__init__()
        vars(self)["control"] = control
        self.plane = plane

    def data_plane(self) -> Any:
        return self.plane


@pytest.fixture
def plane() -> Plane:
    return Plane()


@pytest.fixture
def start(control: Any, plane: Plane) -> Iterator[Callable[..., Worker]]:
    workers: list[Worker] = []

    def start(fn: Callable[..., Any], kind: Any = CallableActivity, **options: Any) -> Worker:
        worker = Worker(kind("add", fn, session=Session(control, plane), **options), "me")
        worker.start()
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.end()
        worker._thread.join(20)
        assert not worker._thread.is_alive()


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_a_result_is_reported_as_plain_json(start: Any, plane: Plane) -> None:
    plane.offer({"a": 3, "b": 42})
    start(lambda data: data["a"] + data["b"])
    until(lambda: plane.reports)
    assert plane.reports == [("success", TOKEN, "45")]


def test_a_datetime_goes_out_as_a_timestamp_that_a_wait_state_can_read(start: Any, plane: Plane) -> None:
    plane.offer(None)
    start(lambda data: datetime.datetime(2030, 1, 31, 12, tzinfo=datetime.timezone.utc))
    until(lambda: plane.reports)
    assert plane.reports[0][2] == '"2030-01-31T12:00:00Z"'


def test_a_failing_function_reports_its_exceptions_class_and_the_worker_goes_on(start: Any, plane: Plane) -> None:
    class MyError(Exception):
        pass

    def fail_first(data: int) -> int:
        if data == 1:
            raise MyError("foobar")
        return data

    plane.offer(1, "one")
    plane.offer(2, "two")
    start(fail_first)
    until(lambda: len(plane.reports) == 2)
    kind, token, error, cause = plane.reports[0]
    assert (kind, token, error) == ("failure", "one", "MyError")
    assert json.loads(cause)["errorMessage"] == "foobar"
    assert "fail_first" in json.loads(cause)["stackTrace"]
    assert plane.reports[1] == ("success", "two", "2")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, WorkerCancel])
def test_an_interrupted_function_is_reported_as_cancelled_and_the_worker_goes_on(
    start: Any, plane: Plane, interruption: type[BaseException]
) -> None:
    def interrupt_first(data: int) -> int:
        if data == 1:
            raise interruption
        return data

    plane.offer(1, "one")
    plane.offer(2, "two")
    start(interrupt_first)
    until(lambda: len(plane.reports) == 2)
    assert [report[:3] for report in plane.reports] == [("failure", "one", "WorkerCancel"), ("success", "two", "2")]


def test_a_function_that_exits_fails_its_task_and_not_the_worker(start: Any, plane: Plane) -> None:
    def leave(data: Any) -> None:
        raise SystemExit(3)

    plane.offer(1)
    worker = start(leave)
    until(lambda: plane.reports)
    assert plane.reports[0][2] == "SystemExit"
    assert worker._thread.is_alive()


def test_an_input_that_does_not_fit_is_a_failure_of_that_name_and_the_function_is_not_called(
    start: Any, plane: Plane
) -> None:
    called = []
    plane.offer({"b": 1})
    start(lambda a: called.append(a), SmartCallableActivity)
    until(lambda: plane.reports)
    assert plane.reports[0][2] == "sfini.InvalidInput"
    assert "'a'" in json.loads(plane.reports[0][3])["errorMessage"]
    assert not called


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_a_result_that_is_not_json_is_a_failure_of_that_name(start: Any, plane: Plane, value: Any) -> None:
    plane.offer(1)
    start(lambda data: value)
    until(lambda: plane.reports)
    assert plane.reports[0][2] == "sfini.OutputNotSerializable"


def test_only_one_poll_is_open_and_none_while_the_function_runs(start: Any, plane: Plane) -> None:
    running, go_on, polls = threading.Event(), threading.Event(), []

    def work(data: int) -> int:
        polls.append(plane.polls)
        running.set()
        assert go_on.wait(10)
        polls.append(plane.polls)
        return data

    plane.offer(1, "one")
    start(work)
    assert running.wait(10)
    plane.offer(2, "two")
    time.sleep(1.3)  # longer than the loop's own look for free slots
    go_on.set()
    until(lambda: len(plane.reports) == 2)
    assert polls[0] == polls[1]
    assert plane.most_open == 1


def test_a_closed_token_does_not_bring_a_second_task_while_the_function_still_runs(start: Any, plane: Plane) -> None:
    running, go_on = threading.Event(), threading.Event()
    at_once: list[int] = []

    def work(data: int) -> int:
        at_once.append(data)
        running.set()
        assert go_on.wait(10)
        at_once.remove(data)
        return data

    plane.closed_tokens.add("one")
    plane.offer(1, "one")
    worker = start(work, heartbeat=0.1)
    assert running.wait(10)
    until(lambda: len(worker._ledger or ()) == 0)  # a heartbeat was told that nobody waits any more
    plane.offer(2, "two")
    time.sleep(1.3)
    assert at_once == [1]
    go_on.set()
    until(lambda: plane.reports)
    assert plane.reports == [("success", "two", "2")]


def test_a_task_that_arrives_when_the_worker_is_ending_is_handed_back_and_not_run(control: Any) -> None:
    plane, called = Plane(hold=5), []
    worker = Worker(CallableActivity("add", called.append, session=Session(control, plane)), "me")
    worker.start()
    until(lambda: plane.open_polls)
    worker.end()
    plane.offer(1)
    worker.join()
    assert [report[:3] for report in plane.reports] == [("failure", TOKEN, "sfini.NotStarted")]
    assert not called
    assert plane.open_polls == 0


def test_ending_lets_the_running_function_finish_and_report(start: Any, plane: Plane) -> None:
    running, go_on = threading.Event(), threading.Event()

    def work(data: int) -> int:
        running.set()
        assert go_on.wait(10)
        return data

    plane.offer(1, "one")
    worker = start(work)
    assert running.wait(10)
    worker.end()
    worker.end()
    plane.offer(2, "two")
    go_on.set()
    worker.join()
    assert plane.reports == [("success", "one", "1")]


def test_a_function_may_end_its_own_worker(start: Any, plane: Plane) -> None:
    plane.offer(1)
    worker = start(lambda data: worker.end())
    worker.join()
    assert plane.reports == [("success", TOKEN, "null")]


def test_an_activity_that_is_not_registered_ends_the_worker_and_is_raised_at_join(start: Any, plane: Plane) -> None:
    plane.poll_error = service_error("GetActivityTask", "ActivityDoesNotExist", "Activity Does Not Exist: add")
    worker = start(lambda data: data)
    for _ in range(2):
        with pytest.raises(NotFound, match="ActivityDoesNotExist"):
            worker.join()


def test_a_throttled_poll_does_not_end_the_worker(start: Any, plane: Plane) -> None:
    plane.poll_error = service_error("GetActivityTask", "ThrottlingException", "Rate exceeded")
    worker = start(lambda data: data)
    until(lambda: plane.polls)
    plane.poll_error = None
    plane.offer(7)
    until(lambda: plane.reports)
    assert worker._thread.is_alive()


def test_what_kills_the_loop_is_raised_at_join(start: Any, plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    plane.open_error = RuntimeError("no sockets left")
    worker = start(lambda data: data)
    with pytest.raises(RuntimeError, match="no sockets left"):
        worker.join()


def test_a_worker_works_once(start: Any, control: Any, plane: Plane) -> None:
    worker = start(lambda data: data)
    with pytest.raises(WorkerError, match="was started already"):
        worker.start()
    worker.end()
    worker.join()
    with pytest.raises(WorkerError, match="was ended already"):
        worker.start()
    never = Worker(worker.activity)
    with pytest.raises(WorkerError, match="never started"):
        never.join()
    never.end()
    with pytest.raises(WorkerError, match="was ended already"):
        never.start()


def test_a_worker_that_could_not_start_can_be_started_again(control: Any, plane: Plane) -> None:
    class Failing(Session):
        tries = 0

        def data_plane(self) -> Any:
            self.tries += 1
            if self.tries == 1:
                raise ConnectionError("no network yet")
            return super().data_plane()

    worker = Worker(CallableActivity("add", abs, session=Failing(control, plane)))
    with pytest.raises(ConnectionError):
        worker.start()
    worker.start()
    worker.end()
    worker.join()


def test_an_activity_without_a_function_cannot_be_worked_on(session: Any) -> None:
    with pytest.raises(TypeError, match="no function"):
        Worker(Activity("add", session=session)).start()  # type: ignore[arg-type]


def test_names_are_checked_and_made_where_none_is_given(session: Any) -> None:
    activity = CallableActivity("add", abs, session=session)
    with pytest.raises(InvalidName):
        Worker(activity, "two words")
    names = {Worker(activity).name for _ in range(2)}
    assert len(names) == 2
    assert all(len(name) <= 80 for name in names)
    assert (str(Worker(activity, "me")), Worker(activity).session) == ("me [add]", session)


@pytest.mark.parametrize(("beats", "third"), [(20, 25 / 3), (1, 1), (2.5, 2.5), (60, 65 / 3)])
def test_heartbeats_go_at_least_as_often_as_asked_for_and_with_time_to_try_again(
    start: Any, beats: float, third: float
) -> None:
    worker = start(lambda data: data, heartbeat=beats)
    assert worker._loop is not None
    assert worker._loop.activities[0].heartbeat / 3 == pytest.approx(third)


def test_no_token_is_in_a_log_or_a_repr(start: Any, plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    plane.offer(1)
    plane.offer(0)
    worker = start(lambda data: 1 / data)
    until(lambda: len(plane.reports) == 2)
    assert {TOKEN} == {report[1] for report in plane.reports}
    assert TOKEN[:8] not in caplog.text + repr(worker) + repr(worker._ledger) + repr(worker._loop)
    assert "ZeroDivisionError" in caplog.text


def test_what_a_worker_reports_is_one_tree_with_keyboard_interrupts() -> None:
    assert issubclass(WorkerCancel, KeyboardInterrupt)
    assert "interrupted" in str(WorkerCancel())
    assert issubclass(TokenClosed, Exception)


def test_a_crash_of_the_worker_itself_is_raised_at_join_and_its_task_is_handed_back(
    start: Any, plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, text: str) -> Any:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(CallableActivity, "read", broken)
    plane.offer(1)
    worker = start(lambda data: data)
    with pytest.raises(RuntimeError, match="a bug of ours"):
        worker.join()
    assert [report[:3] for report in plane.reports] == [("failure", TOKEN, "sfini.NotStarted")]
