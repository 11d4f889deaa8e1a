"""Retry and Catch: which errors they are for, how long a retry waits, what a handler sees."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from sfini_celery.local import Payload
from sfini_celery.local.engine import Failure
from sfini_celery.local.engine.failure import matches_error
from sfini_celery.local.engine.jsonpath_visit import JSONPathVisit
from sfini_celery.local.engine.retry import delay

ORDINARY = Failure("ValueError", "no")
TIMEOUT = Failure("States.Timeout")
MISSED_HEARTBEAT = Failure("States.Timeout", missed_heartbeat=True)
RUNTIME = Failure("States.Runtime", "bad path")
TOO_LARGE = Failure("States.DataLimitExceeded", "too large")
UNNAMED = Failure(None)


@pytest.mark.parametrize(
    ("name", "failure", "expected"),
    [
        ("ValueError", ORDINARY, True),
        ("Value", ORDINARY, False),
        ("valueerror", ORDINARY, False),
        ("States.ALL", ORDINARY, True),
        ("States.TaskFailed", ORDINARY, True),
        ("States.Timeout", ORDINARY, False),
        ("States.Timeout", TIMEOUT, True),
        ("States.Timeout", MISSED_HEARTBEAT, True),
        ("States.HeartbeatTimeout", TIMEOUT, False),
        ("States.HeartbeatTimeout", MISSED_HEARTBEAT, True),
        ("States.TaskFailed", TIMEOUT, False),
        ("States.TaskFailed", MISSED_HEARTBEAT, False),
        ("States.ALL", TIMEOUT, True),
        ("States.ALL", MISSED_HEARTBEAT, True),
        ("States.Runtime", RUNTIME, False),
        ("States.ALL", RUNTIME, False),
        ("States.TaskFailed", RUNTIME, False),
        ("States.ALL", TOO_LARGE, False),
        ("States.DataLimitExceeded", TOO_LARGE, True),
        ("States.ALL", UNNAMED, True),
        ("States.TaskFailed", UNNAMED, True),
        ("None", UNNAMED, False),
    ],
)
def test_error_names_match_what_aws_says_they_match(name: str, failure: Failure, expected: bool) -> None:
    assert matches_error([name], failure) is expected
    assert matches_error(["Other", name], failure) is expected


@pytest.mark.parametrize(
    ("retrier", "delays"),
    [
        ({}, [1, 2, 4, 8]),
        ({"IntervalSeconds": 3, "BackoffRate": 1.5}, [3, 4.5, 6.75]),
        ({"IntervalSeconds": 10, "BackoffRate": 10, "MaxDelaySeconds": 60}, [10, 60, 60]),
        ({"IntervalSeconds": 5, "BackoffRate": 1}, [5, 5, 5]),
    ],
)
def test_a_retry_backs_off_from_its_interval_up_to_its_longest_delay(retrier: Any, delays: list[float]) -> None:
    assert [delay(retrier, tries, random.Random(1)) for tries in range(len(delays))] == delays


def test_the_delay_of_the_last_of_a_huge_number_of_retries_is_still_a_number() -> None:
    assert delay({"BackoffRate": 10}, 99_999_999, random.Random(1)) == 31_622_400


def test_full_jitter_stays_below_the_delay_and_differs() -> None:
    randomness = random.Random(1)
    retrier = {"IntervalSeconds": 10, "BackoffRate": 2, "JitterStrategy": "FULL"}
    drawn = [delay(retrier, 1, randomness) for _ in range(100)]
    assert len(set(drawn)) > 90
    assert 0 <= min(drawn) < 5
    assert 15 < max(drawn) <= 20


def test_a_retried_task_is_scheduled_again_after_the_delay_without_being_entered_again(world: Any, types: Any) -> None:
    async def main() -> None:
        retry = [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 30, "MaxAttempts": 2}]
        execution = world.start({"A": world.task(Retry=retry)})
        (await world.taken()).fail("Flaky", "first")
        await world.clock.advance(29)
        assert not await world.has_task()
        await world.clock.advance(1)
        (await world.taken()).fail("Flaky", "second")
        await world.clock.advance(60)
        (await world.taken()).succeed(Payload("1"))
        await execution.wait()
        attempt = ["ActivityScheduled", "ActivityStarted", "ActivityFailed"]
        last = ["ActivityScheduled", "ActivityStarted", "ActivitySucceeded", "TaskStateExited", "ExecutionSucceeded"]
        assert types(execution) == ["ExecutionStarted", "TaskStateEntered", *attempt, *attempt, *last]

    asyncio.run(main())


def test_each_retrier_counts_its_own_attempts(skipping: Any) -> None:
    async def main() -> None:
        retry = [{"ErrorEquals": ["A"], "MaxAttempts": 1}, {"ErrorEquals": ["B"], "MaxAttempts": 2}]
        errors = iter(["A", "B", "B", "A"])
        execution = skipping.start({"S": skipping.task(Retry=retry)})
        for error in errors:
            ticket = await skipping.activity.poll()
            ticket.fail(error, f"{error} again")
        await execution.wait()
        assert (execution.error, execution.cause) == ("A", "A again")

    asyncio.run(main())


def test_a_retrier_with_no_attempts_hides_the_ones_after_it(skipping: Any) -> None:
    async def main() -> None:
        retry = [{"ErrorEquals": ["A"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 5}]
        execution = skipping.start({"S": skipping.task(Retry=retry)})
        (await skipping.activity.poll()).fail("A", None)
        assert (await execution.wait()).error == "A"

    asyncio.run(main())


def test_states_see_how_often_they_were_retried(skipping: Any) -> None:
    async def main() -> None:
        state = skipping.task(
            Retry=[{"ErrorEquals": ["States.ALL"]}], Parameters={"attempt.$": "$$.State.RetryCount"}, ResultPath="$.r"
        )
        execution = skipping.start({"A": state, "B": {"Type": "Pass", "End": True}})
        seen = []
        for _ in range(3):
            ticket = await skipping.activity.poll()
            seen.append(ticket.input.value["attempt"])
            ticket.fail("Flaky", None)
        (await skipping.activity.poll()).succeed(Payload("1"))
        await execution.wait()
        assert seen == [0, 1, 2]

    asyncio.run(main())


def test_a_missed_heartbeat_is_retried_under_its_own_name_and_recorded_as_a_time_out(world: Any, types: Any) -> None:
    async def main() -> None:
        retry = [{"ErrorEquals": ["States.HeartbeatTimeout"], "MaxAttempts": 1}]
        execution = world.start({"A": world.task(HeartbeatSeconds=5, TimeoutSeconds=60, Retry=retry)})
        await world.taken()
        await world.clock.advance(6)
        assert "ActivityTimedOut" in types(execution)
        ticket = await world.taken()
        for _ in range(15):
            ticket.heartbeat()
            await world.clock.advance(4)
        assert (execution.status, execution.error) == ("FAILED", "States.Timeout")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("catcher", "output"),
    [
        ({}, {"Error": "Bad", "Cause": "why"}),
        ({"ResultPath": "$.error"}, {"order": 7, "error": {"Error": "Bad", "Cause": "why"}}),
        ({"ResultPath": None}, {"order": 7}),
    ],
)
def test_a_handler_gets_the_raw_input_with_the_error_where_its_result_path_says(
    skipping: Any, catcher: Any, output: Any
) -> None:
    async def main() -> None:
        catch = [{"ErrorEquals": ["Other"], "Next": "Wrong"}, {"ErrorEquals": ["Bad"], "Next": "Handler", **catcher}]
        states = {
            "A": skipping.task(InputPath="$.order", OutputPath="$.never", Catch=catch),
            "Handler": {"Type": "Pass", "End": True},
            "Wrong": {"Type": "Fail"},
        }
        execution = skipping.start(states, {"order": 7})
        (await skipping.activity.poll()).fail("Bad", "why")
        assert (await execution.wait()).output.value == output

    asyncio.run(main())


def test_a_catch_may_assign_what_it_caught(skipping: Any) -> None:
    async def main() -> None:
        catch = [{"ErrorEquals": ["Bad"], "Next": "Handler", "Assign": {"why.$": "$.Cause"}, "ResultPath": None}]
        states = {
            "A": skipping.task(Catch=catch),
            "Handler": {"Type": "Pass", "Parameters": {"why.$": "$why"}, "End": True},
        }
        execution = skipping.start(states)
        (await skipping.activity.poll()).fail("Bad", "because")
        assert (await execution.wait()).output.value == {"why": "because"}

    asyncio.run(main())


def test_a_failure_without_error_and_cause_is_caught_with_nulls(skipping: Any) -> None:
    async def main() -> None:
        catch = [{"ErrorEquals": ["States.ALL"], "Next": "Handler"}]
        execution = skipping.start({"A": skipping.task(Catch=catch), "Handler": {"Type": "Succeed"}})
        (await skipping.activity.poll()).fail(None, None)
        assert (await execution.wait()).output.value == {"Error": None, "Cause": None}

    asyncio.run(main())


def test_a_result_path_that_fits_nowhere_is_caught_as_its_own_error(skipping: Any) -> None:
    async def main() -> None:
        catch = [{"ErrorEquals": ["States.ResultPathMatchFailure"], "Next": "Handler"}]
        states = {"A": skipping.task(ResultPath="$.a.b", Catch=catch), "Handler": {"Type": "Succeed"}}
        execution = skipping.start(states, {"a": 1})
        (await skipping.activity.poll()).succeed(Payload("1"))
        await execution.wait()
        assert execution.output.value["Error"] == "States.ResultPathMatchFailure"

    asyncio.run(main())


def test_a_bug_in_the_interpreter_fails_that_execution_loudly_and_no_other(
    skipping: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(visit: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(__import__("sys").modules["sfini_celery.local.engine.interpreter"].WORK, "Pass", crash)

    async def main() -> None:
        broken = skipping.start({"A": {"Type": "Pass", "End": True}})
        sound = skipping.start({"A": {"Type": "Succeed"}})
        await broken.wait()
        await sound.wait()
        assert broken.error == "States.Runtime"
        assert "state 'A' (entered at the event id #2)" in broken.cause
        assert sound.status == "SUCCEEDED"

    asyncio.run(main())
    assert "local.state_crashed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_bug_in_making_an_iteration_s_input_ends_the_execution_instead_of_hanging(
    skipping: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(self: Any, effective: Any, item: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(JSONPathVisit, "_item", crash)

    async def main() -> None:
        inner = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
        state = {"Type": "Map", "ItemProcessor": inner, "End": True}
        execution = await asyncio.wait_for(skipping.start({"Each": state}, [1, 2]).wait(), 5)
        assert execution.error == "States.Runtime"
        assert "state 'Each'" in execution.cause

    asyncio.run(main())
    assert "local.state_crashed" in caplog.text


def test_a_machine_that_names_a_state_which_is_not_there_ends_instead_of_hanging(
    skipping: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        broken = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Next": "Nowhere"}}}
        inside = {"Type": "Parallel", "Branches": [broken], "End": True}
        for states in (broken["States"], {"S": inside}):
            execution = await asyncio.wait_for(skipping.start(states).wait(), 5)
            assert execution.error == "States.Runtime"

    asyncio.run(main())
    assert "local.frame_crashed" in caplog.text
