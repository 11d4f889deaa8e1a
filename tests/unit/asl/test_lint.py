"""Lint: one definition for every code, what AWS accepted passes, and nothing makes it raise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sfini_celery.asl import CODES, Finding, lint

Case = tuple[str, Any, str]
"""The code, the definition, and where the finding is."""

ADD = "arn:aws:states:us-east-1:123456789012:activity:add"
END: dict[str, Any] = {"Type": "Succeed"}


def one(state: dict[str, Any], **machine: Any) -> dict[str, Any]:
    """A machine of this state, called one."""
    return {"StartAt": "one", "States": {"one": state}, **machine}


def task(**fields: Any) -> dict[str, Any]:
    return one({"Type": "Task", "Resource": ADD, "End": True, **fields})


def passing(**fields: Any) -> dict[str, Any]:
    return one({"Type": "Pass", "End": True, **fields})


def waiting(**fields: Any) -> dict[str, Any]:
    return one({"Type": "Wait", "End": True, **fields})


def mapping(**fields: Any) -> dict[str, Any]:
    inner = {"StartAt": "item", "States": {"item": END}}
    return one({"Type": "Map", "ItemProcessor": inner, "End": True, **fields})


def distributed(config: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"} if config is None else config
    return mapping(ItemProcessor={"ProcessorConfig": config, "StartAt": "item", "States": {"item": END}}, **fields)


def choosing(rule: Any, **machine: Any) -> dict[str, Any]:
    states = {"one": {"Type": "Choice", "Choices": [rule]}, "end": END}
    return {"StartAt": "one", "States": states, **machine}


def retrying(*retriers: Any) -> dict[str, Any]:
    return task(Retry=list(retriers))


def catching(*catchers: Any) -> dict[str, Any]:
    definition = task(Catch=list(catchers))
    definition["States"]["end"] = END
    return definition


def retrier(*errors: str, **fields: Any) -> dict[str, Any]:
    return {"ErrorEquals": list(errors or ["States.ALL"]), **fields}


def catcher(*errors: str, **fields: Any) -> dict[str, Any]:
    return {"ErrorEquals": list(errors or ["States.ALL"]), "Next": "end", **fields}


def rule(**fields: Any) -> dict[str, Any]:
    return {"Variable": "$.x", "Next": "end", **fields}


JSONATA = {"QueryLanguage": "JSONata"}
SAME = {"StartAt": "same", "States": {"same": END}}
TWO_SCOPES = one({"Type": "Parallel", "Branches": [SAME, SAME], "End": True})
WAITS_FOR_TOKEN = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"

ERRORS: list[Case] = [
    # the text and the machine
    ("NOT_JSON", "{", "$"),
    ("NOT_JSON", '{"StartAt": NaN}', "$"),
    ("NOT_JSON", "", "$"),
    ("NOT_JSON", {"StartAt": float("inf")}, "$"),
    ("DUPLICATE_KEY", '{"StartAt": "a", "States": {"a": {"Type": "Succeed"}, "a": {"Type": "Fail"}}}', "$"),
    ("NOT_AN_OBJECT", "[]", "$"),
    ("NOT_AN_OBJECT", None, "$"),
    ("TOO_LARGE", passing(Comment="é" * 600_000), "$"),
    ("TOO_LARGE", json.dumps(passing(Comment="x")).replace("x", " " * 1_048_576), "$"),
    ("MISSING_FIELD", {"States": {"one": END}}, "$"),
    ("MISSING_FIELD", {"StartAt": "one"}, "$"),
    ("WRONG_TYPE", {"StartAt": 1, "States": {"one": END}}, "$.StartAt"),
    ("WRONG_TYPE", {"StartAt": "one", "States": []}, "$.States"),
    ("WRONG_TYPE", {"StartAt": "one", "States": {"one": "Succeed"}}, "$.States.one"),
    ("EMPTY", {"StartAt": "one", "States": {}}, "$.States"),
    ("UNKNOWN_FIELD", one(END, Coment="x"), "$.Coment"),
    ("UNKNOWN_VALUE", one(END, Version="2.0"), "$.Version"),
    ("UNKNOWN_VALUE", one(END, QueryLanguage="SQL"), "$.QueryLanguage"),
    ("OUT_OF_RANGE", one(END, TimeoutSeconds=0), "$.TimeoutSeconds"),
    # fields of states
    ("MISSING_FIELD", one({}), "$.States.one"),
    ("UNKNOWN_TYPE", one({"Type": "Tasks"}), "$.States.one.Type"),
    ("UNKNOWN_TYPE", one({"Type": ["Task"]}), "$.States.one.Type"),
    ("MISSING_FIELD", one({"Type": "Task", "End": True}), "$.States.one"),
    ("MISSING_FIELD", waiting(), "$.States.one"),
    ("MISSING_FIELD", one({"Type": "Choice"}), "$.States.one"),
    ("MISSING_FIELD", one({"Type": "Parallel", "End": True}), "$.States.one"),
    ("MISSING_FIELD", one({"Type": "Map", "End": True}), "$.States.one"),
    ("UNKNOWN_FIELD", task(TimoutSeconds=3), "$.States.one.TimoutSeconds"),
    ("FIELD_NOT_ALLOWED", passing(Retry=[]), "$.States.one.Retry"),
    ("FIELD_NOT_ALLOWED", one({"Type": "Fail", "InputPath": "$"}), "$.States.one.InputPath"),
    ("FIELD_NOT_ALLOWED", one({"Type": "Succeed", "End": True}), "$.States.one.End"),
    ("FIELD_NOT_ALLOWED", mapping(TimeoutSeconds=3), "$.States.one.TimeoutSeconds"),
    ("FIELD_NOT_ALLOWED", waiting(Seconds=1, ResultPath=None), "$.States.one.ResultPath"),
    ("WRONG_TYPE", passing(Comment=3), "$.States.one.Comment"),
    ("WRONG_TYPE", passing(End="true"), "$.States.one.End"),
    ("INVALID_RESOURCE", task(Resource="add"), "$.States.one.Resource"),
    ("INVALID_RESOURCE", task(Resource="arn:aws:lambda:add"), "$.States.one.Resource"),
    ("WRONG_TYPE", task(Resource=None), "$.States.one.Resource"),
    ("WRONG_TYPE", task(Credentials="role"), "$.States.one.Credentials"),
    # numbers
    ("OUT_OF_RANGE", task(TimeoutSeconds=0), "$.States.one.TimeoutSeconds"),
    ("OUT_OF_RANGE", task(TimeoutSeconds=100_000_000), "$.States.one.TimeoutSeconds"),
    ("OUT_OF_RANGE", task(HeartbeatSeconds=0), "$.States.one.HeartbeatSeconds"),
    ("OUT_OF_RANGE", waiting(Seconds=-1), "$.States.one.Seconds"),
    ("OUT_OF_RANGE", waiting(Seconds=100_000_000), "$.States.one.Seconds"),
    ("OUT_OF_RANGE", mapping(MaxConcurrency=-1), "$.States.one.MaxConcurrency"),
    ("OUT_OF_RANGE", distributed(ToleratedFailureCount=-1), "$.States.one.ToleratedFailureCount"),
    ("OUT_OF_RANGE", distributed(ToleratedFailurePercentage=100.5), "$.States.one.ToleratedFailurePercentage"),
    ("OUT_OF_RANGE", distributed(Label="x" * 41), "$.States.one.Label"),
    ("UNKNOWN_VALUE", distributed(Label="a b"), "$.States.one.Label"),
    ("OUT_OF_RANGE", distributed(ItemBatcher={"MaxItemsPerBatch": -1}), "$.States.one.ItemBatcher.MaxItemsPerBatch"),
    ("WRONG_TYPE", task(TimeoutSeconds=1.5), "$.States.one.TimeoutSeconds"),
    ("WRONG_TYPE", task(TimeoutSeconds=True), "$.States.one.TimeoutSeconds"),
    ("WRONG_TYPE", task(TimeoutSeconds="{% 1 %}"), "$.States.one.TimeoutSeconds"),
    ("WRONG_TYPE", task(TimeoutSeconds="1", **JSONATA), "$.States.one.TimeoutSeconds"),
    ("HEARTBEAT_NOT_BELOW_TIMEOUT", task(TimeoutSeconds=5, HeartbeatSeconds=5), "$.States.one.HeartbeatSeconds"),
    ("HEARTBEAT_NOT_BELOW_TIMEOUT", task(TimeoutSeconds=5, HeartbeatSeconds=6), "$.States.one.HeartbeatSeconds"),
    # one of several
    ("EXCLUSIVE_FIELDS", waiting(Seconds=1, TimestampPath="$.t"), "$.States.one"),
    ("EXCLUSIVE_FIELDS", task(TimeoutSeconds=1, TimeoutSecondsPath="$.t"), "$.States.one"),
    ("EXCLUSIVE_FIELDS", task(HeartbeatSeconds=1, HeartbeatSecondsPath="$.t"), "$.States.one"),
    ("EXCLUSIVE_FIELDS", mapping(MaxConcurrency=1, MaxConcurrencyPath="$.n"), "$.States.one"),
    ("EXCLUSIVE_FIELDS", mapping(ItemSelector={}, Parameters={}), "$.States.one"),
    ("EXCLUSIVE_FIELDS", mapping(Iterator={"StartAt": "i", "States": {"i": END}}), "$.States.one"),
    ("EXCLUSIVE_FIELDS", one({"Type": "Fail", "Cause": "x", "CausePath": "$.x"}), "$.States.one"),
    ("EXCLUSIVE_FIELDS", one({"Type": "Fail", "Error": "x", "ErrorPath": "$.x"}), "$.States.one"),
    (
        "EXCLUSIVE_FIELDS",
        distributed(ItemBatcher={"MaxItemsPerBatch": 1, "MaxItemsPerBatchPath": "$.n"}),
        "$.States.one.ItemBatcher",
    ),
    # query languages
    ("WRONG_QUERY_LANGUAGE", task(Arguments={}), "$.States.one.Arguments"),
    ("WRONG_QUERY_LANGUAGE", passing(Output=1), "$.States.one.Output"),
    ("WRONG_QUERY_LANGUAGE", mapping(Items=[1]), "$.States.one.Items"),
    ("WRONG_QUERY_LANGUAGE", passing(InputPath="$", **JSONATA), "$.States.one.InputPath"),
    (
        "WRONG_QUERY_LANGUAGE",
        one({"Type": "Succeed", "QueryLanguage": "JSONPath"}, **JSONATA),
        "$.States.one.QueryLanguage",
    ),
    ("WRONG_QUERY_LANGUAGE", waiting(SecondsPath="$.n", **JSONATA), "$.States.one.SecondsPath"),
    ("WRONG_QUERY_LANGUAGE", choosing(rule(IsNull=True), **JSONATA), "$.States.one.Choices[0].IsNull"),
    ("WRONG_QUERY_LANGUAGE", choosing({"Condition": "{% true %}", "Next": "end"}), "$.States.one.Choices[0].Condition"),
    ("WRONG_QUERY_LANGUAGE", choosing(rule(IsNull=True, Output=1)), "$.States.one.Choices[0].Output"),
    ("WRONG_QUERY_LANGUAGE", catching(catcher(Output=1)), "$.States.one.Catch[0].Output"),
    (
        "WRONG_QUERY_LANGUAGE",
        # The states inside take the machine's language, whatever the Map says of itself.
        mapping(ItemProcessor=one({"Type": "Pass", "Output": 1, "End": True}), **JSONATA),
        "$.States.one.ItemProcessor.States.one.Output",
    ),
    (
        "WRONG_QUERY_LANGUAGE",
        distributed(ItemReader={"Resource": "arn:aws:states:::s3:getObject", "Arguments": {}}),
        "$.States.one.ItemReader.Arguments",
    ),
    ("UNKNOWN_FIELD", mapping(ItemProcessor={**SAME, **JSONATA}), "$.States.one.ItemProcessor.QueryLanguage"),
    # where states go
    ("UNKNOWN_TARGET", {"StartAt": "two", "States": {"one": END}}, "$.StartAt"),
    ("UNKNOWN_TARGET", one({"Type": "Pass", "Next": "two"}), "$.States.one.Next"),
    ("UNKNOWN_TARGET", catching(catcher(Next="two")), "$.States.one.Catch[0].Next"),
    ("UNKNOWN_TARGET", choosing(rule(IsNull=True, Next="two")), "$.States.one.Choices[0].Next"),
    ("UNKNOWN_TARGET", one({"Type": "Choice", "Choices": [], "Default": "two"}), "$.States.one.Default"),
    ("UNKNOWN_TARGET", mapping(Next="item"), "$.States.one.Next"),
    ("UNREACHABLE_STATE", {"StartAt": "one", "States": {"one": END, "two": END}}, "$.States.two"),
    ("NO_TERMINAL_STATE", one({"Type": "Pass", "Next": "one"}), "$.States"),
    (
        "NO_TERMINAL_STATE",
        mapping(ItemProcessor=one({"Type": "Pass", "Next": "one"})),
        "$.States.one.ItemProcessor.States",
    ),
    (
        "NEXT_AND_END",
        {"StartAt": "one", "States": {"one": {"Type": "Pass", "Next": "two", "End": True}, "two": END}},
        "$.States.one",
    ),
    ("NEITHER_NEXT_NOR_END", one({"Type": "Pass"}), "$.States.one"),
    ("NEITHER_NEXT_NOR_END", passing(End=False), "$.States.one"),
    # names
    ("INVALID_STATE_NAME", {"StartAt": "", "States": {"": END}}, '$.States[""]'),
    ("INVALID_STATE_NAME", {"StartAt": "x" * 81, "States": {"x" * 81: END}}, f"$.States.{'x' * 81}"),
    ("DUPLICATE_STATE_NAME", TWO_SCOPES, "$.States.one.Branches[1].States.same"),
    ("DUPLICATE_STATE_NAME", mapping(ItemProcessor=one(END)), "$.States.one.ItemProcessor.States.one"),
    # retry and catch
    ("WRONG_TYPE", task(Retry={}), "$.States.one.Retry"),
    ("WRONG_TYPE", retrying("States.ALL"), "$.States.one.Retry[0]"),
    ("WRONG_TYPE", retrying({"ErrorEquals": "States.ALL"}), "$.States.one.Retry[0].ErrorEquals"),
    ("WRONG_TYPE", retrying({"ErrorEquals": [3]}), "$.States.one.Retry[0].ErrorEquals[0]"),
    ("MISSING_FIELD", retrying({}), "$.States.one.Retry[0]"),
    ("MISSING_FIELD", catching({"ErrorEquals": ["x"]}), "$.States.one.Catch[0]"),
    ("UNKNOWN_FIELD", retrying(retrier(Interval=3)), "$.States.one.Retry[0].Interval"),
    ("UNKNOWN_FIELD", catching(catcher(Parameters={})), "$.States.one.Catch[0].Parameters"),
    ("EMPTY", retrying({"ErrorEquals": []}), "$.States.one.Retry[0].ErrorEquals"),
    ("EMPTY", catching({"ErrorEquals": [], "Next": "end"}), "$.States.one.Catch[0].ErrorEquals"),
    ("STATES_ALL_NOT_ALONE", retrying(retrier("States.ALL", "x")), "$.States.one.Retry[0].ErrorEquals"),
    ("STATES_ALL_NOT_ALONE", catching(catcher("x", "States.ALL")), "$.States.one.Catch[0].ErrorEquals"),
    ("STATES_ALL_NOT_LAST", retrying(retrier(), retrier("x")), "$.States.one.Retry[0].ErrorEquals"),
    ("STATES_ALL_NOT_LAST", catching(catcher(), catcher("x")), "$.States.one.Catch[0].ErrorEquals"),
    ("OUT_OF_RANGE", retrying(retrier(IntervalSeconds=0)), "$.States.one.Retry[0].IntervalSeconds"),
    ("OUT_OF_RANGE", retrying(retrier(MaxAttempts=-1)), "$.States.one.Retry[0].MaxAttempts"),
    ("OUT_OF_RANGE", retrying(retrier(MaxAttempts=100_000_000)), "$.States.one.Retry[0].MaxAttempts"),
    ("OUT_OF_RANGE", retrying(retrier(BackoffRate=0.9)), "$.States.one.Retry[0].BackoffRate"),
    ("OUT_OF_RANGE", retrying(retrier(MaxDelaySeconds=31_622_401)), "$.States.one.Retry[0].MaxDelaySeconds"),
    ("DELAY_NOT_ABOVE_INTERVAL", retrying(retrier(IntervalSeconds=5, MaxDelaySeconds=5)), "$.States.one.Retry[0]"),
    ("UNKNOWN_VALUE", retrying(retrier(JitterStrategy="SOME")), "$.States.one.Retry[0].JitterStrategy"),
    ("INVALID_REFERENCE_PATH", catching(catcher(ResultPath="$$.x")), "$.States.one.Catch[0].ResultPath"),
    # choice rules
    ("WRONG_TYPE", one({"Type": "Choice", "Choices": {}}), "$.States.one.Choices"),
    ("EMPTY", one({"Type": "Choice", "Choices": []}), "$.States.one.Choices"),
    ("WRONG_TYPE", choosing("rule"), "$.States.one.Choices[0]"),
    ("NO_OPERATOR", choosing(rule()), "$.States.one.Choices[0]"),
    ("SEVERAL_OPERATORS", choosing(rule(IsNull=True, IsString=True)), "$.States.one.Choices[0]"),
    ("MISSING_FIELD", choosing({"Next": "end", "IsNull": True}), "$.States.one.Choices[0]"),
    ("MISSING_FIELD", choosing({"Variable": "$.x", "IsNull": True}), "$.States.one.Choices[0]"),
    ("UNKNOWN_FIELD", choosing(rule(IsNull=True, IsNone=True)), "$.States.one.Choices[0].IsNone"),
    ("FIELD_NOT_ALLOWED", choosing(rule(Not={"Variable": "$.x", "IsNull": True})), "$.States.one.Choices[0].Variable"),
    ("NESTED_RULE", choosing({"Not": rule(IsNull=True), "Next": "end"}), "$.States.one.Choices[0].Not.Next"),
    ("NESTED_RULE", choosing({"And": [rule(IsNull=True)], "Next": "end"}), "$.States.one.Choices[0].And[0].Next"),
    ("EMPTY", choosing({"And": [], "Next": "end"}), "$.States.one.Choices[0].And"),
    ("EMPTY", choosing({"Or": [], "Next": "end"}), "$.States.one.Choices[0].Or"),
    ("WRONG_TYPE", choosing({"Or": {}, "Next": "end"}), "$.States.one.Choices[0].Or"),
    ("WRONG_TYPE", choosing({"Not": [], "Next": "end"}), "$.States.one.Choices[0].Not"),
    ("WRONG_TYPE", choosing(rule(NumericEquals="1")), "$.States.one.Choices[0].NumericEquals"),
    ("WRONG_TYPE", choosing(rule(NumericEquals=True)), "$.States.one.Choices[0].NumericEquals"),
    ("WRONG_TYPE", choosing(rule(StringEquals=1)), "$.States.one.Choices[0].StringEquals"),
    ("WRONG_TYPE", choosing(rule(BooleanEquals="true")), "$.States.one.Choices[0].BooleanEquals"),
    ("WRONG_TYPE", choosing(rule(IsPresent="true")), "$.States.one.Choices[0].IsPresent"),
    ("INVALID_TIMESTAMP", choosing(rule(TimestampEquals="noon")), "$.States.one.Choices[0].TimestampEquals"),
    ("INVALID_PATH", choosing(rule(StringEqualsPath="x")), "$.States.one.Choices[0].StringEqualsPath"),
    ("INVALID_PATH", choosing(rule(IsNull=True, Variable="x")), "$.States.one.Choices[0].Variable"),
    ("WRONG_TYPE", choosing({"Condition": "x > 1", "Next": "end"}, **JSONATA), "$.States.one.Choices[0].Condition"),
    # machines inside
    ("WRONG_TYPE", one({"Type": "Parallel", "Branches": {}, "End": True}), "$.States.one.Branches"),
    ("EMPTY", one({"Type": "Parallel", "Branches": [], "End": True}), "$.States.one.Branches"),
    ("WRONG_TYPE", one({"Type": "Parallel", "Branches": [3], "End": True}), "$.States.one.Branches[0]"),
    ("MISSING_FIELD", one({"Type": "Parallel", "Branches": [{}], "End": True}), "$.States.one.Branches[0]"),
    ("WRONG_TYPE", mapping(ItemProcessor=[]), "$.States.one.ItemProcessor"),
    (
        "UNKNOWN_FIELD",
        mapping(ItemProcessor={**SAME, "TimeoutSeconds": 3}),
        "$.States.one.ItemProcessor.TimeoutSeconds",
    ),
    ("MISSING_FIELD", distributed({"Mode": "DISTRIBUTED"}), "$.States.one.ItemProcessor.ProcessorConfig"),
    ("UNKNOWN_VALUE", distributed({"Mode": "REMOTE"}), "$.States.one.ItemProcessor.ProcessorConfig.Mode"),
    (
        "UNKNOWN_VALUE",
        distributed({"Mode": "DISTRIBUTED", "ExecutionType": "FAST"}),
        "$.States.one.ItemProcessor.ProcessorConfig.ExecutionType",
    ),
    ("MISSING_FIELD", distributed(ItemReader={}), "$.States.one.ItemReader"),
    ("WRONG_TYPE", mapping(Items="$.x", **JSONATA), "$.States.one.Items"),
    # paths, templates, variables
    ("INVALID_PATH", passing(InputPath="x"), "$.States.one.InputPath"),
    ("INVALID_PATH", passing(OutputPath="$.x["), "$.States.one.OutputPath"),
    ("INVALID_PATH", one({"Type": "Fail", "CausePath": "why"}), "$.States.one.CausePath"),
    ("INVALID_PATH", passing(ResultPath="x"), "$.States.one.ResultPath"),
    ("INVALID_REFERENCE_PATH", passing(ResultPath="$$.x"), "$.States.one.ResultPath"),
    ("INVALID_REFERENCE_PATH", passing(ResultPath="$total"), "$.States.one.ResultPath"),
    ("INVALID_REFERENCE_PATH", passing(ResultPath="$.x[*]"), "$.States.one.ResultPath"),
    ("INVALID_REFERENCE_PATH", passing(ResultPath="$.x[?(@.y)]"), "$.States.one.ResultPath"),
    ("INVALID_REFERENCE_PATH", mapping(MaxConcurrencyPath="$$.Execution.Input.n"), "$.States.one.MaxConcurrencyPath"),
    ("INVALID_TIMESTAMP", waiting(Timestamp="2030-01-31"), "$.States.one.Timestamp"),
    ("INVALID_TEMPLATE", passing(Parameters={"a": [{"b.$": 3}]}), '$.States.one.Parameters.a[0]["b.$"]'),
    ("INVALID_TEMPLATE", passing(Parameters={"b.$": "x"}), '$.States.one.Parameters["b.$"]'),
    ("INVALID_TEMPLATE", task(ResultSelector={"b.$": "States.Fromat('x')"}), '$.States.one.ResultSelector["b.$"]'),
    ("INVALID_TEMPLATE", mapping(ItemSelector={"b.$": "$."}), '$.States.one.ItemSelector["b.$"]'),
    ("WRONG_TYPE", passing(Assign=[]), "$.States.one.Assign"),
    ("INVALID_VARIABLE_NAME", passing(Assign={"states.$": "$.x"}), '$.States.one.Assign["states.$"]'),
    ("INVALID_VARIABLE_NAME", passing(Assign={"a-b": 1}), '$.States.one.Assign["a-b"]'),
    ("INVALID_VARIABLE_NAME", passing(Assign={"1a": 1}), '$.States.one.Assign["1a"]'),
    ("INVALID_VARIABLE_NAME", passing(Assign={"x" * 81: 1}), f"$.States.one.Assign.{'x' * 81}"),
]

WARNINGS: list[Case] = [
    ("UNKNOWN_ERROR", retrying(retrier("States.Tiemout")), "$.States.one.Retry[0].ErrorEquals[0]"),
    ("UNMATCHED_ERROR", catching(catcher("States.Runtime")), "$.States.one.Catch[0].ErrorEquals[0]"),
    ("REPEATED_ERROR", retrying(retrier("x"), retrier("y", "x")), "$.States.one.Retry[1].ErrorEquals[1]"),
    ("NO_DOLLAR", passing(Parameters={"x": "$.x"}), "$.States.one.Parameters.x"),
    ("NO_DOLLAR", passing(Parameters={"x": ["States.UUID()"]}), "$.States.one.Parameters.x[0]"),
    ("NO_PATH", one({"Type": "Fail", "Error": "$.error"}), "$.States.one.Error"),
    ("STATIC_RESULT", passing(Result={"x.$": "$.x"}), '$.States.one.Result["x.$"]'),
    ("HALF_EXPRESSION", passing(Output={"x": "{% 1"}, **JSONATA), "$.States.one.Output.x"),
    ("TOKEN_NOT_SENT", task(Resource=WAITS_FOR_TOKEN), "$.States.one"),
    ("DISTRIBUTED_ONLY", mapping(ToleratedFailureCount=1), "$.States.one.ToleratedFailureCount"),
    ("INLINE_CONCURRENCY", mapping(MaxConcurrency=41), "$.States.one.MaxConcurrency"),
    ("UNKNOWN_FIELD", distributed(ItemBatcher={"Novelty": 1}), "$.States.one.ItemBatcher.Novelty"),
]


def by_code(case: Case) -> str:
    return f"{case[0]}-{case[2]}"[:60]


@pytest.mark.parametrize("case", ERRORS, ids=by_code)
def test_what_aws_refuses_is_an_error(case: Case) -> None:
    code, definition, path = case
    assert (code, path, "error") in [(f.code, f.path, f.severity) for f in lint(definition)]


@pytest.mark.parametrize("case", WARNINGS, ids=by_code)
def test_what_can_hardly_be_meant_is_a_warning_and_no_error(case: Case) -> None:
    code, definition, path = case
    assert [(f.code, f.path, f.severity) for f in lint(definition)] == [(code, path, "warning")]


def test_every_code_is_found_somewhere_here() -> None:
    here = {code for code, _, _ in ERRORS + WARNINGS} | {"INVALID_MACHINE_NAME", "TOO_DEEP"}
    assert here == set(CODES)
    assert all(code.isupper() and meaning for code, meaning in CODES.items())


@pytest.mark.parametrize(
    "definition",
    [
        task(TimeoutSeconds=10, HeartbeatSeconds=9),
        task(Resource="${AddFunction}"),
        task(TimeoutSecondsPath="$timeout", HeartbeatSecondsPath="$.a['b'][0]"),
        task(Resource=WAITS_FOR_TOKEN, Parameters={"MessageBody": {"token.$": "$$.Task.Token"}}),
        task(Resource=WAITS_FOR_TOKEN, Arguments={"t": "{% $states.context.Task.Token %}"}, **JSONATA),
        task(TimeoutSeconds="{% $n %}", Arguments="{% $states.input %}", **JSONATA),
        retrying(retrier("States.Timeout", "x", IntervalSeconds=1, BackoffRate=1, MaxAttempts=0), retrier()),
        retrying(retrier("States.Http.StatusCode.429", MaxDelaySeconds=31_622_400, JitterStrategy="FULL")),
        waiting(Seconds=0),
        waiting(Timestamp="2030-01-31T12:00:00.5Z"),
        waiting(Timestamp="{% $now() %}", **JSONATA),
        passing(InputPath=None, OutputPath="$$.Execution.Input", ResultPath=None, Result="$"),
        passing(Parameters=[{"x.$": "States.Format('({}', $.x)"}]),
        passing(Assign={"größe.$": "$.x", "y": {"z.$": "$$.State.Name"}}),
        {"StartAt": "one", "States": {"one": {"Type": "Pass", "Next": "two", "End": False}, "two": END}},
        one({"Type": "Fail", "ErrorPath": "States.UUID()", "CausePath": "$$.State.Name"}),
        choosing(rule(NumericGreaterThanEqualsPath="$$.Execution.Input.n", Variable="$n", Comment="c", Assign={})),
        choosing({"Condition": "{% $x > 1 %}", "Next": "end", "Output": 1}, **JSONATA),
        mapping(ItemsPath="$$.Execution.Input.items", MaxConcurrency=40),
        mapping(Items={"a": 1}, **JSONATA),
        one(END, Comment="c", Version="1.0", TimeoutSeconds=99_999_999),
    ],
)
def test_nothing_is_said_of_what_is_right(definition: dict[str, Any]) -> None:
    assert lint(definition) == []
    assert lint(json.dumps(definition, indent=1), name="machine") == []


def test_a_target_in_another_machine_is_told_apart_from_one_that_is_nowhere() -> None:
    messages = {f.code: f.message for f in lint(mapping(Next="item"))}
    assert "it is in another machine, at $.States.one.ItemProcessor.States.item" in messages["UNKNOWN_TARGET"]
    assert "there is none of that name" in str(lint(one({"Type": "Pass", "Next": "two"}))[0])


def test_a_misspelt_field_is_answered_with_the_right_one() -> None:
    assert "did you mean 'TimeoutSeconds'?" in lint(task(TimoutSeconds=3))[0].message


def test_the_name_is_checked_when_it_is_given() -> None:
    assert lint(one(END), name="a-name.v1_ü") == []
    assert [(f.code, f.severity) for f in lint(one(END), name="a name")] == [("INVALID_MACHINE_NAME", "error")]
    assert [f.code for f in lint(one(END), name="")] == ["INVALID_MACHINE_NAME"]


def test_errors_come_before_warnings_and_else_in_the_order_of_the_definition() -> None:
    definition = passing(Parameters={"x": "$.x"})
    definition["States"] |= {"two": END, "three": END}
    found = [(f.severity, f.path) for f in lint(definition)]
    assert found == [
        ("error", "$.States.two"),
        ("error", "$.States.three"),
        ("warning", "$.States.one.Parameters.x"),
    ]


def test_a_finding_reads_as_a_sentence_and_cannot_be_changed() -> None:
    (finding,) = lint(waiting(Seconds=-1))
    assert str(finding) == "error OUT_OF_RANGE at $.States.one.Seconds: must be between 0 and 99,999,999, not -1"
    with pytest.raises(AttributeError):
        finding.code = "OTHER"  # type: ignore[misc]


def test_keys_that_are_no_names_are_quoted_in_paths() -> None:
    definition = {"StartAt": 'a "b"', "States": {'a "b"': {"Type": "Wait", "Seconds": -1, "End": True}}}
    assert [f.path for f in lint(definition)] == ['$.States["a \\"b\\""].Seconds']


def test_any_mapping_is_read_as_an_object() -> None:
    states = MappingProxyType({"one": MappingProxyType(END)})
    assert lint(MappingProxyType({"StartAt": "one", "States": states})) == []
    assert [f.code for f in lint({"StartAt": {1, 2}})] == ["NOT_JSON"]


# Nothing makes it raise


def well_typed(findings: list[Finding]) -> bool:
    return all(f.code in CODES and f.severity in ("error", "warning") and f.path.startswith("$") for f in findings)


@given(text=st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    assert well_typed(lint(text))


@given(data=st.data())
def test_no_json_makes_it_raise(data: st.DataObject, any_json: st.SearchStrategy[Any]) -> None:
    keys = ["StartAt", "States", "Type", "Retry", "Choices", "And", "Branches", "ItemProcessor", "Next", "Task", "Map"]
    value = data.draw(
        st.recursive(
            any_json | st.sampled_from(keys),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=5),
        )
    )
    assert well_typed(lint(value))
    assert well_typed(lint(json.dumps(value), name=json.dumps(value)))


@given(data=st.data())
def test_no_part_of_a_definitions_text_makes_it_raise(data: st.DataObject, definitions: st.SearchStrategy[Any]) -> None:
    text = json.dumps(data.draw(definitions), ensure_ascii=data.draw(st.booleans()))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert well_typed(lint(text[:start] + text[end:]))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\ud800", '"\ud800"', "9" * 5000])
def test_text_made_to_break_a_reader_is_a_finding(text: str) -> None:
    assert [f.severity for f in lint(text)] == ["error"]


def test_an_object_nested_beyond_every_limit_is_a_finding() -> None:
    value: Any = END
    for _ in range(50_000):
        value = {"Not": value}
    assert [f.code for f in lint(choosing(value))] == ["TOO_DEEP"]


def test_an_object_that_holds_itself_is_a_finding() -> None:
    value: dict[str, Any] = {}
    value["States"] = value
    assert [f.code for f in lint(value)] == ["NOT_JSON"]


# A change that breaks a definition is found


def _without(field: str) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.pop(field)


def _with(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda state: state.update(fields)


CHANGES: list[tuple[str, str, Callable[[dict[str, Any]], Any]]] = [
    ("Next", "UNKNOWN_TARGET", _with(Next="nowhere at all")),
    ("Next", "NEITHER_NEXT_NOR_END", _without("Next")),
    ("Next", "NEXT_AND_END", _with(End=True)),
    ("End", "NEITHER_NEXT_NOR_END", _without("End")),
    ("Type", "MISSING_FIELD", _without("Type")),
    ("Type", "UNKNOWN_TYPE", _with(Type="Job")),
    ("Type", "UNKNOWN_FIELD", _with(Novelty=1)),
    ("Resource", "MISSING_FIELD", _without("Resource")),
    ("Resource", "INVALID_RESOURCE", _with(Resource="add")),
    ("Choices", "EMPTY", _with(Choices=[])),
    ("Branches", "EMPTY", _with(Branches=[])),
    ("ItemProcessor", "MISSING_FIELD", _without("ItemProcessor")),
    ("Resource", "HEARTBEAT_NOT_BELOW_TIMEOUT", _with(TimeoutSeconds=5, HeartbeatSeconds=5)),
    ("Resource", "STATES_ALL_NOT_LAST", _with(Retry=[retrier(), retrier("x")])),
    ("Assign", "INVALID_VARIABLE_NAME", _with(Assign={"states": 1})),
]


@given(data=st.data())
def test_whatever_the_definition_a_change_that_breaks_it_is_found(
    data: st.DataObject, definitions: st.SearchStrategy[Any]
) -> None:
    definition = data.draw(definitions)
    assert [f for f in lint(definition) if f.severity == "error"] == []
    state = data.draw(st.sampled_from(list(_states(definition))))
    changes = [(code, change) for field, code, change in CHANGES if field in state]
    assume(changes)
    code, change = data.draw(st.sampled_from(changes))
    change(state)
    assert code in [f.code for f in lint(definition) if f.severity == "error"]


def _states(machine: dict[str, Any]) -> Any:
    for state in machine["States"].values():
        yield state
        for inner in [*state.get("Branches", ()), *(state[f] for f in ("ItemProcessor", "Iterator") if f in state)]:
            yield from _states(inner)


# What AWS accepted


def test_lint_finds_no_error_in_any_definition_that_aws_accepted(shared: Path) -> None:
    cases = json.loads((shared / "aws-recordings" / "cases.json").read_text())
    refused = {
        case["id"]: [str(finding) for finding in lint(case["definition_text"]) if finding.severity == "error"]
        for case in cases
    }
    assert len(cases) > 300
    assert {name: errors for name, errors in refused.items() if errors} == {}


def test_lint_finds_no_error_in_any_recorded_choice(shared: Path) -> None:
    cases = json.loads((shared / "aws-recordings" / "outputs.json").read_text())
    definitions = [case["definition"] for case in cases if case["kind"] == "choice-case"]
    assert len(definitions) > 200
    assert [str(f) for d in definitions for f in lint(d) if f.severity == "error"] == []
