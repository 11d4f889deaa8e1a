"""Versions and aliases as part of a plan."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sfini_celery.aws import ControlPlane
from sfini_celery.deploy import Machine, Owner, Plan, apply, make_plan
from sfini_celery.errors import AlreadyExists

ROLE = "arn:aws:iam::123456789012:role/mine"


def definition(result: int) -> dict[str, Any]:
    return {"StartAt": "a", "States": {"a": {"Type": "Pass", "Result": result, "End": True}}}


def publish(control: ControlPlane, name: str, result: int, **more: Any) -> Plan:
    plan = make_plan(control, machines=[Machine(name, definition(result))], **{"publish": True, **more})
    apply(plan, control)
    return plan


def output(control: ControlPlane, arn: str) -> Any:
    execution = control.start_execution(arn, input="{}")["executionArn"]
    return json.loads(control.waiter.wait(execution, timeout=10)["output"])


def versions(control: ControlPlane, name: str) -> list[str]:
    found = control.list_versions(control.arn("stateMachine", name))
    return [each["stateMachineVersionArn"].rpartition(":")[2] for each in found]


def test_a_version_is_published_for_every_change_and_none_without_one(control: ControlPlane, name: str) -> None:
    done = apply(make_plan(control, machines=[Machine(name, definition(1))], publish=True), control)
    arn = control.arn("stateMachine", name)
    assert [item.version for item in done] == [f"{arn}:1"]
    assert publish(control, name, 1).changes == ()
    assert str(publish(control, name, 2).items[0]) == f"~ state machine {name} (definition and version)"
    assert versions(control, name) == ["2", "1"]
    assert [output(control, f"{arn}:{number}") for number in (1, 2)] == [1, 2]


def test_a_machine_that_was_registered_without_a_version_gets_one_when_asked(control: ControlPlane, name: str) -> None:
    apply(make_plan(control, machines=[Machine(name, definition(1))]), control)
    assert str(publish(control, name, 1).items[0]) == f"~ state machine {name} (version)"
    assert versions(control, name) == ["1"]


def test_an_alias_follows_what_is_published_and_is_moved_last(control: ControlPlane, name: str) -> None:
    arn = control.arn("stateMachine", name)
    plan = publish(control, name, 1, alias="live")
    assert [str(item) for item in plan.items] == [
        f"+ state machine {name}",
        f"+ alias {name}:live (the version to be published)",
    ]
    assert control.alias(f"{arn}:live") == {f"{arn}:1": 100}
    plan = publish(control, name, 2, alias="live")
    assert str(plan.items[-1]) == f"~ alias {name}:live (version 1 -> the version to be published)"
    assert output(control, f"{arn}:live") == 2
    assert publish(control, name, 2, alias="live").changes == ()
    assert str(publish(control, name, 2, alias="next").items[-1]) == f"+ alias {name}:next (version 2)"


def test_an_alias_that_was_rolled_back_is_shown_and_moved_forward_again(control: ControlPlane, name: str) -> None:
    arn = control.arn("stateMachine", name)
    publish(control, name, 1, alias="live")
    publish(control, name, 2, alias="live")
    control.update_alias(f"{arn}:live", {f"{arn}:1": 90, f"{arn}:2": 10})
    plan = publish(control, name, 2, alias="live")
    assert [str(item) for item in plan.changes] == [f"~ alias {name}:live (version 1 90%, version 2 10% -> version 2)"]
    assert control.alias(f"{arn}:live") == {f"{arn}:2": 100}


def test_an_alias_moved_by_somebody_else_since_the_plan_is_refused(control: ControlPlane, name: str) -> None:
    arn = control.arn("stateMachine", name)
    publish(control, name, 1, alias="live")
    publish(control, name, 2)
    plan = make_plan(control, machines=[Machine(name, definition(2))], alias="live")
    control.update_alias(f"{arn}:live", {f"{arn}:1": 50, f"{arn}:2": 50})
    with pytest.raises(AlreadyExists, match="changed by somebody else"):
        apply(plan, control)


def test_a_failure_before_the_alias_leaves_the_alias_on_what_it_was(
    control: ControlPlane, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = control.arn("stateMachine", name)
    publish(control, name, 1, alias="live")
    wanted = [Machine(name, definition(2)), Machine(f"{name}2", definition(2))]
    plan = make_plan(control, machines=wanted, alias="live")
    with monkeypatch.context() as patched:
        patched.setattr(control, "create_state_machine", _refused)
        with pytest.raises(AlreadyExists) as caught:
            apply(plan, control)
    assert [item.name for item in caught.value.applied] == [name]  # type: ignore[attr-defined]
    assert control.alias(f"{arn}:live") == {f"{arn}:1": 100}
    apply(make_plan(control, machines=wanted, alias="live"), control)
    assert control.alias(f"{arn}:live") == {f"{arn}:2": 100}


def _refused(*_: Any, **__: Any) -> Any:
    raise AlreadyExists("CreateStateMachine", "StateMachineAlreadyExists")


def test_tags_alone_publish_nothing(control: ControlPlane, name: str) -> None:
    publish(control, name, 1)
    plan = publish(control, name, 1, owner=Owner("proj"))
    assert str(plan.items[0]) == f"~ state machine {name} (tags)"
    assert versions(control, name) == ["1"]
