"""Redriving: what runs again, what keeps its result, and what the history says about it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sfini_celery.local import Execution
from sfini_celery.local.engine import Status, TokenClosed


def branch(*states: dict[str, Any]) -> dict[str, Any]:
    """A machine of states one after the other, the last one ending it."""
    named = {}
    for index, state in enumerate(states):
        last = index + 1 == len(states)
        ends = {} if state["Type"] == "Fail" else {"End": True} if last else {"Next": f"S{index + 1}"}
        named[f"S{index}"] = {**state, **ends}
    return {"StartAt": "S0", "States": named}


def names(execution: Execution, after: int = 0) -> list[str]:
    return [event.type for event in execution.history][after:]


async def redriven(world: Any, execution: Execution) -> int:
    """Redrive; returns how long the history was before."""
    length = len(execution.history)
    world.engine.redrive(execution)
    await world.clock.advance(0)
    return length


def test_only_the_failed_state_runs_again_with_its_input(world: Any, links: Any) -> None:
    async def main() -> None:
        states = {"A": world.task(Next="B"), "B": world.task(Next="C"), "C": {"Type": "Succeed"}}
        execution = world.start(states, {"in": 1})
        (await world.taken()).succeed(world.payload('{"a":  2}'))
        (await world.taken()).fail("Bad", "why")
        await world.clock.advance(3)
        assert (execution.status, execution.error, execution.cause) == ("FAILED", "Bad", "why")
        before = await redriven(world, execution)
        assert (execution.status, execution.error, execution.cause, execution.stopped) == ("RUNNING", None, None, None)
        task = await world.taken()
        assert task.input.text == '{"a":  2}'
        task.succeed(world.payload("3"))
        await world.clock.advance(0)
        assert (execution.status, execution.output.text, execution.redrives) == ("SUCCEEDED", "3", 1)
        entered = next(number for number, _, type in links(execution)[6:] if type == "TaskStateEntered")
        assert [(previous, type) for _, previous, type in links(execution)[before:]][:3] == [
            (before, "ExecutionRedriven"),
            (entered, "ActivityScheduled"),
            (before + 2, "ActivityStarted"),
        ]
        assert names(execution, before)[3:] == [
            "ActivitySucceeded",
            "TaskStateExited",
            "SucceedStateEntered",
            "SucceedStateExited",
            "ExecutionSucceeded",
        ]

    asyncio.run(main())


def test_an_execution_can_be_redriven_again_and_again(world: Any, details: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task(Next="B"), "B": world.task()})
        (await world.taken()).succeed(world.payload("1"))
        for count in range(1, 4):
            (await world.taken()).fail("Bad", None)
            await world.clock.advance(1)
            assert execution.status == "FAILED"
            await redriven(world, execution)
            assert details(execution, "ExecutionRedriven") == {"redriveCount": count}
        (await world.taken()).succeed(world.payload("2"))
        await world.clock.advance(0)
        assert (execution.status, execution.output.text) == ("SUCCEEDED", "2")
        assert names(execution).count("TaskStateEntered") == 2

    asyncio.run(main())


def test_a_waiting_caller_waits_for_the_redriven_end(world: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task()})
        (await world.taken()).fail("Bad", None)
        assert (await execution.wait()).status == "FAILED"
        await redriven(world, execution)
        waiting = asyncio.create_task(execution.wait())
        (await world.taken()).succeed(world.payload("1"))
        assert (await waiting).status == "SUCCEEDED"

    asyncio.run(main())


def test_retries_and_time_outs_begin_afresh(world: Any) -> None:
    async def main() -> None:
        retry = [{"ErrorEquals": ["Bad"], "MaxAttempts": 1, "IntervalSeconds": 5}]
        task = world.task(Retry=retry, TimeoutSeconds=10, Parameters={"n.$": "$$.State.RetryCount"})
        execution = world.start({"A": task}, TimeoutSeconds=100)
        (await world.taken()).fail("Bad", None)
        await world.clock.advance(5)
        second = await world.taken()
        assert second.input.value == {"n": 1}
        await world.clock.advance(70)
        assert (execution.status, execution.error) == ("FAILED", "States.Timeout")
        await redriven(world, execution)
        for count in (0, 1):
            task = await world.taken()
            assert task.input.value == {"n": count}
            task.fail("Bad", None)
            await world.clock.advance(5)
        assert execution.error == "Bad"
        await redriven(world, execution)
        await world.clock.advance(99)  # nobody takes it: the machine's own time-out began afresh as well
        assert execution.status == "RUNNING"
        await world.clock.advance(1)
        assert execution.status == "TIMED_OUT"

    asyncio.run(main())


@pytest.mark.parametrize("end", [Status.ABORTED, Status.TIMED_OUT])
def test_a_stopped_or_expired_execution_goes_on_where_it_was(world: Any, end: Status) -> None:
    async def main() -> None:
        states = {"A": world.task(Next="B", Assign={"x.$": "$"}), "B": world.task(Parameters={"x.$": "$x"})}
        execution = world.start(states, TimeoutSeconds=50)
        (await world.taken()).succeed(world.payload("7"))
        open_task = await world.taken()
        if end is Status.ABORTED:
            world.engine.stop(execution)
        else:
            await world.clock.advance(50)
        assert execution.status == end
        await redriven(world, execution)
        with pytest.raises(TokenClosed):
            world.engine.tokens.find(open_task.token)
        again = await world.taken()
        assert again.input.value == {"x": 7}
        again.succeed(world.payload("8"))
        await world.clock.advance(0)
        assert (execution.status, execution.output.text) == ("SUCCEEDED", "8")
        assert not await world.has_task()

    asyncio.run(main())


def test_only_branches_that_did_not_succeed_run_again(world: Any) -> None:
    async def main() -> None:
        branches = [
            branch(world.task(Comment="first")),
            branch({"Type": "Pass", "Result": "p", "Assign": {"v": "kept"}}, world.task(Parameters={"v.$": "$v"})),
            branch({"Type": "Wait", "Seconds": 30}, {"Type": "Pass", "Result": "waited"}),
        ]
        execution = world.start({"P": {"Type": "Parallel", "Branches": branches, "End": True}})
        (await world.taken()).succeed(world.payload('"one"'))
        (await world.taken()).fail("Bad", None)
        await world.clock.advance(0)
        assert execution.error == "Bad"
        before = await redriven(world, execution)
        assert names(execution, before) == ["ExecutionRedriven", "ActivityScheduled"]
        task = await world.taken()
        assert task.input.value == {"v": "kept"}
        task.succeed(world.payload('"two"'))
        await world.clock.advance(30)
        assert execution.output.value == ["one", "two", "waited"]
        assert names(execution).count("ParallelStateStarted") == 1
        assert names(execution).count("ActivityScheduled") == 3
        assert not await world.has_task()

    asyncio.run(main())


def test_only_iterations_that_did_not_succeed_run_again(world: Any) -> None:
    async def main() -> None:
        mapping = {
            "Type": "Map",
            "MaxConcurrency": 2,
            "ItemProcessor": branch({"Type": "Pass"}, world.task()),
            "End": True,
        }
        execution = world.start({"M": mapping}, ["a", "b", "c", "d"])
        first, second = await world.taken(), await world.taken()
        first.succeed(world.payload('"A"'))
        third = await world.taken()
        second.fail("Bad", None)
        await world.clock.advance(0)
        assert (execution.status, third.is_open) == ("FAILED", False)
        before = await redriven(world, execution)
        assert names(execution, before) == ["ExecutionRedriven", "ActivityScheduled", "ActivityScheduled"]
        for expected in ("b", "c", "d"):
            task = await world.taken()
            assert task.input.value == expected
            task.succeed(world.payload(f'"{expected.upper()}"'))
        await world.clock.advance(0)
        assert execution.output.value == ["A", "B", "C", "D"]
        started = [event.details for event in execution.history if event.type == "MapIterationStarted"]
        assert started == [("M", 0), ("M", 1), ("M", 2), ("M", 3)]
        assert names(execution).count("MapIterationSucceeded") == 4

    asyncio.run(main())


def test_a_nested_failure_is_redriven_where_it_happened(world: Any) -> None:
    async def main() -> None:
        mapping = {"Type": "Map", "ItemProcessor": branch(world.task(), world.task()), "End": True}
        branches = [branch(mapping), branch(world.task())]
        execution = world.start({"P": {"Type": "Parallel", "Branches": branches, "End": True}}, [1, 2])
        other, first, second = await world.taken(), await world.taken(), await world.taken()
        # The tasks came in the order in which their states were entered.
        by_input = {str(task.input.text): task for task in (other, first, second)}
        by_input["1"].succeed(world.payload("10"))
        deep = await world.taken()
        assert deep.input.value == 10
        by_input["[1,2]"].succeed(world.payload('"side"'))
        await world.clock.advance(0)
        deep.fail("Bad", None)
        await world.clock.advance(0)
        assert execution.status == "FAILED"
        await redriven(world, execution)
        tasks = {task.input.value: task for task in (await world.taken(), await world.taken())}
        assert set(tasks) == {10, 2}
        tasks[10].succeed(world.payload("100"))
        tasks[2].succeed(world.payload("20"))
        (await world.taken()).succeed(world.payload("200"))
        await world.clock.advance(0)
        assert execution.output.value == [[100, 200], "side"]

    asyncio.run(main())


def test_a_retried_parallel_starts_all_branches_anew_and_a_redriven_one_does_not(world: Any) -> None:
    async def main() -> None:
        branches = [branch(world.task()), branch(world.task())]
        retry = [{"ErrorEquals": ["Bad"], "MaxAttempts": 1}]
        parallel = {"Type": "Parallel", "Branches": branches, "Retry": retry, "End": True}
        execution = world.start({"P": parallel})
        for _ in range(2):
            (await world.taken()).succeed(world.payload("1"))
            (await world.taken()).fail("Bad", None)
            await world.clock.advance(1)
        assert execution.status == "FAILED"
        await redriven(world, execution)
        (await world.taken()).succeed(world.payload("2"))
        await world.clock.advance(0)
        assert execution.output.value == [1, 2]
        assert names(execution).count("ParallelStateStarted") == 2

    asyncio.run(main())


def test_a_state_whose_result_was_too_large_runs_again_as_a_whole(world: Any) -> None:
    async def main() -> None:
        branches = [branch(world.task()), branch(world.task())]
        execution = world.start({"P": {"Type": "Parallel", "Branches": branches, "End": True}})
        for _ in range(2):
            (await world.taken()).succeed(world.payload(f'"{"x" * 200_000}"'))
        await world.clock.advance(0)
        assert execution.error == "States.DataLimitExceeded"
        await redriven(world, execution)
        for _ in range(2):
            (await world.taken()).succeed(world.payload("1"))
        await world.clock.advance(0)
        assert execution.output.text == "[1,1]"

    asyncio.run(main())


def test_a_fail_state_just_fails_again(world: Any, details: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task(Next="F"), "F": {"Type": "Fail", "Error": "E", "Cause": "c"}})
        (await world.taken()).succeed(world.payload("1"))
        await world.clock.advance(0)
        before = await redriven(world, execution)
        assert (execution.status, execution.error, execution.cause) == ("FAILED", "E", "c")
        assert names(execution, before) == ["ExecutionRedriven", "FailStateEntered", "ExecutionFailed"]
        assert not await world.has_task()

    asyncio.run(main())


def test_a_choice_and_a_wait_are_worked_out_again(world: Any) -> None:
    async def main() -> None:
        wait = {"Type": "Wait", "TimestampPath": "$.t", "Next": "C"}
        rule = {"Variable": "$.missing", "NumericEquals": 1, "Next": "D"}
        states = {"W": wait, "C": {"Type": "Choice", "Choices": [rule]}, "D": {"Type": "Succeed"}}
        execution = world.start(states, {"t": "2023-11-14T22:20:00Z"})
        await world.clock.advance(100)
        world.engine.stop(execution)
        await world.clock.advance(1000)
        await redriven(world, execution)  # the moment it waited for has passed
        assert (execution.status, execution.error) == ("FAILED", "States.Runtime")
        assert names(execution).count("ChoiceStateEntered") == 1
        await redriven(world, execution)
        assert (execution.status, execution.error) == ("FAILED", "States.Runtime")
        assert names(execution).count("ChoiceStateEntered") == 1

    asyncio.run(main())


def test_states_see_that_they_were_redriven_and_when_they_were_entered(world: Any) -> None:
    async def main() -> None:
        context = {
            "count.$": "$$.Execution.RedriveCount",
            "entered.$": "$$.State.EnteredTime",
            "retries.$": "$$.State.RetryCount",
        }
        execution = world.start({"A": world.task(Parameters=context, Next="B"), "B": world.task(InputPath="$$")})
        first = await world.taken()
        assert first.input.value["count"] == 0
        first.fail("Bad", None)
        await world.clock.advance(60)
        await redriven(world, execution)
        again = await world.taken()
        assert again.input.value == {**first.input.value, "count": 1}
        again.succeed(world.payload("1"))
        seen = (await world.taken()).input.value
        assert seen["Execution"]["RedriveTime"] == "2023-11-14T22:14:20.000Z"
        assert seen["State"]["EnteredTime"] == "2023-11-14T22:14:20.000Z"

    asyncio.run(main())


def test_what_was_stopped_while_it_waited_to_retry_runs_at_once(world: Any) -> None:
    async def main() -> None:
        retry = [{"ErrorEquals": ["Bad"], "IntervalSeconds": 100}]
        execution = world.start({"A": world.task(Retry=retry)})
        (await world.taken()).fail("Bad", None)
        await world.clock.advance(10)
        world.engine.stop(execution)
        await redriven(world, execution)
        (await world.taken()).succeed(world.payload("1"))
        await world.clock.advance(0)
        assert execution.status == "SUCCEEDED"
        await world.clock.advance(1000)
        assert not await world.has_task()

    asyncio.run(main())
