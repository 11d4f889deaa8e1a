"""Error names, timestamps, and the value for what is not given."""

from __future__ import annotations

from typing import Any

import pytest

from sfini_celery.asl import MISSING, RESERVED_ERRORS, error_names
from sfini_celery.asl.fields import is_timestamp
from sfini_celery.errors import DefinitionError, Ending, WrongType


class Custom(Exception):
    """A task's own."""


class Timeout(Exception):
    """Of the same name as AWS's."""


@pytest.mark.parametrize(
    ("errors", "names"),
    [
        ("*", ["States.ALL"]),
        ("ALL", ["States.ALL"]),
        ("States.ALL", ["States.ALL"]),
        ("Timeout", ["States.Timeout"]),
        ("TaskFailed", ["States.TaskFailed"]),
        ("Permissions", ["States.Permissions"]),
        ("HeartbeatTimeout", ["States.HeartbeatTimeout"]),
        ("MyError", ["MyError"]),
        ("States.Http.StatusCode.429", ["States.Http.StatusCode.429"]),
        (Custom, ["Custom"]),
        (Timeout, ["Timeout"]),
        ([Custom, "Timeout", "Custom"], ["Custom", "States.Timeout"]),
        ((KeyError, ValueError), ["KeyError", "ValueError"]),
        (Ending.WORKER_LOST, ["sfini.WorkerLost"]),
    ],
)
def test_error_names(errors: Any, names: list[str]) -> None:
    assert error_names(errors) == tuple(names)
    assert all(type(name) is str for name in error_names(errors))


@pytest.mark.parametrize("name", sorted(RESERVED_ERRORS))
def test_every_reserved_name_may_be_given_without_its_prefix(name: str) -> None:
    assert error_names(name.removeprefix("States.")) == error_names(name) == (name,)


@pytest.mark.parametrize(
    ("errors", "error", "message"),
    [
        ([], DefinitionError, "at least one error"),
        (["ALL", "Timeout"], DefinitionError, "cannot be combined"),
        ("States.Tiemout", DefinitionError, "there is no error 'States.Tiemout'"),
        ("", DefinitionError, "there is no error ''"),
        ([3], WrongType, "not 3"),
        (int, WrongType, "exception class"),
    ],
)
def test_names_that_no_error_can_have_are_refused(errors: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        error_names(errors)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("2030-01-31T12:00:00Z", True),
        ("2030-01-31T12:00:00.123456789Z", True),
        ("2030-01-31T12:00:00+05:30", True),
        ("2016-12-31T23:59:60Z", True),
        ("2030-02-30T12:00:00Z", False),
        ("2030-01-31T25:00:00Z", False),
        ("2030-01-31T12:60:00Z", False),
        ("2030-01-31T12:00:00", False),
        ("2030-01-31 12:00:00Z", False),
        ("2030-01-31t12:00:00z", False),
        ("2030-01-31T12:00Z", False),
        ("2030-01-31", False),
        ("2030-01-31T12:00:00+25:00", False),
        ("\u0662030-01-31T12:00:00Z", False),
        ("", False),
        (None, False),
    ],
)
def test_is_timestamp(text: Any, valid: bool) -> None:
    assert is_timestamp(text) is valid


def test_what_is_not_given_is_false_and_says_so() -> None:
    assert not MISSING
    assert repr(MISSING) == "<not given>"
