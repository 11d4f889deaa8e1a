"""States that work alone, the order in which their fields apply, and the texts they hand on."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

import pytest

from sfini_celery.local import Payload


async def ran(world: Any, state: dict[str, Any], input: Any = None) -> Any:
    states = {"S": {"End": True, **state} if state["Type"] not in ("Choice", "Fail", "Succeed") else state}
    return await world.start(states, input).wait()


def test_fields_apply_in_the_order_that_aws_documents(skipping: Any) -> None:
    async def main() -> None:
        state = skipping.task(
            InputPath="$.in",
            Parameters={"p.$": "$.x", "fixed": 1},
            ResultSelector={"picked.$": "$.raw"},
            ResultPath="$.in.result",
            OutputPath="$.in",
        )
        execution = skipping.start({"A": state}, {"in": {"x": 7}, "out": "gone"})
        ticket = await skipping.activity.poll()
        assert ticket.input.value == {"p": 7, "fixed": 1}
        ticket.succeed(Payload('{"raw": 42, "rest": 0}'))
        assert (await execution.wait()).output.value == {"x": 7, "result": {"picked": 42}}

    asyncio.run(main())


def test_assign_sees_the_raw_result_and_the_variables_before_it(skipping: Any) -> None:
    async def main() -> None:
        states = {
            "Set": {"Type": "Pass", "Assign": {"a": 1, "b": 2}, "Next": "Swap"},
            "Swap": {"Type": "Pass", "Assign": {"a.$": "$b", "b.$": "$a"}, "Next": "T"},
            "T": skipping.task(ResultSelector={"r.$": "$.n"}, ResultPath=None, Assign={"n.$": "$.n"}, Next="Show"),
            "Show": {"Type": "Pass", "Parameters": {"a.$": "$a", "b.$": "$b", "n.$": "$n"}, "End": True},
        }
        execution = skipping.start(states)
        (await skipping.activity.poll()).succeed(Payload('{"n": 9}'))
        assert (await execution.wait()).output.value == {"a": 2, "b": 1, "n": 9}

    asyncio.run(main())


@pytest.mark.parametrize("text", ['{"a":  1}', "[1, 2]", " 1.50", '"\\u00e9"'])
def test_a_text_that_no_field_touches_stays_as_it_came(skipping: Any, text: str) -> None:
    async def main() -> None:
        through = [{"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}]
        states = {
            "A": {"Type": "Pass", "InputPath": "$", "Next": "W"},
            "W": {"Type": "Wait", "Seconds": 1, "Next": "P2"},
            "P2": {"Type": "Parallel", "Branches": through, "End": True},
        }
        assert (await skipping.start(states, Payload(text)).wait()).output.text == f"[{text}]"

    asyncio.run(main())


def test_a_pass_hands_on_its_result_and_not_its_input(skipping: Any) -> None:
    async def main() -> None:
        execution = await ran(skipping, {"Type": "Pass", "Result": {"b": 2}, "ResultPath": "$.r"}, {"a": 1})
        assert execution.output.value == {"a": 1, "r": {"b": 2}}

    asyncio.run(main())


def test_a_choice_takes_the_first_rule_that_holds_and_its_assign(skipping: Any) -> None:
    async def main() -> None:
        show = {"Type": "Pass", "Parameters": {"way.$": "$way"}, "End": True}
        choice = {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.n", "NumericGreaterThan": 10, "Next": "Show", "Assign": {"way": "big"}},
                {"Variable": "$.n", "NumericGreaterThan": 5, "Next": "Show", "Assign": {"way": "middle"}},
                {"Variable": "$.n", "NumericGreaterThan": 1, "Next": "Show", "Assign": {"way": "small"}},
            ],
            "Default": "Show",
            "Assign": {"way": "default"},
        }
        for number, way in ((11, "big"), (7, "middle"), (2, "small"), (0, "default")):
            execution = await skipping.start({"C": choice, "Show": show}, {"n": number}).wait()
            assert execution.output.value == {"way": way}

    asyncio.run(main())


def test_a_choice_without_a_match_and_default_fails_by_name_and_may_be_caught_around_it(skipping: Any) -> None:
    async def main() -> None:
        choice = {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "E"}]}
        states = {"C": choice, "E": {"Type": "Succeed"}}
        execution = await skipping.start(states, {"n": 2}).wait()
        assert execution.error == "States.NoChoiceMatched"
        assert "'C' (entered at the event id #2)" in execution.cause
        around = {
            "Type": "Parallel",
            "Branches": [{"StartAt": "C", "States": states}],
            "Catch": [{"ErrorEquals": ["States.NoChoiceMatched"], "Next": "Done"}],
            "End": True,
        }
        assert (await skipping.start({"P": around, "Done": {"Type": "Succeed"}}, {"n": 2}).wait()).status == "SUCCEEDED"

    asyncio.run(main())


def test_a_comparison_on_a_missing_path_fails_the_state(skipping: Any) -> None:
    async def main() -> None:
        choice = {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "E"}], "Default": "E"}
        execution = await skipping.start({"C": choice, "E": {"Type": "Succeed"}}).wait()
        assert execution.error == "States.Runtime"

    asyncio.run(main())


def test_a_fail_state_ends_with_its_error_and_leaves_no_exit(skipping: Any, types: Any) -> None:
    async def main() -> None:
        execution = await ran(skipping, {"Type": "Fail", "Error": "Bad", "CausePath": "$.why"}, {"why": "because"})
        assert (execution.status, execution.error, execution.cause) == ("FAILED", "Bad", "because")
        assert types(execution) == ["ExecutionStarted", "FailStateEntered", "ExecutionFailed"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"Seconds": 90}, 90),
        ({"SecondsPath": "$.s"}, 17),
        ({"Timestamp": "2023-11-14T22:13:30Z"}, 10),
        ({"TimestampPath": "$.t"}, 40),
        ({"Timestamp": "2001-01-01T00:00:00Z"}, 0),
        ({"SecondsPath": "$.zero"}, 0),
    ],
)
def test_a_wait_lasts_as_long_as_it_says(skipping: Any, fields: Any, seconds: float) -> None:
    assert datetime.fromtimestamp(1_700_000_000, timezone.utc).isoformat() == "2023-11-14T22:13:20+00:00"

    async def main() -> None:
        input = {"s": 17, "t": "2023-11-15T00:14:00+02:00", "zero": 0}
        execution = await ran(skipping, {"Type": "Wait", **fields}, input)
        assert execution.status == "SUCCEEDED"
        assert execution.stopped - execution.started == seconds

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "value", "cause"),
    [
        ("SecondsPath", -1, "references a negative value: $.v == -1"),
        ("SecondsPath", 1.5, "cannot be parsed as a long value: $.v == 1.5"),
        ("SecondsPath", "7", "cannot be parsed as a long value: $.v == 7"),
        ("SecondsPath", True, "cannot be parsed as a long value: $.v == true"),
        ("TimestampPath", "tomorrow", "valid ISO-8601 extended offset date-time format string: $.v == tomorrow"),
        ("TimestampPath", 5, "valid ISO-8601 extended offset date-time format string: $.v == 5"),
        ("TimestampPath", "2123-01-01T00:00:00Z", "Wait state delay is too long."),
    ],
)
def test_a_wait_for_nonsense_fails_with_what_was_wrong(skipping: Any, path: str, value: Any, cause: str) -> None:
    async def main() -> None:
        execution = await ran(skipping, {"Type": "Wait", path: "$.v"}, {"v": value})
        assert execution.error == "States.Runtime"
        assert execution.cause.endswith(cause)

    asyncio.run(main())


@pytest.mark.parametrize("path", ["SecondsPath", "TimestampPath"])
def test_a_wait_for_what_is_not_there_fails(skipping: Any, path: str) -> None:
    async def main() -> None:
        execution = await ran(skipping, {"Type": "Wait", path: "$.nothing"})
        assert execution.cause.endswith(f"The {path} parameter does not reference an input value: $.nothing")

    asyncio.run(main())


def test_the_context_object_says_what_runs_and_where(skipping: Any) -> None:
    async def main() -> None:
        skipping.start({"S": skipping.task(Parameters={"all.$": "$$"})}, {"a": 1})
        context = (await skipping.activity.poll()).input.value["all"]
        execution = next(iter(skipping.engine.executions.values()))
        assert context == {
            "Execution": {
                "Id": execution.arn,
                "Input": {"a": 1},
                "Name": execution.name,
                "RedriveCount": 0,
                "RoleArn": "",
                "StartTime": "2023-11-14T22:13:20.000Z",
            },
            "State": {"EnteredTime": "2023-11-14T22:13:20.000Z", "Name": "S", "RetryCount": 0},
            "StateMachine": {"Id": skipping.engine.arn("stateMachine", "machine"), "Name": "machine"},
        }

    asyncio.run(main())
