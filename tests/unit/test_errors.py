"""The one error tree."""

from __future__ import annotations

import inspect
import pickle

import pytest

from sfini_celery import errors


def test_every_error_of_the_module_is_in_the_tree_and_drawn_in_its_docstring() -> None:
    for name, value in vars(errors).items():
        if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == errors.__name__:
            assert issubclass(value, errors.SfiniError), name
            assert name in (errors.__doc__ or ""), f"{name} is missing from the drawing"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("TaskTimedOut", errors.TokenClosed),
        ("ThrottlingException", errors.Throttled),
        ("ActivityDoesNotExist", errors.NotFound),
        ("StateMachineAlreadyExists", errors.AlreadyExists),
        ("ExpiredTokenException", errors.AccessDenied),
        ("ActivityWorkerLimitExceeded", errors.LimitExceeded),
        ("SomethingNew", errors.ServiceError),
    ],
)
def test_an_error_code_of_aws_becomes_the_class_that_says_what_to_do(code: str, kind: type) -> None:
    error = errors.service_error("GetActivityTask", code, "why", 400)
    assert type(error) is kind
    assert (error.operation, error.code, error.detail, error.status) == ("GetActivityTask", code, "why", 400)


@pytest.mark.parametrize(
    "error",
    [
        errors.service_error("StartExecution", "InvalidArn", "why", 400),
        errors.ExecutionFailed("arn:aws:states:eu-west-1:1:execution:m:name", "FAILED", "ValueError", "why"),
    ],
)
def test_errors_survive_pickling_since_celery_results_pickle_them(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)


def test_an_unknown_task_is_told_with_the_nearest_name() -> None:
    assert "did you mean 'proj.add'" in str(errors.ActivityNotFound("proj.ad", ["proj.add", "other"]))
