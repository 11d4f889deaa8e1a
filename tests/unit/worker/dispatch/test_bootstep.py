from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import celery
import pytest
from celery import signals
from celery.exceptions import WorkerTerminate
from celery.worker import state

from sfini_celery.app import SfiniCelery
from sfini_celery.errors import ConfigurationError, UnknownSetting
from sfini_celery.local import LocalServer
from sfini_celery.worker.bootstep import Bridge


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 20
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
    return value


def add(x: int, y: int) -> int:
    return x + y


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    with LocalServer() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def sfini_app() -> Iterator[SfiniCelery]:
    app = SfiniCelery("bootstep", broker="memory://", set_as_current=False)
    app.activity(name="add", shared=False)(add)
    yield app
    app.close()


class Worker:
    """A consumer with a bridge, and its loop turned by hand."""

    def __init__(self, app: celery.Celery, make_consumer: Any) -> None:
        self.consumer = make_consumer(app)
        self.bridge = Bridge(self.consumer)
        self.consumer.steps = []
        self.included = self.bridge.include(self.consumer)

    def turn(self) -> None:
        self.bridge._mailbox.run()

    def run_tasks(self) -> None:
        """Run what the pool was given, once each."""
        self.turn()
        while self.consumer.pool.attempts:
            self.consumer.pool.attempts.pop(0).run()
            self.turn()


@pytest.fixture
def make_worker(make_consumer: Any) -> Iterator[Callable[[celery.Celery], Worker]]:
    made: list[Worker] = []

    def make(app: celery.Celery) -> Worker:
        made.append(Worker(app, make_consumer))
        return made[-1]

    yield make
    for worker in made:
        worker.bridge.shutdown(worker.consumer)


def test_worker_of_an_app_without_activities_has_no_bridge(make_worker: Any) -> None:
    plain = celery.Celery("plain", broker="memory://", set_as_current=False)
    assert not make_worker(plain).included
    assert not make_worker(SfiniCelery("empty", broker="memory://", set_as_current=False)).included


def test_settings_are_checked_before_anything_runs(make_worker: Any, sfini_app: SfiniCelery) -> None:
    sfini_app.conf.task_always_eager = True
    with pytest.raises(ConfigurationError, match="task_always_eager"):
        make_worker(sfini_app)
    sfini_app.conf.task_always_eager = False
    sfini_app.conf.sfn_pols = 3
    with pytest.raises(UnknownSetting):
        make_worker(sfini_app)


def test_shutdown_before_the_start_is_harmless_and_may_come_twice(make_worker: Any, sfini_app: SfiniCelery) -> None:
    worker = make_worker(sfini_app)
    worker.bridge.close(worker.consumer)
    worker.bridge.shutdown(worker.consumer)
    worker.bridge.shutdown(worker.consumer)


def test_a_life_from_start_over_a_reconnect_to_the_end(
    server: LocalServer, make_worker: Any, sfini_app: SfiniCelery
) -> None:
    client = boto3.client("stepfunctions", endpoint_url=server.url, region_name="us-east-1")
    activity = client.create_activity(name="add")["activityArn"]
    task = {"Type": "Task", "Resource": activity, "HeartbeatSeconds": 60, "End": True}
    machine = client.create_state_machine(
        name="m",
        definition=json.dumps({"StartAt": "S", "States": {"S": task}}),
        roleArn="arn:aws:iam::123456789012:role/x",
    )["stateMachineArn"]

    def start() -> str:
        return str(client.start_execution(stateMachineArn=machine, input='{"x": 1, "y": 2}')["executionArn"])

    def ended(arn: str) -> Any:
        worker.run_tasks()
        found = client.describe_execution(executionArn=arn)
        return None if found["status"] == "RUNNING" else (found["status"], found.get("output") or found.get("error"))

    receivers = len(signals.worker_shutting_down.receivers)
    worker = make_worker(sfini_app)
    bridge, consumer = worker.bridge, worker.consumer
    bridge.start(consumer)
    first = start()
    assert until(lambda: ended(first), "the first") == ("SUCCEEDED", "3")

    loop = bridge.loop
    bridge.stop(consumer)
    assert loop.running
    bridge.start(consumer)
    assert bridge.loop is loop
    second = start()
    assert until(lambda: ended(second), "the second") == ("SUCCEEDED", "3")
    assert bridge.info(consumer)["stepfunctions"]["reported"]["succeeded"] == 2

    left = start()
    until(lambda: worker.turn() or consumer.pool.attempts, "the task that will not run")
    signals.worker_shutting_down.send(sender=consumer.hostname, sig="SIGTERM", how="Warm", exitcode=0)
    assert bridge.dispatcher is not None
    assert bridge.dispatcher.capacity() == 0
    bridge.close(consumer)
    bridge.stop(consumer)
    bridge.shutdown(consumer)
    assert ended(left) == ("FAILED", "sfini.WorkerShutdown")
    assert not loop.running
    assert len(signals.worker_shutting_down.receivers) == receivers


