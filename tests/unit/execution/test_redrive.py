"""A failed execution is redriven, and waited for afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from sfini_celery.aws import ControlPlane
from sfini_celery.errors import ExecutionFailed, ServiceError
from sfini_celery.execution import Execution, ExecutionResult
from sfini_celery.local import LocalServer

ARN = "arn:aws:states:us-east-1:123456789012:execution:m:e"


class Lagging:
    """AWS, whose descriptions know of a redrive only after a while."""

    def __init__(self, lag: int) -> None:
        self.lag, self.redriven = lag, False

    def describe_execution(self, arn: str) -> dict[str, Any]:
        if self.redriven and self.lag <= 0:
            return {"status": "RUNNING", "redriveCount": 1}
        self.lag -= self.redriven
        return {"status": "FAILED", "redriveCount": 0}

    def redrive_execution(self, arn: str) -> dict[str, Any]:
        self.redriven = True
        return {}


def execution(control: Any) -> Execution:
    return Execution("e", ARN.replace(":execution:", ":stateMachine:").rpartition(":")[0], arn=ARN, control=control)


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_the_old_end_is_not_taken_for_the_new_one_while_aws_lags_behind(lag: int) -> None:
    slept: list[float] = []
    redriven = execution(Lagging(lag)).redrive(sleep=slept.append)
    assert not redriven.has_ended
    assert len(slept) == lag + 1


def test_aws_that_never_shows_the_redrive_is_not_waited_for_without_end() -> None:
    slept: list[float] = []
    execution(Lagging(1000)).redrive(sleep=slept.append)
    assert sum(slept) < 10


@pytest.fixture(scope="module")
def control() -> Iterator[ControlPlane]:
    with LocalServer() as server:
        session = boto3.session.Session("local", "local", region_name="us-east-1")
        plane = ControlPlane(session=session, endpoint_url=server.url)
        yield plane
        plane.client.close()


def test_an_outcome_that_was_redriven_gives_the_new_result_where_it_gave_the_failure(control: ControlPlane) -> None:
    activity = control.create_activity("only")
    states = {"one": {"Type": "Task", "Resource": activity, "End": True}}
    definition = json.dumps({"StartAt": "one", "States": states})
    machine = control.create_state_machine("r", definition, "arn:aws:iam::123456789012:role/r")["stateMachineArn"]
    outcome = ExecutionResult(Execution("e", machine, {}, control=control).start())

    def token() -> str:
        return str(control.client.get_activity_task(activityArn=activity)["taskToken"])

    control.client.send_task_failure(taskToken=token(), error="Down", cause="for now")
    with pytest.raises(ExecutionFailed, match="Down"):
        outcome.get(timeout=10)
    assert outcome.redrive() is outcome
    assert (outcome.ready(), outcome.result) == (False, None)
    control.client.send_task_success(taskToken=token(), output="91")
    assert (outcome.get(timeout=10), outcome.state) == (91, "SUCCESS")


def test_what_succeeded_is_not_run_again_and_the_result_is_the_new_one(control: ControlPlane) -> None:
    activities = [control.create_activity(name) for name in ("first", "second")]
    states = {
        "one": {"Type": "Task", "Resource": activities[0], "Next": "two"},
        "two": {"Type": "Task", "Resource": activities[1], "End": True},
    }
    definition = json.dumps({"StartAt": "one", "States": states})
    machine = control.create_state_machine("m", definition, "arn:aws:iam::123456789012:role/r")["stateMachineArn"]
    run = Execution("e", machine, {}, control=control).start()

    def task(number: int) -> str:
        return str(control.client.get_activity_task(activityArn=activities[number])["taskToken"])

    control.client.send_task_success(taskToken=task(0), output="1")
    control.client.send_task_failure(taskToken=task(1), error="Down", cause="for now")
    assert run.wait(timeout=10) == "FAILED"
    assert run.redrive() is run
    control.client.send_task_success(taskToken=task(1), output='"done"')
    assert run.wait(timeout=10) == "SUCCEEDED"
    assert run.output == "done"
    assert [visit.name for visit in run.timeline()].count("one") == 1
    with pytest.raises(ServiceError, match="ExecutionNotRedrivable"):
        run.redrive()
