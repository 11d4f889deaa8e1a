"""Map runs over the API: what is shown of a run and of its children."""

from __future__ import annotations

import asyncio
import json
from typing import Any


async def started(api: Any, items: str = "[1, 2, 3]", kind: str = "STANDARD", **fields: Any) -> tuple[str, str, str]:
    """An execution of a distributed Map of tasks; returns its ARN, its Map run's and its activity's."""
    activity = await api.activity()
    task = {"Type": "Task", "Resource": activity, "End": True}
    config = {"Mode": "DISTRIBUTED", "ExecutionType": kind}
    processor = {"ProcessorConfig": config, "StartAt": "T", "States": {"T": task}}
    state = {"Type": "Map", "ItemProcessor": processor, "Label": "each", "End": True, **fields}
    machine = await api.machine("m", state)
    execution = (await api("StartExecution", stateMachineArn=machine, input=items))["executionArn"]
    await api.settle()
    (run,) = (await api("ListMapRuns", executionArn=execution))["mapRuns"]
    return execution, run["mapRunArn"], activity


async def answer(api: Any, activity: str, *outputs: str | None) -> None:
    """Take a task for each output; None fails it."""
    for output in outputs:
        token = (await api("GetActivityTask", activityArn=activity))["taskToken"]
        if output is None:
            await api("SendTaskFailure", taskToken=token, error="Bad", cause="why")
        else:
            await api("SendTaskSuccess", taskToken=token, output=output)
    await api.settle()


