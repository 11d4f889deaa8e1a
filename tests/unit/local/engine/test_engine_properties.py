"""Whatever a machine is made of and whatever its workers do, an execution ends tidily."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.local import Engine, Execution, Payload, VirtualClock, run_definition

ACTIVITY = "arn:aws:states:us-east-1:123456789012:activity:work"
LAST = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"}
LEAVES = {"MapIterationSucceeded", "MapIterationFailed", "MapStateSucceeded", "ParallelStateSucceeded"}

retries = st.lists(
    st.fixed_dictionaries(
        {"ErrorEquals": st.sampled_from([["Bad"], ["States.Timeout"], ["States.HeartbeatTimeout"], ["States.ALL"]])},
        optional={
            "MaxAttempts": st.integers(0, 2),
            "IntervalSeconds": st.integers(1, 9),
            "JitterStrategy": st.just("FULL"),
        },
    ),
    max_size=2,
)
errors = {"Retry": retries, "Catch": st.just([{"ErrorEquals": ["States.ALL"], "Next": "Caught"}])}
limits = {"TimeoutSeconds": st.integers(20, 60), "HeartbeatSeconds": st.integers(1, 19)}
alone = st.one_of(
    st.just({"Type": "Pass"}),
    st.just({"Type": "Fail", "Error": "Bad"}),
    st.fixed_dictionaries({"Type": st.just("Wait"), "Seconds": st.integers(0, 30)}),
    st.fixed_dictionaries({"Type": st.just("Task"), "Resource": st.just(ACTIVITY)}, optional={**errors, **limits}),
)


def machine(states: list[dict[str, Any]]) -> dict[str, Any]:
    """States one after the other, and one that a Catch may go to."""
    named: dict[str, Any] = {"Caught": {"Type": "Succeed"}}
    for index, state in enumerate(states):
        ends = (
            {} if state["Type"] == "Fail" else {"Next": f"S{index + 1}"} if index + 1 < len(states) else {"End": True}
        )
        named[f"S{index}"] = {**state, **ends}
    return {"StartAt": "S0", "States": named}


def around(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Parallel and Map states with machines of the inner states below them."""
    below = st.lists(inner, min_size=1, max_size=2).map(machine)
    parallel = {"Type": st.just("Parallel"), "Branches": st.lists(below, min_size=1, max_size=3)}
    mapping = {"Type": st.just("Map"), "ItemsPath": st.just("$$.Execution.Input.items"), "ItemProcessor": below}
    most = {"MaxConcurrency": st.integers(0, 3)}
    tolerant = {**errors, **most, "ToleratedFailureCount": st.integers(0, 2)}
    # A child's input is its execution's, where the Maps in it look for their items.
    children = {"ItemSelector": st.just({"items": [1, 2]})}
    return st.one_of(
        st.fixed_dictionaries(parallel, optional=errors),
        st.fixed_dictionaries(mapping, optional={**errors, **most}),
        st.fixed_dictionaries({**mapping, **children, "ItemProcessor": below.map(distributed)}, optional=tolerant),
    )


def distributed(processor: dict[str, Any]) -> dict[str, Any]:
    """An item processor whose Map is a distributed one."""
    return {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **processor}


machines = st.lists(st.recursive(alone, around, max_leaves=6), min_size=1, max_size=3).map(machine)
behaviours = st.lists(st.sampled_from(["succeed", "fail", "forget", "beat"]), min_size=1, max_size=6)


async def worker(engine: Engine, behaviour: list[str]) -> None:
    activity = engine.activities[ACTIVITY]
    for act in itertools.cycle(behaviour):
        ticket = await activity.poll()
        if ticket is None:
            continue
        if act == "succeed":
            ticket.succeed(Payload("1"))
        elif act == "fail":
            ticket.fail("Bad", None)
        elif act == "beat":
            await engine.clock.sleep(1)
            ticket.heartbeat()


async def run(definition: dict[str, Any], behaviour: list[str], stop_after: int | None) -> tuple[Engine, Execution]:
    engine = Engine(clock=VirtualClock(auto=True), seed=1)
    engine.create_activity("work")
    polling = asyncio.create_task(worker(engine, behaviour))
    execution = engine.start(
        engine.revision("m", {**definition, "TimeoutSeconds": 500}), Payload('{"items": [1, 2, 3]}')
    )
    if stop_after is not None:
        engine.clock.call_later(stop_after, lambda: engine.stop(execution))
    await asyncio.wait_for(execution.wait(), 20)
    polling.cancel()
    await asyncio.sleep(0)
    return engine, execution


@given(machines, behaviours, st.none() | st.integers(0, 60))
def test_an_execution_always_ends_with_nothing_left_behind(
    definition: dict[str, Any], behaviour: list[str], stop_after: int | None
) -> None:
    async def main() -> None:
        engine, execution = await run(definition, behaviour, stop_after)
        events = [*execution.history]
        assert events[-1].type in LAST
        assert [event.type for event in events].count("ExecutionStarted") == 1
        assert sum(event.type in LAST for event in events) == 1
        assert len(engine.tokens) == 0
        assert await engine.activities[ACTIVITY].poll(seconds=0) is None
        for _ in range(5):
            await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert [task for task in left if task.get_name() != "virtual-clock"] == []

    asyncio.run(main())


@given(machines, behaviours)
def test_every_event_follows_from_an_earlier_one_that_leads_on(
    definition: dict[str, Any], behaviour: list[str]
) -> None:
    _, execution = asyncio.run(run(definition, behaviour, None))
    events = [*execution.history]
    for number, event in enumerate(events[2:], 3):
        assert 0 < event.previous < number
        cause = events[event.previous - 1].type
        if cause in LEAVES:  # they end a line; only their own Map or Parallel state goes on from the last iteration
            assert event.type in {"MapStateSucceeded", "MapStateExited"}, f"{event.type} follows from {cause}"
    stamps = [event.timestamp for event in events]
    assert stamps == sorted(stamps)


@given(machines, behaviours)
def test_every_state_that_was_entered_is_left_once_at_most(definition: dict[str, Any], behaviour: list[str]) -> None:
    _, execution = asyncio.run(run(definition, behaviour, None))
    types = [event.type for event in execution.history]
    for type in ("Task", "Wait", "Parallel", "Map"):
        left = types.count(f"{type}StateExited") + types.count(f"{type}StateAborted")
        assert left <= types.count(f"{type}StateEntered")
    assert types.count("MapIterationStarted") >= sum(
        types.count(f"MapIteration{end}") for end in ("Succeeded", "Failed", "Aborted")
    )
    if execution.status == "SUCCEEDED":
        assert types.count("PassStateEntered") == types.count("PassStateExited")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_data_that_is_only_handed_on_comes_out_as_it_went_in(data: Any) -> None:
    through = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
    assert asyncio.run(run_definition(through, Payload(value=data))).output.value == data
