"""``doctor``, ``activities`` and ``workflows``: the real commands, with and without a real worker."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sfini_celery.cli.errors import ExitCode

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Launch = Callable[..., "subprocess.Popen[str]"]

ENTRIES = pytest.mark.parametrize(
    "entry", [["sfini-celery", "-A", "proj"], ["celery", "-A", "proj", "sfn"]], ids=" ".join
)
PATIENCE = 60.0

pytestmark = pytest.mark.timeout(300)  # real processes, on machines that may have other things to do


@ENTRIES
def test_the_doctor_says_what_to_fix_and_is_content_once_it_is(run: Run, aws: dict[str, str], entry: list[str]) -> None:
    sick = run(*entry, "doctor", "--patience", "0.1", env=aws)
    assert sick.returncode == ExitCode.FINDINGS, sick.stderr
    assert "fail  workflows     adding, echo, failing, greeting, waiting: not registered\n" in sick.stdout
    assert "-> see `sfini-celery register --plan`" in sick.stdout
    assert run(*entry, "register", "--yes", env=aws).returncode == 0
    well = run(*entry, "doctor", "--patience", "0.1", "--json", env=aws)
    assert well.returncode == 0, well.stdout
    checks = json.loads(well.stdout)
    assert {check["verdict"] for check in checks} == {"ok", "warn"}
    assert set(checks[0]) == {"name", "verdict", "found", "advice"}


def test_too_many_workers_for_the_account_are_a_failure(registered: Run) -> None:
    done = registered("doctor", "--patience", "0.1", "--workers", "10000")
    assert (done.returncode, "fail  poll budget" in done.stdout) == (ExitCode.FINDINGS, True)


def test_the_doctor_needs_no_app_and_no_aws_to_look_at_the_rest(run: Run) -> None:
    done = run("sfini-celery", "doctor")
    assert done.returncode == ExitCode.FINDINGS, done.stderr
    assert "ok    versions" in done.stdout
    assert "fail  region" in done.stdout
    assert "warn  app" in done.stdout


def test_a_mistyped_setting_is_a_finding_and_not_the_end(run: Run, project: Path, aws: dict[str, str]) -> None:
    (project / "typo.py").write_text("from proj import app\napp.conf.sfn_pols = 3")
    done = run("sfini-celery", "-A", "typo", "doctor", "--patience", "0.1", env=aws)
    assert done.returncode == ExitCode.FINDINGS, done.stderr
    assert "fail  settings" in done.stdout
    assert "ok    endpoint" in done.stdout


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_the_doctor_is_coloured_on_a_terminal_only(
    launch: Launch, aws: dict[str, str], more: dict[str, str], coloured: bool
) -> None:
    ours, theirs = pty.openpty()
    try:
        done = launch("sfini-celery", "-A", "proj", "doctor", "--patience", "0.1", env={**aws, **more}, stdout=theirs)
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            shown += part
        done.wait(PATIENCE)
    finally:
        os.close(ours)
    assert (b"\x1b[32mok  \x1b[0m" in shown, b"\x1b" in shown) == (coloured, coloured)


@ENTRIES
def test_activities_are_listed_with_how_they_stand(run: Run, aws: dict[str, str], entry: list[str]) -> None:
    before = run(*entry, "activities", env=aws)
    assert before.returncode == 0, before.stderr
    assert [line.split()[:2] for line in before.stdout.splitlines()[1:]] == [["proj.add", "missing"]]
    run(*entry, "register", "--yes", env=aws)
    (after,) = json.loads(run(*entry, "activities", "--json", env=aws).stdout)
    assert (after["name"], after["standing"], after["tasks"]) == ("proj.add", "in sync", ["proj.add"])
    assert after["arn"] == "arn:aws:states:us-east-1:123456789012:activity:proj.add"


def test_a_worker_that_polls_is_named(registered: Run, launch: Launch, aws: dict[str, str]) -> None:
    launch("sfini-celery", "-A", "proj", "worker", "-c", "1", "-n", "one@here", env=aws, stdout=None, stderr=None)
    end = time.monotonic() + PATIENCE
    polled: list[Any] = []
    while not polled:
        assert time.monotonic() < end, "the worker never answered"
        (entry,) = json.loads(registered("activities", "--pollers", "--json").stdout)
        polled = [name for name, polls in entry["polled_by"].items() if polls]
    assert polled == ["one@here"]
    assert "one@here (" in registered("activities", "--pollers").stdout
    doctor = registered("doctor")
    assert (doctor.returncode, "ok    workers" in doctor.stdout) == (0, True), doctor.stdout


@ENTRIES
def test_a_workflow_changed_by_hand_is_seen(run: Run, project: Path, aws: dict[str, str], entry: list[str]) -> None:
    run(*entry, "register", "--yes", env=aws)
    changed = (project / "proj.py").read_text().replace('{"say": "hello"}', '{"say": "bye"}')
    (project / "proj.py").write_text(changed)
    done = run(*entry, "workflows", "--json", env=aws)
    assert done.returncode == 0, done.stderr
    standing = {each["name"]: each["standing"] for each in json.loads(done.stdout)}
    assert standing == {**dict.fromkeys(("adding", "echo", "waiting", "failing"), "in sync"), "greeting": "changed"}
    shown = run(*entry, "workflows", env=aws).stdout.splitlines()
    assert shown[0].split() == ["workflow", "state", "machine", "registered", "since", "role"]
    assert [line.rstrip().endswith("sfini-local") for line in shown[1:]] == [True] * 5


def test_a_broker_that_is_away_is_said_without_its_password(run: Run, aws: dict[str, str], free_port: int) -> None:
    url = f"redis://:s3cret@127.0.0.1:{free_port}/0"
    asked = run("sfini-celery", "-b", url, "-A", "proj", "activities", "--pollers", env=aws)
    assert (asked.returncode, asked.stdout) == (ExitCode.CONFIGURATION, "")
    assert "the workers cannot be asked through the broker" in asked.stderr
    assert "s3cret" not in asked.stderr
