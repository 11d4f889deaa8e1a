"""The broker goes away and comes back: nothing that AWS was promised is lost or run twice."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Redis:
    """A Redis of this test's own, that may be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed, so none can be killed")
    redis = Redis(tmp_path)
    redis.start()
    yield redis
    redis.kill()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_tasks_survive_the_loss_of_the_broker_and_run_once(
    pool: str, own_redis: Redis, start_worker: Any, machines: Any, tmp_path: Path
) -> None:
    worker = start_worker(pool=pool, broker=own_redis, concurrency=2).ready()
    prefix = worker.prefix
    counts = [tmp_path / f"count-{n}" for n in range(3)]
    parked = machines.start("counted_retry", {"path": str(counts[0]), "countdown": 2}, prefix=prefix)
    worker.wait_for("retry: Retry in 2s")
    running = [machines.start("counted", {"path": str(path), "seconds": 4}, prefix=prefix) for path in counts[1:]]
    for execution in running:
        machines.wait_for_event(execution, "ActivityStarted")
    limited = [machines.start("slowly", {"n": n}, prefix=prefix, HeartbeatSeconds=3) for n in range(3)]

    own_redis.kill()
    worker.wait_for("Connection to broker lost")
    worker.wait_for("Trying again in")
    own_redis.start()

    assert machines.end(parked)["output"] == "retried"
    assert [machines.end(execution)["output"] for execution in running] == ["rested", "rested"]
    assert sorted(machines.end(execution)["output"] for execution in limited) == [0, 1, 2]
    assert [path.read_text() for path in counts] == ["xx", "x", "x"]
    assert machines.end(machines.start("add", {"x": 1, "y": 2}, prefix=prefix))["output"] == 3
    for complaint in ("call_failed", "start_failed", "move_refused", "report_refused"):
        assert f"sfini_{complaint}" not in worker.log
