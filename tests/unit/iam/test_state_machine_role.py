"""What the role of state machines is allowed: a row for every kind of call."""

from __future__ import annotations

from typing import Any

import pytest

from sfini_celery.iam import Place, Policy, state_machine_policy, state_machine_trust

HERE = Place("aws", "eu-west-1", "123456789012")
CHINA = Place("aws-cn", "cn-north-1", "123456789012")
S3 = "arn:aws:s3:::"


def task(resource: str, *, field: str = "Parameters", **fields: Any) -> dict[str, Any]:
    parameters = {field: fields} if fields else {}
    return {"Type": "Task", "Resource": resource, **parameters, "End": True}


def policy_for(state: dict[str, Any], place: Place = HERE) -> Policy:
    return state_machine_policy({"orders": {"StartAt": "call", "States": {"call": state}}}, place)


def allowed(policy: Policy) -> dict[str, list[str]]:
    """Each action with its resources."""
    found: dict[str, list[str]] = {}
    for statement in policy.statements:
        for action in statement.actions:
            found.setdefault(action, []).extend(statement.resources)
    return found


def here(service: str, resource: str) -> str:
    return f"arn:aws:{service}:eu-west-1:123456789012:{resource}"


RULE = {"events:PutTargets", "events:PutRule", "events:DescribeRule"}

GLUE = ("StartJobRun", "GetJobRun", "GetJobRuns", "BatchStopJobRun")

