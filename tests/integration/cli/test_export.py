"""``export``: the real command; what it prints is read by those who would deploy it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sfini_celery.cli.errors import ExitCode

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PROJECT = """
from celery import chord, group
from sfini_celery import SfiniCelery, asl
from sfini_celery.canvas import catch, choice, each, loop, prev, wait, when

app = SfiniCelery("canvases")
app.conf.sfn_log_group = "arn:aws:logs:eu-west-1:222233334444:log-group:canvases"
app.conf.sfn_tracing = True

@app.activity(heartbeat=30)
def add(x, y=1):
    return x + y

@app.activity(queues=["slow"])
def total(numbers):
    return sum(numbers)

@app.activity
def handle(error):
    return 0

@app.activity
def unused(x):
    return x

chained = app.workflow("chained", add.s(2) | add.s(prev["price ${x}"]), timeout=3600)
app.workflow("grouped", group(add.s(1), add.s(2) | add.s(3)) | total.s())
app.workflow("chorded", add.s(1) | chord([add.s(1), add.s(2)], total.s()))
app.workflow("mapped", add.map([1, 2]) | each(add.s(5), concurrency=3) | total.s())
app.workflow("chosen", add.s(1) | choice(when(prev > 100, add.s(1)), when(prev < 5, add.s(2)), otherwise=add.s(3)))
app.workflow("looped", add.s(1) | loop(add.s(2), until=prev > 20, at_most=9) | wait(seconds=5) | add.s(1))
app.workflow("caught", catch(add.s(1), {Exception: handle.s()}))
app.workflow("parent", chained.s() | add.s(1))
"""
NAMES = ["chained", "grouped", "chorded", "mapped", "chosen", "looped", "caught", "parent"]


@pytest.fixture
def canvases(project: Path, run: Run) -> Run:
    """``sfini-celery -A canvases``, with no AWS configured at all."""
    (project / "canvases.py").write_text(PROJECT)
    return lambda *args, **more: run("sfini-celery", "-A", "canvases", *args, **more)


@pytest.mark.parametrize("entry", [["sfini-celery", "-A", "proj"], ["celery", "-A", "proj", "sfn"]], ids=" ".join)
def test_a_definition_is_what_would_be_registered(run: Run, aws: dict[str, str], entry: list[str]) -> None:
    assert run(*entry, "register", "--yes", env=aws).returncode == 0
    done = run(*entry, "export", "adding", env=aws)
    assert done.returncode == 0, done.stderr
    resource = json.loads(done.stdout)["States"]["add"]["Resource"]
    assert resource == "arn:aws:states:us-east-1:123456789012:activity:proj.add"


def test_an_account_that_is_given_is_used_and_no_credentials_are_needed(canvases: Run) -> None:
    given = ["--account", "222233334444", "--region", "eu-west-1"]
    done = canvases("export", "chained", *given)
    assert done.returncode == 0, done.stderr
    assert "arn:aws:states:eu-west-1:222233334444:activity:canvases.add" in done.stdout
    refused = canvases("export", "chained", "--region", "eu-west-1")
    assert (refused.returncode, "or give --account" in refused.stderr) == (ExitCode.CONFIGURATION, True)


def test_a_template_of_everything_needs_no_aws_and_cfn_lint_finds_nothing(
    canvases: Run, cfn_lint: Callable[..., list[str]]
) -> None:
    done = canvases("export", "--format", "cloudformation")
    assert done.returncode == 0, done.stderr
    template = json.loads(done.stdout)
    assert cfn_lint(template, ignore=["I3042"]) == []  # the log group is the app's own words
    resources = template["Resources"].values()
    names = {resource["Properties"].get("StateMachineName") for resource in resources} - {None}
    activities = {each["Properties"]["Name"] for each in resources if each["Type"].endswith("Activity")}
    assert names == set(NAMES)
    assert activities == {f"canvases.{name}" for name in ("add", "total", "total@slow", "handle", "unused")}
    assert "000000000000" not in done.stdout
    assert "\\\\u0024{x}" in done.stdout
    (policy,) = template["Resources"]["StateMachineRole"]["Properties"]["Policies"]
    (nested,) = [each for each in policy["PolicyDocument"]["Statement"] if each["Sid"] == "Nested"]
    assert "logs:CreateLogDelivery" in done.stdout
    assert "xray:PutTraceSegments" in done.stdout
    pseudo = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"
    assert nested["Resource"] == [{"Fn::Sub": f"{pseudo}:stateMachine:chained"}]


def test_a_template_of_one_workflow_holds_what_it_uses_and_its_schedule(
    canvases: Run, cfn_lint: Callable[..., list[str]]
) -> None:
    schedule = ["--schedule", "rate(1 hour)", "--schedule-input", '{"args": [40]}', "--schedule-timezone", "Asia/Tokyo"]
    done = canvases("export", "chained", "--format", "cloudformation", *schedule)
    template = json.loads(done.stdout)
    assert cfn_lint(template, ignore=["I3042"]) == []
    kinds = sorted(resource["Type"] for resource in template["Resources"].values())
    assert kinds == [
        *("AWS::IAM::Role", "AWS::IAM::Role", "AWS::Scheduler::Schedule"),
        *("AWS::StepFunctions::Activity", "AWS::StepFunctions::StateMachine"),
    ]
    assert template["Resources"]["ChainedSchedule"]["Properties"]["Target"]["Input"] == '{"args": [40]}'


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ([], ExitCode.USAGE, "which workflow"),
        (["nothing"], ExitCode.USAGE, "no workflow 'nothing'"),
        (["chained", "--schedule", "rate(1 hour)"], ExitCode.USAGE, "--format cloudformation"),
        (["--format", "cloudformation", "--schedule", "rate(1 hour)"], ExitCode.USAGE, "name it"),
        (
            ["chained", "--format", "cloudformation", "--schedule", "hourly"],
            ExitCode.CONFIGURATION,
            "write rate(1 hour)",
        ),
        (["chained", "--format", "cloudformation", "--schedule-input", "1"], ExitCode.USAGE, "belong to a --schedule"),
    ],
)
def test_what_cannot_be_exported_is_said(canvases: Run, args: list[str], code: ExitCode, said: str) -> None:
    done = canvases("export", *args, "--account", "222233334444", "--region", "eu-west-1")
    assert (done.returncode, done.stdout, said in done.stderr) == (code, "", True), done.stderr


ASL_VALIDATOR = """
import fs from 'fs';
import validate from 'asl-validator';
const told = JSON.parse(fs.readFileSync(process.argv[2])).map((definition) => validate(definition).errors);
console.log(JSON.stringify(told));
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_asl_validator_accepts_every_compiled_definition(
    canvases: Run, npm: Callable[..., Path], tmp_path: Path
) -> None:
    folder = npm("asl-validator@4")
    given = ["--account", "222233334444", "--region", "eu-west-1"]
    definitions: list[Any] = [json.loads(canvases("export", name, *given).stdout) for name in NAMES]
    (tmp_path / "definitions.json").write_text(json.dumps(definitions))
    (folder / "exported.mjs").write_text(ASL_VALIDATOR)
    command = ["node", "exported.mjs", str(tmp_path / "definitions.json")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)
    assert json.loads(done.stdout) == [[]] * len(NAMES), done.stderr
