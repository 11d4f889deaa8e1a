"""The real commands, as processes, against an embedded server of the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from sfini_celery.local import LocalServer

SCRIPTS = Path(sysconfig.get_path("scripts"))

PROJECT = """
from sfini_celery import SfiniCelery, asl

app = SfiniCelery("proj")


@app.activity
def add(x, y):
    return x + y


def of(state):
    return asl.construct_state_machine(state.name, state)


app.workflow("adding", of(asl.Task("add", add)))
app.workflow("greeting", of(asl.Pass("greet", result={"say": "hello"})))
app.workflow("echo", of(asl.Pass("as it came")))
app.workflow("waiting", of(asl.Wait("wait", 3600)))
app.workflow("failing", of(asl.Fail("fail", error="Broken", cause="because \\x1b[31m")))
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Launch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """Step Functions for one test."""
    with LocalServer() as running:
        yield running


@pytest.fixture
def aws(server: LocalServer) -> dict[str, str]:
    """The variables that point a process at the server."""
    return server.environment()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a project in it."""
    (tmp_path / "proj.py").write_text(PROJECT)
    return tmp_path


@pytest.fixture
def command_environment(tmp_path: Path) -> Callable[[Mapping[str, str]], dict[str, str]]:
    """The environment of a command: the test's own, a private folder for the broker, and what is given."""

    def made(more: Mapping[str, str]) -> dict[str, str]:
        runtime = tmp_path / "runtime"
        runtime.mkdir(mode=0o700, exist_ok=True)
        return {**os.environ, "XDG_RUNTIME_DIR": str(runtime), **more}

    return made


@pytest.fixture
def run(project: Path, command_environment: Callable[[Mapping[str, str]], dict[str, str]]) -> Run:
    """Run a command in the project's folder, to its end."""

    def ran(
        *args: str, env: Mapping[str, str] = {}, input: str = "", timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        command = [str(SCRIPTS / args[0]), *args[1:]]
        environment = command_environment(env)
        return subprocess.run(
            command, cwd=project, env=environment, input=input, capture_output=True, text=True, timeout=timeout
        )

    return ran


@pytest.fixture
def launch(project: Path, command_environment: Callable[[Mapping[str, str]], dict[str, str]]) -> Iterator[Launch]:
    """Start a command in the project's folder and go on; killed after the test with all its children."""
    running: list[subprocess.Popen[str]] = []

    def launched(*args: str, env: Mapping[str, str] = {}, **options: Any) -> subprocess.Popen[str]:
        command = [str(SCRIPTS / args[0]), *args[1:]]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(
            command, cwd=project, env=command_environment(env), text=True, start_new_session=True, **streams
        )
        running.append(process)
        return process

    yield launched
    for process in running:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def sfini(run: Run, aws: dict[str, str]) -> Run:
    """A command of ``sfini-celery`` on the project, to its end."""
    return lambda *args, **more: run("sfini-celery", "-A", "proj", *args, env=aws, **more)


@pytest.fixture
def registered(sfini: Run) -> Run:
    """:func:`sfini`, with the project registered."""
    done = sfini("register", "--yes")
    assert done.returncode == 0, done.stderr
    return sfini
