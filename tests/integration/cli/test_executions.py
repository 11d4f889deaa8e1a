"""``start`` and ``executions``: the real commands against the embedded server."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sfini_celery.cli.errors import ExitCode

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Launch = Callable[..., "subprocess.Popen[str]"]

VALUE = {"order": 7, "name": "Zoë", "none": None}


def started(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


@pytest.mark.parametrize(
    ("args", "stdin"),
    [
        (["--input", json.dumps(VALUE)], ""),
        (["-i", "@order.json"], ""),
        (["--input-file", "order.json"], ""),
        (["--input", "-"], json.dumps(VALUE)),
    ],
    ids=["argument", "@file", "file", "stdin"],
)
def test_input_comes_from_an_argument_a_file_or_stdin(
    registered: Run, project: Path, args: list[str], stdin: str
) -> None:
    (project / "order.json").write_text(json.dumps(VALUE, ensure_ascii=False), encoding="utf-8")
    done = registered("start", "echo", *args, "--wait", input=stdin)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == VALUE


@pytest.mark.parametrize(("args", "value"), [([], {}), (["--input", "null"], None), (["--input", "[]"], [])])
def test_no_input_is_an_empty_object_and_null_stays_null(registered: Run, args: list[str], value: object) -> None:
    assert json.loads(registered("start", "echo", *args, "--wait").stdout) == value


def test_start_answers_at_once_with_name_and_arn(registered: Run) -> None:
    name, arn = registered("start", "waiting").stdout.split()
    assert arn == f"arn:aws:states:us-east-1:123456789012:execution:waiting:{name}"
    told = json.loads(registered("start", "waiting", "--name", "mine", "--json").stdout)
    assert told["name"] == "mine"
    again = json.loads(registered("start", "waiting", "--name", "mine", "--json").stdout)
    assert again == told


def test_a_state_machine_can_be_started_by_its_arn_without_an_app(
    registered: Run, run: Run, aws: dict[str, str]
) -> None:
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:greeting"
    done = run("sfini-celery", "start", arn, "--wait", env=aws)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"say": "hello"}), done.stderr


def test_waiting_for_an_execution_that_fails_is_its_own_exit_code_and_shows_why(registered: Run) -> None:
    done = registered("start", "failing", "--wait", "--name", "bad")
    assert (done.returncode, done.stdout) == (ExitCode.EXECUTION, "")
    assert done.stderr.splitlines() == ["bad started", "Error: execution 'bad' FAILED: Broken: because \\x1b[31m"]


def test_waiting_for_json_prints_the_document_of_a_failure_as_well(registered: Run) -> None:
    done = registered("start", "failing", "--wait", "--json")
    assert done.returncode == ExitCode.EXECUTION
    told = json.loads(done.stdout)
    assert (told["status"], told["error"]) == ("FAILED", "Broken")


def test_waiting_too_long_is_its_own_exit_code_and_the_execution_goes_on(registered: Run) -> None:
    done = registered("start", "waiting", "--wait", "--timeout", "0.2", "--name", "slow")
    assert done.returncode == ExitCode.TIMEOUT
    assert "'slow'" in done.stderr
    assert "still RUNNING" in done.stderr
    assert json.loads(registered("executions", "show", "slow", "--workflow", "waiting", "--json").stdout)["status"] == (
        "RUNNING"
    )


def test_ctrl_c_ends_the_waiting_in_one_line_and_not_the_execution(
    registered: Run, launch: Launch, aws: dict[str, str]
) -> None:
    waiting = launch("sfini-celery", "-A", "proj", "start", "waiting", "--wait", "--name", "on", env=aws)
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == "on started\n"
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, err) == (ExitCode.INTERRUPTED, "Interrupted.\n")
    shown = registered("executions", "show", "on", "--workflow", "waiting", "--json")
    assert json.loads(shown.stdout)["status"] == "RUNNING"


def test_list_shows_the_newest_first_and_filters(registered: Run) -> None:
    names = [started(registered("start", "echo", "--name", f"echo_{n}")) for n in range(3)]
    started(registered("start", "waiting", "--name", "waiting_1"))
    listed = json.loads(registered("executions", "list", "--json").stdout)
    assert [item["name"] for item in listed] == ["waiting_1", *reversed(names)]
    assert [item["name"] for item in json.loads(registered("executions", "list", "echo", "--json").stdout)] == [
        *reversed(names)
    ]
    running = registered("executions", "list", "--status", "running")
    assert [line.split()[:3] for line in running.stdout.splitlines()[1:]] == [["waiting_1", "waiting", "RUNNING"]]
    assert len(registered("executions", "list", "--limit", "2").stdout.splitlines()) == 3
    assert registered("executions", "list", "failing").stdout == "no executions\n"


def test_show_finds_an_execution_by_its_name_alone_where_the_name_tells_the_workflow(registered: Run) -> None:
    name = started(registered("start", "echo", "--input", '{"x": "\\u001b[31m"}'))
    shown = registered("executions", "show", name)
    assert shown.returncode == 0, shown.stderr
    assert "SUCCEEDED" in shown.stdout
    assert "as it came" in shown.stdout
    assert "\x1b" not in shown.stdout


def test_a_name_that_does_not_tell_its_workflow_asks_for_it(registered: Run) -> None:
    started(registered("start", "echo", "--name", "anything"))
    done = registered("executions", "show", "anything")
    assert done.returncode == ExitCode.USAGE
    assert "--workflow" in done.stderr
    assert registered("executions", "show", "anything", "--workflow", "echo").returncode == 0


def test_an_execution_that_does_not_exist_is_refused(registered: Run) -> None:
    done = registered("executions", "show", "echo_none")
    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.REFUSED, 1)


def test_history_is_states_events_or_json_lines(registered: Run) -> None:
    name = started(registered("start", "echo"))
    states = registered("executions", "history", name).stdout.splitlines()
    assert states[0].split()[:3] == ["state", "type", "status"]
    assert "as it came" in states[1]
    events = registered("executions", "history", name, "--events").stdout
    assert "PassStateEntered [2]" in events
    lines = [json.loads(line) for line in registered("executions", "history", name, "--json").stdout.splitlines()]
    assert [line["type"] for line in lines] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]


def test_stop_ends_a_running_execution_and_says_when_there_was_nothing_to_stop(registered: Run) -> None:
    name = started(registered("start", "waiting"))
    assert registered("executions", "stop", name, "--error", "Enough", "--cause", "why").stdout == f"{name} stopped\n"
    told = json.loads(registered("executions", "show", name, "--json").stdout)
    assert (told["status"], told["error"], told["cause"]) == ("ABORTED", "Enough", "why")
    assert registered("executions", "stop", name).stdout == f"{name} had ended: ABORTED\n"
