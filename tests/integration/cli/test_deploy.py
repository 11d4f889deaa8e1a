"""``register`` and ``deregister``: the real commands against the embedded server."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Callable

import pytest

from sfini_celery.cli.errors import ExitCode

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Launch = Callable[..., "subprocess.Popen[str]"]


@pytest.mark.parametrize("entry", [["sfini-celery", "-A", "proj"], ["celery", "-A", "proj", "sfn"]], ids=" ".join)
def test_a_plan_changes_nothing_and_its_exit_code_says_whether_there_is_something_to_do(
    run: Run, aws: dict[str, str], entry: list[str]
) -> None:
    def command(*args: str) -> subprocess.CompletedProcess[str]:
        return run(*entry, *args, env=aws)

    for _ in range(2):
        planned = command("register", "--plan")
        assert planned.returncode == ExitCode.CHANGES, planned.stderr
        assert "+ activity proj.add" in planned.stdout
    applied = command("register", "--yes")
    assert applied.returncode == 0, applied.stderr
    assert "done: + state machine adding" in applied.stdout
    planned = command("register", "--plan")
    assert (planned.returncode, "+ " in planned.stdout) == (0, False)
    gone = command("deregister", "--yes", "--json")
    assert {item["name"] for item in json.loads(gone.stdout)} >= {"adding", "proj.add"}
    assert command("register", "--plan").returncode == ExitCode.CHANGES


def test_a_plan_in_json_is_one_document(sfini: Run) -> None:
    planned = sfini("register", "--plan", "--json")
    assert planned.returncode == ExitCode.CHANGES
    assert {item["kind"] for item in json.loads(planned.stdout)} == {"activity", "state machine"}


@pytest.mark.parametrize(("answer", "agreed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_register_asks_on_a_terminal_and_does_as_told(
    launch: Launch, sfini: Run, aws: dict[str, str], answer: str, agreed: bool
) -> None:
    ours, theirs = pty.openpty()
    try:
        asking = launch("sfini-celery", "-A", "proj", "register", env=aws, stdin=theirs)
        os.write(ours, answer.encode())
        out, err = asking.communicate(timeout=60)
    finally:
        os.close(theirs)
        os.close(ours)
    assert asking.returncode == 0, err
    assert "Apply this plan?" in out
    assert ("done: " in out, "nothing was changed" in out) == (agreed, not agreed)
    assert (sfini("register", "--plan").returncode == 0) == agreed


def test_the_role_on_the_command_line_is_the_machines(sfini: Run) -> None:
    role = "arn:aws:iam::123456789012:role/given"
    assert sfini("register", "--yes", "--role-arn", role).returncode == 0
    assert sfini("register", "--plan", "--role-arn", role).returncode == 0
    other = sfini("register", "--plan", "--role-arn", f"{role}-else")
    assert (other.returncode, "(role)" in other.stdout) == (ExitCode.CHANGES, True)


def test_activities_that_a_running_execution_may_need_are_not_deleted(registered: Run) -> None:
    assert registered("start", "waiting").returncode == 0
    refused = registered("deregister", "--yes")
    assert refused.returncode == ExitCode.USAGE
    assert "still runs and needs the activities" in refused.stderr
    assert registered("register", "--plan").returncode == 0
    kept = registered("deregister", "--yes", "--keep-activities")
    assert kept.returncode == 0
    assert "activity" not in kept.stdout
