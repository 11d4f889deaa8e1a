"""What an operator does, over real sockets through boto3: aliases, Map runs, redrives."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"never happened: {what}")


def ended(sfn: Any, execution: str) -> Any:
    def is_over() -> Any:
        described = sfn.describe_execution(executionArn=execution)
        return described if described["status"] != "RUNNING" else None

    return until(is_over, "the execution ended")


def mapping(activity: str, **fields: Any) -> dict[str, Any]:
    task = {"Type": "Task", "Resource": activity, "End": True}
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    processor = {"ProcessorConfig": config, "StartAt": "T", "States": {"T": task}}
    return {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}


def test_a_map_run_is_followed_and_redriven_through_boto3(sfn: Any, register: Any) -> None:
    activity = sfn.create_activity(name="work")["activityArn"]
    machine = register(mapping(activity, MaxConcurrency=3, ToleratedFailurePercentage=0.5, Label="each"))
    execution = sfn.start_execution(stateMachineArn=machine, input='["a", "b", "c"]')["executionArn"]
    tasks = [sfn.get_activity_task(activityArn=activity) for _ in range(3)]
    sfn.send_task_success(taskToken=tasks[0]["taskToken"], output='"A"')
    (run,) = sfn.get_paginator("list_map_runs").paginate(executionArn=execution).build_full_result()["mapRuns"]

    def is_counted() -> bool:
        shown = sfn.describe_map_run(mapRunArn=run["mapRunArn"])
        assert (shown["maxConcurrency"], shown["toleratedFailurePercentage"]) == (3, 0.5)
        return bool(shown["itemCounts"]["succeeded"] == 1 and shown["executionCounts"]["running"] == 2)

    until(is_counted, "the first child succeeded")
    sfn.send_task_failure(taskToken=tasks[1]["taskToken"], error="Bad")
    failed = ended(sfn, execution)
    assert (failed["status"], failed["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=tasks[2]["taskToken"], output="1")
    redriven = sfn.redrive_execution(executionArn=execution)["redriveDate"]
    assert timedelta() <= redriven - failed["stopDate"] < timedelta(seconds=20)
    for _ in range(2):
        task = sfn.get_activity_task(activityArn=activity)
        sfn.send_task_success(taskToken=task["taskToken"], output=task["input"].upper())
    described = ended(sfn, execution)
    assert (described["output"], described["redriveCount"]) == ('["A","B","C"]', 1)
    children = sfn.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"]).build_full_result()
    assert sorted(child["redriveCount"] for child in children["executions"]) == [0, 1, 1]
    with pytest.raises(ClientError, match="ValidationException"):
        sfn.update_map_run(mapRunArn=run["mapRunArn"], maxConcurrency=1)


def test_an_alias_moves_from_version_to_version_through_boto3(sfn: Any, register: Any) -> None:
    machine = register({"Type": "Pass", "Result": 1, "End": True})
    first = sfn.publish_state_machine_version(stateMachineArn=machine)["stateMachineVersionArn"]
    routes = [{"stateMachineVersionArn": first, "weight": 100}]
    alias = sfn.create_state_machine_alias(name="live", routingConfiguration=routes)["stateMachineAliasArn"]
    execution = sfn.start_execution(stateMachineArn=alias)["executionArn"]
    assert ended(sfn, execution)["stateMachineAliasArn"] == alias
    with pytest.raises(sfn.exceptions.ConflictException, match="referenced by an alias"):
        sfn.delete_state_machine_version(stateMachineVersionArn=first)
    shown = sfn.describe_state_machine_alias(stateMachineAliasArn=alias)
    assert shown["routingConfiguration"] == routes
    sfn.update_state_machine_alias(stateMachineAliasArn=alias, description="d")
    assert len(sfn.list_state_machine_aliases(stateMachineArn=machine)["stateMachineAliases"]) == 1
    sfn.delete_state_machine_alias(stateMachineAliasArn=alias)
    with pytest.raises(sfn.exceptions.ResourceNotFound):
        sfn.describe_state_machine_alias(stateMachineAliasArn=alias)


def test_what_cannot_be_redriven_is_refused_with_awss_own_error(sfn: Any, register: Any) -> None:
    machine = register({"Type": "Succeed"})
    execution = sfn.start_execution(stateMachineArn=machine)["executionArn"]
    ended(sfn, execution)
    with pytest.raises(sfn.exceptions.ExecutionNotRedrivable, match="SUCCEEDED and cannot be redriven"):
        sfn.redrive_execution(executionArn=execution)
