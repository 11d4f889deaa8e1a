"""A worker of the project against the embedded server, and the project in this process."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest

from sfini_celery.aws import ControlPlane
from sfini_celery.local import LocalServer

PROJECT = Path(__file__).parent / "project"
PREFIXES = ("AWS_", "SFN_", "CELERY_")


@pytest.fixture(scope="session")
def canvas_server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture(scope="session")
def canvas_environment(
    canvas_server: LocalServer, tmp_path_factory: pytest.TempPathFactory, redis_url: str
) -> dict[str, str]:
    """What a process of the project needs."""
    folder = tmp_path_factory.mktemp("canvas")
    (folder / "results").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
    return {**kept, **canvas_server.environment(), "CANVAS_FOLDER": str(folder), "CANVAS_BROKER": redis_url,
            "PYTHONPATH": str(PROJECT)}  # fmt: skip


@pytest.fixture(scope="session")
def _project(canvas_environment: dict[str, str], canvas_server: LocalServer) -> Iterator[ModuleType]:
    os.environ.update({name: canvas_environment[name] for name in ("CANVAS_FOLDER", "CANVAS_BROKER")})
    # by its own name: exceptions that come back are looked for there
    spec = importlib.util.spec_from_file_location("canvas_project", PROJECT / "canvas_project.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["canvas_project"] = module
    spec.loader.exec_module(module)
    session = boto3.session.Session("local", "local", region_name="us-east-1")
    module.app.sfn._control = ControlPlane(session=session, endpoint_url=canvas_server.url)
    for workflow in module.app.sfn.workflows.values():
        workflow.register()
    yield module
    module.app.sfn.control.client.close()
    module.app.close()
    del sys.modules["canvas_project"], os.environ["CANVAS_FOLDER"], os.environ["CANVAS_BROKER"]


@pytest.fixture(scope="session")
def _worker(
    _project: ModuleType, canvas_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    log_path = tmp_path_factory.mktemp("worker") / "log"
    command = [sys.executable, "-m", "celery", "-A", "canvas_project", "worker", "-c", "3", "-l", "INFO"]
    with log_path.open("w") as log:
        worker = subprocess.Popen(
            [*command, "-n", "canvas@%h", "--without-gossip", "--without-mingle"],
            env={**canvas_environment, "PYTHONWARNINGS": "ignore"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 60
        while "sfini_serving" not in (said := log_path.read_text()):
            assert worker.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        yield
    finally:
        worker.terminate()
        with suppress(subprocess.TimeoutExpired):
            worker.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


@pytest.fixture
def project(_project: ModuleType, _worker: None) -> Any:
    """The project, with a worker that serves it."""
    return _project


@pytest.fixture
def until() -> Callable[..., Any]:
    """Waits for a condition, with a deadline."""

    def wait(condition: Callable[[], Any], seconds: float = 30) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.05)
        return value

    return wait
