"""``lint`` and ``graph``: the real commands, most of them with no AWS at all."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sfini_celery.cli.errors import ExitCode

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ENTRIES = pytest.mark.parametrize("entry", [["sfini-celery"], ["celery", "sfn"]], ids=" ".join)
WITH_APP = pytest.mark.parametrize(
    "entry", [["sfini-celery", "-A", "proj"], ["celery", "-A", "proj", "sfn"]], ids=" ".join
)
WRONG = {"StartAt": "a", "States": {"a": {"Type": "Pass", "Next": "b\x1b[2J"}}}
UNWISE = {
    "StartAt": "a",
    "States": {"a": {"Type": "Pass", "Parameters": {"x": "$.y"}, "End": True}},
}


@WITH_APP
def test_the_workflows_of_an_app_are_checked_without_aws(run: Run, entry: list[str]) -> None:
    done = run(*entry, "lint")
    assert (done.returncode, done.stdout) == (0, "5 definitions: nothing found\n"), done.stderr


@ENTRIES
def test_a_wrong_file_ends_with_its_own_exit_code_and_shows_where(run: Run, project: Path, entry: list[str]) -> None:
    (project / "wrong.json").write_text(json.dumps(WRONG))
    done = run(*entry, "lint", "wrong.json")
    assert done.returncode == ExitCode.FINDINGS, done.stderr
    assert "wrong.json: error UNKNOWN_TARGET at $.States.a.Next: " in done.stdout
    assert done.stdout.endswith("1 definition: 2 errors\n")
    assert "\x1b" not in done.stdout


def test_findings_in_json_are_one_document(run: Run, project: Path) -> None:
    (project / "good.json").write_text('{"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}')
    done = run("sfini-celery", "lint", "-", "good.json", "--json", input=json.dumps(WRONG))
    assert done.returncode == ExitCode.FINDINGS
    stdin, good = json.loads(done.stdout)
    assert (stdin["target"], good) == ("-", {"target": "good.json", "findings": []})
    assert {"path", "code", "message", "severity"} == set(stdin["findings"][0])
    assert {finding["code"] for finding in stdin["findings"]} == {"UNKNOWN_TARGET", "NO_TERMINAL_STATE"}


@pytest.mark.parametrize(("more", "code"), [([], 0), (["--strict"], ExitCode.FINDINGS)])
def test_a_warning_alone_is_a_failure_only_when_asked_for(run: Run, project: Path, more: list[str], code: int) -> None:
    (project / "unwise.json").write_text(json.dumps(UNWISE))
    done = run("sfini-celery", "lint", "unwise.json", *more)
    assert (done.returncode, done.stdout.count("warning NO_DOLLAR")) == (code, 1)


def test_a_canvas_that_cannot_be_compiled_is_a_finding_with_its_place(run: Run, project: Path) -> None:
    (project / "canvases.py").write_text(
        "from proj import app, add\nfine = add.s(1, 2) | add.s(3)\n"
        "@app.task\ndef plain(x): return x\nwrong = add.s(1, 2) | plain.s()\n"
    )
    done = run("sfini-celery", "lint", "canvases:fine", "canvases:wrong")
    assert done.returncode == ExitCode.FINDINGS, done.stderr
    assert "canvases:wrong: error NOT_COMPILED at chain[1]: " in done.stdout
    assert "canvases:fine" not in done.stdout


def test_aws_is_asked_only_when_told_to_and_its_refusal_counts(
    run: Run, project: Path, aws: dict[str, str], free_port: int
) -> None:
    (project / "wrong.json").write_text(json.dumps(WRONG))
    good = run("sfini-celery", "-A", "proj", "lint", "--remote", env=aws)
    assert (good.returncode, good.stdout) == (0, "5 definitions: nothing found\n"), good.stderr
    bad = run("sfini-celery", "lint", "wrong.json", "--remote", "--json", env=aws)
    assert bad.returncode == ExitCode.FINDINGS
    assert json.loads(bad.stdout)[0]["aws"] == "FAIL"
    nowhere = f"http://127.0.0.1:{free_port}"
    away = run("sfini-celery", "lint", "wrong.json", "--remote", "--endpoint-url", nowhere, env=aws)
    assert away.returncode == ExitCode.UNREACHABLE


def test_lint_without_anything_to_look_at_says_what_can_be_named(run: Run) -> None:
    done = run("sfini-celery", "lint")
    assert (done.returncode, done.stdout) == (ExitCode.CONFIGURATION, "")
    assert "no Celery app was named" in done.stderr


@WITH_APP
def test_a_workflow_is_drawn_without_aws(run: Run, entry: list[str]) -> None:
    drawn = run(*entry, "graph", "adding")
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.startswith("flowchart TD\n")
    assert '  s_add["add<br/>proj.add"]\n' in drawn.stdout
    dot = run(*entry, "graph", "adding", "--format", "dot", "--left-to-right")
    assert dot.stdout.startswith("digraph {\n  compound=true rankdir=LR")


def test_a_file_is_drawn_without_an_app(run: Run, project: Path) -> None:
    (project / "machine.json").write_text(json.dumps(UNWISE))
    assert '("a")' in run("sfini-celery", "graph", "machine.json").stdout
    assert run("sfini-celery", "graph", "-", input="[]").returncode == ExitCode.CONFIGURATION
    several = run("sfini-celery", "-A", "proj", "graph")
    assert (several.returncode, "adding" in several.stderr) == (ExitCode.USAGE, True)