ROWS: list[tuple[str, dict[str, Any], dict[str, list[str]]]] = [
    (
        "arn:aws:lambda:eu-west-1:1:function:f",
        {},
        {"lambda:InvokeFunction": ["arn:aws:lambda:eu-west-1:1:function:f", "arn:aws:lambda:eu-west-1:1:function:f:*"]},
    ),
    (
        "arn:aws:lambda:eu-west-1:1:function:f:3",
        {},
        {"lambda:InvokeFunction": ["arn:aws:lambda:eu-west-1:1:function:f:3"]},
    ),
    (
        "arn:aws:states:::lambda:invoke",
        {"FunctionName": "f:live"},
        {"lambda:InvokeFunction": [here("lambda", "function:f:live")]},
    ),
    (
        "arn:aws:states:::lambda:invoke.waitForTaskToken",
        {"FunctionName": "9:function:f"},
        {"lambda:InvokeFunction": ["arn:aws:lambda:eu-west-1:9:function:f", "arn:aws:lambda:eu-west-1:9:function:f:*"]},
    ),
    (
        "arn:aws:states:::sqs:sendMessage",
        {"QueueUrl": "https://sqs.us-east-1.amazonaws.com/9/q.fifo"},
        {"sqs:SendMessage": ["arn:aws:sqs:us-east-1:9:q.fifo"]},
    ),
    (
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        {"QueueUrl": "http://127.0.0.1:4566/9/q"},
        {"sqs:SendMessage": ["arn:aws:sqs:eu-west-1:9:q"]},
    ),
    (
        "arn:aws:states:::sns:publish",
        {"TopicArn": "arn:aws:sns:eu-west-1:9:t"},
        {"sns:Publish": ["arn:aws:sns:eu-west-1:9:t"]},
    ),
    ("arn:aws:states:::sns:publish", {"PhoneNumber": "+1"}, {"sns:Publish": ["*"]}),
    ("arn:aws:states:::dynamodb:putItem", {"TableName": "t"}, {"dynamodb:PutItem": [here("dynamodb", "table/t")]}),
    (
        "arn:aws:states:::events:putEvents",
        {"Entries": [{"Detail": {}}, {"EventBusName": "b"}]},
        {"events:PutEvents": [here("events", "event-bus/b"), here("events", "event-bus/default")]},
    ),
    (
        "arn:aws:states:::glue:startJobRun.sync",
        {"JobName": "j"},
        {f"glue:{action}": [here("glue", "job/j")] for action in GLUE},
    ),
    (
        "arn:aws:states:::codebuild:startBuild",
        {"ProjectName": "p"},
        {"codebuild:StartBuild": [here("codebuild", "project/p")]},
    ),
    ("arn:aws:states:::s3:getObject", {"Bucket": "b", "Key": "a/k"}, {"s3:GetObject": [f"{S3}b/a/k"]}),
    ("arn:aws:states:::aws-sdk:s3:listObjectsV2", {"Bucket": "b"}, {"s3:ListBucket": [f"{S3}b"]}),
    (
        "arn:aws:states:::aws-sdk:s3:copyObject",
        {"Bucket": "b", "Key": "k", "CopySource": "c/k"},
        {"s3:GetObject": [f"{S3}c/k"], "s3:PutObject": [f"{S3}b/k"]},
    ),
    (
        "arn:aws:states:::aws-sdk:sqs:receiveMessage",
        {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/9/q"},
        {"sqs:ReceiveMessage": ["arn:aws:sqs:eu-west-1:9:q"]},
    ),
    ("arn:aws:states:eu-west-1:123456789012:activity:add", {}, {}),
]


@pytest.mark.parametrize(("resource", "parameters", "expected"), ROWS, ids=lambda value: str(value)[:60])
@pytest.mark.parametrize("field", ["Parameters", "Arguments"])
def test_a_call_of_something_named_is_allowed_and_nothing_else(
    resource: str, parameters: dict[str, Any], expected: dict[str, list[str]], field: str
) -> None:
    policy = policy_for(task(resource, field=field, **parameters))
    assert allowed(policy) == expected
    assert policy.remarks == ()


@pytest.mark.parametrize(
    ("resource", "parameters", "action", "resources"),
    [
        ("lambda:invoke", {"FunctionName.$": "$.f"}, "lambda:InvokeFunction", [here("lambda", "function:*")]),
        ("sqs:sendMessage", {"QueueUrl": "{% $url %}"}, "sqs:SendMessage", [here("sqs", "*")]),
        ("dynamodb:getItem", {}, "dynamodb:GetItem", [here("dynamodb", "table/*")]),
        ("events:putEvents", {"Entries.$": "$.e"}, "events:PutEvents", [here("events", "event-bus/*")]),
        ("s3:putObject", {"Bucket.$": "$.b", "Key": "k"}, "s3:PutObject", [f"{S3}*/*"]),
        (
            "states:startExecution",
            {"StateMachineArn.$": "$"},
            "states:StartExecution",
            [here("states", "stateMachine:*")],
        ),
    ],
)
def test_what_is_known_only_at_run_time_is_granted_widely_and_said(
    resource: str, parameters: dict[str, Any], action: str, resources: list[str]
) -> None:
    policy = policy_for(task(f"arn:aws:states:::{resource}", **parameters))
    assert allowed(policy)[action] == resources
    (remark,) = policy.remarks
    assert str(remark).startswith("orders/call: its ")
    assert "only at run time" in str(remark)


@pytest.mark.parametrize(
    "resource", ["arn:aws:states:::http:invoke", "arn:aws:states:::eks:runJob.sync", "${Function}"]
)
def test_what_is_not_in_the_table_is_told_with_its_arn_and_never_guessed(resource: str) -> None:
    policy = policy_for(task(resource))
    assert policy.statements == ()
    assert resource in str(policy.remarks[0])


def test_a_guess_at_an_action_is_called_one() -> None:
    policy = policy_for(task("arn:aws:states:::aws-sdk:cloudwatchlogs:createLogGroup", LogGroupName="x"))
    assert allowed(policy) == {"logs:CreateLogGroup": ["*"]}
    assert "guessed" in str(policy.remarks[0])


@pytest.mark.parametrize("qualifier", ["", ":live", ":7"])
@pytest.mark.parametrize(("pattern", "waits"), [("", False), (".sync", True), (".sync:2", True)])
def test_a_nested_execution_that_is_waited_for_needs_its_executions_and_the_rule(
    pattern: str, waits: bool, qualifier: str
) -> None:
    child = "arn:aws:states:us-east-1:9:stateMachine:child"
    found = allowed(
        policy_for(task(f"arn:aws:states:::states:startExecution{pattern}", StateMachineArn=child + qualifier))
    )
    assert found.pop("states:StartExecution") == [child]
    if waits:
        executions = ["arn:aws:states:us-east-1:9:execution:child:*"]
        assert found.pop("states:DescribeExecution") == found.pop("states:StopExecution") == executions
        rule = ["arn:aws:events:us-east-1:9:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"]
        assert found == dict.fromkeys(RULE, rule)
    else:
        assert found == {}


def test_jobs_that_are_waited_for_need_to_be_looked_at_stopped_and_heard_of() -> None:
    ecs = policy_for(task("arn:aws:states:::ecs:runTask.sync", TaskDefinition="d", Cluster="c"))
    assert allowed(ecs)["ecs:RunTask"] == [here("ecs", "task-definition/d:*")]
    assert {"ecs:StopTask", "ecs:DescribeTasks", *RULE} < set(allowed(ecs))
    assert "iam:PassRole" in str(ecs.remarks[0])
    batch = allowed(policy_for(task("arn:aws:states:::batch:submitJob.sync", JobDefinition="d:3", JobQueue="q")))
    assert sorted(batch["batch:SubmitJob"]) == [here("batch", "job-definition/d:3"), here("batch", "job-queue/q")]
    assert batch["batch:DescribeJobs"] == ["*"]


def test_a_distributed_map_runs_its_own_machine_reads_and_writes() -> None:
    state = {
        "Type": "Map",
        "ItemReader": {
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "MANIFEST"},
            "Parameters": {"Bucket": "in", "Key": "items.json"},
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "inner",
            "States": {
                "inner": task("arn:aws:states:::sqs:sendMessage", QueueUrl="https://sqs.eu-west-1.amazonaws.com/9/q")
            },
        },
        "ResultWriter": {
            "Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket": "out", "Prefix": "runs/"},
        },
        "End": True,
    }
    found = allowed(policy_for(state))
    assert found["states:StartExecution"] == [here("states", "stateMachine:orders")]
    assert found["states:RedriveExecution"] == [here("states", "execution:orders/*")]
    assert found["states:StopExecution"] == [here("states", "execution:orders/*"), here("states", "execution:orders:*")]
    assert found["s3:GetObject"] == [f"{S3}in/*", f"{S3}in/items.json", f"{S3}out/runs/*"]
    assert found["s3:PutObject"] == found["s3:AbortMultipartUpload"] == [f"{S3}out/runs/*"]
    assert found["sqs:SendMessage"] == ["arn:aws:sqs:eu-west-1:9:q"]


