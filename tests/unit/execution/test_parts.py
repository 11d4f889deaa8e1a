"""The parts of an execution as results, read from its history, against the embedded server."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from sfini_celery.errors import ExecutionAborted, NotFinished
from sfini_celery.execution import Execution, ExecutionResult, PartResult

Start = Callable[..., Any]


def task(activity: str, **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": activity, **fields}


def machine(*states: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    written = {name: {**state, "Next": following} for (name, state), (following, _) in pairwise(states)}
    return {"StartAt": states[0][0], "States": {**written, states[-1][0]: {**states[-1][1], "End": True}}}


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    import time

    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return value


def told(part: Any) -> tuple[str, str, Any]:
    return part.name, part.state, part.result


def test_steps_of_a_chain_are_children_in_order_with_what_each_task_answered(bench: Any) -> None:
    add = bench.activity()
    bench.answer(add, lambda n: n + 1, times=2)
    outcome = bench.start(
        [task(add, Name="one"), {"Type": "Pass", "Name": "nothing"}, task(add, Name="two", OutputPath="$")], 1
    )
    assert outcome.get(timeout=30) == 3
    assert [told(part) for part in outcome.children] == [("one", "SUCCESS", 2), ("two", "SUCCESS", 3)]
    first = outcome.children[0]
    assert isinstance(first, PartResult)
    assert (first.parent, first.children, first.retries, first.traceback) == (outcome, [], 0, None)
    assert first.id == first.task_id == str(first) == f"{outcome.id}#0"
    assert first.date_done <= outcome.date_done
    assert [value for part, value in outcome.collect() if not part.children] == [2, 3]
    assert [part for part, _ in outcome.collect()] == [outcome, *outcome.children]


def test_what_a_task_answered_is_its_result_though_the_state_keeps_it_beside_other_things(bench: Any) -> None:
    add = bench.activity()
    bench.answer(add, lambda given: given["n"] + 1)
    outcome = bench.start([task(add, ResultPath="$.r")], {"n": 4})
    assert outcome.get(timeout=30) == {"n": 4, "r": 5}
    assert outcome.children[0].result == 5


def test_members_of_a_group_are_children_in_the_groups_order(bench: Any) -> None:
    add, double = bench.activity(), bench.activity()
    branches = [machine((f"add {n}", {**task(add)})) for n in range(3)]
    branches.append(machine(("first", task(double)), ("second", task(double))))
    outcome = bench.start(
        {"StartAt": "all", "States": {"all": {"Type": "Parallel", "Branches": branches, "End": True}}}, 5
    )
    bench.answer(double, lambda n: n * 2, times=2)
    bench.answer(add, lambda n: n + 1, times=3)
    assert outcome.get(timeout=30) == [6, 6, 6, 20]
    children = outcome.children  # the group is all there is
    assert [told(part) for part in children] == [
        ("add 0", "SUCCESS", 6),
        ("add 1", "SUCCESS", 6),
        ("add 2", "SUCCESS", 6),
        ("first", "SUCCESS", 20),
    ]
    assert [part.index for part in children] == [0, 1, 2, 3]
    assert [told(part) for part in children[3].children] == [("first", "SUCCESS", 10), ("second", "SUCCESS", 20)]
    assert len({*children, *children[3].children}) == 6


def test_a_group_among_steps_has_its_members_as_its_own_children(bench: Any) -> None:
    add = bench.activity()
    bench.answer(add, lambda n: n + 1, times=4)
    each = {"Type": "Map", "ItemsPath": "$", "ItemProcessor": machine(("add", task(add)))}
    outcome = bench.start(
        [{"Name": "each", **each}, {"Type": "Pass", "Name": "sum", "Result": 6}, task(add, Name="last")], [1, 2, 3]
    )
    assert outcome.get(timeout=30) == 7
    group, last = outcome.children
    assert told(group) == ("each", "SUCCESS", [2, 3, 4])
    assert group.is_group
    assert not last.is_group
    assert [(part.index, part.result) for part in group.children] == [(0, 2), (1, 3), (2, 4)]
    assert sorted(value for part, value in outcome.collect() if not part.children) == [2, 3, 4, 7]


def test_parts_of_a_running_execution_stand_where_they_stand_and_wait_for_the_whole(bench: Any) -> None:
    quick, slow = bench.activity(), bench.activity()
    branches = [
        machine(("quick", task(quick))),
        machine(("quick too", task(quick)), ("slow", task(slow))),
    ]
    outcome = bench.start(
        {"StartAt": "all", "States": {"all": {"Type": "Parallel", "Branches": branches, "End": True}}}, 1
    )
    bench.answer(quick, lambda n: n + 1, times=2)
    until(lambda: len(outcome.children[1].children) == 2)
    done, running = outcome.children
    assert (done.state, done.ready(), done.get(timeout=0)) == ("SUCCESS", True, 2)
    assert (running.state, running.ready(), running.result, running.date_done) == ("PENDING", False, None, None)
    assert running.children[0].get() == 2
    bench.answer(slow, lambda n: n + 10)
    assert running.get(timeout=30) == 12


def test_a_member_between_two_states_is_not_done(bench: Any) -> None:
    quick = bench.activity()
    body = machine(("quick", task(quick)), ("pause", {"Type": "Wait", "Seconds": 3600}))
    outcome = bench.start([{"Type": "Map", "ItemsPath": "$", "ItemProcessor": body, "Name": "each"}], [1])
    bench.answer(quick, lambda n: n)
    until(lambda: outcome.children and outcome.children[0].visits[0].exited)
    (member,) = outcome.children
    assert (member.state, member.ready()) == ("STARTED", False)
    outcome.revoke()
    (member,) = outcome.children
    assert member.state == "REVOKED"
    with pytest.raises(ExecutionAborted):
        member.get()


def test_the_part_that_failed_raises_its_exception_and_its_siblings_are_revoked(bench: Any) -> None:
    good, bad = bench.activity(), bench.activity()
    branches = [machine(("waits", task(good))), machine(("fails", task(bad)))]
    outcome = bench.start(
        {"StartAt": "all", "States": {"all": {"Type": "Parallel", "Branches": branches, "End": True}}}, 1
    )

    def fail(n: Any) -> Any:
        raise KeyError("size")

    bench.answer(bad, fail)
    with pytest.raises(KeyError):
        outcome.get(timeout=30)
    waits, fails = outcome.children
    assert (waits.state, fails.state, fails.failed(), fails.successful()) == ("REVOKED", "FAILURE", True, False)
    assert isinstance(fails.result, KeyError)
    assert fails.traceback == "Traceback: here\n"
    assert isinstance(fails.get(propagate=False), KeyError)
    with pytest.raises(KeyError):
        fails.get()
    with pytest.raises(KeyError):
        list(outcome.collect())


def test_a_retried_task_tells_how_often(bench: Any) -> None:
    flaky = bench.activity()
    answers = iter([ValueError("once"), 3])

    def answer(n: Any) -> Any:
        value = next(answers)
        if isinstance(value, Exception):
            raise value
        return value

    bench.answer(flaky, answer, times=2)
    retry = [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 1}]
    outcome = bench.start([task(flaky, Name="flaky", Retry=retry)], 1)
    assert outcome.get(timeout=30) == 3
    (part,) = outcome.children
    assert (part.state, part.retries, part.result) == ("SUCCESS", 1, 3)


def test_an_execution_that_a_step_started_is_its_child_and_its_exception_comes_through(bench: Any) -> None:
    inner = bench.activity()
    child = bench.start([task(inner, Name="inner")], 1)
    bench.answer(inner, lambda n: n + 1)
    assert child.get(timeout=30) == 2
    nested = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": child.execution.state_machine_arn, "Input.$": "States.JsonToString($)"},
        "OutputPath": "$.Output",
        "Name": "nested",
    }
    bench.answer(inner, lambda n: n + 1)
    outcome = bench.start([dict(nested)], 41)
    assert outcome.get(timeout=30) == 42
    (step,) = outcome.children
    assert told(step) == ("nested", "SUCCESS", 42)
    (within,) = step.children
    assert isinstance(within, ExecutionResult)
    assert within.execution.state_machine_arn == child.execution.state_machine_arn
    assert [told(part) for part in within.children] == [("inner", "SUCCESS", 42)]

    def fail(n: Any) -> Any:
        raise LookupError("gone")

    bench.answer(inner, fail)
    outcome = bench.start([dict(nested)], 1)
    with pytest.raises(LookupError, match="gone") as caught:
        outcome.get(timeout=30)
    assert caught.value.remote_traceback == "Traceback: here\n"
    assert isinstance(outcome.children[0].result, LookupError)


def test_a_child_that_was_stopped_or_took_too_long_is_told_as_that(bench: Any) -> None:
    child = bench.start([{"Type": "Wait", "Seconds": 3600}])
    outcome = bench.start(
        [
            {
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution.sync:2",
                "Parameters": {"StateMachineArn": child.execution.state_machine_arn, "Name": "inside"},
            }
        ]
    )
    inside = ExecutionResult(
        Execution.from_arn(child.id.rpartition(":")[0] + ":inside", control=bench.control, look=False)
    )
    until(lambda: inside.state == "STARTED")
    inside.revoke()
    with pytest.raises(ExecutionAborted, match="inside"):
        outcome.get(timeout=30)
    child.revoke()


def test_a_part_that_never_ends_is_said(bench: Any) -> None:
    waiting = bench.activity()
    outcome = bench.start([task(waiting, Name="waits")])
    until(lambda: outcome.children)
    (part,) = outcome.children
    outcome.revoke()
    part._again = lambda: part  # as if the history never told
    with pytest.raises(NotFinished, match="waits"):
        part.get(timeout=30)


def test_the_definition_it_started_with_is_kept(bench: Any) -> None:
    outcome = bench.start([{"Type": "Pass", "Result": 1}])
    definition = outcome.execution.definition()
    assert definition["States"]["s0"]["Result"] == 1
    bench.control.update_state_machine(
        outcome.execution.state_machine_arn,
        definition=json.dumps({"StartAt": "x", "States": {"x": {"Type": "Succeed"}}}),
    )
    assert outcome.execution.definition() is definition
    assert Execution.from_arn(outcome.id, control=bench.control).definition() == definition
