from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from sfini_celery.cloudformation import Schedule, template
from sfini_celery.errors import ConfigurationError
from sfini_celery.iam import Place, state_machine_policy, state_machine_trust

HERE = Place("aws", "us-east-1", "000000000000")
THERE = Place("aws-cn", "cn-north-1", "999999999999")
ADD = HERE.arn("states", "activity:proj.add")
CHILD = HERE.arn("states", "stateMachine:child")
ORDERS: dict[str, Any] = {
    "Comment": "costs ${5} and ${! or ${open, $ {no} ${AWS::Region} $${x}",
    "StartAt": "add ${x}",
    "States": {
        "add ${x}": {"Type": "Task", "Resource": ADD, "ResultPath": None, "Next": "child"},
        "child": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": CHILD, "Input": {"Ref": "Fn::Sub", "${k}": "é\u2028"}},
            "Next": "elsewhere",
        },
        "elsewhere": {
            "Type": "Task",
            "Resource": "arn:aws:lambda:us-east-1:111111111111:function:theirs",
            "End": True,
        },
    },
}


def made(machines: dict[str, Any], **more: Any) -> dict[str, Any]:
    policy = state_machine_policy(machines, HERE).to_dict()
    given = {"activities": ["proj.add"], "policy": policy, "trust": state_machine_trust(HERE), **more}
    return template(machines, made_for=ADD, **given)


def evaluated(value: Any, place: Place, resources: dict[str, Any]) -> Any:
    """What CloudFormation makes of a template there: Ref, Fn::GetAtt and Fn::Sub, as its documentation has them."""
    pseudo = {"AWS::Partition": place.partition, "AWS::Region": place.region, "AWS::AccountId": place.account}

    def ref(name: str) -> str:
        if name in pseudo:
            return pseudo[name]
        resource = resources[name]
        kind = {"AWS::StepFunctions::Activity": "activity", "AWS::StepFunctions::StateMachine": "stateMachine"}
        properties = resource["Properties"]
        return place.arn(
            "states", f"{kind[resource['Type']]}:{properties.get('Name') or properties['StateMachineName']}"
        )

    if isinstance(value, list):
        return [evaluated(each, place, resources) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return ref(value["Ref"])
    if set(value) == {"Fn::GetAtt"}:
        return f"{value['Fn::GetAtt'][0]} of {value['Fn::GetAtt'][1]}"
    if set(value) == {"Fn::Sub"}:
        return re.sub(r"\$\{([^{}]*)\}", lambda found: ref(found[1]), value["Fn::Sub"])
    return {key: evaluated(member, place, resources) for key, member in value.items()}


def definition_in(told: dict[str, Any], id: str, place: Place) -> Any:
    return json.loads(evaluated(told["Resources"][id]["Properties"]["DefinitionString"], place, told["Resources"]))


def test_where_it_was_made_the_template_gives_the_very_definition() -> None:
    assert definition_in(made({"orders": ORDERS}), "OrdersStateMachine", HERE) == ORDERS


def test_elsewhere_the_template_names_what_is_there_and_leaves_to_others_what_is_theirs() -> None:
    states = definition_in(made({"orders": ORDERS}), "OrdersStateMachine", THERE)["States"]
    assert states["add ${x}"]["Resource"] == THERE.arn("states", "activity:proj.add")
    assert states["child"]["Resource"] == "arn:aws-cn:states:::states:startExecution.sync:2"
    assert states["child"]["Parameters"]["StateMachineArn"] == THERE.arn("states", "stateMachine:child")
    assert states["elsewhere"]["Resource"] == "arn:aws:lambda:us-east-1:111111111111:function:theirs"


def test_nothing_in_it_names_the_place_it_was_made_for() -> None:
    written = json.dumps(made({"orders": ORDERS}, schedules=[Schedule("orders", "rate(1 hour)")]))
    assert HERE.account not in written
    assert "us-east-1:111111111111" in written
    assert written.count("us-east-1") == written.count("us-east-1:111111111111")


def test_activities_are_referred_to_so_that_they_are_made_first() -> None:
    told = made({"orders": ORDERS})
    text = told["Resources"]["OrdersStateMachine"]["Properties"]["DefinitionString"]["Fn::Sub"]
    assert '"Resource": "${ProjAddActivity}"' in text
    assert told["Resources"]["ProjAddActivity"]["Properties"]["Name"] == "proj.add"


def test_the_role_is_made_with_its_policy_for_that_place_or_one_is_named() -> None:
    told = made({"orders": ORDERS})
    role = evaluated(told["Resources"]["StateMachineRole"]["Properties"], THERE, told["Resources"])
    (policy,) = role["Policies"]
    nested = [each for each in policy["PolicyDocument"]["Statement"] if each["Sid"] == "Nested"]
    assert nested[0]["Resource"] == [THERE.arn("states", "stateMachine:child")]
    assert role["AssumeRolePolicyDocument"] == state_machine_trust(THERE)
    other = made({"orders": ORDERS}, role_arn="arn:aws:iam::999999999999:role/there")
    assert "StateMachineRole" not in other["Resources"]
    assert other["Resources"]["OrdersStateMachine"]["Properties"]["RoleArn"].endswith("role/there")


def test_a_schedule_starts_its_machine_with_its_input_through_a_role_of_its_own() -> None:
    schedule = Schedule("orders", "cron(0 6 ? * MON-FRI *)", {"args": [1]}, "Europe/Berlin")
    told = made({"orders": ORDERS}, schedules=[schedule])
    properties = evaluated(told["Resources"]["OrdersSchedule"]["Properties"], THERE, told["Resources"])
    machine = THERE.arn("states", "stateMachine:orders")
    assert properties["ScheduleExpression"] == "cron(0 6 ? * MON-FRI *)"
    assert properties["ScheduleExpressionTimezone"] == "Europe/Berlin"
    assert (properties["Target"]["Arn"], json.loads(properties["Target"]["Input"])) == (machine, {"args": [1]})
    role = evaluated(told["Resources"]["SchedulerRole"]["Properties"], THERE, told["Resources"])
    assert role["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"] == [machine]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"] == {
        "StringEquals": {"aws:SourceAccount": THERE.account}
    }


