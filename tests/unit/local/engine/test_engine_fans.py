"""Parallel and Map: how many run at once, what their events hang on, and what a failure does to the siblings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sfini_celery.local import Payload
from sfini_celery.local.engine import TokenClosed

PASS = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}


def branch(state: dict[str, Any], name: str) -> dict[str, Any]:
    return {"StartAt": name, "States": {name: state}}


def test_a_failing_branch_ends_its_siblings_in_the_same_breath(world: Any, links: Any) -> None:
    async def main() -> None:
        branches = [
            branch(world.task(), "T1"),
            branch(world.task(), "T2"),
            branch({"Type": "Wait", "Seconds": 60, "End": True}, "W"),
        ]
        execution = world.start({"P": {"Type": "Parallel", "Branches": branches, "End": True}})
        first, second = await world.taken(), await world.taken()
        first.fail("Bad", None)
        await world.clock.advance(0)
        assert execution.error == "Bad"
        with pytest.raises(TokenClosed):
            world.engine.tokens.find(second.token)
        tail = links(execution)[-5:]
        failed = next(number for number, _, type in links(execution) if type == "ActivityFailed")
        started = [number for number, _, type in links(execution) if type == "ActivityStarted"]
        waiting = next(number for number, _, type in links(execution) if type == "WaitStateEntered")
        assert [(previous, type) for _, previous, type in tail] == [
            (failed, "TaskStateAborted"),
            (started[1], "TaskStateAborted"),
            (waiting, "WaitStateAborted"),
            (failed, "ParallelStateFailed"),
            (tail[3][0], "ExecutionFailed"),
        ]

    asyncio.run(main())


def test_a_task_queued_by_an_aborted_sibling_is_never_handed_out(world: Any) -> None:
    async def main() -> None:
        branches = [branch(world.task(), "T"), branch({"Type": "Fail", "Error": "Bad"}, "F")]
        catch = [{"ErrorEquals": ["Bad"], "Next": "Done"}]
        states = {
            "P": {"Type": "Parallel", "Branches": branches, "Catch": catch, "End": True},
            "Done": {"Type": "Succeed"},
        }
        execution = world.start(states)
        await execution.wait()
        assert execution.status == "SUCCEEDED"
        assert not await world.has_task()

    asyncio.run(main())


def test_nested_frames_are_aborted_innermost_first(world: Any, types: Any) -> None:
    async def main() -> None:
        inner = {"StartAt": "T", "States": {"T": world.task()}}
        mapping = {"Type": "Map", "ItemProcessor": inner, "End": True}
        slow_fail = {
            "StartAt": "W",
            "States": {"W": {"Type": "Wait", "Seconds": 5, "Next": "F"}, "F": {"Type": "Fail"}},
        }
        states = {"P": {"Type": "Parallel", "Branches": [branch(mapping, "M"), slow_fail], "End": True}}
        execution = world.start(states, [1, 2])
        await world.clock.advance(5)
        assert execution.status == "FAILED"
        assert types(execution)[-7:] == [
            "TaskStateAborted",
            "MapIterationAborted",
            "TaskStateAborted",
            "MapIterationAborted",
            "MapStateAborted",
            "ParallelStateFailed",
            "ExecutionFailed",
        ]

    asyncio.run(main())


def test_a_retried_parallel_starts_all_its_branches_anew(skipping: Any, types: Any) -> None:
    async def main() -> None:
        retry = [{"ErrorEquals": ["Bad"], "MaxAttempts": 1}]
        branches = [branch(skipping.task(), "A"), branch(skipping.task(), "B")]
        execution = skipping.start({"P": {"Type": "Parallel", "Branches": branches, "Retry": retry, "End": True}}, 0)
        await skipping.activity.poll()
        (await skipping.activity.poll()).fail("Bad", None)
        for value in "12":
            (await skipping.activity.poll()).succeed(Payload(value))
        await execution.wait()
        assert execution.output.text == "[1,2]"
        assert types(execution).count("ParallelStateStarted") == 2
        assert "ParallelStateFailed" not in types(execution)

    asyncio.run(main())


def test_results_come_in_the_order_of_branches_and_items_whoever_is_first(world: Any) -> None:
    async def main() -> None:
        processor = branch(world.task(), "T")
        execution = world.start({"M": {"Type": "Map", "ItemProcessor": processor, "End": True}}, [1, 2, 3])
        tickets = [await world.taken() for _ in range(3)]
        for ticket in reversed(tickets):
            ticket.succeed(Payload(value=ticket.input.value * 10))
        assert (await execution.wait()).output.value == [10, 20, 30]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fields", "at_once"),
    [({}, 40), ({"MaxConcurrency": 0}, 40), ({"MaxConcurrency": 3}, 3), ({"MaxConcurrency": 500}, 40)],
)
def test_an_inline_map_runs_at_most_forty_iterations_at_once(world: Any, fields: Any, at_once: int) -> None:
    async def main() -> None:
        processor = branch(world.task(), "T")
        execution = world.start({"M": {"Type": "Map", "ItemProcessor": processor, "End": True, **fields}}, [*range(60)])
        taken = [await world.taken() for _ in range(at_once)]
        assert not await world.has_task()
        taken.pop().succeed(Payload("0"))
        taken.append(await world.taken())
        assert not await world.has_task()
        while taken:
            taken.pop().succeed(Payload("0"))
            await world.clock.advance(0)
            while (ticket := await world.activity.poll(seconds=0)) is not None:
                taken.append(ticket)
        assert (await execution.wait()).output.value == [0] * 60

    asyncio.run(main())


def test_the_concurrency_of_a_map_may_come_from_its_input(world: Any) -> None:
    async def main() -> None:
        state = {
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrencyPath": "$.most",
            "ItemProcessor": branch(world.task(), "T"),
            "End": True,
        }
        world.start({"M": state}, {"items": [1, 2, 3], "most": 2})
        await world.taken()
        await world.taken()
        assert not await world.has_task()

    asyncio.run(main())


def test_a_failing_iteration_ends_the_others_and_starts_no_more(world: Any, types: Any, details: Any) -> None:
    async def main() -> None:
        state = {"Type": "Map", "MaxConcurrency": 2, "ItemProcessor": branch(world.task(), "T"), "End": True}
        execution = world.start({"M": state}, [1, 2, 3])
        await world.taken()
        (await world.taken()).fail("Bad", "why")
        await execution.wait()
        assert types(execution)[-6:] == [
            "TaskStateAborted",
            "MapIterationFailed",
            "TaskStateAborted",
            "MapIterationAborted",
            "MapStateFailed",
            "ExecutionFailed",
        ]
        assert details(execution, "MapIterationFailed") == {"name": "M", "index": 1}
        assert details(execution, "MapIterationAborted") == {"name": "M", "index": 0}
        assert not await world.has_task()

    asyncio.run(main())


def test_the_iterations_of_a_slot_follow_each_other_and_their_ends_are_leaves(skipping: Any, links: Any) -> None:
    async def main() -> None:
        state = {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": PASS, "End": True}
        execution = await skipping.start({"M": state}, [1, 2]).wait()
        assert links(execution) == [
            (1, 0, "ExecutionStarted"),
            (2, 0, "MapStateEntered"),
            (3, 2, "MapStateStarted"),
            (4, 3, "MapIterationStarted"),
            (5, 4, "PassStateEntered"),
            (6, 5, "PassStateExited"),
            (7, 6, "MapIterationSucceeded"),
            (8, 6, "MapIterationStarted"),
            (9, 8, "PassStateEntered"),
            (10, 9, "PassStateExited"),
            (11, 10, "MapIterationSucceeded"),
            (12, 11, "MapStateSucceeded"),
            (13, 11, "MapStateExited"),
            (14, 13, "ExecutionSucceeded"),
        ]

    asyncio.run(main())


def test_an_item_selector_sees_the_item_and_the_states_below_do_not(skipping: Any) -> None:
    async def main() -> None:
        selector = {"item.$": "$$.Map.Item.Value", "at.$": "$$.Map.Item.Index", "all.$": "$.items"}
        state = {"Type": "Map", "ItemsPath": "$.items", "ItemSelector": selector, "ItemProcessor": PASS, "End": True}
        execution = await skipping.start({"M": state}, {"items": ["a", "b"]}).wait()
        assert execution.output.value == [
            {"item": "a", "at": 0, "all": ["a", "b"]},
            {"item": "b", "at": 1, "all": ["a", "b"]},
        ]
        peeking = {"Type": "Pass", "Parameters": {"item.$": "$$.Map.Item.Value"}, "End": True}
        refused = await skipping.start(
            {"M": {"Type": "Map", "ItemProcessor": branch(peeking, "P"), "End": True}}, [1]
        ).wait()
        assert refused.error == "States.Runtime"

    asyncio.run(main())


def test_branches_read_the_variables_around_them_and_keep_their_own(skipping: Any) -> None:
    async def main() -> None:
        inner = {
            "StartAt": "Set",
            "States": {
                "Set": {"Type": "Pass", "Assign": {"own.$": "$.n"}, "Next": "Show"},
                "Show": {"Type": "Pass", "Parameters": {"own.$": "$own", "outer.$": "$outer"}, "End": True},
            },
        }
        states = {
            "Start": {"Type": "Pass", "Assign": {"outer": "o"}, "Next": "M"},
            "M": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": inner, "Next": "After"},
            "After": {"Type": "Pass", "Parameters": {"seen.$": "$", "own.$": "$own"}, "End": True},
        }
        execution = await skipping.start(states, {"items": [{"n": 1}, {"n": 2}]}).wait()
        assert execution.error == "States.Runtime"
        assert "After" in execution.cause
        del states["After"]["Parameters"]["own.$"]
        execution = await skipping.start(states, {"items": [{"n": 1}, {"n": 2}]}).wait()
        assert execution.output.value["seen"] == [{"own": 1, "outer": "o"}, {"own": 2, "outer": "o"}]

    asyncio.run(main())


@pytest.mark.parametrize("items", [{}, "text", 1, None])
def test_a_map_over_what_is_no_list_fails(skipping: Any, items: Any) -> None:
    async def main() -> None:
        state = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": PASS, "End": True}
        execution = await skipping.start({"M": state}, {"items": items}).wait()
        assert execution.cause.endswith('Reference path "$.items" must point to array.')

    asyncio.run(main())


def test_stop_reaches_every_frame(world: Any) -> None:
    async def main() -> None:
        processor = branch(world.task(), "T")
        state = {"Type": "Map", "ItemProcessor": processor, "End": True}
        parallel = {"Type": "Parallel", "Branches": [branch(state, "M1"), branch({**state}, "M2")], "End": True}
        execution = world.start({"P": parallel}, [1, 2, 3])
        taken = await world.taken()
        assert len(world.engine.tokens) == 6
        events = len(execution.history)
        world.engine.stop(execution)
        assert len(world.engine.tokens) == 0
        assert len(execution.history) == events + 1
        assert not await world.has_task()
        with pytest.raises(TokenClosed):
            world.engine.tokens.find(taken.token)
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    asyncio.run(main())
