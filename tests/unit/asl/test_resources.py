"""Resources of tasks as plain values."""

from __future__ import annotations

from typing import Any

import pytest

from sfini_celery.asl import Lambda, Task, activity_arn, service
from sfini_celery.errors import DefinitionError


@pytest.mark.parametrize(
    ("given", "arn"),
    [
        ({}, "arn:aws:lambda:eu-west-1:123456789012:function:resize"),
        ({"version": "3"}, "arn:aws:lambda:eu-west-1:123456789012:function:resize:3"),
        ({"partition": "aws-cn"}, "arn:aws-cn:lambda:eu-west-1:123456789012:function:resize"),
    ],
)
def test_arn_of_a_lambda_function(given: dict[str, Any], arn: str) -> None:
    function = Lambda("resize", account="123456789012", region="eu-west-1", **given)
    assert function.arn == arn
    assert Task("task", function).to_dict()["Resource"] == arn


def test_arn_of_an_activity() -> None:
    arn = activity_arn("add", account="123456789012", region="eu-west-1")
    assert arn == "arn:aws:states:eu-west-1:123456789012:activity:add"


@pytest.mark.parametrize(
    ("given", "arn"),
    [
        ({}, "arn:aws:states:::lambda:invoke"),
        ({"wait_for_token": True}, "arn:aws:states:::lambda:invoke.waitForTaskToken"),
        ({"sync": True}, "arn:aws:states:::lambda:invoke.sync"),
        ({"sync": 2}, "arn:aws:states:::lambda:invoke.sync:2"),
        ({"partition": "aws-us-gov"}, "arn:aws-us-gov:states:::lambda:invoke"),
    ],
)
def test_arn_of_a_service_call(given: dict[str, Any], arn: str) -> None:
    assert service("lambda", "invoke", **given) == arn


def test_a_service_call_cannot_wait_for_two_things() -> None:
    with pytest.raises(DefinitionError, match="not for both"):
        service("sqs", "sendMessage", wait_for_token=True, sync=True)
