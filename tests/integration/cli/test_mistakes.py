"""What a newcomer does wrong first: each gets a sentence that says what to do, on one line, and an exit code."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sfini_celery.cli.errors import ExitCode

Run = Callable[..., "subprocess.CompletedProcess[str]"]

SPELLINGS = [["sfini-celery", "-A", "{app}"], ["celery", "-A", "{app}", "sfn"]]
KEYS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
REGION = {"AWS_DEFAULT_REGION": "us-east-1"}
TALKS_TO_AWS = [["register", "--plan"], ["start", "adding"], ["executions", "list"], ["worker"]]


def spelled(spelling: list[str], app: str = "proj") -> list[str]:
    return [part.format(app=app) for part in spelling]


def refused(done: subprocess.CompletedProcess[str], code: ExitCode, *words: str) -> None:
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("command", TALKS_TO_AWS, ids=" ".join)
@pytest.mark.parametrize("spelling", [["sfini-celery"], ["celery", "sfn"]], ids=" ".join)
def test_no_app(run: Run, spelling: list[str], command: list[str]) -> None:
    if command[0] == "executions":
        command = [*command, "adding"]
    refused(run(*spelling, *command), ExitCode.CONFIGURATION, "no Celery app was named", "-A", "CELERY_APP")


def test_the_app_can_come_from_the_environment(run: Run) -> None:
    done = run("sfini-celery", "worker", env={"CELERY_APP": "nowhere"})
    refused(done, ExitCode.CONFIGURATION, "there is no module 'nowhere'")


@pytest.mark.parametrize(
    "args", [["-A", "broken", "worker"], ["worker", "-A", "broken"], ["-A", "broken", "start", "x"]]
)
def test_a_module_that_does_not_import(run: Run, project: Path, args: list[str]) -> None:
    (project / "broken.py").write_text("import sys\nsys.nothing_of_the_kind")
    refused(run("sfini-celery", *args), ExitCode.CONFIGURATION, "-A broken", "nothing_of_the_kind", "--traceback")


def test_traceback_shows_where_a_module_does_not_import(run: Run, project: Path) -> None:
    (project / "broken.py").write_text("import sys\nsys.nothing_of_the_kind")
    done = run("sfini-celery", "worker", "-A", "broken", "--traceback")
    assert done.returncode == ExitCode.CONFIGURATION
    assert 'broken.py", line 2' in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("command", [["worker"], ["register", "--plan"], ["deregister", "--yes"]], ids=" ".join)
@pytest.mark.parametrize("spelling", SPELLINGS, ids=" ".join)
def test_an_app_without_activities(
    run: Run, project: Path, aws: dict[str, str], spelling: list[str], command: list[str]
) -> None:
    (project / "bare.py").write_text("from sfini_celery import SfiniCelery\napp = SfiniCelery('bare')")
    done = run(*spelled(spelling, "bare"), *command, env=aws)
    refused(done, ExitCode.CONFIGURATION, "'bare' has no activities", "@app.activity")


@pytest.mark.parametrize("spelling", SPELLINGS, ids=" ".join)
def test_an_app_that_knows_nothing_of_step_functions(
    run: Run, project: Path, aws: dict[str, str], spelling: list[str]
) -> None:
    (project / "plain.py").write_text("from celery import Celery\napp = Celery('plain')")
    done = run(*spelled(spelling, "plain"), "worker", env=aws)
    refused(done, ExitCode.CONFIGURATION, "'plain' is not joined to Step Functions", "StepFunctions(app)")


@pytest.mark.parametrize("command", TALKS_TO_AWS, ids=" ".join)
def test_no_credentials(run: Run, command: list[str]) -> None:
    done = run("sfini-celery", "-A", "proj", *command, env=REGION)
    refused(done, ExitCode.CONFIGURATION, "No AWS credentials", "AWS_PROFILE", "aws configure")


@pytest.mark.parametrize("command", TALKS_TO_AWS, ids=" ".join)
def test_no_region(run: Run, command: list[str]) -> None:
    done = run("sfini-celery", "-A", "proj", *command, env=KEYS)
    refused(done, ExitCode.CONFIGURATION, "No AWS region", "AWS_DEFAULT_REGION", "--region")


def test_a_profile_that_does_not_exist(run: Run) -> None:
    done = run("sfini-celery", "-A", "proj", "register", "--plan", "--profile", "nobody", env=REGION | KEYS)
    refused(done, ExitCode.CONFIGURATION, "nobody", "--profile")


@pytest.mark.parametrize("command", TALKS_TO_AWS, ids=" ".join)
def test_an_endpoint_that_does_not_answer(run: Run, free_port: int, command: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port}"
    begun = time.monotonic()
    done = run("sfini-celery", "-A", "proj", *command, "--endpoint-url", url, env=REGION | KEYS)
    assert time.monotonic() - begun < 20
    refused(done, ExitCode.UNREACHABLE, url, "--endpoint-url", "sfini-celery local")


def test_an_endpoint_that_is_no_url(run: Run) -> None:
    done = run("sfini-celery", "-A", "proj", "register", "--plan", "--endpoint-url", "localhost", env=REGION | KEYS)
    refused(done, ExitCode.CONFIGURATION, "an endpoint is a URL")


def test_a_workflow_that_was_not_registered(run: Run, aws: dict[str, str]) -> None:
    refused(run("sfini-celery", "-A", "proj", "start", "adding", env=aws), ExitCode.REFUSED, "StartExecution", "adding")


def test_a_workflow_that_the_app_does_not_have(run: Run, aws: dict[str, str]) -> None:
    done = run("sfini-celery", "-A", "proj", "start", "ading", env=aws)
    refused(done, ExitCode.USAGE, "no workflow 'ading'", "did you mean 'adding'")


def test_a_mistyped_setting(run: Run, project: Path, aws: dict[str, str]) -> None:
    (project / "typo.py").write_text("from proj import app\napp.conf.sfn_pols = 3")
    done = run("sfini-celery", "-A", "typo", "worker", env=aws)
    refused(done, ExitCode.CONFIGURATION, "no setting 'sfn_pols'", "did you mean 'sfn_polls'")


@pytest.mark.parametrize("value", ["0", "many"])
def test_a_setting_out_of_range_on_the_command_line(run: Run, aws: dict[str, str], value: str) -> None:
    done = run("sfini-celery", "-A", "proj", "worker", "--sfn-polls", value, env=aws)
    refused(done, ExitCode.USAGE, "--sfn-polls", value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--input", "{x: 1}"], ["--input is not JSON", "@FILE"]),
        (["--input", '{"x": NaN}'], ["not JSON", "NaN"]),
        (["--input", "[" * 100_000], ["not JSON"]),
        (["--input", "@nowhere.json"], ["cannot read", "nowhere.json"]),
        (["--input-file", "."], ["cannot read"]),
        (["--input", "-"], ["stdin is not JSON"]),
        (["--input", "1", "--input-file", "x"], ["either"]),
        (["--timeout", "3"], ["--wait"]),
    ],
)
def test_an_input_that_cannot_be_read(run: Run, aws: dict[str, str], given: list[str], words: list[str]) -> None:
    done = run("sfini-celery", "-A", "proj", "start", "adding", *given, env=aws, input="nothing")
    refused(done, ExitCode.USAGE, *words)


def test_register_does_not_ask_where_nobody_can_answer(run: Run, aws: dict[str, str]) -> None:
    done = run("sfini-celery", "-A", "proj", "register", env=aws)
    assert done.returncode == ExitCode.USAGE
    assert "add --yes" in done.stderr
    assert "+ activity proj.add" in done.stdout
