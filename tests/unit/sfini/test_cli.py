from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sfini_celery as sfini
from sfini_celery.errors import (
    ConfigurationError,
    ExecutionFailed,
    NoRegion,
    SfiniError,
    Unreachable,
    service_error,
)
from sfini_celery.sfini import CLI, ExitCode


class Execution:
    name = "greeting_now"
    failure: BaseException | None = None

    def __init__(self, execution_input: Any) -> None:
        self.execution_input = execution_input

    def __str__(self) -> str:
        return f"{self.name} [SUCCEEDED]"

    def wait(self, *, raise_on_failure: bool) -> None:
        assert raise_on_failure
        if self.failure is not None:
            raise self.failure

    @property
    def output(self) -> Any:
        return {"was": self.execution_input}

    def format_history(self) -> str:
        return "ExecutionStarted [1]"


class Machine(sfini.StateMachine):
    def start_execution(self, execution_input: Any = None, *, name: str | None = None) -> Any:
        return Execution(execution_input)

    def list_executions(self, status: str | None = None) -> Any:
        return [Execution(status)]


@pytest.fixture(autouse=True)
def _quiet_again() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture
def machine(session: Any) -> Machine:
    machine = Machine("greeting", session=session)
    machine.start_at(machine.pass_("greet"))
    return machine


@pytest.fixture
def activities(session: Any) -> sfini.ActivityRegistration:
    activities = sfini.ActivityRegistration(prefix="test", session=session)
    activities.activity("double")(lambda data: data * 2)
    activities.add_activity(sfini.Activity("testServedElsewhere", session=session))
    return activities


@pytest.fixture
def cli(machine: Machine, activities: sfini.ActivityRegistration) -> CLI:
    return CLI(machine, activities, "arn:aws:iam::123456789012:role/mine", version="1.0", prog="greet")


def refused(cli: CLI, *args: str) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.parse_args([*args])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_activities_are_there_before_the_machine_that_uses_them_and_gone_after_it(cli: CLI, control: Any) -> None:
    cli.parse_args(["register"])
    assert [call.split()[:2] for call in control.calls] == [["create", "activity"]] * 2 + [["create", "machine"]]
    (machine,) = control.machines.values()
    assert machine["roleArn"] == "arn:aws:iam::123456789012:role/mine"
    control.calls.clear()
    cli.parse_args(["deregister"])
    assert [call.split()[:2] for call in control.calls] == [["delete", "machine"]] + [["delete", "activity"]] * 2


@pytest.mark.parametrize(("option", "kind"), [("-s", "machine"), ("-a", "activity")])
def test_one_half_can_be_registered_and_deregistered_alone(cli: CLI, control: Any, option: str, kind: str) -> None:
    cli.parse_args(["register", option])
    cli.parse_args(["deregister", option])
    assert {call.split()[1] for call in control.calls} == {kind}
    assert refused(cli, "register", "-s", "-a") == ExitCode.USAGE


def test_what_was_not_given_is_neither_registered_nor_offered(
    machine: Machine, activities: Any, control: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    CLI(activities=activities).parse_args(["register"])
    assert control.machines == {}
    CLI(machine).parse_args(["register", "--allow-update"])
    assert control.machines
    assert refused(CLI(activities=activities), "start", "-") == ExitCode.USAGE
    assert refused(CLI(machine), "worker", "testdouble") == ExitCode.USAGE
    assert "invalid choice" in capsys.readouterr().err
    with pytest.raises(ConfigurationError):
        CLI()


def test_an_execution_is_started_with_a_files_or_stdins_json(
    cli: CLI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "input.json"
    path.write_text('{"ä": 1}', encoding="utf-8")
    cli.parse_args(["start", "-w", str(path)])
    assert json.loads(capsys.readouterr().out) == {"was": {"ä": 1}}
    monkeypatch.setattr("sys.stdin", io.StringIO("[2]"))
    cli.parse_args(["start", "-"])
    assert capsys.readouterr().out == "greeting_now\n"
    path.write_text("{", encoding="utf-8")
    assert refused(cli, "start", str(path)) == ExitCode.CONFIGURATION
    assert "is not JSON" in capsys.readouterr().err
    assert refused(cli, "start", str(tmp_path / "none")) == ExitCode.CONFIGURATION
    assert "cannot read" in capsys.readouterr().err


def test_executions_are_listed_with_their_histories(cli: CLI, capsys: pytest.CaptureFixture[str]) -> None:
    cli.parse_args(["executions", "-s", "FAILED"])
    assert capsys.readouterr().out == "\nExecution 'greeting_now [SUCCEEDED]':\nExecutionStarted [1]\n"
    assert refused(cli, "executions", "-s", "LOST") == ExitCode.USAGE


def test_only_activities_with_a_function_can_be_worked_on(cli: CLI, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(cli, "worker", "testServedElsewhere") == ExitCode.USAGE
    assert "testdouble" in capsys.readouterr().err


def test_version_and_help_are_there(cli: CLI, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(cli, "--version") == 0
    assert capsys.readouterr().out == "1.0\n"
    assert refused(cli, "--help") == 0
    shown = capsys.readouterr().out
    assert "Control 'greeting' (1 states) and 'test' activities" in shown
    assert refused(cli) == ExitCode.USAGE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ExecutionFailed("arn:aws:states:eu-west-1:1:execution:greeting:one", "FAILED", "E", "a\nb"), 1),
        (NoRegion(), 3),
        (service_error("StartExecution", "AccessDeniedException", "no\x1b[31m"), 4),
        (Unreachable("StartExecution", "http://127.0.0.1:1", "refused"), 5),
        (SfiniError("anything"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    cli: CLI,
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    path = tmp_path / "input.json"
    path.write_text("1", encoding="utf-8")
    monkeypatch.setattr(Execution, "failure", error)
    assert refused(cli, "start", "-w", str(path)) == code == ExitCode(code)
    err = capsys.readouterr().err
    assert err.startswith("greet: ")
    assert err.count("\n") == 1
    assert "\x1b" not in err
