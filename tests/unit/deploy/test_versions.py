"""Versions and aliases as part of a plan."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sfini_celery.aws import ControlPlane
from sfini_celery.deploy import (
    Machine,
    Owner,
    Plan,
    apply,
    delete_versions,
    list_versions,
    make_plan,
    roll_back,
)
from sfini_celery.errors import AlreadyExists, NotFound, NothingToRollBack

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


# afterwards


def three(control: ControlPlane, name: str) -> str:
    for result in (1, 2, 3):
        publish(control, name, result, alias="live")
    return control.arn("stateMachine", name)


def test_rolling_back_leads_to_the_version_before_and_runs_it(control: ControlPlane, name: str) -> None:
    arn = three(control, name)
    done = roll_back(control, arn, "live")
    assert (done.before, done.after) == ({3: 100}, 2)
    assert output(control, f"{arn}:live") == 2
    assert roll_back(control, arn, "live").after == 1
    assert roll_back(control, arn, "live", to=3).before == {1: 100}


def test_rolling_back_passes_over_versions_that_were_deleted(control: ControlPlane, name: str) -> None:
    arn = three(control, name)
    delete_versions(control, arn, [2])
    assert roll_back(control, arn, "live").after == 1


def test_rolling_back_half_a_deployment_ends_it(control: ControlPlane, name: str) -> None:
    arn = three(control, name)
    control.update_alias(f"{arn}:live", {f"{arn}:3": 10, f"{arn}:2": 90})
    assert roll_back(control, arn, "live").after == 2


def test_there_is_nothing_before_the_first_version_and_nothing_to_do_for_where_it_leads(
    control: ControlPlane, name: str
) -> None:
    publish(control, name, 1, alias="live")
    arn = control.arn("stateMachine", name)
    with pytest.raises(NothingToRollBack, match="there is no earlier one"):
        roll_back(control, arn, "live")
    with pytest.raises(NothingToRollBack, match="already"):
        roll_back(control, arn, "live", to=1)
    with pytest.raises(NotFound):
        roll_back(control, arn, "live", to=7)
    with pytest.raises(NotFound):
        roll_back(control, arn, "none")
    assert control.alias(f"{arn}:live") == {f"{arn}:1": 100}


def test_versions_are_listed_newest_first_with_their_aliases(control: ControlPlane, name: str) -> None:
    arn = three(control, name)
    control.create_alias("half", {f"{arn}:1": 50, f"{arn}:3": 50})
    found = list_versions(control, arn)
    assert [(each.number, each.arn, dict(each.aliases)) for each in found] == [
        (3, f"{arn}:3", {"live": 100, "half": 50}),
        (2, f"{arn}:2", {}),
        (1, f"{arn}:1", {"half": 50}),
    ]


def test_a_version_that_an_alias_leads_to_is_not_deleted(control: ControlPlane, name: str) -> None:
    arn = three(control, name)
    with pytest.raises(AlreadyExists, match="live"):
        delete_versions(control, arn, [1, 3])
    assert versions(control, name) == ["3", "2"]
    delete_versions(control, arn, [1])