async def children(api: Any, run: str, **request: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = await api("ListExecutions", mapRunArn=run, maxResults=2, **request)
        found += page["executions"]
        if "nextToken" not in page:
            return found
        request["nextToken"] = page["nextToken"]


def test_a_run_shows_its_limits_and_how_far_it_is(api: Any) -> None:
    async def main() -> None:
        fields = {"MaxConcurrency": 2, "ToleratedFailureCount": 1, "ToleratedFailurePercentage": 50}
        execution, run, activity = await started(api, **fields)
        await answer(api, activity, "1", None)
        shown = await api("DescribeMapRun", mapRunArn=run)
        assert (shown["executionArn"], shown["status"], shown["redriveCount"]) == (execution, "RUNNING", 0)
        assert (shown["maxConcurrency"], shown["toleratedFailureCount"]) == (2, 1)
        assert shown["toleratedFailurePercentage"] == 50.0
        counts = {"succeeded": 1, "failed": 1, "running": 1, "total": 3}
        for name in ("itemCounts", "executionCounts"):
            assert {key: count for key, count in shown[name].items() if count} == counts
        await api.clock.advance(5)
        await answer(api, activity, "3")
        ended = await api("DescribeMapRun", mapRunArn=run)
        assert (ended["status"], ended["stopDate"] - ended["startDate"]) == ("SUCCEEDED", 5)
        assert (await api("DescribeExecution", executionArn=execution))["output"] == "[1,3]"
        (listed,) = (await api("ListMapRuns", executionArn=execution))["mapRuns"]
        assert listed["stateMachineArn"].endswith(":stateMachine:m")
        assert listed["stopDate"] == ended["stopDate"]

    asyncio.run(main())


def test_a_run_without_limits_shows_the_defaults(api: Any) -> None:
    async def main() -> None:
        _, run, _ = await started(api)
        shown = await api("DescribeMapRun", mapRunArn=run)
        assert (shown["maxConcurrency"], shown["toleratedFailureCount"]) == (10_000, 0)
        assert shown["toleratedFailurePercentage"] == 0.0

    asyncio.run(main())


def test_children_are_listed_for_their_run_and_not_for_the_machine(api: Any) -> None:
    async def main() -> None:
        execution, run, activity = await started(api, ToleratedFailureCount=3)
        await answer(api, activity, "1", None)
        listed = await children(api, run)
        assert [child["status"] for child in listed] == ["RUNNING", "FAILED", "SUCCEEDED"]
        assert [child["status"] for child in await children(api, run, statusFilter="FAILED")] == ["FAILED"]
        for child in listed:
            assert child["executionArn"].endswith(f":execution:m/each:{child['name']}")
            assert child["stateMachineArn"].endswith(":stateMachine:m/each")
            assert (child["mapRunArn"], child["itemCount"]) == (run, 1)
        machine = (await api("DescribeExecution", executionArn=execution))["stateMachineArn"]
        own = (await api("ListExecutions", stateMachineArn=machine))["executions"]
        assert [one["executionArn"] for one in own] == [execution]
        assert "mapRunArn" not in own[0]
        for wrong in ({}, {"stateMachineArn": machine, "mapRunArn": run}):
            assert (await api.refused("ListExecutions", **wrong)).code == "ValidationException"

    asyncio.run(main())


def test_a_child_is_described_with_its_run_and_its_own_history_and_definition(api: Any) -> None:
    async def main() -> None:
        _, run, activity = await started(api, ToleratedFailureCount=3)
        await answer(api, activity, None)
        failed = (await children(api, run))[-1]["executionArn"]
        shown = await api("DescribeExecution", executionArn=failed)
        assert (shown["status"], shown["error"], shown["cause"]) == ("FAILED", "Bad", "why")
        assert (shown["mapRunArn"], shown["input"]) == (run, "1")
        assert shown["redriveStatus"] == "REDRIVABLE_BY_MAP_RUN"
        events = (await api("GetExecutionHistory", executionArn=failed))["events"]
        assert [event["type"] for event in events][-2:] == ["ActivityFailed", "ExecutionFailed"]
        machine = await api("DescribeStateMachineForExecution", executionArn=failed)
        assert (machine["mapRunArn"], machine["label"], machine["name"]) == (run, "each", "m/each")
        assert '"StartAt": "T"' in machine["definition"]
        assert "ProcessorConfig" not in machine["definition"]
        error = await api.refused("RedriveExecution", executionArn=failed)
        assert (error.code, error.message) == (
            "ValidationException",
            "Labeled Execution ARNs are not supported for this API",
        )

    asyncio.run(main())


def test_express_children_are_shown_under_their_own_kind_of_arn(api: Any) -> None:
    async def main() -> None:
        _, run, activity = await started(api, kind="EXPRESS")
        await answer(api, activity, "1", "2", "3")
        for child in await children(api, run):
            assert f":express:m/each:{child['name']}:" in child["executionArn"]
            assert (await api("DescribeExecution", executionArn=child["executionArn"]))["status"] == "SUCCEEDED"

    asyncio.run(main())


def test_stopping_the_parent_aborts_the_run_and_closes_its_tokens(api: Any) -> None:
    async def main() -> None:
        execution, run, activity = await started(api)
        token = (await api("GetActivityTask", activityArn=activity))["taskToken"]
        await api("StopExecution", executionArn=execution)
        assert (await api("DescribeMapRun", mapRunArn=run))["status"] == "ABORTED"
        assert {child["status"] for child in await children(api, run)} == {"ABORTED"}
        assert (await api.refused("SendTaskHeartbeat", taskToken=token)).code == "TaskTimedOut"

    asyncio.run(main())


def test_redriving_the_parent_redrives_the_run(api: Any) -> None:
    async def main() -> None:
        execution, run, activity = await started(api)
        await answer(api, activity, "1", None)
        assert (await api("DescribeExecution", executionArn=execution))["status"] == "FAILED"
        await api.clock.advance(7)
        await api("RedriveExecution", executionArn=execution)
        await api.settle()
        shown = await api("DescribeMapRun", mapRunArn=run)
        assert (shown["status"], shown["redriveCount"]) == ("RUNNING", 1)
        assert shown["redriveDate"] == shown["startDate"] + 7
        assert "stopDate" not in shown
        redriven = await children(api, run, redriveFilter="REDRIVEN")
        assert [child["redriveCount"] for child in redriven] == [1, 1]
        assert len(await children(api, run, redriveFilter="NOT_REDRIVEN")) == 1
        await answer(api, activity, "2", "3")
        assert (await api("DescribeExecution", executionArn=execution))["output"] == "[1,2,3]"

    asyncio.run(main())


def test_a_run_that_goes_on_can_be_given_other_limits(api: Any) -> None:
    async def main() -> None:
        execution, run, activity = await started(api, MaxConcurrency=1, ToleratedFailureCount=2)
        assert len(await children(api, run)) == 1
        assert await api("UpdateMapRun", mapRunArn=run, maxConcurrency=2) == {}
        await api.settle()
        assert len(await children(api, run)) == 2
        await api("UpdateMapRun", mapRunArn=run, toleratedFailureCount=0, toleratedFailurePercentage=10.5)
        shown = await api("DescribeMapRun", mapRunArn=run)
        assert (shown["toleratedFailureCount"], shown["toleratedFailurePercentage"]) == (0, 10.5)
        assert (await api.refused("UpdateMapRun", mapRunArn=run)).code == "ValidationException"
        wrong = await api.refused("UpdateMapRun", mapRunArn=run, toleratedFailurePercentage=101.0)
        assert wrong.code == "ValidationException"
        await answer(api, activity, None)
        assert (await api("DescribeExecution", executionArn=execution))["status"] == "FAILED"
        ended = await api.refused("UpdateMapRun", mapRunArn=run, maxConcurrency=2)
        assert ended.code == "ValidationException"

    asyncio.run(main())


def test_runs_are_listed_newest_first_in_pages(api: Any) -> None:
    async def main() -> None:
        config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        states = {}
        for number in range(3):
            passing = {f"P{number}": {"Type": "Pass", "End": True}}
            processor = {"ProcessorConfig": config, "StartAt": f"P{number}", "States": passing}
            ends = {"Next": f"M{number + 1}"} if number < 2 else {"End": True}
            states[f"M{number}"] = {"Type": "Map", "Label": f"l{number}", "ItemProcessor": processor, **ends}
        text = json.dumps({"StartAt": "M0", "States": states})
        role = "arn:aws:iam::123456789012:role/states"
        machine = (await api("CreateStateMachine", name="three", definition=text, roleArn=role))["stateMachineArn"]
        execution = (await api("StartExecution", stateMachineArn=machine, input="[1]"))["executionArn"]
        await api.settle()
        page = await api("ListMapRuns", executionArn=execution, maxResults=2)
        rest = await api("ListMapRuns", executionArn=execution, maxResults=2, nextToken=page["nextToken"])
        arns = [run["mapRunArn"] for run in (*page["mapRuns"], *rest["mapRuns"])]
        assert [arn.split("/")[1].split(":")[0] for arn in arns] == ["l2", "l1", "l0"]

    asyncio.run(main())


def test_runs_and_executions_that_are_not_there_are_named(api: Any) -> None:
    async def main() -> None:
        arn = "arn:aws:states:us-east-1:123456789012"
        missing = f"{arn}:mapRun:m/l:x"
        for operation, request in (
            ("DescribeMapRun", {}),
            ("UpdateMapRun", {"maxConcurrency": 1}),
            ("ListExecutions", {}),
        ):
            error = await api.refused(operation, mapRunArn=missing, **request)
            assert (error.code, error.message) == ("ResourceNotFound", f"Resource not found: '{missing}'")
            assert (await api.refused(operation, mapRunArn=f"{arn}:activity:a", **request)).code == "InvalidArn"
        error = await api.refused("ListMapRuns", executionArn=f"{arn}:execution:m:x")
        assert error.code == "ExecutionDoesNotExist"

    asyncio.run(main())


def test_runs_are_forgotten_with_their_executions(api: Any) -> None:
    async def main() -> None:
        execution, run, activity = await started(api)
        await answer(api, activity, "1", "2", "3")
        await api.clock.advance(90 * 24 * 3600 + 1)
        await api("StartExecution", stateMachineArn=await api.machine())
        assert (await api.refused("DescribeMapRun", mapRunArn=run)).code == "ResourceNotFound"
        assert len(api.engine.executions) == 1
        assert execution not in api.engine.executions

    asyncio.run(main())