def test_calls_are_found_wherever_they_are() -> None:
    def machine(name: str) -> dict[str, Any]:
        return {"StartAt": name, "States": {name: task("arn:aws:states:::dynamodb:getItem", TableName=name)}}

    states = {
        "p": {"Type": "Parallel", "Branches": [machine("a"), machine("b")], "Next": "m"},
        "m": {"Type": "Map", "Iterator": machine("c"), "End": True},
    }
    policy = state_machine_policy({"x": {"StartAt": "p", "States": states}, "y": machine("d")}, HERE)
    assert [statement.resources for statement in policy.statements] == [
        tuple(here("dynamodb", f"table/{name}") for name in "abcd")
    ]


def test_a_state_that_runs_as_another_role_needs_only_that_role() -> None:
    role = "arn:aws:iam::999999999999:role/there"
    state = {**task("arn:aws:states:::dynamodb:getItem", TableName="t"), "Credentials": {"RoleArn": role}}
    assert allowed(policy_for(state)) == {"sts:AssumeRole": [role]}
    unknown = policy_for({**state, "Credentials": {"RoleArn.$": "$.role"}})
    assert allowed(unknown) == {"sts:AssumeRole": ["*"]}
    assert "Credentials" in str(unknown.remarks[0])


def test_logging_and_tracing_are_allowed_when_they_are_on() -> None:
    policy = state_machine_policy({}, HERE, logging=True, tracing=True)
    assert {"logs:CreateLogDelivery", "xray:PutTraceSegments"} <= set(allowed(policy))


def test_activities_alone_need_no_permission_and_so_there_is_no_document() -> None:
    policy = policy_for(task("arn:aws:states:eu-west-1:123456789012:activity:add"))
    assert policy.to_dict() is None


def test_only_the_machines_of_this_account_and_region_may_use_the_role() -> None:
    statement = state_machine_trust(CHINA)["Statement"][0]
    assert statement["Principal"] == {"Service": "states.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:*"},
    }


@pytest.mark.parametrize(
    "definition",
    [{}, {"States": []}, {"States": {"a": 3, "b": {"Type": "Task"}, "c": {"Type": "Map", "ItemProcessor": 3}}}],
)
def test_what_makes_no_sense_is_left_out(definition: dict[str, Any]) -> None:
    assert state_machine_policy({"x": definition}, HERE).statements == ()
