"""What the README shows is run, and prints what the README says."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sfini_celery.local import LocalServer

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
SCRIPTS = sysconfig.get_path("scripts")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README)
NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d(-\d\d)?_[0-9a-f]{8}")
PATIENCE = 60.0

pytestmark = pytest.mark.timeout(300)  # real processes, on machines that may have other things to do


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def files() -> dict[str, str]:
    """The Python blocks that begin with the name of a file."""
    named = {re.match(r"# (\w+\.py)\n", text): text for text in blocks("python")}
    return {found[1]: text for found, text in named.items() if found}


def named_as(text: str, name: str) -> str:
    """Output with every execution's name replaced, as it differs from run to run."""
    return NAME.sub(name, text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the README's files."""
    for name, text in files().items():
        (tmp_path / name).write_text(text)
    (tmp_path / "runtime").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """The environment of a reader's terminal: the commands on the PATH, nothing of AWS."""
    return {**os.environ, "PATH": f"{SCRIPTS}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(folder / "runtime")}


@pytest.fixture
def running() -> Iterator[list[subprocess.Popen[str]]]:
    """Commands that go on until the test ends."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in reversed(processes):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_the_two_commands_come_first_and_are_one_line_each() -> None:
    shell = blocks("sh")
    assert [line for line in README.splitlines() if line.startswith("python3 -m venv .venv && ")] == [
        text.rstrip("\n") for text in shell[:2]
    ]


def test_the_tour_does_what_it_shows(
    folder: Path, environment: dict[str, str], running: list[subprocess.Popen[str]]
) -> None:
    """Every ``$`` line of the console blocks, in order; ``local`` and ``worker`` go on while the others run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    last = ""
    for text in blocks("console"):
        text = text.replace("8083", str(port))
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            command = NAME.sub(last, command)
            if command == "sfini-celery local":
                command += f" --port {port}"
            if re.search(r" (local|worker)\b", command):
                started = subprocess.Popen(
                    shlex.split(command),
                    cwd=folder,
                    env=environment,
                    stdout=subprocess.PIPE if expected else subprocess.DEVNULL,
                    stderr=None,
                    text=True,
                    start_new_session=True,
                )
                running.append(started)
                shown = ""
                if expected:
                    assert started.stdout is not None
                    shown = "".join(started.stdout.readline() for _ in expected.splitlines())
                exports = re.findall(r"^export (\w+)=(.*)$", shown, re.MULTILINE)
                environment |= dict(exports)
            else:
                done = subprocess.run(
                    shlex.split(command),
                    cwd=folder,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=PATIENCE,
                )
                shown = done.stdout
                assert done.returncode == ("Error: " in expected), f"$ {command}\n{shown}"
            if found := NAME.search(shown):
                last = found[0]
            if expected:
                assert named_as(shown, "NAME") == named_as(expected, "NAME"), command
    asked = subprocess.run(
        [sys.executable, "ask.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.splitlines() == ["SUCCEEDED 6", "add SUCCEEDED 1", "double SUCCEEDED 1"]


def test_an_existing_celery_app_registers_as_shown(folder: Path, environment: dict[str, str]) -> None:
    with LocalServer() as server:
        planned = subprocess.run(
            ["sfini-celery", "-A", "existing", "register", "--plan"],
            cwd=folder,
            env=environment | server.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert planned.stdout == "+ activity existing.resize\n+ state machine resized\n2 to create\n", planned.stderr


def test_the_sfini_example_runs_unchanged(tmp_path: Path, environment: dict[str, str]) -> None:
    (program,) = (text for text in blocks("python") if "import sfini_celery as sfini" in text)
    with LocalServer() as server:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=environment | server.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 0, done.stderr
    name, output = done.stdout.splitlines()
    assert re.fullmatch(rf"testAdding_{NAME.pattern}", name)
    assert output == "45"


def test_every_python_block_is_run_by_one_of_these_tests() -> None:
    assert set(files()) == {"proj.py", "ask.py", "existing.py"}
    assert len(blocks("python")) == len(files()) + 1


def test_the_environment_variables_it_shows_are_the_ones_that_are_printed() -> None:
    shown = re.findall(r"^export (\w+)=", README, re.MULTILINE)
    assert shown == list(LocalServer().environment())


@pytest.mark.parametrize("target", re.findall(r"\]\((?!https?://)([^)#]+)\)", README))
def test_what_it_links_to_is_there(target: str) -> None:
    assert (REPOSITORY / target).exists()
