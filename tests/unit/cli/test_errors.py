from __future__ import annotations

import json

import click
import pytest

from sfini_celery import errors
from sfini_celery.cli.errors import ExitCode, code_for, explain, python_cause, reported

ARN = "arn:aws:states:us-east-1:123456789012:execution:orders:one"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ExecutionFailed(ARN, "FAILED", "ValueError", "x"), ExitCode.EXECUTION),
        (errors.ExecutionTimedOut(ARN, "TIMED_OUT"), ExitCode.EXECUTION),
        (errors.ExecutionAborted(ARN, "ABORTED"), ExitCode.EXECUTION),
        (errors.NoRegion(), ExitCode.CONFIGURATION),
        (errors.NoCredentials(), ExitCode.CONFIGURATION),
        (errors.UnknownSetting("sfn_pols", ["sfn_polls"]), ExitCode.CONFIGURATION),
        (errors.DefinitionError("bad"), ExitCode.CONFIGURATION),
        (errors.service_error("StartExecution", "StateMachineDoesNotExist"), ExitCode.REFUSED),
        (errors.service_error("StartExecution", "AccessDeniedException"), ExitCode.REFUSED),
        (errors.Unreachable("ListActivities", "http://127.0.0.1:1", "refused"), ExitCode.UNREACHABLE),
        (errors.WaitTimeout("waited 3 s"), ExitCode.TIMEOUT),
        (click.UsageError("no"), ExitCode.USAGE),
        (click.BadParameter("no"), ExitCode.USAGE),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (click.Abort(), ExitCode.INTERRUPTED),
        (ZeroDivisionError("x"), ExitCode.INTERNAL),
    ],
)
def test_every_kind_of_error_has_its_documented_exit_code(error: BaseException, code: ExitCode) -> None:
    assert explain(error)[0] is code


def _leaves(kind: type[BaseException]) -> list[type[BaseException]]:
    below = kind.__subclasses__()
    return [leaf for each in below for leaf in _leaves(each)] if below else [kind]


def test_no_error_of_the_tree_ends_as_a_bug() -> None:
    for kind in _leaves(errors.SfiniError):
        assert code_for(kind) is not ExitCode.INTERNAL, kind


def test_an_error_of_several_lines_is_printed_as_one() -> None:
    _, sentence = explain(
        errors.DefinitionError("the machine is wrong", ["$.States.a: no Next", "$.States.b: no Type"])
    )
    assert sentence == "Error: the machine is wrong; $.States.a: no Next; $.States.b: no Type"


def test_a_message_from_outside_cannot_steer_the_terminal() -> None:
    _, sentence = explain(errors.ExecutionFailed(ARN, "FAILED", "Boom", "\x1b[2Jgone\rover"))
    assert "\x1b" not in sentence
    assert "\r" not in sentence
    assert "gone" in sentence


def test_a_failed_task_shows_its_own_message_and_not_the_json_around_it() -> None:
    cause = json.dumps({"errorType": "ValueError", "errorMessage": "7 is odd", "stackTrace": ["..."]})
    _, sentence = explain(errors.ExecutionFailed(ARN, "FAILED", "ValueError", cause))
    assert sentence == "Error: execution 'one' FAILED: ValueError: 7 is odd"


@pytest.mark.parametrize("cause", ["plain words", "[1]", '{"errorMessage": 3}'])
def test_a_cause_that_is_not_the_workers_is_shown_as_it_is(cause: str) -> None:
    assert cause in explain(errors.ExecutionFailed(ARN, "FAILED", "Boom", cause))[1]


@pytest.mark.parametrize("trace", ["one\ntwo\n", ["one\n", "two\n"]])
def test_the_traceback_of_a_task_is_read_as_text_or_as_lines(trace: object) -> None:
    cause = json.dumps({"errorType": "ValueError", "errorMessage": "7 is odd", "stackTrace": trace})
    assert python_cause(cause) == ("7 is odd", "one\ntwo\n")
    assert python_cause(json.dumps({"errorMessage": "without one"})) == ("without one", "")


def test_an_error_is_one_line_on_stderr_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.exceptions.Exit) as ended, reported():
        raise errors.NoRegion
    assert ended.value.exit_code == ExitCode.CONFIGURATION
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: No AWS region")
    assert err.count("\n") == 1


def test_traceback_is_shown_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.exceptions.Exit), reported(show_traceback=True):
        raise errors.NoRegion
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("Error: No AWS region")
