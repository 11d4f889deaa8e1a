"""Map runs: how many children run at once, how many may fail, and how a run ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sfini_celery.local import Payload
from sfini_celery.local.engine import MapRunStatus, TokenClosed


@pytest.mark.parametrize("fields", [{"MaxConcurrency": 3}, {"MaxConcurrencyPath": "$.n", "ItemsPath": "$.items"}])
def test_so_many_children_run_at_once_as_the_state_allows(world: Any, fields: dict[str, Any]) -> None:
    async def main() -> None:
        items = list(range(8))
        given = {"n": 3, "items": items} if "ItemsPath" in fields else items
        execution = world.start({"M": world.distributed(world.task(), **fields)}, given)
        await world.clock.advance(0)
        run, seen = world.map_run, []
        while not execution.is_closed:
            assert world.statuses(run).count("RUNNING") == min(3, 8 - len(seen))
            task = await world.taken()
            seen.append(task.input.value)
            task.succeed(Payload("1"))
            await world.clock.advance(0)
        assert execution.status == "SUCCEEDED"
        assert seen == items

    asyncio.run(main())


def test_one_failed_child_fails_the_run_and_stops_the_others(world: Any, details: Any, types: Any) -> None:
    async def main() -> None:
        execution = world.start({"M": world.distributed(world.task(), MaxConcurrency=3)}, list(range(5)))
        first, second, third = [await world.taken() for _ in range(3)]
        first.succeed(Payload("1"))
        second.fail("Bad", "why")
        await world.clock.advance(0)
        with pytest.raises(TokenClosed):
            world.engine.tokens.find(third.token)
        cause = "The specified tolerated failure threshold was exceeded"
        assert (execution.error, execution.cause) == ("States.ExceedToleratedFailureThreshold", cause)
        assert details(execution, "MapRunFailed") == {"error": execution.error, "cause": cause}
        assert types(execution)[-3:] == ["MapRunFailed", "MapStateFailed", "ExecutionFailed"]
        run = world.map_run
        assert run.status is MapRunStatus.FAILED
        assert world.statuses(run)[:3] == ["SUCCEEDED", "FAILED", "ABORTED"]
        assert (run.children[1].error, run.children[1].cause) == ("Bad", "why")
        assert not await world.has_task()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fields", "failures", "expected"),
    [
        ({"ToleratedFailureCount": 2}, 2, "SUCCEEDED"),
        ({"ToleratedFailureCount": 2}, 3, "FAILED"),
        ({"ToleratedFailurePercentage": 30}, 3, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 29.9}, 3, "FAILED"),
        ({"ToleratedFailurePercentage": 100}, 10, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 0}, 1, "FAILED"),
        ({"ToleratedFailureCount": 5, "ToleratedFailurePercentage": 10}, 2, "FAILED"),
        ({"ToleratedFailureCount": 1, "ToleratedFailurePercentage": 90}, 2, "FAILED"),
        ({"ToleratedFailureCountPath": "$.n", "ItemsPath": "$.items"}, 2, "SUCCEEDED"),
        ({"ToleratedFailureCountPath": "$.n", "ItemsPath": "$.items"}, 3, "FAILED"),
        ({"ToleratedFailurePercentagePath": "$.n", "ItemsPath": "$.items"}, 1, "FAILED"),
    ],
)
def test_failures_up_to_the_threshold_are_tolerated_and_left_out(
    skipping: Any, fields: dict[str, Any], failures: int, expected: str
) -> None:
    async def main() -> None:
        rule = {"Variable": "$", "NumericLessThan": failures, "Next": "Bad"}
        config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        states = {
            "C": {"Type": "Choice", "Choices": [rule], "Default": "Good"},
            "Bad": {"Type": "Fail", "Error": "Bad"},
            "Good": {"Type": "Succeed"},
        }
        processor = {"ProcessorConfig": config, "StartAt": "C", "States": states}
        items = list(range(10))
        given = {"n": 2, "items": items} if "ItemsPath" in fields else items
        state = {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}
        execution = await skipping.start({"M": state}, given).wait()
        assert execution.status == expected
        if expected == "SUCCEEDED":
            assert execution.output.value == items[failures:]
            counts = skipping.map_run.counts(items=True)
            assert (counts["failed"], counts["succeeded"], counts["total"]) == (failures, 10 - failures, 10)

    asyncio.run(main())


def test_a_failed_run_is_caught_and_retried_as_any_state(world: Any, types: Any) -> None:
    async def main() -> None:
        threshold = ["States.ExceedToleratedFailureThreshold"]
        fields = {
            "Retry": [{"ErrorEquals": threshold, "MaxAttempts": 1}],
            "Catch": [{"ErrorEquals": threshold, "Next": "Caught"}],
        }
        states = {"M": world.distributed(world.task(), **fields), "Caught": {"Type": "Succeed"}}
        execution = world.start(states, [1])
        await world.answer(None)
        await world.clock.advance(1)
        await world.answer(None)
        assert execution.status == "SUCCEEDED"
        assert execution.output.value["Error"] == threshold[0]
        assert types(execution).count("MapRunFailed") == types(execution).count("MapRunStarted") == 2
        assert types(execution).count("MapStateFailed") == 1
        runs = list(world.engine.map_runs.values())
        assert len({run.arn for run in runs}) == 2
        assert len({run.label for run in runs}) == 1

    asyncio.run(main())


@pytest.mark.parametrize("how", ["stop", "time out"])
def test_children_end_with_their_parent(world: Any, types: Any, how: str) -> None:
    async def main() -> None:
        execution = world.start({"M": world.distributed(world.task(), MaxConcurrency=2)}, [1, 2, 3], TimeoutSeconds=30)
        first = await world.taken()
        if how == "stop":
            world.engine.stop(execution)
        else:
            await world.clock.advance(30)
        run = world.map_run
        assert run.status is MapRunStatus.ABORTED
        assert world.statuses(run) == ["ABORTED", "ABORTED"]
        with pytest.raises(TokenClosed):
            world.engine.tokens.find(first.token)
        assert not await world.has_task()
        assert types(execution)[-2:-1] == ["MapRunStarted"]
        assert all(types(child)[-1] == "ExecutionAborted" for child in run.children)

    asyncio.run(main())


def test_a_failing_sibling_aborts_the_run_and_its_children(world: Any, types: Any) -> None:
    async def main() -> None:
        waits = {"Type": "Wait", "Seconds": 5, "Next": "F"}
        branches = [
            {"StartAt": "M", "States": {"M": world.distributed(world.task())}},
            {"StartAt": "W", "States": {"W": waits, "F": {"Type": "Fail", "Error": "Bad"}}},
        ]
        execution = world.start({"P": {"Type": "Parallel", "Branches": branches, "End": True}}, [1, 2])
        await world.taken()
        await world.clock.advance(5)
        assert execution.error == "Bad"
        assert types(execution)[-4:] == ["MapRunAborted", "MapStateAborted", "ParallelStateFailed", "ExecutionFailed"]
        assert world.statuses(world.map_run) == ["ABORTED", "ABORTED"]
        assert len(world.engine.tokens) == 0

    asyncio.run(main())


def test_a_child_that_is_stopped_by_hand_counts_as_failed(world: Any) -> None:
    async def main() -> None:
        execution = world.start({"M": world.distributed(world.task(), ToleratedFailureCount=1)}, [1, 2, 3])
        await world.clock.advance(0)
        world.engine.stop(world.map_run.children[1])
        await world.clock.advance(0)
        assert execution.status == "RUNNING"
        await world.answer('"a"')
        world.engine.stop(world.map_run.children[2])
        await world.clock.advance(0)
        assert execution.error == "States.ExceedToleratedFailureThreshold"

    asyncio.run(main())


def test_limits_can_be_changed_while_it_runs(world: Any) -> None:
    async def main() -> None:
        execution = world.start(
            {"M": world.distributed(world.task(), MaxConcurrency=1, ToleratedFailureCount=9)}, list(range(9))
        )
        await world.clock.advance(0)
        run = world.map_run
        assert len(run.children) == 1
        run.update({"concurrency": 4})
        await world.clock.advance(0)
        assert len(run.children) == 4
        await world.answer(None, None)
        assert execution.status == "RUNNING"
        run.update({"tolerated_count": 1})
        await world.clock.advance(0)
        assert execution.error == "States.ExceedToleratedFailureThreshold"
        assert len(world.engine.tokens) == 0

    asyncio.run(main())


def test_a_history_that_is_full_when_the_run_would_start_leaves_nothing_running(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(longest: int) -> None:
        monkeypatch.setattr("sfini_celery.local.engine.execution.LONGEST_HISTORY", longest)
        execution = world.start({"M": world.distributed(world.task())}, [1])
        await world.clock.advance(0)
        assert execution.status == "FAILED"
        assert all(run.status is MapRunStatus.ABORTED for run in world.engine.map_runs.values())
        assert len(world.engine.tokens) == 0

    for longest in (3, 4):
        asyncio.run(main(longest))
