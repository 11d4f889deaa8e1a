"""What a worker does before it polls, and what it refuses to start with."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from sfini_celery.local import LocalServer

MISTAKES = {
    "eager": ({"task_always_eager": True}, "task_always_eager runs retries and callbacks inside the task"),
    "unknown": ({"sfn_pols": 3}, "there is no setting 'sfn_pols'; did you mean 'sfn_polls'?"),
    "range": ({"sfn_polls": 0}, "sfn_polls must be at least 1"),
    "retries": ({"sfn_retries": "states"}, "compiles autoretry_for to the states' Retry"),
}


@pytest.fixture(scope="module")
def mistaken(crew: Any) -> dict[str, Any]:
    return {name: crew("solo", "none", conf=conf) for name, (conf, _) in MISTAKES.items()}


@pytest.mark.parametrize("name", MISTAKES)
def test_settings_that_cannot_be_meant_stop_the_worker_with_one_sentence(name: str, mistaken: Any) -> None:
    worker = mistaken[name]
    assert worker.wait() != 0
    assert MISTAKES[name][1] in worker.log.strip().splitlines()[-1]


def test_spawned_children_run_activities_and_know_nothing_of_aws(start_worker: Any, machines: Any) -> None:
    worker = start_worker(broker="none", conf={"worker_pool_start_method": "spawn"}, concurrency=1).ready()
    retried = machines.start("flaky", {"times": 1}, prefix=worker.prefix)
    found = machines.end(machines.start("where", {}, prefix=worker.prefix))["output"]
    assert found["modules"] == []
    assert machines.end(retried)["output"] == 1


def test_polls_only_the_activities_whose_tasks_route_to_its_queues(start_worker: Any, machines: Any) -> None:
    conf = {"task_routes": {"project.tasks.add": {"queue": "sums"}}}
    worker = start_worker(pool="solo", conf=conf, args=("-Q", "sums")).ready()
    assert machines.end(machines.start("add", {"x": 1, "y": 2}, prefix=worker.prefix))["output"] == 3
    assert "sfini_serving: 1 activities" in worker.log


def test_worker_that_may_only_poll_serves_activities_that_exist(start_worker: Any, machines: Any) -> None:
    execution = machines.start("add", {"x": 1, "y": 2}, prefix="there-")
    worker = start_worker(pool="solo", prefix="there-", conf={"sfn_create_missing_activities": False}).ready()
    assert machines.end(execution)["output"] == 3
    assert "sfini_activities_created" not in worker.log


def test_polling_starts_when_aws_comes_within_reach(start_worker: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    worker = start_worker(pool="solo", environment={"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"})
    worker.wait_for("sfini_setup_failed")
    with LocalServer(port=port):
        worker.ready()
        worker.ask()
