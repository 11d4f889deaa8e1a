from __future__ import annotations

import json
from typing import Any

import pytest

import sfini_celery as sfini
from sfini_celery import asl
from sfini_celery.errors import AlreadyExists, DefinitionError, DuplicateName, InvalidName

ARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:greeting"


def greeting(session: Any, result: Any = "hello", name: str = "greeting") -> sfini.StateMachine:
    sm = sfini.StateMachine(name, session=session)
    sm.start_at(sm.pass_("greet", result=result))
    return sm


def test_registering_creates_the_machine_with_the_role_that_sfini_would_give_it(session: Any, control: Any) -> None:
    sm = greeting(session)
    assert not sm.is_registered()
    sm.register()
    assert sm.is_registered()
    assert control.machines[ARN]["roleArn"] == "arn:aws:iam::123456789012:role/sfiniGenerated" == sm.default_role_arn
    assert json.loads(control.machines[ARN]["definition"]) == sm.to_dict()
    assert sm.arn == ARN


def test_registering_again_changes_nothing_whatever_the_role(session: Any, control: Any) -> None:
    greeting(session, result=(1, 2)).register("arn:aws:iam::123456789012:role/mine")
    greeting(session, result=(1, 2)).register("arn:aws:iam::123456789012:role/other")
    assert control.calls == ["create machine greeting"]
    assert control.machines[ARN]["roleArn"] == "arn:aws:iam::123456789012:role/mine"


def test_another_definition_is_refused_unless_updates_are_allowed(session: Any, control: Any) -> None:
    greeting(session).register("arn:aws:iam::123456789012:role/mine")
    with pytest.raises(AlreadyExists, match="allow_update=True"):
        greeting(session, "bye").register()
    assert "bye" not in control.machines[ARN]["definition"]
    greeting(session, "bye").register(allow_update=True)
    assert "bye" in control.machines[ARN]["definition"]
    assert control.machines[ARN]["roleArn"] == "arn:aws:iam::123456789012:role/mine"
    greeting(session, "bye").register("arn:aws:iam::123456789012:role/other", allow_update=True)
    assert control.machines[ARN]["roleArn"] == "arn:aws:iam::123456789012:role/other"


def test_allowing_updates_creates_what_is_not_there(session: Any, control: Any) -> None:
    greeting(session).register(allow_update=True)
    assert control.calls == ["create machine greeting"]


def test_a_machine_aws_would_refuse_is_refused_with_all_its_faults_before_anything_is_asked(
    session: Any, control: Any
) -> None:
    sm = greeting(session)
    sm.pass_("lost")
    sm.wait("also lost", 5)
    with pytest.raises(DefinitionError, match="lost") as caught:
        sm.register()
    assert {finding.code for finding in caught.value.findings} == {"UNREACHABLE_STATE"}
    assert len(caught.value.findings) == 2
    with pytest.raises(InvalidName):
        greeting(session, name="two words").register()
    assert control.calls == []


def test_deregistering_twice_is_no_error(session: Any) -> None:
    sm = greeting(session)
    sm.register()
    sm.deregister()
    sm.deregister()
    assert not sm.is_registered()


def test_a_constructed_machine_has_all_that_can_be_reached_and_its_session(session: Any) -> None:
    first, last = sfini.Pass("first"), sfini.Succeed("last")
    first.goes_to(last)
    sm = sfini.construct_state_machine("two", first, comment="short", timeout=60, session=session)
    assert isinstance(sm, sfini.StateMachine)
    assert sm.session is session
    assert list(sm.states) == ["first", "last"]
    assert (sm.to_dict()["Comment"], sm.to_dict()["TimeoutSeconds"]) == ("short", 60)
    last_too = sfini.Succeed("last")
    branch = sfini.Choice("either")
    branch.add(sfini.IsNull("$", True, last))
    branch.set_default(last_too)
    with pytest.raises(DuplicateName):
        sfini.construct_state_machine("two", branch)


def test_a_definition_read_back_is_a_machine_that_can_be_registered(session: Any, control: Any) -> None:
    definition = greeting(session).to_dict()
    sm = sfini.StateMachine.from_dict("greeting", definition, session=session)
    sm.register()
    assert json.loads(control.machines[ARN]["definition"]) == definition


def test_a_machine_made_without_a_session_asks_nobody_until_it_must() -> None:
    sm = sfini.StateMachine("greeting")
    sm.start_at(sm.task("greet", "arn:aws:lambda:eu-west-1:123456789012:function:greet"))
    assert sm.to_dict()["StartAt"] == "greet"
    assert (str(sm), repr(sm)) == ("'greeting' (1 states)", "StateMachine('greeting')")
    assert "control" not in vars(sm.session)
    assert isinstance(sm, asl.StateMachine)
