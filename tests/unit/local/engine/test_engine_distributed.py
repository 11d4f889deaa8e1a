"""The distributed Map: children of their own, and what the parent is told."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from sfini_celery.local import Payload
from sfini_celery.local.engine import MapRunStatus


def test_results_come_in_the_order_of_the_items_whoever_ends_first(world: Any, types: Any) -> None:
    async def main() -> None:
        execution = world.start({"M": world.distributed(world.task())}, [1, 2, 3])
        tasks = [await world.taken() for _ in range(3)]
        assert [task.input.value for task in tasks] == [1, 2, 3]
        for task in reversed(tasks):
            task.succeed(Payload(f"[{task.input.text},  0]"))
        await world.clock.advance(0)
        assert execution.output.text == "[[1,  0],[2,  0],[3,  0]]"
        assert types(execution) == [
            "ExecutionStarted",
            "MapStateEntered",
            "MapStateStarted",
            "MapRunStarted",
            "MapRunSucceeded",
            "MapStateSucceeded",
            "MapStateExited",
            "ExecutionSucceeded",
        ]
        assert world.map_run.status is MapRunStatus.SUCCEEDED

    asyncio.run(main())


def test_the_exit_follows_from_the_start_of_the_run_as_aws_writes_it(skipping: Any, links: Any) -> None:
    async def main() -> None:
        execution = await skipping.start({"M": skipping.distributed({"Type": "Pass"})}, [1]).wait()
        assert [(previous, type) for _, previous, type in links(execution)[3:]] == [
            (3, "MapRunStarted"),
            (4, "MapRunSucceeded"),
            (5, "MapStateSucceeded"),
            (4, "MapStateExited"),
            (7, "ExecutionSucceeded"),
        ]

    asyncio.run(main())


def test_a_child_has_a_context_and_a_history_of_its_own(world: Any, types: Any) -> None:
    async def main() -> None:
        inner = world.task(Parameters={"context.$": "$$", "item.$": "$"})
        outer = {"Type": "Pass", "Assign": {"outer": 1}, "Next": "M"}
        execution = world.start({"P": outer, "M": world.distributed(inner, Label="each")}, ["a"])
        task = await world.taken()
        context = task.input.value["context"]
        assert task.input.value["item"] == "a"
        arn = "arn:aws:states:us-east-1:123456789012"
        uuid = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
        assert re.fullmatch(f"{arn}:execution:machine/each:{uuid}", context["Execution"]["Id"])
        assert context["Execution"]["Input"] == "a"
        assert context["StateMachine"] == {"Id": f"{arn}:stateMachine:machine/each", "Name": "machine/each"}
        assert context["State"]["Name"] == "S0"
        assert "Map" not in context
        assert re.fullmatch(f"{arn}:mapRun:machine/each:{uuid}", world.map_run.arn)
        task.succeed(Payload("1"))
        await world.clock.advance(0)
        child = world.engine.executions[context["Execution"]["Id"]]
        assert (child.status, child.map_run, child.input.text) == ("SUCCEEDED", world.map_run, '"a"')
        assert types(child) == [
            "ExecutionStarted",
            "TaskStateEntered",
            "ActivityScheduled",
            "ActivityStarted",
            "ActivitySucceeded",
            "TaskStateExited",
            "ExecutionSucceeded",
        ]
        assert not {"ActivityScheduled", "TaskStateEntered"} & set(types(execution))

    asyncio.run(main())


def test_a_child_does_not_see_the_variables_around_the_map(skipping: Any) -> None:
    async def main() -> None:
        outer = {"Type": "Pass", "Assign": {"outer": 1}, "Next": "M"}
        inner = {"Type": "Pass", "Parameters": {"x.$": "$outer"}}
        execution = await skipping.start({"P": outer, "M": skipping.distributed(inner)}, [1]).wait()
        assert execution.error == "States.ExceedToleratedFailureThreshold"
        (child,) = skipping.map_run.children
        assert child.error == "States.Runtime"
        assert "outer" in child.cause

    asyncio.run(main())


def test_an_item_selector_sees_the_parent_and_the_variables(skipping: Any) -> None:
    async def main() -> None:
        selector = {"all.$": "$.items", "v.$": "$v", "at.$": "$$.Map.Item.Index", "item.$": "$$.Map.Item.Value"}
        states = {
            "P": {"Type": "Pass", "Assign": {"v": "var"}, "Next": "M"},
            "M": skipping.distributed({"Type": "Pass"}, ItemsPath="$.items", ItemSelector=selector),
        }
        execution = await skipping.start(states, {"items": ["a", "b"]}).wait()
        assert execution.output.value == [
            {"all": ["a", "b"], "v": "var", "at": at, "item": item} for at, item in enumerate("ab")
        ]

    asyncio.run(main())


def test_an_item_that_cannot_be_selected_fails_the_run(skipping: Any, types: Any) -> None:
    async def main() -> None:
        selector = {"x.$": "$$.Map.Item.Value.x"}
        execution = await skipping.start(
            {"M": skipping.distributed({"Type": "Pass"}, ItemSelector=selector)}, [{"x": 1}, 2]
        ).wait()
        assert (execution.status, execution.error) == ("FAILED", "States.Runtime")
        assert types(execution)[-3:] == ["MapRunFailed", "MapStateFailed", "ExecutionFailed"]
        assert skipping.map_run.counts(items=False)["pending"] == 1

    asyncio.run(main())


def test_no_items_are_a_run_that_succeeds_with_no_results(skipping: Any, details: Any) -> None:
    async def main() -> None:
        execution = await skipping.start({"M": skipping.distributed({"Type": "Fail"})}, []).wait()
        assert (execution.status, execution.output.text) == ("SUCCEEDED", "[]")
        assert details(execution, "MapStateStarted") == {"length": 0}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("field", "value", "cause"),
    [
        ("Count", "x", 'The ToleratedFailureCountPath field refers to value "x" which is not a valid integer: $.n'),
        ("Count", 1.5, 'The ToleratedFailureCountPath field refers to value "1.5" which is not a valid integer: $.n'),
        ("Count", True, 'The ToleratedFailureCountPath field refers to value "true" which is not a valid integer: $.n'),
        ("Count", -1, "ToleratedFailureCount cannot be negative."),
        (
            "Percentage",
            [],
            'The ToleratedFailurePercentagePath field refers to value "[]" which is not a valid float: $.n',
        ),
        ("Percentage", 101, "ToleratedFailurePercentage must be between 0 and 100."),
    ],
)
def test_a_tolerance_that_makes_no_sense_fails_the_state_before_the_run(
    skipping: Any, types: Any, field: str, value: Any, cause: str
) -> None:
    async def main() -> None:
        fields = {f"ToleratedFailure{field}Path": "$.n", "ItemsPath": "$.items"}
        execution = await skipping.start(
            {"M": skipping.distributed({"Type": "Pass"}, **fields)}, {"n": value, "items": [1]}
        ).wait()
        assert execution.error == "States.Runtime"
        assert execution.cause.endswith(f"(entered at the event id #2). {cause}")
        assert types(execution)[2:] == ["MapStateStarted", "ExecutionFailed"]
        assert world_is_empty(skipping)

    def world_is_empty(world: Any) -> bool:
        return not world.engine.map_runs

    asyncio.run(main())


def test_results_beyond_a_payload_fail_the_run_by_name(skipping: Any, types: Any) -> None:
    async def main() -> None:
        state = skipping.distributed({"Type": "Pass", "Result": "x" * 100_000})
        execution = await skipping.start({"M": state}, [1, 2, 3]).wait()
        assert execution.error == "States.DataLimitExceeded"
        assert types(execution)[-3:] == ["MapRunFailed", "MapStateFailed", "ExecutionFailed"]
        assert skipping.map_run.status is MapRunStatus.FAILED

    asyncio.run(main())


def test_a_distributed_map_inside_a_child_has_a_run_of_its_own(world: Any) -> None:
    async def main() -> None:
        inner = world.distributed(world.task(), Label="inner")
        execution = world.start({"M": world.distributed(inner, Label="outer")}, [[1, 2], [3]])
        await world.answer("10", "20", "30")
        assert execution.output.value == [[10, 20], [30]]
        assert sorted(run.revision.machine_name for run in world.engine.map_runs.values()) == [
            "machine/inner",
            "machine/inner",
            "machine/outer",
        ]

    asyncio.run(main())


def test_express_children_run_and_are_named_as_express_executions(skipping: Any) -> None:
    async def main() -> None:
        execution = await skipping.start({"M": skipping.distributed({"Type": "Pass"}, kind="EXPRESS")}, [1, 2]).wait()
        assert execution.output.value == [1, 2]
        for child in skipping.map_run.children:
            assert child.arn.split(":")[5] == "express"
            assert child.arn.split(":")[7] == child.name

    asyncio.run(main())


def test_a_map_in_jsonata_is_distributed_too(skipping: Any) -> None:
    pytest.importorskip("jsonata", reason="the extra jsonata is not installed")

    async def main() -> None:
        inner = {"Type": "Pass", "Output": "{% $states.input.x * 2 %}"}
        fields = {
            "Items": "{% $states.input.items %}",
            "ItemSelector": {"x": "{% $states.context.Map.Item.Value %}"},
            "MaxConcurrency": "{% 1 + 1 %}",
            "ToleratedFailureCount": "{% 1 %}",
            "ToleratedFailurePercentage": "{% 50 %}",
        }
        execution = skipping.start(
            {"M": skipping.distributed(inner, **fields)}, {"items": [1, 2]}, QueryLanguage="JSONata"
        )
        assert (await execution.wait()).output.value == [2, 4]
        run = skipping.map_run
        assert (run.concurrency, run.tolerated_count, run.tolerated_percentage) == (2, 1, 50)

    asyncio.run(main())
