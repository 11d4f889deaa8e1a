"""Programs as sfini's documentation writes them, in both of its generations, run as they are.

Nothing but the AWS variables tells them where to go. They run at the same time: most of theirs is waiting.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sfini_celery.local import LocalServer

pytestmark = pytest.mark.slow

PROGRAMS = Path(__file__).parent / "programs"
NAMES = (
    "adding",
    "adding_constructed",
    "looping",
    "looping_constructed",
    "parallel",
    "parallel_constructed",
    "failing",
    "failing_constructed",
)


@dataclass(frozen=True)
class Ended:
    code: int
    lines: list[str]
    stderr: str


@pytest.fixture(scope="module")
def ended(server: LocalServer) -> Iterator[dict[str, Ended]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SFN_"))}
    environment = {**clean, **server.environment(), "HOME": "/nonexistent"}
    running = {
        name: subprocess.Popen(
            [sys.executable, PROGRAMS / f"{name}.py"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in NAMES
    }
    try:
        outcome = {}
        for name, process in running.items():
            out, err = process.communicate(timeout=90)
            outcome[name] = Ended(process.returncode, out.splitlines(), err)
        yield outcome
    finally:
        for process in running.values():
            process.kill()
            process.wait()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "failing"])
def test_a_program_written_for_sfini_runs_to_its_end_and_says_nothing_on_stderr(
    ended: dict[str, Ended], name: str
) -> None:
    assert ended[name].code == 0, ended[name].stderr
    if not name.startswith("failing"):
        assert ended[name].stderr == ""


def test_an_execution_is_named_after_its_machine_the_time_and_chance(ended: dict[str, Ended]) -> None:
    assert re.fullmatch(r"testAdding_\d{4}-\d\d-\d\dT\d\d-\d\d(-\d\d)?_[0-9a-f]{8}", ended["adding"].lines[0])


def test_adding(ended: dict[str, Ended]) -> None:
    assert ended["adding"].lines[1:] == ["45"]
    constructed = ended["adding_constructed"].lines
    assert ast.literal_eval(constructed[1]) == {"numbers": {"a": 1, "b": 2, "other": 3}, "sum": 103}
    assert "  worker: adder" in constructed
    assert constructed[2].startswith("ExecutionStarted [1] @ ")


@pytest.mark.parametrize("name", ["looping", "looping_constructed"])
def test_looping(ended: dict[str, Ended], name: str) -> None:
    assert ended[name].lines[1:] == ["12"]


@pytest.mark.parametrize("name", ["parallel", "parallel_constructed"])
def test_branches_with_a_time_that_is_waited_for(ended: dict[str, Ended], name: str) -> None:
    assert "asked at noon" in ended[name].lines
    first, second = ast.literal_eval(ended[name].lines[-1])
    assert first == {"level": 20, "message": "noon"}
    assert second.keys() == {"level", "message", "until"}


def test_the_history_tells_time_out_retry_and_the_error_that_was_caught(ended: dict[str, Ended]) -> None:
    lines = ended["failing_constructed"].lines[1:]
    events = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert events == [
        "ExecutionStarted",
        "TaskStateEntered",
        "ActivityScheduled",
        "ActivityStarted",
        "ActivityTimedOut",
        "ActivityScheduled",
        "ActivityStarted",
        "ActivityFailed",
        "TaskStateExited",
        "FailStateEntered",
        "ExecutionFailed",
    ]
    errors = [line.strip() for line in lines if line.startswith("  error")]
    assert errors == ["error: States.Timeout", "error: MyError", "error: WorkerError"]


def test_a_program_that_dies_of_an_exception_does_not_linger_for_its_worker(ended: dict[str, Ended]) -> None:
    assert ended["failing"].code == 1
    assert "ExecutionFailed: execution 'hapless_" in ended["failing"].stderr
    assert "WorkerError: MyError was raised" in ended["failing"].stderr


def test_a_program_that_cleans_up_leaves_nothing_behind(ended: dict[str, Ended], server: LocalServer) -> None:
    left = [name for name in server.engine.activities if not name.rpartition(":")[2].startswith("hapless")]
    assert ended
    assert left == []