class FakeLoop:
    """Remembers in which order it was ended."""

    def __init__(self, interrupted: BaseException | None = None) -> None:
        self.calls: list[str] = []
        self.interrupted = interrupted

    def stop_polling(self) -> None:
        self.calls.append("stop_polling")

    def drain(self, timeout: float) -> bool:
        self.calls.append(f"drain {timeout:g}")
        if self.interrupted is not None:
            raise self.interrupted
        return True

    def flush(self, timeout: float) -> bool:
        self.calls.append(f"flush {timeout:g}")
        return True

    def close(self) -> None:
        self.calls.append("close")


def ending(make_worker: Any, app: SfiniCelery, loop: FakeLoop) -> Any:
    worker = make_worker(app)
    worker.bridge.loop = loop
    worker.bridge.dispatcher.hand_back = lambda *states: loop.calls.append(f"hand back {' '.join(states) or 'all'}")
    return worker


def test_polls_are_ended_first_and_waited_for_and_reports_go_out_last(make_worker: Any, sfini_app: SfiniCelery) -> None:
    loop = FakeLoop()
    worker = ending(make_worker, sfini_app, loop)
    worker.bridge.close(worker.consumer)
    assert loop.calls == ["stop_polling", "hand back taken parked"]
    loop.calls.clear()
    worker.bridge.shutdown(worker.consumer)
    assert loop.calls == ["stop_polling", "hand back all", "drain 65", "hand back all", "flush 30", "close"]
    worker.bridge.loop = None


def test_second_signal_ends_the_waiting_but_reports_still_go_out(make_worker: Any, sfini_app: SfiniCelery) -> None:
    loop = FakeLoop(interrupted=WorkerTerminate(1))
    worker = ending(make_worker, sfini_app, loop)
    with pytest.raises(WorkerTerminate):
        worker.bridge.shutdown(worker.consumer)
    assert loop.calls[-4:] == ["drain 65", "hand back all", "flush 2", "close"]
    worker.bridge.loop = None


def test_shutting_down_another_worker_of_the_process_stops_nothing_here(
    server: LocalServer, make_worker: Any, sfini_app: SfiniCelery
) -> None:
    worker = make_worker(sfini_app)
    worker.bridge.start(worker.consumer)
    until(lambda: worker.bridge.loop, "the loop")
    signals.worker_shutting_down.send(sender="another@test", sig="SIGTERM", how="Warm", exitcode=0)
    assert worker.bridge.dispatcher.capacity() > 0


def test_worker_whose_line_to_aws_has_crashed_ends_so_that_another_is_started(
    make_worker: Any, sfini_app: SfiniCelery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "should_stop", None)
    make_worker(sfini_app).bridge._on_crash(RuntimeError("a bug"))
    assert state.should_stop == 1
    monkeypatch.setattr(state, "should_stop", 0)
    make_worker(sfini_app).bridge._on_crash(RuntimeError("a bug"))
    assert state.should_stop == 0


def test_limits_that_the_pool_cannot_keep_are_told(
    make_worker: Any, sfini_app: SfiniCelery, caplog: pytest.LogCaptureFixture
) -> None:
    worker = make_worker(sfini_app)
    worker.consumer.controller = SimpleNamespace(time_limit=None, soft_time_limit=None)
    worker.bridge._warn_of_limits(worker.consumer)
    assert "sfini_limits_unenforced" not in caplog.text
    sfini_app.tasks["add"].time_limit = 5
    worker.bridge._warn_of_limits(worker.consumer)
    assert "sfini_limits_unenforced" in caplog.text
