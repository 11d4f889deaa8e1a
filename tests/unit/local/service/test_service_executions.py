"""Executions, activities and tasks over the API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

SUCCEED = {"Type": "Succeed"}


async def task_machine(api: Any, **fields: Any) -> tuple[str, str]:
    activity = await api.activity()
    state = {"Type": "Task", "Resource": activity, "End": True, **fields}
    return await api.machine("tasks", state), activity


def test_an_execution_is_named_when_the_caller_names_none(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        first = await api("StartExecution", stateMachineArn=arn)
        second = await api("StartExecution", stateMachineArn=arn)
        assert first["executionArn"] != second["executionArn"]
        described = await api("DescribeExecution", executionArn=first["executionArn"])
        assert described["input"] == "{}"
        assert described["executionArn"].endswith(f":execution:machine:{described['name']}")

    asyncio.run(main())


def test_a_name_is_idempotent_while_it_runs_with_the_same_input(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        request = {"stateMachineArn": arn, "name": "n", "input": '{"a": 1}'}
        first = await api("StartExecution", **request)
        await api.clock.advance(10)
        assert await api("StartExecution", **request) == first
        error = await api.refused("StartExecution", **{**request, "input": '{"a": 2}'})
        assert error.code == "ExecutionAlreadyExists"
        await api.clock.advance(60)
        error = await api.refused("StartExecution", **request)
        assert error.message == f"Execution Already Exists: '{first['executionArn']}'"
        assert len((await api("ListExecutions", stateMachineArn=arn))["executions"]) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"input": "nonsense"}, "InvalidExecutionInput"),
        ({"input": ""}, "InvalidExecutionInput"),
        ({"input": "NaN"}, "InvalidExecutionInput"),
        ({"input": '"' + "ü" * 200_000 + '"'}, "InvalidExecutionInput"),
        ({"input": "x" * 262_145}, "ValidationException"),
        ({"name": "a b"}, "InvalidName"),
        ({"name": "x" * 81}, "ValidationException"),
        ({"input": 5}, "SerializationException"),
    ],
)
def test_a_start_that_aws_would_refuse_is_refused(api: Any, request_: Any, code: str) -> None:
    async def main() -> None:
        arn = await api.machine()
        assert (await api.refused("StartExecution", stateMachineArn=arn, **request_)).code == code
        assert api.engine.executions == {}

    asyncio.run(main())


def test_a_secret_input_is_not_repeated_by_the_error_that_refuses_it(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        error = await api.refused("StartExecution", stateMachineArn=arn, input="s3cret" * 50_000)
        assert "s3cret" not in error.message

    asyncio.run(main())


def test_executions_are_listed_newest_first_by_status_in_pages(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        for number in range(5):
            await api("StartExecution", stateMachineArn=arn, name=f"e{number}")
        stopped = f"{arn.replace('stateMachine', 'execution')}:e2"
        await api("StopExecution", executionArn=stopped)

        async def names(**request: Any) -> list[str]:
            found: list[str] = []
            while True:
                page = await api("ListExecutions", stateMachineArn=arn, maxResults=2, **request)
                assert len(page["executions"]) <= 2
                found += [execution["name"] for execution in page["executions"]]
                if "nextToken" not in page:
                    return found
                request["nextToken"] = page["nextToken"]

        assert await names() == ["e4", "e3", "e2", "e1", "e0"]
        assert await names(statusFilter="RUNNING") == ["e4", "e3", "e1", "e0"]
        assert await names(statusFilter="ABORTED") == ["e2"]
        token = (await api("ListExecutions", stateMachineArn=arn, maxResults=1))["nextToken"]
        mixed = await api.refused("ListExecutions", stateMachineArn=arn, statusFilter="RUNNING", nextToken=token)
        assert mixed.code == "InvalidToken"
        assert (await api.refused("ListExecutions")).code == "ValidationException"

    asyncio.run(main())


def test_executions_started_between_pages_neither_repeat_nor_hide_others(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        for number in range(4):
            await api("StartExecution", stateMachineArn=arn, name=f"e{number}")
        page = await api("ListExecutions", stateMachineArn=arn, maxResults=2)
        await api("StartExecution", stateMachineArn=arn, name="new")
        rest = await api("ListExecutions", stateMachineArn=arn, maxResults=2, nextToken=page["nextToken"])
        assert [execution["name"] for execution in rest["executions"]] == ["e1", "e0"]

    asyncio.run(main())


def test_histories_come_in_pages_both_ways_and_without_data_if_asked(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine(state=SUCCEED)
        execution = (await api("StartExecution", stateMachineArn=arn, input='{"a":  1}'))["executionArn"]
        await api.settle()

        async def events(**request: Any) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = []
            while True:
                page = await api("GetExecutionHistory", executionArn=execution, maxResults=3, **request)
                found += page["events"]
                if "nextToken" not in page:
                    return found
                request["nextToken"] = page["nextToken"]

        forward = await events()
        assert [event["id"] for event in forward] == [1, 2, 3, 4]
        assert await events(reverseOrder=True) == forward[::-1]
        assert forward[0]["executionStartedEventDetails"]["input"] == '{"a":  1}'
        bare = await events(includeExecutionData=False)
        assert [event["type"] for event in bare] == [event["type"] for event in forward]
        assert '"a"' not in str(bare)

    asyncio.run(main())


def test_a_running_execution_shows_its_events_so_far(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        execution = (await api("StartExecution", stateMachineArn=arn))["executionArn"]
        await api.settle()
        types = [event["type"] for event in (await api("GetExecutionHistory", executionArn=execution))["events"]]
        assert types == ["ExecutionStarted", "WaitStateEntered"]

    asyncio.run(main())


def test_a_description_shows_how_an_execution_ended(api: Any) -> None:
    async def main() -> None:
        good = await api.machine("good", SUCCEED)
        bad = await api.machine("bad", {"Type": "Fail", "Error": "E", "Cause": "c"})
        started = {
            name: (await api("StartExecution", stateMachineArn=arn, traceHeader="t"))["executionArn"]
            for name, arn in (("good", good), ("bad", bad))
        }
        await api.settle()
        described = await api("DescribeExecution", executionArn=started["good"])
        assert (described["status"], described["output"], described["traceHeader"]) == ("SUCCEEDED", "{}", "t")
        assert "error" not in described
        described = await api("DescribeExecution", executionArn=started["bad"])
        assert (described["status"], described["error"], described["cause"]) == ("FAILED", "E", "c")
        assert "output" not in described
        bare = await api("DescribeExecution", executionArn=started["bad"], includedData="METADATA_ONLY")
        assert not {"input", "error", "cause"} & set(bare)

    asyncio.run(main())


def test_stop_is_shown_with_its_reason_and_may_be_repeated(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine()
        execution = (await api("StartExecution", stateMachineArn=arn))["executionArn"]
        await api.clock.advance(5)
        first = await api("StopExecution", executionArn=execution, error="Enough", cause="said so")
        await api.clock.advance(5)
        assert await api("StopExecution", executionArn=execution, error="Other") == first
        described = await api("DescribeExecution", executionArn=execution)
        assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Enough", "said so")
        assert described["stopDate"] == 1_700_000_005.0

    asyncio.run(main())


def test_what_does_not_exist_is_named_by_the_error(api: Any) -> None:
    async def main() -> None:
        execution = "arn:aws:states:us-east-1:123456789012:execution:m:e"
        for operation in (
            "DescribeExecution",
            "StopExecution",
            "GetExecutionHistory",
            "DescribeStateMachineForExecution",
        ):
            error = await api.refused(operation, executionArn=execution)
            assert (error.code, error.message) == ("ExecutionDoesNotExist", f"Execution Does Not Exist: '{execution}'")
            assert (await api.refused(operation, executionArn="nonsense")).code == "InvalidArn"
        activity = "arn:aws:states:us-east-1:123456789012:activity:a"
        for operation in ("DescribeActivity", "GetActivityTask"):
            error = await api.refused(operation, activityArn=activity)
            assert (error.code, error.message) == ("ActivityDoesNotExist", f"Activity Does Not Exist: '{activity}'")
        await api("DeleteActivity", activityArn=activity)

    asyncio.run(main())


def test_a_task_travels_from_a_poll_to_the_output(api: Any) -> None:
    async def main() -> None:
        machine, activity = await task_machine(api, HeartbeatSeconds=10)
        poll = asyncio.create_task(api("GetActivityTask", activityArn=activity, workerName="w"))
        execution = (await api("StartExecution", stateMachineArn=machine, input="[1,  2]"))["executionArn"]
        task = await poll
        assert task["input"] == "[1,  2]"
        await api.clock.advance(9)
        await api("SendTaskHeartbeat", taskToken=task["taskToken"])
        await api.clock.advance(9)
        await api("SendTaskSuccess", taskToken=task["taskToken"], output="[3,  4]")
        await api.settle()
        assert (await api("DescribeExecution", executionArn=execution))["output"] == "[3,  4]"
        for operation, more in (
            ("SendTaskSuccess", {"output": "1"}),
            ("SendTaskFailure", {}),
            ("SendTaskHeartbeat", {}),
        ):
            error = await api.refused(operation, taskToken=task["taskToken"], **more)
            assert (error.code, error.message) == (
                "TaskTimedOut",
                "Task Timed Out: 'Provided task does not exist anymore'",
            )
            error = await api.refused(operation, taskToken="AQCnonsense", **more)
            assert (error.code, error.message) == ("InvalidToken", "Invalid Token: 'Invalid token'")

    asyncio.run(main())


def test_a_poll_without_a_task_answers_without_a_token_after_a_minute(api: Any) -> None:
    async def main() -> None:
        activity = await api.activity()
        poll = asyncio.create_task(api("GetActivityTask", activityArn=activity))
        await api.clock.advance(60)
        assert (await poll)["taskToken"] is None

    asyncio.run(main())


@pytest.mark.parametrize("output", ["nonsense", "", "NaN", "'a'", "{", '"' + "ü" * 140_000 + '"'])
def test_an_output_that_is_no_json_or_too_long_is_refused_and_the_task_goes_on(api: Any, output: str) -> None:
    async def main() -> None:
        machine, activity = await task_machine(api)
        await api("StartExecution", stateMachineArn=machine)
        token = (await api("GetActivityTask", activityArn=activity))["taskToken"]
        assert (await api.refused("SendTaskSuccess", taskToken=token, output=output)).code == "InvalidOutput"
        await api("SendTaskSuccess", taskToken=token, output="1")

    asyncio.run(main())


def test_error_and_cause_of_a_failure_are_held_to_their_lengths(api: Any) -> None:
    async def main() -> None:
        machine, activity = await task_machine(api)
        execution = (await api("StartExecution", stateMachineArn=machine))["executionArn"]
        token = (await api("GetActivityTask", activityArn=activity))["taskToken"]
        for wrong in ({"error": "e" * 257}, {"cause": "c" * 32_769}):
            assert (await api.refused("SendTaskFailure", taskToken=token, **wrong)).code == "ValidationException"
        await api("SendTaskFailure", taskToken=token, error="e" * 256, cause="c" * 32_768)
        await api.settle()
        assert len((await api("DescribeExecution", executionArn=execution))["cause"]) == 32_768

    asyncio.run(main())


def test_activities_are_created_once_and_listed_in_pages(api: Any) -> None:
    async def main() -> None:
        first = await api("CreateActivity", name="a0", tags=[{"key": "k", "value": "v"}])
        await api.clock.advance(5)
        assert await api("CreateActivity", name="a0") == first
        for number in range(1, 4):
            await api("CreateActivity", name=f"proj.tasks.a{number}")
        page = await api("ListActivities", maxResults=3)
        rest = await api("ListActivities", nextToken=page["nextToken"])
        listed = [activity["name"] for activity in (*page["activities"], *rest["activities"])]
        assert listed == ["a0", "proj.tasks.a1", "proj.tasks.a2", "proj.tasks.a3"]
        shown = await api("DescribeActivity", activityArn=first["activityArn"])
        assert shown == {**first, "name": "a0"}
        assert (await api.refused("CreateActivity", name="a b")).code == "InvalidName"
        await api("DeleteActivity", activityArn=first["activityArn"])
        assert (await api.refused("DescribeActivity", activityArn=first["activityArn"])).code == "ActivityDoesNotExist"

    asyncio.run(main())


@pytest.mark.parametrize("pattern", ["", ".sync", ".sync:2"])
def test_a_state_starts_another_machine(api: Any, pattern: str) -> None:
    async def main() -> None:
        child = await api.machine("child", {"Type": "Pass", "Result": {"r": 1}, "End": True})
        state = {
            "Type": "Task",
            "Resource": f"arn:aws:states:::states:startExecution{pattern}",
            "Parameters": {"StateMachineArn": child, "Input.$": "$", "Name": "kid"},
            "End": True,
        }
        parent = await api.machine("parent", state)
        execution = (await api("StartExecution", stateMachineArn=parent, input='{"a":1}'))["executionArn"]
        await api.settle()
        ended = api.engine.executions[execution]
        assert ended.status == "SUCCEEDED", ended.cause
        output = ended.output.value
        assert output["ExecutionArn"].endswith(":execution:child:kid")
        if pattern == ".sync":
            assert (output["Status"], output["Output"], output["Input"]) == ("SUCCEEDED", '{"r":1}', '{"a":1}')
        if pattern == ".sync:2":
            assert (output["Output"], output["Input"]) == ({"r": 1}, {"a": 1})
        types = [event.type for event in ended.history]
        assert ("TaskSubmitted" in types) == bool(pattern)

    asyncio.run(main())


def test_a_failed_child_fails_its_parent_with_all_about_it(api: Any) -> None:
    async def main() -> None:
        child = await api.machine("child", {"Type": "Fail", "Error": "Bad", "Cause": "why"})
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": child},
            "End": True,
        }
        parent = await api.machine("parent", state)
        execution = (await api("StartExecution", stateMachineArn=parent))["executionArn"]
        await api.settle()
        ended = api.engine.executions[execution]
        assert ended.error == "States.TaskFailed"
        assert '"Error":"Bad"' in ended.cause
        assert '"Status":"FAILED"' in ended.cause

    asyncio.run(main())


def test_a_child_is_stopped_with_its_parent(api: Any) -> None:
    async def main() -> None:
        child = await api.machine("child")
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync",
            "Parameters": {"StateMachineArn": child},
            "End": True,
        }
        parent = await api.machine("parent", state)
        execution = (await api("StartExecution", stateMachineArn=parent))["executionArn"]
        await api.settle()
        await api("StopExecution", executionArn=execution)
        await api.settle()
        listed = (await api("ListExecutions", stateMachineArn=child))["executions"]
        assert [one["status"] for one in listed] == ["ABORTED"]

    asyncio.run(main())


def test_a_missing_child_machine_fails_the_state_as_the_service_names_it(api: Any) -> None:
    async def main() -> None:
        missing = "arn:aws:states:us-east-1:123456789012:stateMachine:missing"
        state = {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution",
            "Parameters": {"StateMachineArn": missing},
            "End": True,
        }
        parent = await api.machine("parent", state)
        execution = (await api("StartExecution", stateMachineArn=parent))["executionArn"]
        await api.settle()
        ended = api.engine.executions[execution]
        assert ended.error == "StepFunctions.StateMachineDoesNotExistException"
        assert ended.cause.startswith(f"State Machine Does Not Exist: '{missing}' (Service: AWSStepFunctions;")

    asyncio.run(main())


@pytest.mark.parametrize("operation", ["Nonsense", "TestState", ""])
def test_an_operation_that_is_not_there_is_said_to_be_unknown(api: Any, operation: str) -> None:
    async def main() -> None:
        with pytest.raises(Exception, match="UnknownOperationException"):
            await api.service.call(operation, {})

    asyncio.run(main())


def test_what_the_server_cannot_do_yet_is_refused_by_name(api: Any) -> None:
    async def main() -> None:
        arn = await api.machine(state={"Type": "Fail"})
        assert (await api.refused("StartSyncExecution", stateMachineArn=arn)).code == "StateMachineTypeNotSupported"

    asyncio.run(main())
