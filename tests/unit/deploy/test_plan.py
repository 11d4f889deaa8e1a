"""Deployment, against the embedded server: what it does is what AWS does, as far as that is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import boto3
import pytest

from sfini_celery import asl
from sfini_celery.aws import ControlPlane
from sfini_celery.deploy import Action, Item, Machine, Plan, apply, deregister, make_plan, role_for
from sfini_celery.errors import (
    AccessDenied,
    AlreadyExists,
    ConfigurationError,
    DefinitionError,
    DuplicateName,
    InvalidName,
    NotFound,
    ServiceError,
    Throttled,
)
from sfini_celery.local import LocalServer

DEFINITION = {"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}}
OTHER = {"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}
ROLE = "arn:aws:iam::123456789012:role/mine"
_numbers = count()


class Watched(ControlPlane):
    """Remembers what is changed, and fails where a test wants it to."""

    def __init__(self, **options: Any) -> None:
        self.changed: list[str] = []
        self.failures: dict[str, list[Exception]] = {}
        super().__init__(**options)

    def _call(self, operation: str, member: str | None = None, **request: Any) -> dict[str, Any]:
        if self.failures.get(operation):
            raise self.failures[operation].pop(0)
        if operation.startswith(("Create", "Update", "Delete")):
            self.changed.append(operation)
        return super()._call(operation, member, **request)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    with LocalServer() as server:
        session = boto3.session.Session("local", "local", region_name="us-east-1")
        plane = Watched(session=session, endpoint_url=server.url)
        yield plane
        plane.client.close()


@pytest.fixture
def control(watched: Watched) -> Watched:
    watched.changed.clear()
    watched.failures.clear()
    return watched


@pytest.fixture
def name() -> str:
    return f"thing-{next(_numbers)}"


def actions(plan: Plan) -> list[tuple[str, str, str]]:
    return [(str(item.action), item.kind, item.name) for item in plan.items]


def test_plan_shows_what_is_missing_and_changes_nothing(control: Watched, name: str) -> None:
    plan = make_plan(control, activities=[name], machines=[Machine(name, DEFINITION)], role_arn=ROLE)
    assert str(plan) == f"+ activity {name}\n+ state machine {name}\n2 to create"
    assert control.changed == []


def test_applied_plan_leaves_nothing_to_do(control: Watched, name: str) -> None:
    machines = [Machine(name, DEFINITION)]
    seen: list[Item] = []
    plan = make_plan(control, activities=[f"{name}b", f"{name}a", f"{name}a"], machines=machines, role_arn=ROLE)
    done = apply(plan, control, progress=seen.append)
    assert list(done) == seen == list(plan.changes)
    assert control.changed == ["CreateActivity", "CreateActivity", "CreateStateMachine"]
    again = make_plan(control, activities=[f"{name}a", f"{name}b"], machines=machines, role_arn=ROLE)
    assert actions(again) == [
        ("keep", "activity", f"{name}a"),
        ("keep", "activity", f"{name}b"),
        ("keep", "state machine", name),
    ]
    assert again.changes == ()
    assert str(again).endswith("\n3 unchanged")
    assert apply(again, control) == ()
    there = control.describe_state_machine(control.arn("stateMachine", name))
    assert (json.loads(there["definition"]), there["roleArn"]) == (DEFINITION, ROLE)


def test_definition_is_compared_as_json_and_not_as_text(control: Watched, name: str) -> None:
    control.create_state_machine(name, json.dumps(DEFINITION, indent=7, sort_keys=True), ROLE)
    assert make_plan(control, machines=[Machine(name, dict(reversed(DEFINITION.items())))]).changes == ()


def test_only_what_differs_is_updated(control: Watched, name: str) -> None:
    arn = control.create_state_machine(name, json.dumps(DEFINITION), ROLE)["stateMachineArn"]
    plan = make_plan(control, machines=[Machine(name, OTHER)])
    (item,) = plan.changes
    assert (item.action, item.changed, str(item)) == (
        Action.UPDATE,
        ("definition",),
        f"~ state machine {name} (definition)",
    )
    assert (item.old_definition, item.definition, item.old_role_arn) == (DEFINITION, OTHER, ROLE)
    apply(plan, control)
    there = control.describe_state_machine(arn)
    assert (json.loads(there["definition"]), there["roleArn"]) == (OTHER, ROLE)
    apply(make_plan(control, machines=[Machine(name, OTHER, role_arn=ROLE + "2")]), control)
    there = control.describe_state_machine(arn)
    assert (json.loads(there["definition"]), there["roleArn"]) == (OTHER, ROLE + "2")


def test_role_of_the_machine_goes_before_the_plans(control: Watched, name: str) -> None:
    plan = make_plan(control, machines=[Machine(name, DEFINITION, role_arn=ROLE + "x")], role_arn=ROLE)
    assert plan.items[0].role_arn == ROLE + "x"


def test_embedded_server_needs_no_role(control: Watched, name: str) -> None:
    plan = make_plan(control, machines=[Machine(name, DEFINITION)])
    assert plan.items[0].role_arn == "arn:aws:iam::123456789012:role/sfini-local"


def test_machine_without_a_role_is_refused_with_how_to_give_one() -> None:
    class Aws:
        is_local = False

    with pytest.raises(ConfigurationError, match=r"'orders' needs an IAM role.*--role-arn.*sfn_role_arn"):
        role_for("orders", None, Aws())  # type: ignore[arg-type]
    assert role_for("orders", ROLE, Aws()) == ROLE  # type: ignore[arg-type]


def test_faults_of_all_machines_are_found_before_anything_is_asked_of_aws(name: str) -> None:
    nowhere = ControlPlane(region="us-east-1", endpoint_url="http://127.0.0.1:1")
    broken = {"StartAt": "b", "States": {"a": {"Type": "Pass", "Next": "c"}}}
    with pytest.raises(DefinitionError, match=f"{name}") as caught:
        make_plan(nowhere, activities=["add"], machines=[Machine("fine", DEFINITION), Machine(name, broken)])
    assert len(caught.value.findings) >= 2
    with pytest.raises(DefinitionError) as both:
        make_plan(nowhere, machines=[Machine("one", broken), Machine("two", broken)])
    assert len(both.value.findings) == 2 * len(caught.value.findings)
    assert "one:$" in str(both.value)
    assert "two:$" in str(both.value)


def test_warning_is_no_reason_to_refuse(control: Watched, name: str) -> None:
    task = {"Type": "Task", "Resource": control.arn("activity", "a"), "Retry": [{"ErrorEquals": ["States.Bogus"]}]}
    doubtful = {"StartAt": "a", "States": {"a": {**task, "End": True}}}
    assert [finding.severity for finding in asl.lint(doubtful)] == ["warning"]
    make_plan(control, machines=[Machine(name, doubtful)])


def test_names_are_checked_before_anything_is_asked_of_aws() -> None:
    nowhere = ControlPlane(region="us-east-1", endpoint_url="http://127.0.0.1:1")
    with pytest.raises(InvalidName):
        make_plan(nowhere, activities=["a/b"])
    with pytest.raises(InvalidName):
        make_plan(nowhere, machines=[Machine("a b", DEFINITION)])
    with pytest.raises(DuplicateName):
        make_plan(nowhere, machines=[Machine("a", DEFINITION), Machine("a", OTHER)])


def test_failure_half_way_tells_what_was_done_and_the_same_again_does_the_rest(control: Watched, name: str) -> None:
    wanted: dict[str, Any] = {"activities": [name], "machines": [Machine(name, DEFINITION), Machine(name + "2", OTHER)]}
    denied = AccessDenied("CreateStateMachine", "AccessDeniedException", "no iam:PassRole", 403)
    control.failures["CreateStateMachine"] = [denied]
    seen: list[Item] = []
    with pytest.raises(AccessDenied) as caught:
        apply(make_plan(control, **wanted), control, progress=seen.append)
    assert caught.value.applied == tuple(seen)  # type: ignore[attr-defined]
    assert [str(item) for item in seen] == [f"+ activity {name}"]
    (note,) = caught.value.__notes__
    assert f"at state machine {name!r}. Done before it: activity {name!r}." in note
    rest = apply(make_plan(control, **wanted), control)
    assert [str(item) for item in rest] == [f"+ state machine {name}", f"+ state machine {name}2"]


def test_machine_that_somebody_else_made_in_between_is_refused_and_not_overwritten(control: Watched, name: str) -> None:
    plan = make_plan(control, machines=[Machine(name, DEFINITION)])
    arn = control.create_state_machine(name, json.dumps(OTHER), ROLE)["stateMachineArn"]
    with pytest.raises(AlreadyExists, match="somebody else since the plan was made"):
        apply(plan, control)
    assert json.loads(control.describe_state_machine(arn)["definition"]) == OTHER


def test_machine_that_was_deleted_in_between_is_refused_and_planned_anew(control: Watched, name: str) -> None:
    arn = control.create_state_machine(name, json.dumps(OTHER), ROLE)["stateMachineArn"]
    plan = make_plan(control, machines=[Machine(name, DEFINITION)])
    control.delete_state_machine(arn)
    with pytest.raises(NotFound):
        apply(plan, control)
    assert make_plan(control, machines=[Machine(name, DEFINITION)]).items[0].action is Action.CREATE


def test_throttling_and_a_machine_still_being_deleted_are_waited_for(control: Watched, name: str) -> None:
    slept: list[float] = []
    control.failures["CreateStateMachine"] = [
        Throttled("CreateStateMachine", "ThrottlingException"),
        NotFound("CreateStateMachine", "StateMachineDeleting"),
    ]
    done = apply(make_plan(control, machines=[Machine(name, DEFINITION)]), control, sleep=slept.append)
    assert len(done) == 1
    assert slept == [1.0, 1.0]


def test_more_machines_than_aws_creates_at_once_are_created_at_its_rate(
    control: Watched, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket, create = [10.0], control.create_state_machine

    def limited(*args: Any, **more: Any) -> Any:  # AWS's is 100, and one a second after that
        if bucket[0] < 1:
            raise Throttled("CreateStateMachine", "ThrottlingException")
        bucket[0] -= 1
        return create(*args, **more)

    def sleep(seconds: float) -> None:
        bucket[0] += seconds

    monkeypatch.setattr(control, "create_state_machine", limited)
    machines = [Machine(f"{name}-{number}", DEFINITION) for number in range(110)]
    done = apply(make_plan(control, machines=machines), control, sleep=sleep)
    assert len(done) == 110
    assert make_plan(control, machines=machines).changes == ()


def test_patience_with_aws_has_an_end(control: Watched, name: str) -> None:
    slept: list[float] = []
    control.failures["CreateActivity"] = [Throttled("CreateActivity", "ThrottlingException") for _ in range(1000)]
    with pytest.raises(Throttled):
        apply(make_plan(control, activities=[name]), control, sleep=slept.append)
    assert 60 <= sum(slept) <= 120


def test_other_refusals_are_not_waited_away(control: Watched, name: str) -> None:
    control.failures["CreateActivity"] = [ServiceError("CreateActivity", "InvalidName")]
    with pytest.raises(ServiceError):
        apply(make_plan(control, activities=[name]), control, sleep=lambda seconds: pytest.fail("waited"))


def test_machine_being_deleted_counts_as_gone(control: Watched, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "describe_state_machine", lambda arn: {"status": "DELETING", "definition": "{}"})
    assert make_plan(control, machines=[Machine(name, DEFINITION)]).items[0].action is Action.CREATE


def test_definition_in_aws_that_is_no_json_is_replaced(
    control: Watched, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "describe_state_machine", lambda arn: {"definition": "{", "roleArn": ROLE})
    (item,) = make_plan(control, machines=[Machine(name, DEFINITION)]).changes
    assert (item.action, item.old_definition) == (Action.UPDATE, None)


def test_large_definition_is_sent_without_indentation(control: Watched, name: str) -> None:
    states = {f"s{n}": {"Type": "Pass", "Comment": "x" * 50, "Next": f"s{n + 1}"} for n in range(8000)}
    large = {"StartAt": "s0", "States": {**states, "s8000": {"Type": "Succeed"}}}
    assert len(json.dumps(large, indent=2)) > 1_048_576 > len(json.dumps(large, separators=(",", ":")))
    apply(make_plan(control, machines=[Machine(name, large)]), control)
    assert make_plan(control, machines=[Machine(name, large)]).changes == ()


def test_deregistered_things_are_gone_machines_first_and_twice_is_no_error(control: Watched, name: str) -> None:
    apply(make_plan(control, activities=[name], machines=[Machine(name, DEFINITION)]), control)
    control.changed.clear()
    seen: list[Item] = []
    deregister(control, activities=[name], machines=[name], progress=seen.append)
    assert [str(item) for item in seen] == [f"- state machine {name}", f"- activity {name}"]
    assert control.changed == ["DeleteStateMachine", "DeleteActivity"]
    deregister(control, activities=[name], machines=[name])
    plan = make_plan(control, activities=[name], machines=[Machine(name, DEFINITION)])
    assert [item.action for item in plan.items] == [Action.CREATE, Action.CREATE]


def test_plan_of_nothing_says_so(control: Watched) -> None:
    plan = make_plan(control)
    assert (plan.items, plan.changes, str(plan)) == ((), (), "nothing declared")
