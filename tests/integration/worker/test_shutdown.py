"""A worker that is told to stop finishes what runs, and leaves the rest to others at once."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import Any

import pytest

COMBINATIONS = [f"{pool}-{broker}" for pool in ("prefork", "threads", "solo") for broker in ("redis", "none")]
HANDED_BACK = [{"ErrorEquals": ["sfini.NotStarted", "sfini.WorkerShutdown"], "IntervalSeconds": 1, "MaxAttempts": 10}]


@dataclass
class Stopped:
    """A worker that was asked to stop while it had work of every kind, and what became of that.

    Attributes:
        worker: it
        seconds: how long it took to end
        running: an execution whose task ran for three seconds
        parked: one whose task waited for its retry in an hour
        waiting: executions for which no slot was free
    """

    worker: Any
    running: str
    parked: str
    waiting: list[str]
    seconds: float = 0.0


@pytest.fixture(scope="module")
def workers(crew: Any) -> dict[str, Any]:
    """All that this module needs, started at once."""
    found = {name: crew(*name.split("-"), concurrency=1) for name in COMBINATIONS}
    found |= {name: crew("prefork", "redis", concurrency=1) for name in ("late", "cold")}
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    found["nowhere"] = crew("solo", "none", environment=nowhere)
    return found


@pytest.fixture(scope="module")
def stopped(workers: Any, machines: Any) -> dict[str, Stopped]:
    """All the combinations go through it side by side."""
    found = {}
    for name in COMBINATIONS:
        worker = workers[name].ready()
        found[name] = Stopped(worker, "", machines.start("patient", {"countdown": 3600}, prefix=worker.prefix), [])
    for case in found.values():
        case.worker.wait_for("retry: Retry in 3600s")
        case.running = machines.start("long", {"seconds": 3}, prefix=case.worker.prefix, HeartbeatSeconds=3)
    for case in found.values():
        machines.wait_for_event(case.running, "ActivityStarted")
        # The open polls take these although no slot is free; or nobody does, and they wait in AWS.
        add = {"prefix": case.worker.prefix, "Retry": HANDED_BACK}
        case.waiting = [machines.start("add", {"x": n, "y": 0}, **add) for n in range(3)]
    for case in found.values():
        case.worker.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    for case in found.values():
        case.worker.wait()
        case.seconds = time.monotonic() - began
    return found


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_running_task_is_finished_and_no_poll_is_cut_off(combination: str, stopped: Any, machines: Any) -> None:
    case = stopped[combination]
    assert machines.end(case.running)["output"] == "rested"
    assert case.worker.process.returncode == 0
    for complaint in ("polls_abandoned", "drain_timeout", "reports_unsent", "reports_lost", "loop_hangs"):
        assert f"sfini_{complaint}" not in case.worker.log


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_work_that_had_not_begun_is_there_for_the_next_worker(combination: str, stopped: Any, machines: Any) -> None:
    case = stopped[combination]
    tokens = [machines.take("add", prefix=case.worker.prefix) for _ in case.waiting]
    assert len(set(tokens)) == 3
    for token in tokens:
        machines.client.send_task_success(taskToken=token, output='"by another"')
    assert [machines.end(arn)["output"] for arn in case.waiting] == ["by another"] * 3


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_countdown_of_a_local_retry_is_handed_back_and_not_waited_for(
    combination: str, stopped: Any, machines: Any
) -> None:
    outcome = machines.end(stopped[combination].parked)
    assert (outcome["status"], outcome["error"]) == ("FAILED", "sfini.WorkerShutdown")
    assert stopped[combination].seconds < 20


def test_retry_asked_for_while_the_worker_stops_is_left_to_others(workers: Any, machines: Any) -> None:
    worker = workers["late"].ready()
    execution = machines.start("late_retry", {"seconds": 1.5}, prefix=worker.prefix)
    machines.wait_for_event(execution, "ActivityStarted")
    worker.wait_for("received")
    worker.ask()
    assert machines.end(execution)["error"] == "sfini.WorkerShutdown"


def test_cold_shutdown_reports_what_it_kills(workers: Any, machines: Any) -> None:
    worker = workers["cold"].ready()
    execution = machines.start("long", {"seconds": 60}, prefix=worker.prefix, HeartbeatSeconds=60)
    worker.wait_for("received")
    machines.wait_for_event(execution, "ActivityStarted")
    worker.process.send_signal(signal.SIGQUIT)
    worker.wait()
    assert machines.end(execution)["error"] == "sfini.WorkerShutdown"


def test_shutdown_while_the_endpoint_is_not_found_yet_is_not_held_up(workers: Any) -> None:
    worker = workers["nowhere"]
    worker.wait_for("sfini_setup_failed")
    worker.ask()
    assert worker.process.returncode == 0
