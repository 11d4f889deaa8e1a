"""What is registered is tagged as the app's, and only that is ever taken away."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sfini_celery.aws import ControlPlane
from sfini_celery.deploy import Action, Machine, Owner, Plan, apply, make_plan, plan_removal
from sfini_celery.errors import AlreadyExists, ConfigurationError, NotFound

PASS = {"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}}
OTHER = {"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}
WAIT = {"StartAt": "w", "States": {"w": {"Type": "Wait", "Seconds": 3600, "End": True}}}
ROLE = "arn:aws:iam::123456789012:role/mine"


def lines(plan: Plan) -> list[str]:
    return [str(item) for item in plan.items]


def register(control: ControlPlane, owner: Owner, **wanted: Any) -> Plan:
    plan = make_plan(control, owner=owner, **wanted)
    apply(plan, control)
    return plan


def tags(control: ControlPlane, kind: str, name: str) -> dict[str, str]:
    return control.tags(control.arn(kind, name))


def test_everything_created_is_tagged_and_registering_again_changes_nothing(control: ControlPlane, name: str) -> None:
    owner = Owner("proj", name)
    wanted: dict[str, Any] = {"activities": [name], "machines": [Machine(name, PASS)]}
    register(control, owner, **wanted)
    for kind in ("activity", "stateMachine"):
        assert tags(control, kind, name) == {"sfini:app": "proj", "sfini:managed": f"prefix={name}"}
    assert make_plan(control, owner=owner, **wanted).changes == ()


def test_what_nobody_owns_yet_is_taken_over_in_plain_sight(control: ControlPlane, name: str) -> None:
    control.create_activity(name, tags={"team": "payments"})
    control.create_state_machine(name, json.dumps(PASS), ROLE)
    plan = register(control, Owner("proj", name), activities=[name], machines=[Machine(name, PASS)])
    assert lines(plan) == [f"~ activity {name} (tags)", f"~ state machine {name} (tags)"]
    assert '+ tags.sfini:app: "proj"' in str(plan)
    assert tags(control, "activity", name)["team"] == "payments"
    assert Owner("proj", name).owns(tags(control, "stateMachine", name))


def test_a_machine_of_another_app_is_refused_before_anything_is_changed(control: ControlPlane, name: str) -> None:
    register(control, Owner("theirs"), machines=[Machine(name, PASS)])
    with pytest.raises(ConfigurationError, match=r"belongs to the app 'theirs'.*sfn_prefix"):
        make_plan(control, owner=Owner("proj"), activities=["never"], machines=[Machine(name, OTHER)])


def test_an_activity_that_another_app_made_is_shared_and_stays_its_own(control: ControlPlane, name: str) -> None:
    register(control, Owner("theirs"), activities=[name])
    plan = register(control, Owner("proj"), activities=[name])
    assert plan.changes == ()
    assert "shared with the app 'theirs'" in str(plan)
    removal = plan_removal(control, Owner("proj"), activities=[name])
    assert removal.changes == ()
    assert tags(control, "activity", name)["sfini:app"] == "theirs"


def test_prune_removes_what_the_app_declares_no_more_and_nothing_else(control: ControlPlane, name: str) -> None:
    owner = Owner("proj", name)
    both = [f"{name}1", f"{name}2"]
    register(control, owner, activities=both, machines=[Machine(each, PASS) for each in both])
    control.create_activity(f"{name}byhand")
    control.create_state_machine(f"{name}byhand", json.dumps(PASS), ROLE)
    control.create_state_machine(f"{name}adhoc-1", json.dumps(PASS), ROLE, tags={**owner.tags, "sfini:adhoc": "shape"})
    register(control, Owner("theirs", name), activities=[f"{name}theirs"])
    wanted: dict[str, Any] = {"activities": both[:1], "machines": [Machine(both[0], PASS)]}
    assert make_plan(control, owner=owner, **wanted).changes == ()
    plan = register(control, owner, prune=True, **wanted)
    assert [str(item) for item in plan.changes] == [f"- state machine {name}2", f"- activity {name}2"]
    left = {found["name"] for found in (*control.list_activities(), *control.list_state_machines())}
    assert {each for each in left if each.startswith(name)} == {
        f"{name}1",
        f"{name}byhand",
        f"{name}adhoc-1",
        f"{name}theirs",
    }


def test_prune_of_production_leaves_the_same_apps_staging_alone(control: ControlPlane, name: str) -> None:
    register(control, Owner(name, f"{name}staging-"), activities=[f"{name}staging-add"])
    assert make_plan(control, owner=Owner(name), activities=[], prune=True).changes == ()


def test_pruning_without_an_owner_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="owner"):
        make_plan(ControlPlane(region="us-east-1", endpoint_url="http://127.0.0.1:1"), prune=True)


def test_an_activity_that_a_running_execution_started_with_stays_until_it_has_ended(
    control: ControlPlane, name: str
) -> None:
    owner = Owner("proj", name)
    uses = {"StartAt": "t", "States": {"t": {"Type": "Task", "Resource": control.arn("activity", name), "End": True}}}
    register(control, owner, activities=[name], machines=[Machine(name, uses)])
    execution = control.start_execution(control.arn("stateMachine", name), input="{}", name="on")["executionArn"]
    # the machine itself does not use it any more
    plan = register(control, owner, machines=[Machine(name, PASS)], prune=True)
    assert f"= activity {name}: execution 'on' of {name!r} still runs" in lines(plan)
    assert plan_removal(control, owner, activities=[name]).changes == ()
    control.stop_execution(execution)
    plan = register(control, owner, machines=[Machine(name, PASS)], prune=True)
    assert [str(item) for item in plan.changes] == [f"- activity {name}"]


def test_an_activity_that_somebody_elses_running_execution_uses_is_not_pruned(control: ControlPlane, name: str) -> None:
    owner = Owner("proj", name)
    register(control, owner, activities=[name])
    task = {"Type": "Task", "Resource": control.arn("activity", name), "End": True}
    inside = {"StartAt": "t", "States": {"t": task}}
    branches = {"StartAt": "p", "States": {"p": {"Type": "Parallel", "Branches": [inside], "End": True}}}
    foreign = control.create_state_machine(f"foreign-{name}", json.dumps(branches), ROLE)["stateMachineArn"]
    control.start_execution(foreign, input="{}", name="on")
    assert make_plan(control, owner=owner, prune=True).changes == ()


def test_an_activity_that_only_a_hand_written_definition_names_is_not_pruned(control: ControlPlane, name: str) -> None:
    owner = Owner("proj", name)
    register(control, owner, activities=[name])
    uses = {"StartAt": "t", "States": {"t": {"Type": "Task", "Resource": control.arn("activity", name), "End": True}}}
    plan = register(control, owner, machines=[Machine(name, uses)], prune=True)
    assert f"= activity {name}: {name!r} uses it" in lines(plan)


def test_a_machine_whose_execution_runs_is_not_pruned(control: ControlPlane, name: str) -> None:
    owner = Owner("proj", name)
    register(control, owner, machines=[Machine(name, WAIT)])
    control.start_execution(control.arn("stateMachine", name), input="{}")
    plan = make_plan(control, owner=owner, prune=True)
    assert plan.changes == ()
    assert "still runs" in str(plan)


def test_removal_leaves_what_was_made_by_hand_and_skips_what_is_not_there(control: ControlPlane, name: str) -> None:
    owner = Owner("proj", name)
    register(control, owner, machines=[Machine(name, PASS)])
    control.create_activity(name)
    plan = plan_removal(control, owner, activities=[name, f"{name}none"], machines=[name, f"{name}none"])
    assert lines(plan) == [
        f"- state machine {name}",
        f"= activity {name}: it does not have this app's tags; `register` adds them where no other app has it",
    ]


# several people


def test_a_machine_changed_in_the_console_since_the_plan_is_refused_and_then_planned_anew(
    control: ControlPlane, name: str
) -> None:
    owner = Owner("proj", name)
    register(control, owner, machines=[Machine(name, PASS)])
    plan = make_plan(control, owner=owner, machines=[Machine(name, OTHER)])
    arn = control.arn("stateMachine", name)
    control.update_state_machine(arn, definition=json.dumps(WAIT))
    with pytest.raises(AlreadyExists, match="changed by somebody else since the plan was made"):
        apply(plan, control)
    assert json.loads(control.describe_state_machine(arn)["definition"]) == WAIT
    again = register(control, owner, machines=[Machine(name, OTHER)])
    assert "- state w (Wait)" in str(again)
    assert json.loads(control.describe_state_machine(arn)["definition"]) == OTHER


def test_two_who_register_the_same_at_once_both_end_well(control: ControlPlane, name: str) -> None:
    owner = Owner("proj", name)
    wanted: dict[str, Any] = {"activities": [name], "machines": [Machine(name, PASS)], "role_arn": ROLE}
    plans = [make_plan(control, owner=owner, **wanted) for _ in range(2)]
    for plan in plans:
        apply(plan, control)
    assert make_plan(control, owner=owner, **wanted).changes == ()


def test_two_who_register_different_things_at_once_one_is_refused(control: ControlPlane, name: str) -> None:
    owner = Owner("proj", name)
    register(control, owner, machines=[Machine(name, PASS)])
    first, second = (make_plan(control, owner=owner, machines=[Machine(name, each)]) for each in (OTHER, WAIT))
    apply(first, control)
    with pytest.raises(AlreadyExists, match="make a new plan"):
        apply(second, control)
    assert json.loads(control.describe_state_machine(control.arn("stateMachine", name))["definition"]) == OTHER


def test_an_activity_deleted_by_hand_is_made_again(control: ControlPlane, name: str) -> None:
    owner = Owner("proj", name)
    register(control, owner, activities=[name])
    control.delete_activity(control.arn("activity", name))
    plan = register(control, owner, activities=[name])
    assert lines(plan) == [f"+ activity {name}"]
    assert control.describe_activity(control.arn("activity", name))["name"] == name


def test_a_machine_deleted_by_hand_between_plan_and_apply_is_refused(control: ControlPlane, name: str) -> None:
    owner = Owner("proj", name)
    register(control, owner, machines=[Machine(name, PASS)])
    plan = make_plan(control, owner=owner, machines=[Machine(name, OTHER)])
    control.delete_state_machine(control.arn("stateMachine", name))
    with pytest.raises(NotFound):
        apply(plan, control)


# settings


def test_logging_and_tracing_are_compared_and_set_where_they_are_given(control: ControlPlane, name: str) -> None:
    group = {"cloudWatchLogsLogGroup": {"logGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:g:*"}}
    logging = {"level": "ERROR", "includeExecutionData": False, "destinations": [group]}
    register(control, Owner("proj", name), machines=[Machine(name, PASS)])
    wanted = Machine(name, PASS, logging=logging, tracing={"enabled": True})
    plan = register(control, Owner("proj", name), machines=[wanted])
    assert lines(plan) == [f"~ state machine {name} (logging and tracing)"]
    assert '~ logging.level: "OFF" -> "ERROR"' in str(plan)
    assert "~ tracing.enabled: false -> true" in str(plan)
    assert make_plan(control, machines=[wanted]).changes == ()
    assert make_plan(control, machines=[Machine(name, PASS)]).changes == ()  # left as it is
    there = control.describe_state_machine(control.arn("stateMachine", name))
    assert (there["loggingConfiguration"], there["tracingConfiguration"]) == (logging, {"enabled": True})


@pytest.mark.parametrize(
    ("owner", "written"),
    [
        (Owner("proj", "dev-"), {"sfini:app": "proj", "sfini:managed": "prefix=dev-"}),
        (Owner("shop & co", "Ä!"), {"sfini:app": "shop _ co", "sfini:managed": "prefix=Ä_"}),
        (Owner("x" * 300), {"sfini:app": "x" * 256, "sfini:managed": "prefix="}),
    ],
)
def test_tags_have_only_what_aws_allows_in_them(owner: Owner, written: dict[str, str]) -> None:
    assert owner.tags == written
    assert owner.owns(written)
    assert owner.missing_from(written) == {}
    assert owner.stranger(written) is None
    assert not owner.owns({})
    assert not Owner("other", owner.prefix).owns(written)


def test_actions_of_items_are_told_by_their_signs(control: ControlPlane, name: str) -> None:
    register(control, Owner("proj", name), activities=[name])
    (item,) = plan_removal(control, Owner("proj", name), activities=[name]).items
    assert (item.action, str(item)) == (Action.DELETE, f"- activity {name}")
