from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sfini_celery.iam import (
    Place,
    Policy,
    client_policy,
    deployer_policy,
    operator_policy,
    state_machine_policy,
    worker_policy,
)

HERE = Place("aws", "eu-west-1", "123456789012")
ROLE = "arn:aws:iam::123456789012:role/orders"


def resources_of(policy: Policy, action: str) -> list[str]:
    return sorted(
        resource
        for statement in policy.statements
        if action in statement.actions and not statement.condition
        for resource in statement.resources
    )


def arn(resource: str) -> str:
    return HERE.arn("states", resource)


def test_a_worker_polls_its_own_activities_and_reports_by_token() -> None:
    policy = worker_policy(["add", "add@slow"], HERE)
    assert resources_of(policy, "states:GetActivityTask") == [arn("activity:add"), arn("activity:add@slow")]
    assert resources_of(policy, "states:SendTaskHeartbeat") == ["*"]
    assert resources_of(policy, "states:CreateActivity") == [arn("activity:add"), arn("activity:add@slow")]


def test_a_worker_that_creates_nothing_may_create_nothing() -> None:
    actions = {action for each in worker_policy(["add"], HERE, create=False).statements for action in each.actions}
    reports = {"states:SendTaskSuccess", "states:SendTaskFailure", "states:SendTaskHeartbeat"}
    assert actions == {"states:GetActivityTask", *reports}


def test_a_worker_whose_broker_is_sqs_may_use_its_queues_only() -> None:
    policy = worker_policy(["add"], HERE, queues=["celery"])
    assert resources_of(policy, "sqs:ReceiveMessage") == [HERE.arn("sqs", "celery")]


def test_an_operator_cannot_change_what_is_deployed() -> None:
    policy = operator_policy(["add"], ["orders"], HERE)
    actions = {action for each in policy.statements for action in each.actions}
    assert not [action for action in actions if action.split(":")[1].startswith(("Create", "Delete", "Update", "Tag"))]
    assert resources_of(policy, "states:StartExecution") == [arn("stateMachine:orders"), arn("stateMachine:orders:*")]
    assert resources_of(policy, "states:RedriveExecution") == [arn("execution:orders/*"), arn("execution:orders:*")]


def test_a_deployer_passes_one_role_to_step_functions_only() -> None:
    policy = deployer_policy(["add"], ["orders"], HERE, role_arn=ROLE, app="proj")
    (passing,) = [each for each in policy.statements if "iam:PassRole" in each.actions]
    assert passing.resources == (ROLE,)
    assert passing.condition == {"StringEquals": {"iam:PassedToService": "states.amazonaws.com"}}
    assert policy.remarks == ()
    assert "states:StartExecution" not in {action for each in policy.statements for action in each.actions}


def test_a_deployer_removes_only_what_is_declared_or_tagged_as_the_apps() -> None:
    policy = deployer_policy(["add"], ["orders"], HERE, role_arn=ROLE, app="proj")
    assert resources_of(policy, "states:DeleteActivity") == [arn("activity:add")]
    (tagged,) = [each for each in policy.statements if each.sid == "RemoveOwned"]
    assert tagged.condition == {"StringEquals": {"aws:ResourceTag/sfini:app": "proj"}}


def test_a_role_that_is_not_known_is_said() -> None:
    assert "sfn_role_arn" in str(deployer_policy([], ["orders"], HERE).remarks[0])


def test_a_client_starts_and_follows_and_makes_machines_only_for_canvases_without_a_name() -> None:
    plain = client_policy(["orders"], HERE)
    assert resources_of(plain, "states:StartExecution") == [arn("stateMachine:orders"), arn("stateMachine:orders:*")]
    assert resources_of(plain, "states:CreateStateMachine") == []
    adhoc = client_policy(["orders"], HERE, adhoc="adhoc-", activities=["add"], role_arn=ROLE)
    assert resources_of(adhoc, "states:CreateStateMachine") == [arn("stateMachine:adhoc-*")]
    assert arn("execution:adhoc-*") in resources_of(adhoc, "states:DescribeExecution")


@pytest.mark.parametrize(
    "policy", [worker_policy([], HERE), operator_policy([], [], HERE), deployer_policy([], [], HERE)]
)
def test_an_app_without_anything_still_makes_a_policy_that_iam_takes(policy: Policy) -> None:
    document = policy.to_dict()
    assert document is not None
    assert all(statement["Resource"] and statement["Action"] for statement in document["Statement"])


def every_service() -> dict[str, Any]:
    """A machine that calls everything the table knows."""
    sdk = (
        "s3:getObject",
        "s3:listObjectsV2",
        "s3:copyObject",
        "s3:deleteObjects",
        "dynamodb:query",
        "sqs:receiveMessage",
    )
    calls = [
        *("lambda:invoke", "sqs:sendMessage", "sns:publish", "dynamodb:getItem", "dynamodb:deleteItem"),
        *("events:putEvents", "ecs:runTask.sync", "batch:submitJob.sync", "glue:startJobRun.sync"),
        *("codebuild:startBuild.sync", "states:startExecution.sync:2", "s3:putObject"),
        *(f"aws-sdk:{each}" for each in sdk),
    ]
    names = {
        "FunctionName": "f",
        "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/q",
        "TopicArn": "arn:aws:sns:eu-west-1:123456789012:t",
        "TableName": "t",
        "Entries": [{}],
        "TaskDefinition": "d",
        "JobDefinition": "d",
        "JobQueue": "q",
        "JobName": "j",
        "ProjectName": "p",
        "StateMachineArn": arn("stateMachine:child"),
        "Bucket": "b",
        "Key": "k",
    }
    states: dict[str, Any] = {
        call: {"Type": "Task", "Resource": f"arn:aws:states:::{call}", "Parameters": names} for call in calls
    }
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": names}
    distributed = {"ProcessorConfig": {"Mode": "DISTRIBUTED"}}
    states["map"] = {"Type": "Map", "ItemProcessor": distributed, "ResultWriter": writer}
    return {"States": states}


def template_of(documents: dict[str, Any]) -> dict[str, Any]:
    resources = {
        name: {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document}}
        for name, document in documents.items()
    }
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}


CfnLint = Callable[..., list[str]]
WRITTEN_OUT = "I3042"
"""Partitions, accounts and regions in ARNs, which is what these policies are for."""


def test_every_action_exists_and_goes_with_its_resources_as_cfn_lint_knows_them(cfn_lint: CfnLint) -> None:
    policies = {
        "StateMachine": state_machine_policy({"orders": every_service()}, HERE, logging=True, tracing=True),
        "Worker": worker_policy(["add"], HERE, queues=["celery"]),
        "Deployer": deployer_policy(["add"], ["orders"], HERE, role_arn=ROLE, app="proj"),
        "Operator": operator_policy(["add"], ["orders"], HERE),
        "Client": client_policy(["orders"], HERE, adhoc="adhoc-", activities=["add"], role_arn=ROLE),
    }
    documents = {name: policy.to_dict() for name, policy in policies.items()}
    assert cfn_lint(template_of(documents), ignore=[WRITTEN_OUT]) == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [("states:GetActivityTasks", "*"), ("states:GetActivityTask", "arn:aws:states:eu-west-1:1:stateMachine:x")],
)
def test_cfn_lint_would_see_a_wrong_action_and_a_wrong_resource(cfn_lint: CfnLint, action: str, resource: str) -> None:
    statement = {"Effect": "Allow", "Action": [action], "Resource": [resource]}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    assert cfn_lint(template_of({"Wrong": document}), ignore=[WRITTEN_OUT])
