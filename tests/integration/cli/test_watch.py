"""``executions watch``: the real command, on a pseudo-terminal and in a pipe."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator

import boto3
import pytest

from sfini_celery.cli.errors import ExitCode
from sfini_celery.local import LocalServer

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Launch = Callable[..., "subprocess.Popen[str]"]

Finish = Callable[[], None]


@pytest.fixture
def finish(server: LocalServer) -> Iterator[Finish]:
    """Does the one task of an execution of ``adding``."""
    session = boto3.session.Session("local", "local", region_name="us-east-1")
    client = session.client("stepfunctions", endpoint_url=server.url)

    def finished() -> None:
        arn = "arn:aws:states:us-east-1:123456789012:activity:proj.add"
        task = client.get_activity_task(activityArn=arn, workerName="the test")
        client.send_task_success(taskToken=task["taskToken"], output="5")

    yield finished
    client.close()


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    yield ours, theirs
    for end in (ours, theirs):
        try:
            os.close(end)
        except OSError as error:
            assert error.errno == errno.EBADF


def read_until(ours: int, wanted: str, seen: str = "") -> str:
    """What a terminal shows until it has shown something; the test's own time-out is the deadline."""
    while not re.search(wanted, seen):
        try:
            seen += os.read(ours, 65536).decode()
        except OSError as error:
            assert error.errno == errno.EIO
            raise AssertionError(f"it ended without {wanted!r}: {seen!r}") from None
    return seen


def test_a_terminal_shows_the_states_in_place_until_the_execution_ends(
    registered: Run, launch: Launch, aws: dict[str, str], terminal: tuple[int, int], finish: Finish
) -> None:
    ours, theirs = terminal
    registered("start", "adding", "--name", "adding_1")
    watching = launch(
        *("sfini-celery", "-A", "proj", "executions", "watch", "adding_1", "--interval", "0.2"), env=aws, stdout=theirs
    )
    seen = read_until(ours, "1 running: add")
    finish()
    seen = read_until(ours, "adding_1  SUCCEEDED(?s:.*)\\x1b\\[\\?7h", seen)
    assert watching.wait(timeout=30) == 0
    frames = seen.split("\x1b[J")[1:]
    assert "adding_1  RUNNING" in frames[0]
    assert "adding_1  SUCCEEDED" in frames[-1]
    assert "the test" in frames[-1]
    assert all(frame.count("\r\n") == 3 for frame in frames)
    assert seen.count("\x1b[3F") == len(frames) - 1  # each but the first over the one before
    assert seen.rindex("\x1b[?7h") > seen.rindex("\x1b[?7l")


def test_ctrl_c_ends_the_watching_in_one_line_with_the_terminal_as_it_was(
    registered: Run, launch: Launch, aws: dict[str, str], terminal: tuple[int, int]
) -> None:
    ours, theirs = terminal
    registered("start", "waiting", "--name", "waiting_1")
    watching = launch("sfini-celery", "-A", "proj", "executions", "watch", "waiting_1", env=aws, stdout=theirs)
    seen = read_until(ours, "waiting_1  RUNNING(?s:.*)\x1b\\[\\?7h")
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=30)
    assert (watching.returncode, err) == (ExitCode.INTERRUPTED, "Interrupted.\n")
    assert seen.rindex("\x1b[?7h") > seen.rindex("\x1b[?7l")
    shown = json.loads(registered("executions", "show", "waiting_1", "--json").stdout)
    assert shown["status"] == "RUNNING"


def test_a_pipe_gets_a_plain_line_for_each_change_and_the_exit_code_of_the_execution(
    registered: Run, launch: Launch, aws: dict[str, str], finish: Finish
) -> None:
    registered("start", "adding", "--name", "adding_1")
    watching = launch("sfini-celery", "-A", "proj", "executions", "watch", "adding_1", "--interval", "0.2", env=aws)
    assert watching.stdout is not None
    first = watching.stdout.readline()
    assert first.split()[1:] == ["RUNNING", "add", "(Task)"]
    finish()
    rest, err = watching.communicate(timeout=30)
    assert watching.returncode == 0, err
    assert [line.split()[1] for line in rest.splitlines()] == ["SUCCEEDED", "SUCCEEDED"]
    assert rest.splitlines()[-1] == "adding_1 SUCCEEDED"
    assert "\x1b" not in first + rest
    registered("start", "failing", "--name", "failing_1")
    failed = registered("executions", "watch", "failing_1")
    assert failed.returncode == ExitCode.EXECUTION
    assert "Broken" in failed.stdout
    assert failed.stderr.startswith("Error: execution 'failing_1' FAILED: Broken")


def test_json_is_a_line_for_each_change_and_one_for_the_end(registered: Run) -> None:
    registered("start", "failing", "--name", "failing_1", "--wait")
    done = registered("executions", "watch", "failing_1", "--json")
    assert done.returncode == ExitCode.EXECUTION
    state, end = map(json.loads, done.stdout.splitlines())
    assert (state["state"], state["status"], state["error"]) == ("fail", "FAILED", "Broken")
    assert end == {"execution": "failing_1", "status": "FAILED"}
