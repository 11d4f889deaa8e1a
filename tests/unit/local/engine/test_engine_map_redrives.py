"""Redriven Map runs: the children that did not succeed, and those that never ran."""

from __future__ import annotations

import asyncio
from typing import Any

from sfini_celery.local import Execution
from sfini_celery.local.engine import MapRunStatus

READ = "arn:aws:states:::s3:getObject"


async def redrive(world: Any, execution: Execution) -> None:
    world.engine.redrive(execution)
    await world.clock.advance(0)


def test_a_redriven_run_goes_on_with_the_children_that_did_not_succeed(world: Any, details: Any, links: Any) -> None:
    async def main() -> None:
        inner = world.distributed({"Type": "Pass", "Assign": {"v": 1}}, world.task(), MaxConcurrency=3)
        execution = world.start({"M": inner}, ["a", "b", "c", "d", "e"])
        await world.answer('"A"', None)
        assert execution.status == "FAILED"
        run = world.map_run
        assert world.statuses(run) == ["SUCCEEDED", "FAILED", "ABORTED", "ABORTED"]
        assert run.counts(items=True) == {
            **dict.fromkeys(run.counts(items=True), 0),
            "succeeded": 1,
            "failed": 1,
            "aborted": 2,
            "pending": 1,
            "total": 5,
        }
        await redrive(world, execution)
        assert (run.status, run.redrives) == (MapRunStatus.RUNNING, 1)
        assert details(execution, "MapRunRedriven") == {"mapRunArn": run.arn, "redriveCount": 1}
        opened = next(number for number, _, type in links(execution) if type == "MapStateStarted")
        assert links(execution)[-1][1:] == (opened, "MapRunRedriven")
        assert world.statuses(run) == ["SUCCEEDED", "RUNNING", "RUNNING", "RUNNING"]
        assert [child.redrives for child in run.children] == [0, 1, 1, 1]
        await world.answer('"B"', '"C"', '"D"', '"E"')
        assert (execution.status, execution.output.value) == ("SUCCEEDED", ["A", "B", "C", "D", "E"])
        passed = [event.type for event in run.children[1].history].count("PassStateEntered")
        assert passed == 1
        assert [event.type for event in execution.history].count("MapRunStarted") == 1

    asyncio.run(main())


def test_children_wait_for_their_redrive_when_only_few_may_run(world: Any) -> None:
    async def main() -> None:
        state = world.distributed(world.task(), MaxConcurrency=2, ToleratedFailureCount=1)
        execution = world.start({"M": state}, [1, 2, 3, 4])
        await world.answer(None, None)
        run = world.map_run
        assert world.statuses(run) == ["FAILED", "FAILED", "ABORTED"]
        run.update({"concurrency": 1})
        await redrive(world, execution)
        assert world.statuses(run) == ["RUNNING", "PENDING_REDRIVE", "PENDING_REDRIVE"]
        assert run.counts(items=False)["pendingRedrive"] == 2
        assert run.counts(items=False)["pending"] == 1
        world.engine.stop(execution)
        assert world.statuses(run) == ["ABORTED", "FAILED", "ABORTED"]
        await redrive(world, execution)
        await world.answer("1", "2", "3", "4")
        assert (execution.status, execution.output.value) == ("SUCCEEDED", [1, 2, 3, 4])

    asyncio.run(main())


def test_a_redriven_run_may_fail_again(world: Any) -> None:
    async def main() -> None:
        execution = world.start({"M": world.distributed(world.task())}, [1, 2])
        await world.answer("1", None)
        await redrive(world, execution)
        assert execution.status == "RUNNING"
        await world.answer(None)
        assert execution.error == "States.ExceedToleratedFailureThreshold"
        await redrive(world, execution)
        await world.answer("2")
        assert execution.output.value == [1, 2]
        assert world.map_run.redrives == 2

    asyncio.run(main())


def test_express_children_are_redriven_from_their_start(world: Any) -> None:
    async def main() -> None:
        state = world.distributed({"Type": "Pass", "Result": "p"}, world.task(), kind="EXPRESS")
        execution = world.start({"M": state}, [1])
        await world.answer(None)
        await redrive(world, execution)
        await world.answer("2")
        assert execution.output.value == [2]
        (child,) = world.map_run.children
        assert [event.type for event in child.history].count("PassStateEntered") == 2

    asyncio.run(main())


def test_items_that_could_not_be_read_are_read_by_the_redrive(world: Any) -> None:
    async def main() -> None:
        bodies = iter(["{", "[1, 2]"])

        async def read(call: Any) -> Any:
            return {"Body": next(bodies)}

        world.engine.integrations.register(READ, read)
        execution = world.start({"M": world.distributed({"Type": "Pass"}, ItemReader={"Resource": READ})})
        await world.clock.advance(0)
        assert execution.error == "States.ItemReaderFailed"
        await redrive(world, execution)
        assert execution.output.value == [1, 2]

    asyncio.run(main())


def test_results_that_were_too_large_make_a_redrive_run_all_again(world: Any, types: Any) -> None:
    async def main() -> None:
        execution = world.start({"M": world.distributed(world.task())}, [1, 2])
        large = f'"{"x" * 200_000}"'
        await world.answer(large, large)
        assert execution.error == "States.DataLimitExceeded"
        await redrive(world, execution)
        await world.answer("1", "2")
        assert execution.output.value == [1, 2]
        assert types(execution).count("MapRunStarted") == 2

    asyncio.run(main())
