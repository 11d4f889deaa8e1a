"""States in JSONata: which fields take expressions, what those see, and what a failing one does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sfini_celery.local import Execution

pytest.importorskip("jsonata", reason="the extra jsonata is not installed")

JSONATA = {"QueryLanguage": "JSONata"}


def _ran(world: Any, states: dict[str, Any], input: Any = None) -> Execution:
    async def main() -> Execution:
        return await world.start(states, input, **JSONATA).wait()

    return asyncio.run(main())


def test_each_state_has_its_own_query_language_before_the_machine_s(skipping: Any) -> None:
    states = {
        "Path": {"Type": "Pass", "QueryLanguage": "JSONPath", "Parameters": {"a.$": "$.n"}, "Next": "Whole"},
        "Whole": {"Type": "Pass", "Output": "{% $states.input.a + 1 %}", "End": True},
    }
    assert _ran(skipping, states, {"n": 1}).output.value == 2


def test_states_inside_a_branch_take_the_machine_s_language(skipping: Any) -> None:
    branch = {"StartAt": "B", "States": {"B": {"Type": "Pass", "Output": "{% $states.input.n %}", "End": True}}}
    states = {"All": {"Type": "Parallel", "Branches": [branch, branch], "Arguments": {"n": "{% 2 * 2 %}"}, "End": True}}
    assert _ran(skipping, states).output.value == [4, 4]


def test_without_output_a_task_gives_its_result_and_a_pass_its_input(world: Any) -> None:
    async def main() -> Execution:
        states = {"Do": world.task(Arguments={"x": "{% $states.input.n %}"}, Next="Same"), "Same": {"Type": "Succeed"}}
        execution = world.start(states, {"n": 1}, **JSONATA)
        ticket = await world.taken()
        assert ticket.input.value == {"x": 1}
        world.engine.tokens.find(ticket.token).succeed(type(ticket.input)(value="done"))
        return await execution.wait()

    assert asyncio.run(main()).output.value == "done"


def test_output_and_assign_see_result_input_and_the_variables_of_before(world: Any) -> None:
    async def main() -> Execution:
        seen = {"r": "{% $states.result %}", "i": "{% $states.input.n %}", "v": "{% $v %}"}
        states = {
            "Set": {"Type": "Pass", "Assign": {"v": "old"}, "Next": "Do"},
            "Do": world.task(Assign={"v": "new", "copy": seen}, Output=seen, Next="Show"),
            "Show": {"Type": "Succeed", "Output": ["{% $states.input %}", "{% $copy %}", "{% $v %}"]},
        }
        execution = world.start(states, {"n": 1}, **JSONATA)
        ticket = await world.taken()
        world.engine.tokens.find(ticket.token).succeed(type(ticket.input)(value=[7]))
        return await execution.wait()

    expected = {"r": [7], "i": 1, "v": "old"}
    assert asyncio.run(main()).output.value == [expected, expected, "new"]


def test_time_outs_are_expressions_too(world: Any, details: Any) -> None:
    async def main() -> Execution:
        limits = {"TimeoutSeconds": "{% $states.input.t %}", "HeartbeatSeconds": "{% $states.input.t / 2 %}"}
        execution = world.start({"Do": world.task(**limits)}, {"t": 20}, **JSONATA)
        await world.taken()
        await world.clock.advance(11)
        return await execution.wait()

    execution = asyncio.run(main())
    scheduled = details(execution, "ActivityScheduled")
    assert (scheduled["timeoutInSeconds"], scheduled["heartbeatInSeconds"]) == (20, 10)
    assert execution.error == "States.Timeout"


@pytest.mark.parametrize(
    ("field", "value"),
    [("TimeoutSeconds", "{% 0 %}"), ("TimeoutSeconds", "{% 1.5 %}"), ("HeartbeatSeconds", "{% 'x' %}")],
)
def test_time_out_that_is_no_positive_integer_fails_the_state(skipping: Any, field: str, value: str) -> None:
    execution = _ran(skipping, {"Do": skipping.task(**{field: value})})
    assert execution.error == "States.QueryEvaluationError"
    assert field in execution.cause


def test_waits_and_the_time_of_day_are_the_clock_s(skipping: Any) -> None:
    states = {
        "Nap": {"Type": "Wait", "Seconds": "{% 60 * 60 %}", "Next": "Until"},
        "Until": {"Type": "Wait", "Timestamp": "{% $fromMillis($millis() + 5000) %}", "Next": "Tell"},
        "Tell": {"Type": "Succeed", "Output": "{% $millis() %}"},
    }
    execution = _ran(skipping, states)
    assert execution.stopped - execution.started == 3605
    assert execution.output.value == 1_700_003_605_000


@pytest.mark.parametrize("seconds", ["{% -1 %}", "{% 0.5 %}", "{% '1' %}"])
def test_wait_of_no_whole_seconds_fails_the_state(skipping: Any, seconds: str) -> None:
    assert (
        _ran(skipping, {"Nap": {"Type": "Wait", "Seconds": seconds, "End": True}}).error
        == "States.QueryEvaluationError"
    )


def test_choice_takes_the_first_condition_that_is_true_with_its_output_and_assign(skipping: Any) -> None:
    def rule(condition: str, tag: str) -> dict[str, Any]:
        return {"Condition": condition, "Next": "End", "Output": {"by": tag}, "Assign": {"tag": tag}}

    rules = [rule("{% $states.input.n > 5 %}", "big"), rule("{% $states.input.n > 1 %}", "middle")]
    states = {
        "Choose": {"Type": "Choice", "Choices": rules, "Default": "End", "Output": "none", "Assign": {"tag": "none"}},
        "End": {"Type": "Succeed", "Output": ["{% $states.input %}", "{% $tag %}"]},
    }
    assert _ran(skipping, states, {"n": 3}).output.value == [{"by": "middle"}, "middle"]
    assert _ran(skipping, states, {"n": 0}).output.value == ["none", "none"]


def test_choice_without_a_match_or_with_a_condition_that_is_not_true_or_false_fails(skipping: Any) -> None:
    def chosen(condition: Any) -> Execution:
        choice = {"Type": "Choice", "Choices": [{"Condition": condition, "Next": "End"}]}
        return _ran(skipping, {"Choose": choice, "End": {"Type": "Succeed"}})

    assert chosen("{% false %}").error == "States.NoChoiceMatched"
    assert chosen(True).status.value == "SUCCEEDED"
    wrong = chosen("{% 1 %}")
    assert wrong.error == "States.QueryEvaluationError"
    assert "Expected 'boolean', but was 'number' for value: 1" in wrong.cause


def test_map_takes_items_selector_and_concurrency_from_expressions(skipping: Any) -> None:
    inner = {"StartAt": "I", "States": {"I": {"Type": "Pass", "Output": "{% $states.input.x * 10 %}", "End": True}}}
    item = {
        "x": "{% $states.context.Map.Item.Value + $states.context.Map.Item.Index %}",
        "of": "{% $states.input.all %}",
    }
    state = {
        "Type": "Map",
        "Items": "{% $states.input.all %}",
        "ItemSelector": item,
        "MaxConcurrency": "{% 1 %}",
        "ItemProcessor": inner,
        "Output": {"sum": "{% $sum($states.result) %}"},
        "End": True,
    }
    assert _ran(skipping, {"Each": state}, {"all": [1, 2, 3]}).output.value == {"sum": 90}


def test_fail_names_its_error_and_cause_by_expressions(skipping: Any) -> None:
    state = {"Type": "Fail", "Error": "{% $states.input.e %}", "Cause": "literal"}
    execution = _ran(skipping, {"No": state}, {"e": "Mine"})
    assert (execution.error, execution.cause) == ("Mine", "literal")
    assert _ran(skipping, {"No": {"Type": "Fail", "Error": "{% 1 %}"}}).error == "States.QueryEvaluationError"


def test_failing_field_has_an_event_of_its_own_and_can_be_retried_and_caught(
    skipping: Any, links: Any, details: Any
) -> None:
    state = {
        **skipping.task(Arguments={"a": ["{% $nosuch %}"]}),
        "Retry": [{"ErrorEquals": ["States.QueryEvaluationError"], "MaxAttempts": 1}],
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Show", "Output": "{% $states.errorOutput.Error %}"}],
    }
    execution = _ran(skipping, {"Do": state, "Show": {"Type": "Succeed"}})
    assert execution.output.value == "States.QueryEvaluationError"
    assert links(execution)[1:5] == [
        (2, 0, "TaskStateEntered"),
        (3, 0, "EvaluationFailed"),
        (4, 3, "EvaluationFailed"),
        (5, 4, "TaskStateExited"),
    ]
    failed = details(execution, "EvaluationFailed")
    assert (failed["state"], failed["location"], failed["error"]) == ("Do", "Arguments/a[0]", execution.output.value)


def test_failing_output_of_a_handler_fails_the_execution(skipping: Any, types: Any) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "Do", "Output": "{% $nosuch %}"}]
    execution = _ran(skipping, {"Do": {**skipping.task(Arguments="{% $nosuch %}"), "Catch": catch}})
    assert execution.error == "States.QueryEvaluationError"
    assert types(execution)[-3:] == ["EvaluationFailed", "EvaluationFailed", "ExecutionFailed"]
