"""The broker goes away and comes back: nothing that AWS was promised is lost or run twice."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

POOLS = ("prefork", "threads")


class Redis:
    """A Redis of this test's own, that may be killed."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        self.kind, self.folder = "redis", folder
        self.conf = {"broker_url": f"redis://127.0.0.1:{self.port}/0"}
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(5)


@pytest.fixture(scope="module")
def survived(crew: Any, machines: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Survived]]:
    """Workers of both kinds of pool lose the same broker while they have work of every kind."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed, so none can be killed")
    folder = tmp_path_factory.mktemp("redis")
    redis = Redis(folder)
    redis.start()
    workers = {pool: crew(pool, redis, concurrency=2) for pool in POOLS}
    found = {}
    try:
        for pool, worker in workers.items():
            found[pool] = Survived(worker.ready(), [folder / f"{pool}-{n}" for n in range(3)])
        for case in found.values():
            case.start(machines)
        redis.kill()
        for case in found.values():
            case.worker.wait_for("Connection to broker lost")
            case.worker.wait_for("Trying again in")
        redis.start()
        yield found
    finally:
        redis.kill()


@dataclass
class Survived:
    """A worker, and what it had to do when its broker went away.

    Attributes:
        worker: it
        counts: files that tasks leave a mark in each time they run
        parked: an execution whose task waits for its retry
        running: executions whose tasks run
        limited: executions whose tasks wait for their rate limit
    """

    worker: Any
    counts: list[Path]
    parked: str = ""
    running: list[str] = field(default_factory=list)
    limited: list[str] = field(default_factory=list)

    def start(self, machines: Any) -> None:
        prefix, (first, *others) = self.worker.prefix, self.counts
        self.parked = machines.start("counted_retry", {"path": str(first), "countdown": 2}, prefix=prefix)
        self.worker.wait_for("retry: Retry in 2s")
        self.running = [machines.start("counted", {"path": str(path), "seconds": 4}, prefix=prefix) for path in others]
        for execution in self.running:
            machines.wait_for_event(execution, "ActivityStarted")
        self.limited = [machines.start("slowly", {"n": n}, prefix=prefix, HeartbeatSeconds=3) for n in range(3)]


@pytest.mark.parametrize("pool", POOLS)
def test_tasks_survive_the_loss_of_the_broker_and_run_once(pool: str, survived: Any, machines: Any) -> None:
    case = survived[pool]
    assert machines.end(case.parked)["output"] == "retried"
    assert [machines.end(execution)["output"] for execution in case.running] == ["rested", "rested"]
    assert sorted(machines.end(execution)["output"] for execution in case.limited) == [0, 1, 2]
    assert [path.read_text() for path in case.counts] == ["xx", "x", "x"]


@pytest.mark.parametrize("pool", POOLS)
def test_worker_goes_on_taking_tasks_when_the_broker_is_back(pool: str, survived: Any, machines: Any) -> None:
    worker = survived[pool].worker
    assert machines.end(machines.start("add", {"x": 1, "y": 2}, prefix=worker.prefix))["output"] == 3
    for complaint in ("call_failed", "start_failed", "move_refused", "report_refused"):
        assert f"sfini_{complaint}" not in worker.log
