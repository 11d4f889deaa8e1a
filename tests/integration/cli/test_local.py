"""``local``: the embedded server as a command."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from collections.abc import Callable

import boto3
import pytest

Launch = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def told(serving: subprocess.Popen[str]) -> dict[str, str]:
    """The variables it prints for a shell, once it listens."""
    assert serving.stdout is not None
    first = serving.stdout.readline()
    assert first.startswith("# Step Functions at http://127.0.0.1:"), serving.stderr and serving.stderr.read()
    assert serving.stdout.readline().startswith("#")
    variables = {}
    while "AWS_EC2_METADATA_DISABLED" not in variables:
        word, assignment = shlex.split(serving.stdout.readline())
        assert word == "export"
        name, _, value = assignment.partition("=")
        variables[name] = value
    return variables


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_what_it_prints_points_an_sdk_at_it_and_it_ends_cleanly(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, end: signal.Signals
) -> None:
    serving = launch("sfini-celery", "local", "--port", "0", "--account", "111122223333", "--region", "eu-west-1")
    for name, value in told(serving).items():
        monkeypatch.setenv(name, value)
    made = boto3.session.Session().client("stepfunctions").create_activity(name="add")["activityArn"]
    assert made == "arn:aws:states:eu-west-1:111122223333:activity:add"
    serving.send_signal(end)
    _, err = serving.communicate(timeout=30)
    assert (serving.returncode, err) == (0, "")


def test_a_shell_can_evaluate_all_it_prints(launch: Launch) -> None:
    serving = launch("sfini-celery", "local", "--port", "0")
    variables = told(serving)
    lines = "\n".join(["# a comment", *(f"export {name}={value}" for name, value in variables.items())])
    shown = subprocess.run(
        ["bash", "-euc", f"{lines}\nenv"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {f"{name}={value}" for name, value in variables.items()} <= set(shown)


def test_json_is_one_line_for_a_program_that_starts_it(launch: Launch) -> None:
    serving = launch("sfini-celery", "local", "--port", "0", "--json")
    assert serving.stdout is not None
    answer = json.loads(serving.stdout.readline())
    assert answer["url"] == answer["environment"]["AWS_ENDPOINT_URL"]


def test_a_port_in_use_is_a_sentence(launch: Launch, run: Run) -> None:
    port = told(launch("sfini-celery", "local", "--port", "0"))["AWS_ENDPOINT_URL"].rpartition(":")[2]
    done = run("sfini-celery", "local", "--port", port)
    assert done.returncode == 64
    assert done.stderr.startswith(f"Error: cannot listen on 127.0.0.1:{port}: Address already in use; --port 0")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("account", ["123", "12345678901x", "1234567890123"])
def test_an_account_is_twelve_digits(run: Run, account: str) -> None:
    done = run("sfini-celery", "local", "--account", account)
    assert (done.returncode, "12 digits" in done.stderr) == (64, True)


def test_an_address_that_others_reach_is_warned_of(launch: Launch) -> None:
    serving = launch("sfini-celery", "local", "--port", "0", "--host", "0.0.0.0")
    assert serving.stdout is not None
    assert serving.stdout.readline().startswith("# Step Functions at")
    serving.send_signal(signal.SIGINT)
    _, err = serving.communicate(timeout=30)
    assert err == "Warning: --host 0.0.0.0: other machines can reach it, and the server asks nobody who they are\n"
