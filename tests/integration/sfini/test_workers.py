"""The thread worker against the embedded server: how it ends, and how a process with one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import sfini_celery as sfini
from sfini_celery.errors import ExecutionFailed, NotFound
from sfini_celery.local import LocalServer

COMMANDS = Path(__file__).parent / "programs" / "command_line.py"

SERVING = """
import sfini_celery as sfini
activities = sfini.ActivityRegistration(prefix="{prefix}")
@activities.activity("double")
def double(data):
    return data * 2
activities.register()
worker = sfini.Worker(double)
{end}
print("ready", flush=True)
"""


@pytest.fixture
def machine_of(configured: LocalServer) -> Callable[..., sfini.StateMachine]:
    def machine_of(name: str, resource: Any, **options: Any) -> sfini.StateMachine:
        machine = sfini.construct_state_machine(name, sfini.Task("only", resource, **options))
        machine.register()
        return machine

    return machine_of


@pytest.fixture
def process(configured: LocalServer) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        environment = {**os.environ, **configured.environment()}
        started.append(
            subprocess.Popen(
                [sys.executable, *arguments],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def is_polled(server: LocalServer, name: str) -> bool:
    arn = f"arn:aws:states:{server.engine.region}:{server.engine.account}:activity:{name}"
    activity = server.engine.activities.get(arn)
    return activity is not None and "0 polls" not in repr(activity)


def test_an_idle_worker_ends_at_once_and_its_open_poll_swallows_no_task(
    configured: LocalServer, machine_of: Any
) -> None:
    activities = sfini.ActivityRegistration(prefix="idle")
    double = activities.activity("double")(lambda data: data * 2)
    activities.register()
    machine = machine_of("idle", double)
    first = sfini.Worker(double)
    first.start()
    until(lambda: is_polled(configured, "idledouble"))
    begun = time.monotonic()
    first.end()
    first.join()
    assert time.monotonic() - begun < 10
    execution = machine.start_execution(21)
    second = sfini.Worker(double)
    second.start()
    assert execution.wait(timeout=20) == "SUCCEEDED"
    assert execution.output == 42
    second.end()
    second.join()


def test_workers_of_one_activity_share_its_tasks_and_each_runs_one_at_a_time(machine_of: Any) -> None:
    activities = sfini.ActivityRegistration(prefix="shared")
    lock, busy, names = threading.Lock(), [0], set()

    @activities.activity("who")
    def who(data: Any) -> str:
        with lock:
            busy[0] += 1
            assert busy[0] <= 2
            names.add(threading.current_thread().name)
        time.sleep(0.05)
        with lock:
            busy[0] -= 1
        return "done"

    activities.register()
    machine = machine_of("shared", who)
    workers = [sfini.Worker(who, name=f"w{number}") for number in range(2)]
    for worker in workers:
        worker.start()
    executions = [machine.start_execution() for _ in range(12)]
    assert [execution.wait(timeout=30) for execution in executions] == ["SUCCEEDED"] * 12
    assert names == {"sfini-worker w0", "sfini-worker w1"}
    assert len(machine.list_executions(status="SUCCEEDED")) == 12
    assert machine.list_executions(status="RUNNING") == []
    for worker in workers:
        worker.end()
    for worker in workers:
        worker.join()


def test_a_long_task_lives_by_its_heartbeats(machine_of: Any) -> None:
    activities = sfini.ActivityRegistration(prefix="long")
    slow = activities.activity("slow", heartbeat=0.5)(lambda data: time.sleep(3.2) or "lived")
    activities.register()
    machine = machine_of("long", slow, heartbeat=2)
    worker = sfini.Worker(slow)
    worker.start()
    execution = machine.start_execution()
    assert execution.wait(timeout=20) == "SUCCEEDED"
    worker.end()
    worker.join()


def test_a_stopped_execution_does_not_stop_the_worker(configured: LocalServer, machine_of: Any) -> None:
    activities = sfini.ActivityRegistration(prefix="stopped")
    running, go_on = threading.Event(), threading.Event()

    @activities.activity("hold")
    def hold(data: Any) -> Any:
        running.set()
        assert go_on.wait(20)
        return data

    activities.register()
    machine = machine_of("stopped", hold)
    worker = sfini.Worker(hold)
    worker.start()
    execution = machine.start_execution(1)
    assert running.wait(20)
    execution.stop("Enough", "of this")
    assert execution.wait() == "ABORTED"
    go_on.set()
    after = machine.start_execution(2)
    assert after.wait(timeout=20) == "SUCCEEDED"
    worker.end()
    worker.join()


def test_a_failed_execution_raises_when_its_output_is_asked_for(machine_of: Any) -> None:
    activities = sfini.ActivityRegistration(prefix="failed")
    divide = activities.smart_activity("divide")(lambda a, b: a / b)
    activities.register()
    machine = machine_of("failed", divide)
    worker = sfini.Worker(divide)
    worker.start()
    execution = machine.start_execution({"a": 1, "b": 0})
    execution.wait(timeout=20)
    with pytest.raises(ExecutionFailed, match="ZeroDivisionError") as caught:
        _ = execution.output
    assert isinstance(caught.value, RuntimeError)
    worker.end()
    worker.join()


def test_a_worker_of_an_activity_that_nobody_registered_says_so_at_join(configured: LocalServer) -> None:
    worker = sfini.Worker(sfini.ActivityRegistration(prefix="un").activity("registered")(lambda data: data))
    with pytest.raises(NotFound, match="ActivityDoesNotExist"):
        worker.run()


@pytest.mark.slow
def test_a_program_that_came_to_its_end_goes_on_serving_until_it_is_interrupted(
    configured: LocalServer, process: Any, machine_of: Any
) -> None:
    child = process("-c", SERVING.format(prefix="served", end="worker.start()"))
    assert child.stdout.readline() == "ready\n"
    machine = machine_of("served", sfini.Activity("serveddouble"))
    assert machine.start_execution(4).wait(timeout=20) == "SUCCEEDED"
    until(lambda: is_polled(configured, "serveddouble"))
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=20) == 0, child.stderr.read()
    assert "Traceback" not in child.stderr.read()
    waiting = machine.start_execution(5)
    time.sleep(0.2)
    assert waiting.status == "RUNNING"
    assert [event.event_type for event in waiting.get_history()][-1] == "ActivityScheduled"


@pytest.mark.slow
def test_ctrl_c_in_run_finishes_the_worker_and_the_program_goes_on(configured: LocalServer, process: Any) -> None:
    child = process("-c", SERVING.format(prefix="run", end="worker.run()"))
    until(lambda: is_polled(configured, "rundouble"))
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out) == (0, "ready\n"), err
    assert "sfini_worker_interrupted" in err


@pytest.mark.slow
def test_the_command_line_registers_starts_works_and_cleans_up(
    configured: LocalServer, process: Any, tmp_path: Path
) -> None:
    def done(*arguments: str, given: str = "") -> tuple[int, str, str]:
        child = process(str(COMMANDS), *arguments)
        out, err = child.communicate(given, timeout=30)
        return child.returncode, out, err

    path = tmp_path / "input.json"
    path.write_text("21", encoding="utf-8")
    assert done("register") == (0, "", "")
    worker = process(str(COMMANDS), "worker", "clidouble")
    assert done("start", "--wait", str(path)) == (0, "42\n", "")
    code, name, _ = done("start", "-", given='"ab"')
    assert code == 0
    assert name.startswith("doubling_")
    code, listed, _ = done("executions", "-s", "SUCCEEDED")
    assert code == 0
    assert "Execution 'doubling_" in listed
    assert "ExecutionSucceeded" in listed
    until(lambda: is_polled(configured, "clidouble"))
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=20)
    assert worker.returncode == 0, err
    assert done("deregister") == (0, "", "")
    code, out, err = done("start", str(path))
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert "StateMachineDoesNotExist" in err
