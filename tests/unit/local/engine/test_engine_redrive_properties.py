"""Whatever fails and however often it is redriven, the end is as if nothing had failed, and nothing has run twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.local import Engine, Execution, Payload, VirtualClock

ACTIVITY = "arn:aws:states:us-east-1:123456789012:activity:work"
ITEMS = "$$.Execution.Input.items"

retries = st.just([{"ErrorEquals": ["Bad"], "MaxAttempts": 1, "IntervalSeconds": 3}])
leaves = st.one_of(
    st.just({"Type": "Pass", "Parameters": {"seen.$": "$", "items.$": ITEMS}}),
    st.fixed_dictionaries({"Type": st.just("Wait"), "Seconds": st.integers(0, 9)}),
    st.fixed_dictionaries({"Type": st.just("Task"), "Resource": st.just(ACTIVITY)}, optional={"Retry": retries}),
    st.just({"Type": "Task", "Resource": ACTIVITY, "Assign": {"last.$": "$"}}),
)


def machine(states: list[dict[str, Any]]) -> dict[str, Any]:
    """States one after the other."""
    last = len(states) - 1
    named = {
        f"S{index}": {**state, **({"End": True} if index == last else {"Next": f"S{index + 1}"})}
        for index, state in enumerate(states)
    }
    return {"StartAt": "S0", "States": named}


def around(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Parallel, inline and distributed Map states with machines of the inner states below them."""
    below = st.lists(inner, min_size=1, max_size=3).map(machine)
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    apart = below.map(lambda processor: {"ProcessorConfig": config, **processor})
    selector = {"items": [1, 2], "item.$": "$$.Map.Item.Value"}
    most = {"MaxConcurrency": st.integers(0, 2)}
    mapping = {"Type": st.just("Map"), "ItemsPath": st.just(ITEMS), "ItemSelector": st.just(selector)}
    return st.one_of(
        st.fixed_dictionaries({"Type": st.just("Parallel"), "Branches": st.lists(below, min_size=1, max_size=3)}),
        st.fixed_dictionaries({**mapping, "ItemProcessor": below}, optional=most),
        st.fixed_dictionaries({**mapping, "ItemProcessor": apart}, optional=most),
    )


machines = st.lists(st.recursive(leaves, around, max_leaves=5), min_size=1, max_size=3).map(machine)


async def worker(engine: Engine, fails: Iterator[bool]) -> None:
    while ticket := await engine.activities[ACTIVITY].poll(seconds=10**9):
        if next(fails, False):
            ticket.fail("Bad", None)
        else:
            ticket.succeed(Payload(f'{{"done":{ticket.input.text if ticket.input else ""}}}'))
        # What has just been answered must have reached its state before another failure ends that.
        await engine.clock.sleep(0.01)


async def run(definition: dict[str, Any], fails: list[bool], stops: list[int]) -> tuple[Execution, Counter[str]]:
    """Run to the good end, redriven as often as that takes; ``stops`` are seconds after which it is stopped."""
    engine = Engine(clock=VirtualClock(auto=True), seed=1)
    engine.create_activity("work")
    polling = asyncio.create_task(worker(engine, iter(fails)))
    execution = engine.start(engine.revision("m", definition), Payload('{"items":["a","b","c"]}'))
    for seconds in [*stops, None, *[None] * len(fails)]:
        if seconds is not None:
            engine.clock.call_later(seconds, lambda: engine.stop(execution))
        await asyncio.wait_for(execution.wait(), 20)
        if execution.status == "SUCCEEDED":
            break
        engine.redrive(execution)
    polling.cancel()
    done = [event.type for one in engine.executions.values() for event in one.history]
    return execution, Counter(done)


@given(machines, st.lists(st.booleans(), max_size=8), st.lists(st.integers(0, 20), max_size=2))
def test_redriving_ends_as_if_nothing_had_failed_and_runs_nothing_twice(
    definition: dict[str, Any], fails: list[bool], stops: list[int]
) -> None:
    smooth, once = asyncio.run(run(definition, [], []))
    redriven, counted = asyncio.run(run(definition, fails, stops))
    assert redriven.status == "SUCCEEDED"
    assert redriven.output.text == smooth.output.text
    for type in ("ActivitySucceeded", "TaskStateEntered", "TaskStateExited", "WaitStateEntered", "PassStateEntered"):
        assert counted[type] == once[type], type
    for type in ("ParallelStateStarted", "MapStateStarted", "MapIterationStarted", "MapIterationSucceeded"):
        assert counted[type] == once[type], type
    assert counted["MapRunStarted"] == once["MapRunStarted"]
    assert counted["ExecutionRedriven"] >= redriven.redrives
