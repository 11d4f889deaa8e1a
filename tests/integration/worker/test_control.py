"""Celery's remote control, and AWS's own way of saying that nobody waits any more."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def prefork(crew: Any) -> Any:
    return crew("prefork", "redis", conf={"sfn_revoke_terminate": True}).ready()


@pytest.fixture(scope="module")
def threads(crew: Any) -> dict[str, Any]:
    workers = {broker: crew("threads", broker) for broker in ("redis", "none")}
    return {broker: worker.ready() for broker, worker in workers.items()}


def the_task(worker: Any, until: Any, where: str) -> dict:
    """The one task that the worker has, asked for over the broker."""

    def ask() -> dict | None:
        with worker.broker.app() as app:
            answer = getattr(app.control.inspect([worker.nodename], timeout=1), where)() or {}
        found = answer.get(worker.nodename) or []
        return found[0].get("request", found[0]) if found else None

    return until(ask, 15, f"a task that is {where}")


def revoke(worker: Any, id: str, **options: object) -> None:
    with worker.broker.app() as app:
        app.control.revoke(id, destination=[worker.nodename], **options)


@pytest.mark.parametrize("broker", ["redis", "none"])
def test_revoked_in_its_countdown_is_reported_when_it_would_have_run(
    broker: str, threads: Any, machines: Any, until: Any
) -> None:
    worker = threads[broker]
    execution = machines.start("patient", {"countdown": 3}, prefix=worker.prefix)
    revoke(worker, the_task(worker, until, "scheduled")["id"])
    assert machines.end(execution)["error"] == "sfini.TaskRevoked"


def test_terminated_task_is_reported_as_revoked_and_its_arguments_stay_hidden(
    prefork: Any, machines: Any, until: Any
) -> None:
    worker = prefork
    execution = machines.start("slow_secret", {"password": "hunter2"}, prefix=worker.prefix)
    task = the_task(worker, until, "active")
    assert (task["args"], task["kwargs"]) == ("<hidden>", "<hidden>")
    revoke(worker, task["id"], terminate=True)
    assert machines.end(execution)["error"] == "sfini.TaskRevoked"
    assert "hunter2" not in worker.log


def test_stopped_execution_ends_its_running_task_within_a_heartbeat(prefork: Any, machines: Any, until: Any) -> None:
    worker = prefork
    execution = machines.start("long", {"seconds": 60}, prefix=worker.prefix, HeartbeatSeconds=3)
    the_task(worker, until, "active")
    machines.client.stop_execution(executionArn=execution)
    worker.wait_for("sfini_task_closed", 10)

    def idle() -> bool:
        with worker.broker.app() as app:
            answer = app.control.inspect([worker.nodename], timeout=1).active() or {}
        return answer.get(worker.nodename) == []

    until(idle, 10, "the end of the killed task")
    assert machines.end(machines.start("add", {"x": 1, "y": 1}, prefix=worker.prefix))["output"] == 2


def test_stopped_execution_takes_its_waiting_retry_out_of_line(threads: Any, machines: Any, until: Any) -> None:
    worker = threads["redis"]
    execution = machines.start("patient", {"countdown": 3600}, prefix=worker.prefix, HeartbeatSeconds=3)
    the_task(worker, until, "scheduled")
    machines.client.stop_execution(executionArn=execution)

    def gone() -> bool:
        with worker.broker.app() as app:
            answer = app.control.inspect([worker.nodename], timeout=1).scheduled() or {}
        return answer.get(worker.nodename) == []

    until(gone, 15, "the end of its countdown")


def test_inspect_shows_the_bridge_and_control_pauses_it(prefork: Any, machines: Any) -> None:
    worker = prefork
    assert machines.end(machines.start("add", {"x": 1, "y": 1}, prefix=worker.prefix))["output"] == 2
    add = f"{worker.prefix}project.tasks.add"
    with worker.broker.app() as app:
        inspect = app.control.inspect([worker.nodename], timeout=2)
        stats = inspect.stats()[worker.nodename]["stepfunctions"]
        own = inspect._request("sfn")[worker.nodename]
        assert stats["reported"]["succeeded"] == own["reported"]["succeeded"] >= 1
        assert stats["activities"][add]["taken"] >= 1
        paused = app.control.broadcast(
            "sfn_pause", arguments={"activity": add}, destination=[worker.nodename], reply=True, timeout=2
        )
        assert paused == [{worker.nodename: {"ok": f"paused {add}"}}]
        refused = app.control.broadcast(
            "sfn_pause", arguments={"activity": "nothing"}, destination=[worker.nodename], reply=True, timeout=2
        )
        assert "does not poll" in refused[0][worker.nodename]["error"]
        assert inspect._request("sfn")[worker.nodename]["activities"][add]["paused"] is True
        app.control.broadcast("sfn_resume", destination=[worker.nodename], reply=True, timeout=2)
    assert machines.end(machines.start("add", {"x": 2, "y": 1}, prefix=worker.prefix))["output"] == 3
