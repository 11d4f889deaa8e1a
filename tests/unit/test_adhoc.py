"""Canvases without a name: one machine for a shape, made when it is missing, found when it is idle."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from celery import current_app, group

from sfini_celery import SfiniCelery
from sfini_celery.adhoc import plan_idle_removal
from sfini_celery.aws import ControlPlane
from sfini_celery.canvas import wait
from sfini_celery.deploy import Owner
from sfini_celery.errors import AccessDenied, CompileError, ConfigurationError, NotFound, Throttled
from sfini_celery.local import LocalServer

ROLE = "arn:aws:iam::123456789012:role/mine"


class Watched(ControlPlane):
    """Counts the calls, and refuses those that a test wants refused."""

    def __init__(self, **options: Any) -> None:
        self.calls: Counter[str] = Counter()
        self.refused: dict[str, list[Exception]] = {}
        super().__init__(**options)

    def _call(self, operation: str, member: str | None = None, **request: Any) -> dict[str, Any]:
        self.calls[operation] += 1
        if self.refused.get(operation):
            raise self.refused[operation].pop(0)
        return super()._call(operation, member, **request)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def app(server: LocalServer, request: pytest.FixtureRequest) -> Iterator[Any]:
    before = current_app._get_current_object()
    prefix = f"a{abs(hash(request.node.name)) % 10**8}-"
    app: Any = SfiniCelery("proj", broker="memory://", sfn_prefix=prefix, sfn_role_arn=ROLE)
    session = boto3.session.Session("local", "local", region_name="us-east-1")
    app.sfn._control = Watched(session=session, endpoint_url=server.url, account="123456789012")

    @app.activity(name="t.add", queues=["fast"])
    def add(x: Any = 0, y: Any = 0) -> Any:
        return x + y

    app.add = add
    yield app
    app.close()
    before.set_current()


def waiting(app: Any, n: int = 1) -> Any:
    """A canvas whose executions go on."""
    return wait(seconds=3600) | app.add.s(n)


def machines(app: Any) -> list[str]:
    prefix = app.conf.sfn_prefix
    return [each["name"] for each in app.sfn.control.list_state_machines() if each["name"].startswith(prefix)]


def activities(app: Any) -> list[str]:
    prefix = app.conf.sfn_prefix
    return [each["name"] for each in app.sfn.control.list_activities() if each["name"].startswith(prefix)]


def test_the_first_canvas_of_a_shape_makes_its_machine_and_activities_and_the_next_only_start(app: Any) -> None:
    calls = app.sfn.control.calls
    outcomes = [app.sfn.delay(waiting(app, n), n) for n in range(5)]
    assert calls == {"StartExecution": 7, "CreateActivity": 1, "CreateStateMachine": 1}
    (machine,) = machines(app)
    assert machine.startswith(f"{app.conf.sfn_prefix}adhoc-")
    assert len(machine.removeprefix(f"{app.conf.sfn_prefix}adhoc-")) == 16
    assert activities(app) == [f"{app.conf.sfn_prefix}t.add"]
    assert [outcome.execution.refresh().input for outcome in outcomes] == [
        {"args": [n], "kwargs": {}, "lit": [3600, [n]]} for n in range(5)
    ]
    assert outcomes[0].execution.name.startswith(machine)
    there = app.sfn.control.describe_state_machine(app.sfn.control.arn("stateMachine", machine))
    assert there["roleArn"] == ROLE
    assert json.loads(there["definition"])["Comment"] == "A canvas of proj, run ad hoc"
    assert app.sfn.control.tags(there["stateMachineArn"]) == {**app.sfn.owner.tags, "sfini:adhoc": "shape"}


def test_another_process_that_needs_the_shape_starts_it_with_one_call(app: Any, server: LocalServer) -> None:
    app.sfn.delay(waiting(app))
    session = boto3.session.Session("local", "local", region_name="us-east-1")
    app.sfn._control = Watched(session=session, endpoint_url=server.url, account="123456789012")
    app.sfn.delay(waiting(app, 2))
    assert app.sfn.control.calls == {"StartExecution": 1}


def test_other_shapes_have_other_machines(app: Any) -> None:
    for canvas in (waiting(app), waiting(app) | app.add.s(), waiting(app) | app.add.s(2)):
        app.sfn.delay(canvas)
    assert len(machines(app)) == 3
    app.sfn.delay(waiting(app, 5) | group(app.add.s(n) for n in range(3)))
    app.sfn.delay(waiting(app, 6) | group(app.add.s(n) for n in range(30)))
    assert len(machines(app)) == 4


def test_a_machine_that_was_deleted_meanwhile_is_made_again(app: Any) -> None:
    first = app.sfn.delay(waiting(app))
    first.revoke()
    app.sfn.control.delete_state_machine(first.execution.state_machine_arn)
    assert machines(app) == []
    assert app.sfn.delay(waiting(app)).state == "STARTED"
    assert len(machines(app)) == 1
    assert app.sfn.control.calls["CreateStateMachine"] == 2


def test_a_machine_that_stays_missing_is_not_made_for_ever(app: Any) -> None:
    gone = NotFound("StartExecution", "StateMachineDoesNotExist")
    app.sfn.control.refused["StartExecution"] = [gone] * 9
    with pytest.raises(NotFound):
        app.sfn.delay(waiting(app))
    assert app.sfn.control.calls == {"StartExecution": 3, "CreateActivity": 1, "CreateStateMachine": 1}


def test_another_not_found_is_not_taken_for_a_missing_machine(app: Any) -> None:
    app.sfn.control.refused["StartExecution"] = [NotFound("StartExecution", "ResourceNotFound")]
    with pytest.raises(NotFound):
        app.sfn.delay(waiting(app))
    assert app.sfn.control.calls == {"StartExecution": 1}


def test_many_threads_at_once_make_one_machine_with_one_call(app: Any) -> None:
    together = threading.Barrier(16)

    def delay(n: int) -> str:
        together.wait(30)
        return str(app.sfn.delay(waiting(app, n)).state)

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(delay, range(16))) == {"STARTED"}
    assert len(machines(app)) == 1
    assert app.sfn.control.calls["CreateStateMachine"] == 1


def test_throttled_creation_is_waited_for(app: Any) -> None:
    app.sfn.control.refused["CreateStateMachine"] = [Throttled("CreateStateMachine", "ThrottlingException")]
    assert app.sfn.delay(waiting(app)).state == "STARTED"
    assert app.sfn.control.calls["CreateStateMachine"] == 2


def test_a_definition_in_another_order_under_the_name_of_the_shape_is_taken(app: Any) -> None:
    compiled = app.sfn.delay(waiting(app))
    name = compiled.execution.state_machine_arn.rpartition(":")[2]
    definition = json.loads(app.sfn.control.describe_state_machine(compiled.execution.state_machine_arn)["definition"])
    compiled.revoke()
    app.sfn.control.delete_state_machine(compiled.execution.state_machine_arn)
    app.sfn.control.create_state_machine(name, json.dumps({**definition, "Version": "1.0"}), ROLE)
    app.sfn.control.refused["StartExecution"] = [NotFound("StartExecution", "StateMachineDoesNotExist")] * 2
    assert app.sfn.delay(waiting(app)).state == "STARTED"


def test_activities_are_left_alone_where_the_setting_says_so_or_they_may_not_be_made(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app.conf.sfn_create_missing_activities = False
    app.sfn.delay(waiting(app))
    assert activities(app) == []
    app.conf.sfn_create_missing_activities = True
    app.sfn.control.refused["CreateActivity"] = [AccessDenied("CreateActivity", "AccessDeniedException")]
    with caplog.at_level(logging.WARNING):
        assert app.sfn.delay(waiting(app) | app.add.s(1)).state == "STARTED"
    assert activities(app) == []
    assert "sfini_activities_not_created" in caplog.text


def test_without_a_role_nothing_is_made_and_the_message_says_what_to_set(app: Any, monkeypatch: Any) -> None:
    app.conf.sfn_role_arn = None
    monkeypatch.setattr(Watched, "is_local", False)
    with pytest.raises(ConfigurationError, match="sfn_role_arn"):
        app.sfn.delay(waiting(app))
    assert activities(app) == machines(app) == []


def test_options_are_set_on_a_copy_of_the_canvas(app: Any) -> None:
    canvas = app.add.s(1)
    outcome = app.sfn.apply_async(canvas, (2,), countdown=3600, queue="fast", serializer="json")
    definition = outcome.execution.definition()
    kinds = {state["Type"]: state for state in definition["States"].values()}
    assert kinds["Task"]["Resource"].endswith("t.add@fast")
    assert outcome.execution.refresh().input["lit"] == [[1], 3600]
    assert set(kinds) == {"Task", "Wait"}
    assert canvas.options == {}


def test_task_id_names_the_execution_and_starts_it_once(app: Any) -> None:
    first = app.sfn.apply_async(waiting(app), task_id="mine")
    assert first.execution.name == "mine"
    assert app.sfn.apply_async(waiting(app), task_id="mine") == first
    assert app.sfn.result(first.id).state == "STARTED"


def test_what_cannot_be_expressed_is_refused_before_anything_is_made(app: Any) -> None:
    for canvas in (app.add.s(object()), app.signature("nobody"), 7, "add", app.add.s("x" * 300_000)):
        with pytest.raises(CompileError):
            app.sfn.delay(canvas)
    assert app.sfn.control.calls == {}


def test_a_keyword_may_be_called_canvas(app: Any) -> None:
    outcome = app.sfn.delay(waiting(app), canvas=1)
    assert outcome.execution.refresh().input["kwargs"] == {"canvas": 1}


# idle ones


def idle(sfn: Any, **options: Any) -> list[str]:
    plan = plan_idle_removal(sfn, **options)
    assert all((str(item.action), item.kind) == ("delete", "state machine") for item in plan.items)
    return [item.name for item in plan.items]


def in_days(days: float) -> Any:
    return lambda: datetime.now(timezone.utc) + timedelta(days=days)


def test_idle_is_what_neither_runs_nor_ended_within_the_days_in_which_it_could_be_redriven(app: Any) -> None:
    running, ended = app.sfn.delay(waiting(app)), app.sfn.delay(waiting(app) | app.add.s())
    ended.revoke()
    name = ended.execution.state_machine_arn.rpartition(":")[2]
    assert idle(app.sfn) == []
    assert idle(app.sfn, now=in_days(13.9)) == []
    assert idle(app.sfn, now=in_days(14.1)) == [name]
    assert idle(app.sfn, idle_days=3, now=in_days(3.1)) == [name]
    running.revoke()
    assert len(idle(app.sfn, now=in_days(14.1))) == 2


def test_one_that_ended_lately_counts_though_many_began_after_it(app: Any) -> None:
    first, *others = [app.sfn.delay(waiting(app, n)) for n in range(4)]
    for outcome in others:
        outcome.revoke()
    assert idle(app.sfn, now=in_days(30)) == []
    first.revoke()
    assert len(idle(app.sfn, now=in_days(30))) == 1


def test_machines_of_others_are_never_idle(app: Any) -> None:
    control, prefix = app.sfn.control, app.conf.sfn_prefix
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Succeed"}}})
    control.create_state_machine(f"{prefix}adhoc-0123456789abcdef", definition, ROLE)  # no tags: somebody's own
    theirs = {**Owner("other", prefix).tags, "sfini:adhoc": "shape"}
    control.create_state_machine(f"{prefix}adhoc-1123456789abcdef", definition, ROLE, tags=theirs)
    control.create_state_machine(
        f"{prefix}adhoc-2123456789abcdef", definition, ROLE, tags={**app.sfn.owner.tags, "sfini:adhoc": "shape"}
    )
    control.create_state_machine(f"{prefix}named", definition, ROLE, tags=app.sfn.owner.tags)
    assert idle(app.sfn, now=in_days(30)) == [f"{prefix}adhoc-2123456789abcdef"]


def test_a_machine_made_just_now_is_not_idle_though_nothing_was_started_yet(app: Any) -> None:
    app.sfn.control.refused["StartExecution"] = [NotFound("StartExecution", "StateMachineDoesNotExist")] * 3
    with pytest.raises(NotFound):
        app.sfn.delay(waiting(app))
    assert idle(app.sfn) == []
    assert len(idle(app.sfn, idle_days=0)) == 1