@pytest.mark.parametrize(
    "expression", ["rate(0 hours)", "rate(1 fortnight)", "cron(0 6 * * *)", "every hour", "", "@daily"]
)
def test_what_is_no_schedule_says_how_to_write_one(expression: str) -> None:
    with pytest.raises(ConfigurationError, match=r"write rate\(1 hour\)"):
        Schedule("orders", expression)


@pytest.mark.parametrize(
    "expression", ["rate(1 hour)", "rate(5 minutes)", "cron(0/15 * * * ? *)", "at(2030-01-31T12:00:00)"]
)
def test_schedules_of_every_kind_are_taken(expression: str) -> None:
    assert Schedule("orders", expression).expression == expression


def test_logging_and_tracing_are_those_of_the_machines_in_that_place() -> None:
    group = f"{HERE.arn('logs', 'log-group:orders')}:*"
    logging = {
        "level": "ALL",
        "includeExecutionData": True,
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": group}}],
    }
    told = made({"orders": ORDERS}, logging=logging, tracing={"enabled": True})
    properties = evaluated(told["Resources"]["OrdersStateMachine"]["Properties"], THERE, told["Resources"])
    assert properties["TracingConfiguration"] == {"Enabled": True}
    assert properties["LoggingConfiguration"] == {
        "Level": "ALL",
        "IncludeExecutionData": True,
        "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": f"{THERE.arn('logs', 'log-group:orders')}:*"}}],
    }


def test_names_that_differ_only_in_punctuation_are_different_resources() -> None:
    names = ["a.b", "a-b", "a_b", "aB"]
    told = made({name: {"StartAt": "x", "States": {"x": {"Type": "Succeed"}}} for name in names}, activities=names)
    kinds = [resource["Type"] for resource in told["Resources"].values()]
    assert (kinds.count("AWS::StepFunctions::Activity"), kinds.count("AWS::StepFunctions::StateMachine")) == (4, 4)
    assert all(re.fullmatch(r"[A-Za-z0-9]+", id) for id in told["Resources"])


def test_more_than_cloudformation_takes_is_refused_with_the_figure() -> None:
    with pytest.raises(ConfigurationError, match="501 resources"):
        made({}, activities=[f"a{number}" for number in range(501)])


def test_cfn_lint_finds_nothing(cfn_lint: Callable[..., list[str]]) -> None:
    states = {**ORDERS["States"], "elsewhere": {"Type": "Succeed"}}  # an ARN written out is the user's own
    child = {"StartAt": "x", "States": {"x": {"Type": "Task", "Resource": ADD, "End": True}}}
    told = made(
        {"orders": {**ORDERS, "States": states}, "child": child},
        schedules=[Schedule("orders", "rate(1 hour)")],
        logging={"level": "OFF", "includeExecutionData": False},
        tracing={"enabled": True},
        tags={"sfini:app": "proj"},
        description="The workflows of proj",
    )
    assert cfn_lint(told) == []
    # It looks into definitions only where they are plain texts, as they are once the template is deployed.
    for resource in told["Resources"].values():
        written = resource["Properties"].get("DefinitionString")
        if written is not None:
            resource["Properties"]["DefinitionString"] = evaluated(written, HERE, told["Resources"])
    of_templates = ["I3042", "E1029"]  # what is written out, and ${ outside of Fn::Sub
    assert cfn_lint(told, ignore=of_templates) == []
    child_properties = told["Resources"]["ChildStateMachine"]["Properties"]
    child_properties["DefinitionString"] = child_properties["DefinitionString"].replace('"Task"', '"Tusk"')
    assert any("Tusk" in line for line in cfn_lint(told, ignore=of_templates))
