"""The loop and the data plane against the embedded server: real tasks, real sockets."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from sfini_celery.dataplane import DataPlane
from sfini_celery.local import LocalServer
from sfini_celery.worker.ledger import Job, Ledger, State
from sfini_celery.worker.loop import ActivityPoll, Loop

ROLE = "arn:aws:iam::123456789012:role/any"


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)
    return value


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    with LocalServer() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def client(server: LocalServer) -> Iterator[Any]:
    client = boto3.Session().client("stepfunctions")
    yield client
    client.close()


def machine(client: Any, name: str, states: dict[str, Any], start: str) -> str:
    definition = json.dumps({"StartAt": start, "States": states})
    return client.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"]


def task(arn: str, **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": arn, "End": True, **fields}


class Worker:
    """Threads that double a number, on a loop; what a Celery worker is to the bridge, without Celery."""

    def __init__(self, polls: list[ActivityPoll], *, slots: int) -> None:
        self.ledger = Ledger()
        self.inbox: queue.Queue[Job | None] = queue.Queue()
        self.closed: queue.Queue[Job] = queue.Queue()
        self.most = 0
        self.loop = Loop(
            connect=lambda: DataPlane.from_session(boto3.Session()),
            ledger=self.ledger,
            activities=polls,
            worker="worker@test",
            capacity=lambda: slots - self.ledger.busy,
            deliver=self.inbox.put,
            closed=self.closed.put,
            poll_rate=2000.0,
            start_jitter=0.0,
        )
        self.threads = [threading.Thread(target=self._work, name=f"slot-{number}") for number in range(slots)]

    def _work(self) -> None:
        while (job := self.inbox.get()) is not None:
            self.ledger.move(job.id, State.RUNNING)
            self.most = max(self.most, self.ledger.busy)
            number = json.loads(job.input)
            if number % 10 == 4 and job.activity == "flaky":
                self.loop.report_failure(job, "Unlucky", f"{number} is")
            else:
                self.loop.report_success(job, json.dumps(number * 2))

    def __enter__(self) -> Worker:
        for thread in self.threads:
            thread.start()
        self.loop.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            assert self.loop.drain(20), "open polls were abandoned"
            assert self.loop.flush(20), "reports were lost"
        finally:
            for _ in self.threads:
                self.inbox.put(None)
            for thread in self.threads:
                thread.join(20)
            self.loop.close()


def test_two_hundred_activity_tasks_run_and_each_is_reported_once(client) -> None:
    double = client.create_activity(name="double")["activityArn"]
    flaky = client.create_activity(name="flaky")["activityArn"]
    retry = [{"ErrorEquals": ["Unlucky"], "MaxAttempts": 0}]
    caught = [{"ErrorEquals": ["Unlucky"], "Next": "Sorry"}]
    item = {
        "StartAt": "Double",
        "States": {
            "Double": {"Type": "Task", "Resource": double, "HeartbeatSeconds": 60, "Next": "Flaky"},
            "Flaky": task(flaky, HeartbeatSeconds=60, Retry=retry, Catch=caught),
            "Sorry": {"Type": "Pass", "Result": "sorry", "End": True},
        },
    }
    states = {"All": {"Type": "Map", "ItemProcessor": item, "End": True}}
    arn = machine(client, "doubles", states, "All")
    with Worker([ActivityPoll("double", double), ActivityPoll("flaky", flaky)], slots=4) as worker:
        begun = time.monotonic()
        execution = client.start_execution(stateMachineArn=arn, input=json.dumps(list(range(100))))["executionArn"]

        def ended() -> dict[str, Any] | None:
            described = client.describe_execution(executionArn=execution)
            return described if described["status"] != "RUNNING" else None

        described = until(ended, 60)
        took = time.monotonic() - begun
    assert described["status"] == "SUCCEEDED"
    expected = ["sorry" if (2 * number) % 10 == 4 else 4 * number for number in range(100)]
    assert json.loads(described["output"]) == expected
    stats = worker.loop.stats()
    print(f"200 activity tasks in {took:.2f} s; {stats['polled']} polls; at most {worker.most} tasks held for 4 slots")
    assert stats["taken"] == 200 == stats["reported"]["succeeded"] + stats["reported"]["failed"]
    assert stats["reported"]["failed"] == 20
    assert (stats["reported"]["refused"], stats["reported"]["pending"], stats["open_polls"]) == (0, 0, 0)
    assert len(worker.ledger) == 0
    # Two activities: at most one task more than slots, taken while neither was known to be busy.
    assert worker.most <= 4 + 2


def test_a_stopped_execution_closes_its_task_within_a_beat_and_a_late_result_is_dropped(client) -> None:
    slow = client.create_activity(name="slow")["activityArn"]
    arn = machine(client, "slow", {"Slow": task(slow, HeartbeatSeconds=3)}, "Slow")
    worker = Worker([ActivityPoll("slow", slow, polls=1, heartbeat=3)], slots=1)
    worker.threads = []
    with worker:
        execution = client.start_execution(stateMachineArn=arn, input="1")["executionArn"]
        job = worker.inbox.get(timeout=20)
        assert job is not None
        worker.ledger.move(job.id, State.RUNNING)
        # Longer than HeartbeatSeconds: only the beats keep it alive.
        until(lambda: worker.loop.stats()["heartbeats"]["sent"] >= 4)
        assert client.describe_execution(executionArn=execution)["status"] == "RUNNING"
        client.stop_execution(executionArn=execution)
        closed = worker.closed.get(timeout=20)
        assert (closed.id, closed.state) == (job.id, State.RUNNING)
        assert worker.loop.report_success(job, "2") is False


def test_an_idle_worker_stops_at_once_and_leaves_no_poll_behind(client) -> None:
    quiet = client.create_activity(name="quiet")["activityArn"]
    arn = machine(client, "quiet", {"Quiet": task(quiet)}, "Quiet")
    with Worker([ActivityPoll("quiet", quiet)], slots=4) as first:
        until(lambda: first.loop.stats()["open_polls"] == 4)
        begun = time.monotonic()
    assert time.monotonic() - begun < 10
    # Had a poll been left open, it would swallow this task.
    client.start_execution(stateMachineArn=arn, input="21")
    with Worker([ActivityPoll("quiet", quiet)], slots=1) as second:
        until(lambda: second.loop.stats()["reported"]["succeeded"] == 1)


def test_an_activity_that_was_never_created_does_not_disturb_the_others(client) -> None:
    there = client.create_activity(name="there")["activityArn"]
    arn = machine(client, "there", {"There": task(there)}, "There")
    polls = [ActivityPoll("gone", there.replace("there", "gone")), ActivityPoll("there", there)]
    with Worker(polls, slots=2) as worker:
        client.start_execution(stateMachineArn=arn, input="21")
        until(lambda: worker.loop.stats()["reported"]["succeeded"] == 1)
        until(lambda: worker.loop.stats()["activities"]["gone"]["last_error"] == "ActivityDoesNotExist")
