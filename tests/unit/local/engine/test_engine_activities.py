"""Activities and tokens: who gets a task, when its clocks run, and what late answers do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sfini_celery.local import Payload
from sfini_celery.local.engine import InvalidToken, TokenClosed


def test_an_open_poll_is_handed_a_task_without_a_tick_of_the_clock(world: Any, details: Any) -> None:
    async def main() -> None:
        poll = asyncio.create_task(world.activity.poll("worker-1"))
        await asyncio.sleep(0)
        execution = world.start({"A": world.task()}, Payload('{"a":  1}'))
        ticket = await poll
        assert world.clock.now() == 1_700_000_000.0
        assert ticket.input.text == '{"a":  1}'
        assert details(execution, "ActivityStarted") == {"workerName": "worker-1"}
        ticket.succeed(Payload("[1,  2]"))
        assert (await execution.wait()).output.text == "[1,  2]"

    asyncio.run(main())


def test_polls_and_tasks_are_served_first_come_first_served(world: Any) -> None:
    async def main() -> None:
        polls = [asyncio.create_task(world.activity.poll(f"w{number}")) for number in range(3)]
        await asyncio.sleep(0)
        for number in range(5):
            world.start({"A": world.task()}, number)
        first = [(await poll).input.value for poll in polls]
        assert first == [0, 1, 2]
        assert [(await world.taken()).input.value for _ in range(2)] == [3, 4]

    asyncio.run(main())


def test_a_poll_without_a_task_ends_empty_after_a_minute_of_the_clock(world: Any) -> None:
    async def main() -> None:
        poll = asyncio.create_task(world.activity.poll())
        await world.clock.advance(59.9)
        assert not poll.done()
        await world.clock.advance(0.1)
        assert await poll is None

    asyncio.run(main())


def test_a_poll_that_hung_up_swallows_nothing(world: Any) -> None:
    async def main() -> None:
        gone = asyncio.create_task(world.activity.poll("gone"))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        world.start({"A": world.task()})
        assert await world.has_task()

    asyncio.run(main())


def test_a_poll_that_hangs_up_in_the_moment_of_the_offer_gives_the_task_back_first_in_line(
    world: Any, types: Any
) -> None:
    async def main() -> None:
        gone = asyncio.create_task(world.activity.poll("gone"))
        await asyncio.sleep(0)
        first = world.start({"A": world.task()}, "first")
        second = world.start({"A": world.task()}, "second")
        while not world.activity.waiting_tasks:  # the first was offered to the poll, the second is in the queue
            await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert "ActivityStarted" not in types(first)
        assert (await world.taken()).input.value == "first"
        assert (await world.taken()).input.value == "second"
        assert "ActivityStarted" in types(second)

    asyncio.run(main())


def test_a_caller_found_dead_at_the_hand_over_leaves_the_task_in_the_queue(world: Any, types: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task()})
        await world.clock.advance(0)
        assert await world.activity.poll(is_alive=lambda: False) is None
        assert "ActivityStarted" not in types(execution)
        assert await world.has_task()

    asyncio.run(main())


def test_a_task_whose_execution_was_stopped_is_never_handed_out(world: Any) -> None:
    async def main() -> None:
        queued = world.start({"A": world.task()}, "queued")
        await world.clock.advance(0)
        world.engine.stop(queued)
        assert not await world.has_task()
        poll = asyncio.create_task(world.activity.poll())
        await asyncio.sleep(0)
        offered = world.start({"A": world.task()}, "offered")
        await asyncio.sleep(0)
        world.engine.stop(offered)
        kept = world.start({"A": world.task()}, "kept")
        assert (await poll).input.value == "kept"
        assert kept.history is not None

    asyncio.run(main())


def test_stop_ends_a_waiting_task_at_once_and_closes_its_token(world: Any, links: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task()})
        ticket = await world.taken()
        world.engine.stop(execution, error="Enough", cause="said so")
        assert (execution.status, execution.error, execution.cause) == ("ABORTED", "Enough", "said so")
        assert links(execution)[-1] == (5, 0, "ExecutionAborted")
        for _ in range(2):
            with pytest.raises(TokenClosed):
                world.engine.tokens.find(ticket.token)
        ticket.succeed(Payload("1"))
        assert len(execution.history) == 5

    asyncio.run(main())


def test_a_second_answer_finds_the_token_closed_and_the_first_one_stands(world: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task()})
        ticket = await world.taken()
        world.engine.tokens.find(ticket.token).succeed(Payload("1"))
        with pytest.raises(TokenClosed):
            world.engine.tokens.find(ticket.token)
        ticket.fail("TooLate", None)
        assert (await execution.wait()).output.text == "1"

    asyncio.run(main())


@pytest.mark.parametrize("token", ["", "nonsense", "AAAA", "x" * 76, "ünïcode"])
def test_a_token_that_was_never_handed_out_is_invalid_not_closed(world: Any, token: str) -> None:
    with pytest.raises(InvalidToken):
        world.engine.tokens.find(token)


def test_a_token_of_another_server_is_invalid(world: Any, skipping: Any) -> None:
    async def main() -> None:
        world.start({"A": world.task()})
        ticket = await world.taken()
        with pytest.raises(InvalidToken):
            skipping.engine.tokens.find(ticket.token)

    asyncio.run(main())


def test_tokens_are_not_shown_by_representations(world: Any) -> None:
    async def main() -> None:
        world.start({"A": world.task()})
        ticket = await world.taken()
        assert ticket.token
        assert ticket.token not in repr(ticket)

    asyncio.run(main())


def test_time_outs_run_from_the_hand_over_and_not_while_nobody_polls(world: Any, types: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task(TimeoutSeconds=10, HeartbeatSeconds=5)})
        await world.clock.advance(1_000_000)
        assert not execution.is_closed
        await world.taken()
        await world.clock.advance(4.9)
        assert not execution.is_closed
        await world.clock.advance(0.1)
        assert execution.status == "FAILED"
        assert types(execution)[-2:] == ["ActivityTimedOut", "ExecutionFailed"]
        assert (execution.error, execution.cause) == ("States.Timeout", None)

    asyncio.run(main())


def test_heartbeats_keep_a_task_alive_until_its_time_out(world: Any, details: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task(TimeoutSeconds=20, HeartbeatSeconds=5)})
        ticket = await world.taken()
        for _ in range(4):
            await world.clock.advance(4)
            ticket.heartbeat()
        assert not execution.is_closed
        await world.clock.advance(4)
        assert execution.status == "FAILED"
        assert details(execution, "ActivityTimedOut") == {"error": "States.Timeout"}
        assert details(execution, "ActivityScheduled") == {
            "resource": world.activity.arn,
            "input": "{}",
            "inputDetails": {"truncated": False},
            "timeoutInSeconds": 20,
            "heartbeatInSeconds": 5,
        }
        with pytest.raises(TokenClosed):
            world.engine.tokens.find(ticket.token)

    asyncio.run(main())


def test_time_outs_may_come_from_the_input(world: Any) -> None:
    async def main() -> None:
        state = world.task(TimeoutSecondsPath="$.most", HeartbeatSecondsPath="$.beat")
        execution = world.start({"A": state}, {"most": 30, "beat": 7})
        ticket = await world.taken()
        assert (ticket.timeout, ticket.beat_every) == (30, 7)
        await world.clock.advance(7)
        assert execution.error == "States.Timeout"

    asyncio.run(main())


@pytest.mark.parametrize("value", ["5", 1.5, True, None, 0, -1])
def test_a_time_out_that_is_not_a_positive_integer_fails_the_state(world: Any, value: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task(TimeoutSecondsPath="$.most")}, {"most": value})
        await execution.wait()
        assert execution.error == "States.Runtime"
        assert "TimeoutSecondsPath" in execution.cause

    asyncio.run(main())


def test_an_activity_that_does_not_exist_fails_when_it_is_scheduled(world: Any, types: Any) -> None:
    async def main() -> None:
        missing = world.activity.arn + "-missing"
        catch = [{"ErrorEquals": ["States.ALL"], "Next": "B"}]
        states = {"A": {"Type": "Task", "Resource": missing, "Catch": catch, "End": True}, "B": {"Type": "Succeed"}}
        execution = await world.start(states).wait()
        assert types(execution)[-2:] == ["ActivityScheduleFailed", "ExecutionFailed"]
        assert execution.error == "States.Runtime"
        assert missing in execution.cause

    asyncio.run(main())


def test_a_deleted_activity_lets_its_polls_go_and_its_tasks_wait(world: Any) -> None:
    async def main() -> None:
        poll = asyncio.create_task(world.activity.poll())
        await asyncio.sleep(0)
        world.engine.delete_activity(world.activity.arn)
        assert await poll is None
        assert await world.activity.poll() is None

    asyncio.run(main())


def test_creating_an_activity_again_keeps_its_queue(world: Any) -> None:
    async def main() -> None:
        world.start({"A": world.task()})
        assert world.engine.create_activity("work") is world.activity
        assert await world.has_task()

    asyncio.run(main())


def test_a_result_over_the_limit_fails_the_task(world: Any, types: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task()})
        (await world.taken()).succeed(Payload(f'"{"x" * 262_143}"'))
        await execution.wait()
        assert types(execution)[-2] == "ActivityFailed"
        assert execution.error == "States.DataLimitExceeded"

    asyncio.run(main())
