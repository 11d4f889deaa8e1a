"""Limits: time, size, length of history; and fairness on one event loop."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from sfini_celery.local import Payload, run_definition
from sfini_celery.local.engine import LARGEST_PAYLOAD, LONGEST_HISTORY, is_too_large


def test_a_wait_of_a_year_takes_milliseconds(skipping: Any) -> None:
    async def main() -> None:
        execution = await skipping.start({"W": {"Type": "Wait", "Seconds": 31_536_000, "End": True}}).wait()
        assert execution.stopped - execution.started == 31_536_000

    begin = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - begin < 2


def test_a_machine_that_runs_too_long_times_out_and_lets_its_task_go(world: Any, types: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task()}, TimeoutSeconds=100)
        await world.taken()
        await world.clock.advance(99)
        assert not execution.is_closed
        await world.clock.advance(1)
        assert (execution.status, execution.error) == ("TIMED_OUT", None)
        assert types(execution)[-1] == "ExecutionTimedOut"
        assert len(world.engine.tokens) == 0

    asyncio.run(main())


def test_a_machine_that_ends_in_time_is_not_timed_out_later(world: Any) -> None:
    async def main() -> None:
        execution = await world.start({"A": {"Type": "Succeed"}}, TimeoutSeconds=100).wait()
        await world.clock.advance(200)
        assert execution.status == "SUCCEEDED"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" * 262_144, False),
        ("x" * 262_145, True),
        ("ü" * 131_072, False),
        ("ü" * 131_073, True),
        ("😀" * 65_536, False),
        ("😀" * 65_537, True),
    ],
)
def test_payloads_are_measured_in_bytes_of_utf8(text: str, expected: bool) -> None:
    assert is_too_large(text) is expected


def test_a_state_that_makes_too_much_data_fails_by_its_name(skipping: Any) -> None:
    async def main() -> None:
        states = {"Double": {"Type": "Pass", "Parameters": {"a.$": "$", "b.$": "$"}, "End": True}}
        execution = await skipping.start(states, "x" * 140_000).wait()
        assert execution.error == "States.DataLimitExceeded"
        assert "'Double'" in execution.cause

    asyncio.run(main())


def test_a_machine_that_runs_in_a_circle_fails_when_its_history_is_full(skipping: Any, types: Any) -> None:
    async def main() -> None:
        execution = await skipping.start({"A": {"Type": "Pass", "Next": "A"}}).wait()
        assert len(execution.history) == LONGEST_HISTORY
        assert types(execution)[-1] == "ExecutionFailed"
        assert "25000" in execution.cause

    asyncio.run(main())


def test_a_hand_over_that_fills_the_history_hands_nothing_over(world: Any, types: Any) -> None:
    async def main() -> None:
        # ExecutionStarted, four events a round, TaskStateEntered and ActivityScheduled: 24,999.
        enough = {"Variable": "$.n", "NumericGreaterThanEquals": 6249, "Next": "T"}
        states = {
            "Count": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "Enough"},
            "Enough": {"Type": "Choice", "Choices": [enough], "Default": "Count"},
            "T": world.task(),
        }
        execution = world.start(states, {"n": 0})
        poll = asyncio.create_task(world.activity.poll())
        await execution.wait()
        assert types(execution)[-2:] == ["ActivityScheduled", "ExecutionFailed"]
        assert len(execution.history) == LONGEST_HISTORY
        await world.clock.advance(60)
        assert await poll is None
        assert len(world.engine.tokens) == 0

    asyncio.run(main())


def test_a_machine_in_a_circle_lets_the_others_have_their_turns(skipping: Any) -> None:
    async def main() -> None:
        circle = skipping.start({"A": {"Type": "Pass", "Next": "A"}})
        short = skipping.start({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Succeed"}})
        await short.wait()
        assert not circle.is_closed
        skipping.engine.stop(circle)

    asyncio.run(main())


def test_a_thousand_executions_wait_in_a_few_megabytes(world: Any) -> None:
    import tracemalloc

    async def main() -> int:
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(1000):
            world.start({"A": world.task(HeartbeatSeconds=60)}, Payload(f'{{"order": {number}}}'))
        await world.clock.advance(0)
        held = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert len(world.engine.tokens) == 1000
        return held

    assert asyncio.run(main()) < 20_000_000


def test_nothing_of_a_finished_execution_but_its_record_is_kept(world: Any) -> None:
    async def main() -> None:
        execution = world.start({"A": world.task(TimeoutSeconds=100, HeartbeatSeconds=10)}, TimeoutSeconds=1000)
        (await world.taken()).succeed(Payload("1"))
        await execution.wait()
        await asyncio.sleep(0)
        assert execution.root is None
        assert len(world.engine.tokens) == 0
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    asyncio.run(main())


def test_a_definition_runs_without_a_server() -> None:
    machine = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}
    execution = asyncio.run(run_definition(machine, Payload('{"a":  1}')))
    assert execution.output.text == '{"a":  1}'
    assert [event["type"] for event in execution.history.rendered()] == [
        "ExecutionStarted",
        "WaitStateEntered",
        "WaitStateExited",
        "ExecutionSucceeded",
    ]


@pytest.mark.parametrize("language", ["JSONPath", "JSONata"])
def test_variable_that_is_too_large_fails_the_state(skipping: Any, language: str) -> None:
    if language == "JSONata":
        pytest.importorskip("jsonata", reason="the extra jsonata is not installed")

    async def main() -> None:
        for length, error in ((LARGEST_PAYLOAD - 2, None), (LARGEST_PAYLOAD - 1, "States.DataLimitExceeded")):
            state = {"Type": "Pass", "QueryLanguage": language, "Assign": {"v": "x" * length}, "End": True}
            assert (await skipping.start({"S": state}).wait()).error == error

    asyncio.run(main())
