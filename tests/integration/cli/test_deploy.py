"""``register`` and ``deregister``: the real commands against the embedded server."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from sfini_celery.aws import ControlPlane
from sfini_celery.cli.errors import ExitCode
from sfini_celery.local import LocalServer

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


def test_a_terminal_shows_the_plan_in_colours(launch: Launch, aws: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    try:
        planning = launch("sfini-celery", "-A", "proj", "register", "--plan", env=aws, stdout=theirs)
        seen = ""
        while "to create" not in seen:  # the test's own time-out is the deadline
            seen += os.read(ours, 65536).decode()
        assert planning.wait(timeout=30) == ExitCode.CHANGES
    finally:
        os.close(theirs)
        os.close(ours)
    assert "\x1b[32m+ activity proj.add\x1b[0m" in seen


def test_the_role_on_the_command_line_is_the_machines(sfini: Run) -> None:
    role = "arn:aws:iam::123456789012:role/given"
    assert sfini("register", "--yes", "--role-arn", role).returncode == 0
    assert sfini("register", "--plan", "--role-arn", role).returncode == 0
    other = sfini("register", "--plan", "--role-arn", f"{role}-else")
    assert (other.returncode, "(role)" in other.stdout) == (ExitCode.CHANGES, True)


def test_what_a_running_execution_needs_is_not_deleted(registered: Run) -> None:
    assert registered("start", "waiting").returncode == 0
    refused = registered("deregister", "--yes")
    assert refused.returncode == ExitCode.USAGE
    assert "of 'waiting' still runs and needs it" in refused.stderr
    assert registered("register", "--plan").returncode == 0
    assert registered("deregister", "--yes", "--keep-activities").returncode == ExitCode.USAGE
    gone = registered("deregister", "--yes", "--keep-activities", "--even-running")
    assert gone.returncode == 0, gone.stderr
    assert "activity" not in gone.stdout


def test_a_plan_shows_what_differs_state_by_state_and_without_colours_in_a_pipe(registered: Run, project: Path) -> None:
    (project / "proj.py").write_text((project / "proj.py").read_text().replace("3600", "7200"))
    planned = registered("register", "--plan")
    assert planned.returncode == ExitCode.CHANGES
    lines = planned.stdout.splitlines()
    place = lines.index("~ state machine waiting (definition)")
    assert lines[place + 1 : place + 3] == ["    ~ state wait (Wait)", "        ~ Seconds: 3600 -> 7200"]
    assert "\x1b" not in planned.stdout
    told = {item["name"]: item for item in json.loads(registered("register", "--plan", "--json").stdout)}
    assert told["waiting"]["definition"][0]["fields"][0]["path"] == "Seconds"
    applied = registered("register", "--yes")
    assert "done: ~ state machine waiting (definition) [1 of 1]" in applied.stdout


def test_prune_removes_a_workflow_that_is_declared_no_more_and_not_what_was_made_by_hand(
    registered: Run, project: Path, server: LocalServer
) -> None:
    text = (project / "proj.py").read_text()
    (project / "proj.py").write_text(text.replace('app.workflow("greeting"', '("greeting"'))
    with control_of(server) as control:
        control.create_activity("proj.by-hand")
        assert registered("register", "--plan").returncode == 0
        assert "- state machine greeting" in registered("register", "--plan", "--prune").stdout
        assert registered("register", "--yes", "--prune").returncode == 0
        names = {found["name"] for found in (*control.list_state_machines(), *control.list_activities())}
    assert "greeting" not in names
    assert names >= {"echo", "proj.add", "proj.by-hand"}


def test_published_versions_and_an_alias_are_shown_made_and_then_left_alone(sfini: Run, server: LocalServer) -> None:
    planned = sfini("register", "--plan", "--alias", "live")
    assert "+ alias echo:live (the version to be published)" in planned.stdout
    assert sfini("register", "--yes", "--publish", "--alias", "live").returncode == 0
    assert sfini("register", "--plan", "--publish", "--alias", "live").returncode == 0
    with control_of(server) as control:
        arn = control.arn("stateMachine", "echo")
        assert control.alias(f"{arn}:live") == {f"{arn}:1": 100}


def test_a_machine_of_another_app_is_a_clear_refusal(sfini: Run, server: LocalServer) -> None:
    with control_of(server) as control:
        definition = '{"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}'
        role = "arn:aws:iam::123456789012:role/r"
        control.create_state_machine("echo", definition, role, tags={"sfini:app": "theirs"})
    refused = sfini("register", "--yes")
    assert refused.returncode == ExitCode.CONFIGURATION
    assert "belongs to the app 'theirs'" in refused.stderr


@contextmanager
def control_of(server: LocalServer) -> Iterator[ControlPlane]:
    session = boto3.session.Session("local", "local", region_name="us-east-1")
    control = ControlPlane(session=session, endpoint_url=server.url)
    yield control
    control.client.close()


def test_idle_machines_of_unnamed_canvases_are_removed_alone_and_those_in_use_stay(
    sfini: Run, server: LocalServer, project: Path
) -> None:
    (project / "unnamed.py").write_text(
        "from proj import app, add\n"
        "from sfini_celery.canvas import wait\n"
        "running = app.sfn.delay(wait(seconds=3600) | add.si(1, 2))\n"
        "ended = app.sfn.delay(wait(seconds=3600) | add.si(1, 2) | add.s(3))\n"
        "ended.revoke()\n"
    )
    assert sfini("register", "--yes").returncode == 0
    done = subprocess.run([sys.executable, "unnamed.py"], cwd=project, env={**os.environ, **server.environment()})
    assert done.returncode == 0
    assert sfini("deregister", "--ad-hoc", "--yes").stdout == "no ad-hoc state machine of this app is idle\n"
    removed = sfini("deregister", "--ad-hoc", "--idle-days", "0", "--yes", "--json")
    assert removed.returncode == 0, removed.stderr
    (machine,) = json.loads(removed.stdout)
    assert machine["kind"] == "state machine"
    assert machine["name"].startswith("adhoc-")
    with control_of(server) as control:
        left = {item["name"] for item in control.list_state_machines()}
    assert machine["name"] not in left
    assert len([name for name in left if name.startswith("adhoc-")]) == 1
    assert "adding" in left
    assert sfini("register", "--plan", "--prune").returncode == 0, "an ad-hoc machine is none that a plan prunes"


@pytest.mark.parametrize(
    "wrong", [["--idle-days", "3"], ["--ad-hoc", "--keep-activities"], ["--ad-hoc", "--even-running"]]
)
def test_options_of_the_two_sorts_of_deregistering_do_not_mix(sfini: Run, wrong: list[str]) -> None:
    refused = sfini("deregister", "--yes", *wrong)
    assert refused.returncode == ExitCode.USAGE
    assert "--ad-hoc" in refused.stderr
