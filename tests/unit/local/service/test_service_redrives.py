"""Redriving over the API: who may be redriven, until when, and what is shown of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sfini_celery.local.service.retention import KEPT_SECONDS

DAY = 24 * 3600
FAIL = {"Type": "Fail", "Error": "E", "Cause": "c"}


async def task_machine(api: Any, **fields: Any) -> tuple[str, str]:
    activity = await api.activity()
    return await api.machine("tasks", {"Type": "Task", "Resource": activity, "End": True, **fields}), activity


async def failed(api: Any, machine: str, activity: str, **request: Any) -> str:
    """An execution whose only task has failed."""
    execution = (await api("StartExecution", stateMachineArn=machine, **request))["executionArn"]
    token = (await api("GetActivityTask", activityArn=activity))["taskToken"]
    await api("SendTaskFailure", taskToken=token, error="Bad")
    await api.settle()
    return str(execution)


def test_a_redriven_execution_keeps_its_name_and_shows_its_redrives(api: Any) -> None:
    async def main() -> None:
        machine, activity = await task_machine(api)
        execution = await failed(api, machine, activity, input="[7]")
        before = await api("DescribeExecution", executionArn=execution)
        assert (before["status"], before["redriveCount"], before["redriveStatus"]) == ("FAILED", 0, "REDRIVABLE")
        assert not {"redriveDate", "redriveStatusReason"} & set(before)
        await api.clock.advance(10)
        answer = await api("RedriveExecution", executionArn=execution)
        assert answer == {"redriveDate": before["stopDate"] + 10}
        running = await api("DescribeExecution", executionArn=execution)
        assert (running["status"], running["redriveCount"]) == ("RUNNING", 1)
        assert running["redriveDate"] == answer["redriveDate"]
        assert running["redriveStatusReason"] == "Execution is RUNNING and cannot be redriven"
        assert not {"stopDate", "error", "cause"} & set(running)
        task = await api("GetActivityTask", activityArn=activity)
        assert task["input"] == "[7]"
        await api("SendTaskSuccess", taskToken=task["taskToken"], output="1")
        await api.settle()
        ended = await api("DescribeExecution", executionArn=execution)
        assert (ended["status"], ended["output"], ended["redriveCount"]) == ("SUCCEEDED", "1", 1)
        assert ended["startDate"] == before["startDate"]
        (listed,) = (await api("ListExecutions", stateMachineArn=machine))["executions"]
        assert (listed["redriveCount"], listed["redriveDate"]) == (1, answer["redriveDate"])
        events = (await api("GetExecutionHistory", executionArn=execution))["events"]
        redriven = next(event for event in events if event["type"] == "ExecutionRedriven")
        assert redriven["executionRedrivenEventDetails"] == {"redriveCount": 1}

    asyncio.run(main())


def test_what_did_not_fail_is_not_redriven(api: Any) -> None:
    async def main() -> None:
        good = await api.machine("good", {"Type": "Succeed"})
        waiting = await api.machine("waiting")
        for machine, status in ((good, "SUCCEEDED"), (waiting, "RUNNING")):
            execution = (await api("StartExecution", stateMachineArn=machine))["executionArn"]
            await api.settle()
            error = await api.refused("RedriveExecution", executionArn=execution)
            reason = f"Execution is {status} and cannot be redriven"
            assert (error.code, error.message) == ("ExecutionNotRedrivable", reason)
            described = await api("DescribeExecution", executionArn=execution)
            assert (described["redriveStatus"], described["redriveStatusReason"]) == ("NOT_REDRIVABLE", reason)
        missing = f"{good.replace('stateMachine', 'execution')}:missing"
        assert (await api.refused("RedriveExecution", executionArn=missing)).code == "ExecutionDoesNotExist"

    asyncio.run(main())


@pytest.mark.parametrize("end", ["StopExecution", "TimeoutSeconds"])
def test_what_was_stopped_or_ran_out_of_time_can_be_redriven(api: Any, end: str) -> None:
    async def main() -> None:
        machine, activity = await task_machine(api, TimeoutSeconds=100)
        execution = (await api("StartExecution", stateMachineArn=machine))["executionArn"]
        token = (await api("GetActivityTask", activityArn=activity))["taskToken"]
        if end == "StopExecution":
            await api("StopExecution", executionArn=execution)
        else:
            await api.clock.advance(100)
        await api("RedriveExecution", executionArn=execution)
        assert (await api.refused("SendTaskSuccess", taskToken=token, output="1")).code == "TaskTimedOut"
        token = (await api("GetActivityTask", activityArn=activity))["taskToken"]
        await api("SendTaskSuccess", taskToken=token, output="1")
        await api.settle()
        assert (await api("DescribeExecution", executionArn=execution))["status"] == "SUCCEEDED"

    asyncio.run(main())


def test_a_redrive_runs_the_definition_that_the_execution_ran_with(api: Any) -> None:
    async def main() -> None:
        machine, activity = await task_machine(api)
        execution = await failed(api, machine, activity)
        await api("UpdateStateMachine", stateMachineArn=machine, definition=api.definition({"Type": "Succeed"}))
        await api("RedriveExecution", executionArn=execution)
        await api.settle()
        assert (await api("DescribeExecution", executionArn=execution))["status"] == "RUNNING"
        assert (await api("GetActivityTask", activityArn=activity))["taskToken"]

    asyncio.run(main())


def test_a_redrive_is_idempotent_by_its_token_for_a_quarter_of_an_hour(api: Any) -> None:
    async def main() -> None:
        machine = await api.machine(state=FAIL)
        execution = (await api("StartExecution", stateMachineArn=machine))["executionArn"]
        await api.settle()

        async def redrives() -> int:
            await api.settle()
            return int((await api("DescribeExecution", executionArn=execution))["redriveCount"])

        first = await api("RedriveExecution", executionArn=execution, clientToken="t")
        await api.clock.advance(14 * 60)
        assert await api("RedriveExecution", executionArn=execution, clientToken="t") == first
        assert await redrives() == 1
        await api("RedriveExecution", executionArn=execution, clientToken="u")
        assert await redrives() == 2
        await api.clock.advance(60)
        again = await api("RedriveExecution", executionArn=execution, clientToken="t")
        assert again["redriveDate"] == first["redriveDate"] + 15 * 60
        assert await redrives() == 3
        for number in range(10):
            await api("RedriveExecution", executionArn=execution, clientToken=f"n{number}")
            await api.settle()
        await api("RedriveExecution", executionArn=execution, clientToken="n0")
        assert await redrives() == 13
        await api("RedriveExecution", executionArn=execution, clientToken="t")
        assert await redrives() == 14

    asyncio.run(main())


def test_an_execution_is_redrivable_for_two_weeks(api: Any) -> None:
    async def main() -> None:
        machine = await api.machine(state=FAIL)
        execution = (await api("StartExecution", stateMachineArn=machine))["executionArn"]
        await api.clock.advance(14 * DAY)
        await api("RedriveExecution", executionArn=execution)
        await api.clock.advance(14 * DAY)
        assert (await api("DescribeExecution", executionArn=execution))["redriveStatus"] == "REDRIVABLE"
        await api.clock.advance(1)
        error = await api.refused("RedriveExecution", executionArn=execution)
        assert (error.code, error.message) == ("ExecutionNotRedrivable", "Execution redrivable period exceeded")

    asyncio.run(main())


def test_an_execution_a_year_old_is_not_redriven(api: Any) -> None:
    async def main() -> None:
        machine = await api.machine(state={"Type": "Wait", "Seconds": 366 * DAY, "End": True})
        execution = (await api("StartExecution", stateMachineArn=machine))["executionArn"]
        await api.clock.advance(365 * DAY + 1)
        await api("StopExecution", executionArn=execution)
        error = await api.refused("RedriveExecution", executionArn=execution)
        assert error.message == "Execution has exceeded the max execution time"

    asyncio.run(main())


def test_a_full_history_leaves_no_room_for_a_redrive(api: Any) -> None:
    async def main() -> None:
        machine = await api.machine(state=FAIL)
        execution = (await api("StartExecution", stateMachineArn=machine))["executionArn"]
        await api.settle()
        history = api.engine.executions[execution].history
        while len(history) < 24_998:
            history.add("PassStateEntered", api.clock.now(), 1, "S")
        assert (await api("DescribeExecution", executionArn=execution))["redriveStatus"] == "REDRIVABLE"
        history.add("PassStateEntered", api.clock.now(), 1, "S")
        error = await api.refused("RedriveExecution", executionArn=execution)
        assert (error.code, error.message) == ("ExecutionNotRedrivable", "Execution history event limit exceeded")

    asyncio.run(main())


def test_executions_of_a_machine_that_is_gone_are_not_redriven(api: Any) -> None:
    async def main() -> None:
        machine, activity = await task_machine(api)
        execution = await failed(api, machine, activity)
        await api("DeleteStateMachine", stateMachineArn=machine)
        for _ in range(2):
            error = await api.refused("RedriveExecution", executionArn=execution)
            assert (error.code, error.message) == ("ExecutionNotRedrivable", "State machine is in DELETING status")
            assert await task_machine(api) == (machine, activity)  # of the same name, but another

    asyncio.run(main())


def test_executions_are_listed_by_whether_they_were_redriven(api: Any) -> None:
    async def main() -> None:
        machine = await api.machine(state=FAIL)
        for name in ("a", "b", "c"):
            await api("StartExecution", stateMachineArn=machine, name=name)
        await api.settle()
        await api("RedriveExecution", executionArn=f"{machine.replace('stateMachine', 'execution')}:b")
        await api.settle()

        async def names(**request: Any) -> list[str]:
            listed = (await api("ListExecutions", stateMachineArn=machine, **request))["executions"]
            return [execution["name"] for execution in listed]

        assert await names(redriveFilter="REDRIVEN") == ["b"]
        assert await names(redriveFilter="NOT_REDRIVEN", statusFilter="FAILED") == ["c", "a"]
        assert await names() == ["c", "b", "a"]

    asyncio.run(main())


def test_a_nested_execution_shows_its_redrives_to_its_parent(api: Any) -> None:
    async def main() -> None:
        child, activity = await task_machine(api)
        resource = "arn:aws:states:::states:startExecution.sync:2"
        state = {"Type": "Task", "Resource": resource, "Parameters": {"StateMachineArn": child}, "End": True}
        parent = await api.machine("parent", state)
        execution = (await api("StartExecution", stateMachineArn=parent))["executionArn"]
        token = (await api("GetActivityTask", activityArn=activity))["taskToken"]
        await api("SendTaskFailure", taskToken=token)
        await api.settle()
        await api("RedriveExecution", executionArn=execution)
        token = (await api("GetActivityTask", activityArn=activity))["taskToken"]
        await api("SendTaskSuccess", taskToken=token, output="1")
        await api.settle()
        assert (await api("DescribeExecution", executionArn=execution))["status"] == "SUCCEEDED"
        listed = (await api("ListExecutions", stateMachineArn=child))["executions"]
        assert [one["status"] for one in listed] == ["SUCCEEDED", "FAILED"]

    asyncio.run(main())


def test_executions_are_forgotten_ninety_days_after_their_end(api: Any) -> None:
    async def main() -> None:
        machine = await api.machine(state=FAIL)
        old = (await api("StartExecution", stateMachineArn=machine, name="n"))["executionArn"]
        await api.clock.advance(KEPT_SECONDS)
        assert (await api("DescribeExecution", executionArn=old))["status"] == "FAILED"
        await api.clock.advance(1)
        assert (await api.refused("DescribeExecution", executionArn=old)).code == "ExecutionDoesNotExist"
        await api("StartExecution", stateMachineArn=machine, name="n")
        assert len((await api("ListExecutions", stateMachineArn=machine))["executions"]) == 1
        assert len(api.engine.executions) == 1

    asyncio.run(main())
