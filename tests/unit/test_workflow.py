"""A workflow: compiled when it is first needed, started as Step Functions and as Celery has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import boto3
import pytest
from celery import chain, current_app, group, signature
from celery.result import EagerResult
from kombu.utils import json as kombu_json

from sfini_celery import SfiniCelery, asl
from sfini_celery.aws import ControlPlane
from sfini_celery.canvas import each, wait
from sfini_celery.errors import (
    AlreadyExists,
    CompileError,
    ConfigurationError,
    DuplicateName,
    InvalidInput,
    InvalidName,
    NotFound,
)
from sfini_celery.execution import ExecutionResult
from sfini_celery.local import LocalServer

ROLE = "arn:aws:iam::123456789012:role/mine"


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def app(server: LocalServer) -> Iterator[SfiniCelery]:
    before = current_app._get_current_object()
    app = SfiniCelery("proj", broker="memory://", sfn_account="123456789012", sfn_prefix="p-")
    session = boto3.session.Session("local", "local", region_name="us-east-1")
    app.sfn._control = ControlPlane(session=session, endpoint_url=server.url, account="123456789012")

    @app.activity(name="t.add")
    def add(x: Any = 0, y: Any = 0) -> Any:
        return x + y

    @app.activity(name="t.total")
    def total(values: Any) -> Any:
        return sum(values)

    @app.activity(name="t.fail")
    def fail(*args: Any) -> Any:
        raise KeyError(*args)

    app.add, app.total, app.fail = add, total, fail
    yield app
    app.close()
    before.set_current()


def started(outcome: ExecutionResult) -> Any:
    return json.loads(outcome.execution.refresh()._known["input"])


# definitions


def test_a_canvas_is_compiled_when_it_is_wanted_and_not_before() -> None:
    app = SfiniCelery("late", broker="memory://", set_as_current=False, sfn_account="123456789012")
    workflow = app.workflow("w", app.signature("l.late", (1,)) | app.signature("l.later"))
    assert not app.configured, "naming a workflow read the configuration"
    assert app.sfn._control is None
    app.conf.sfn_region = "us-east-1"
    with pytest.raises(CompileError, match=r"chain\[0\]: 'l.late' is not an activity"):
        workflow.definition()

    @app.activity(name="l.late")
    def late(x: int) -> int:
        return x

    @app.activity(name="l.later")
    def later(x: int) -> int:
        return x

    assert list(workflow.definition()["States"]) == ["l.late", "l.later"]
    app.conf.sfn_prefix = "dev-"
    assert workflow.definition()["States"]["l.late"]["Resource"].endswith(":activity:dev-l.late")
    assert workflow.full_name == "dev-w"


def test_an_error_says_where_in_the_canvas_and_nothing_is_registered(app: Any) -> None:
    workflow = app.workflow("w", app.add.s(1) | group(app.add.s(2), app.add.s(object())))
    with pytest.raises(CompileError) as caught:
        workflow.register(ROLE)
    assert caught.value.path == "chain[1].group[1]"
    with pytest.raises(NotFound):
        app.sfn.control.describe_state_machine(workflow.arn)


def test_comment_and_timeout_reach_the_definition_and_aws_accepts_it(app: Any) -> None:
    workflow = app.workflow("told", app.add.s(1) | app.add.s(2), comment="the sum", timeout=60)
    workflow.register(ROLE)
    there = app.sfn.control.describe_state_machine(workflow.arn)
    assert there["name"] == "p-told"
    definition = json.loads(there["definition"])
    assert (definition["Comment"], definition["TimeoutSeconds"]) == ("the sum", 60)
    assert definition == workflow.definition() == workflow.machine.to_dict()
    assert asl.lint(definition) == []
    workflow.deregister()


@pytest.mark.parametrize("what", [7, "add", {"a": 1}, None])
def test_what_is_neither_a_canvas_nor_a_machine_is_refused(app: Any, what: Any) -> None:
    with pytest.raises(ConfigurationError, match="give it a canvas"):
        app.workflow("odd", what)
    assert app.sfn.workflows == {}


def test_wrong_options_are_refused_when_it_is_named(app: Any) -> None:
    with pytest.raises(ConfigurationError, match="input must be"):
        app.workflow("w", app.add.s(), input="json")
    with pytest.raises(InvalidName):
        app.workflow("a b", app.add.s())
    app.workflow("w", app.add.s())
    with pytest.raises(DuplicateName):
        app.workflow("w", app.add.s())


def test_a_canvas_given_as_its_dict_or_by_a_generator_stays_whole(app: Any) -> None:
    written = json.loads(kombu_json.dumps(app.add.s(1) | app.add.s(2)))
    assert len(app.workflow("dict", written).definition()["States"]) == 2
    lazily = app.workflow("lazily", group(app.add.s(n, n) for n in range(3)) | app.total.s())
    first, again = lazily.definition(), lazily.definition()
    assert first == again
    app.conf.sfn_prefix = "q-"
    assert len(lazily.definition()["States"]["group of add"]["Branches"]) == 3


# starting


def test_delay_sends_celerys_partial_arguments(app: Any) -> None:
    workflow = app.workflow("partial", wait(seconds=3600) | app.add.s(2))
    workflow.register(ROLE)
    moment = datetime(2026, 1, 2, tzinfo=timezone.utc)
    outcome = workflow.delay(40, y=moment)
    assert isinstance(outcome, ExecutionResult)
    assert started(outcome) == {"args": [40], "kwargs": {"y": json.loads(kombu_json.dumps(moment))}}
    assert outcome.execution.name.startswith("p-partial_")
    assert outcome.state == "STARTED"
    assert started(workflow.apply_async()) == {"args": [], "kwargs": {}}
    for execution in workflow.executions():
        execution.stop()


def test_task_id_names_the_execution_and_finds_it_again(app: Any) -> None:
    workflow = app.workflow("named", wait(seconds=3600) | app.add.s(2))
    workflow.register(ROLE)
    outcome = workflow.apply_async((1,), task_id="order-7")
    assert outcome.execution.name == "order-7"
    assert workflow.apply_async((1,), task_id="order-7") == outcome  # the same one, still running
    assert workflow.result("order-7") == workflow.result(outcome.id) == app.sfn.result(outcome.id) == outcome
    assert workflow.result("order-8").state == "PENDING"
    with pytest.raises(AlreadyExists):
        workflow.apply_async((2,), task_id="order-7")
    with pytest.raises(InvalidName):
        workflow.apply_async((2,), task_id="order/8")
    outcome.revoke()


def test_with_input_result_the_one_argument_is_the_whole_input(app: Any) -> None:
    workflow = app.workflow("event", wait(seconds=3600) | app.add.s(2), input="result")
    workflow.register(ROLE)
    assert started(workflow.delay({"detail": [1]})) == {"detail": [1]}
    assert started(workflow.delay()) is None
    for args, kwargs in (((1, 2), {}), ((), {"x": 1})):
        with pytest.raises(CompileError, match="one value"):
            workflow.apply_async(args, kwargs)
    for execution in workflow.executions():
        execution.stop()


def test_a_machine_is_started_with_its_input_as_the_one_argument(app: Any) -> None:
    machine = asl.StateMachine("m")
    machine.start_at(machine.pass_("same"))
    workflow = app.workflow("machine", machine)
    workflow.register(ROLE)
    assert workflow.delay({"order": 7}).get(timeout=30) == {"order": 7}
    assert workflow.delay().get(timeout=30) == {}
    assert workflow.start({"order": 8}).result(timeout=30) == {"order": 8}
    with pytest.raises(ConfigurationError, match="its input is the one argument"):
        workflow.delay(order=7)
    with pytest.raises(InvalidInput):
        workflow.delay(object())
    with pytest.raises(ConfigurationError, match="only Step Functions can run it"):
        workflow.apply()


def test_start_sends_what_it_is_given(app: Any) -> None:
    workflow = app.workflow("raw", wait(seconds=3600) | app.add.s(2))
    workflow.register(ROLE)
    execution = workflow.start({"args": [1]}, name="raw-1")
    assert execution.refresh().input == {"args": [1]}
    execution.stop()


def test_a_workflow_that_is_not_registered_is_not_found(app: Any) -> None:
    with pytest.raises(NotFound):
        app.workflow("nowhere", app.add.s()).delay(1)


def test_options_that_an_execution_cannot_have_are_refused_and_those_of_publishing_ignored(app: Any) -> None:
    workflow = app.workflow("options", wait(seconds=3600) | app.add.s(2))
    workflow.register(ROLE)
    with pytest.raises(ConfigurationError, match="no countdown, queue; set it on the tasks"):
        workflow.apply_async((1,), queue="fast", countdown=5)
    outcome = workflow.apply_async((1,), serializer="json", retry=True, ignore_result=True, countdown=None)
    outcome.revoke()


def test_arguments_that_are_not_json_or_too_large_are_refused_before_anything_is_sent(app: Any) -> None:
    workflow = app.workflow("args", app.add.s(2))
    workflow.register(ROLE)
    for argument in (object(), float("nan"), "x" * 300_000):
        with pytest.raises(CompileError):
            workflow.delay(argument)
    assert list(workflow.executions()) == []


# here and now


def test_apply_runs_the_canvas_here_and_now(app: Any) -> None:
    workflow = app.workflow("here", app.add.s(2) | group(app.add.s(3), app.add.s(4)) | app.total.s())
    done = workflow.apply((40,))
    assert isinstance(done, EagerResult)
    assert (done.state, done.get()) == ("SUCCESS", 91)
    failed = app.workflow("fails", app.fail.s("size")).apply(task_id="seven")
    assert (failed.state, failed.id, type(failed.result)) == ("FAILURE", "seven", KeyError)


def test_task_always_eager_runs_everything_here_and_now_without_aws(app: Any) -> None:
    app.conf.task_always_eager = True
    app.sfn._control = None
    workflow = app.workflow("eager", app.add.s(2))
    assert workflow.delay(40).get() == 42
    assert app.workflow("steps", each(app.add.s(1)) | app.total.s()).delay([1, 2]).get() == 5
    assert app.sfn.delay(app.add.s(2) | app.add.s(3), 4).get() == 9
    assert (app.add.s(1, 2) | workflow.s() | app.add.s(100)).delay().get() == 105
    app.conf.task_eager_propagates = True
    with pytest.raises(KeyError):
        app.sfn.delay(app.fail.s("size"))
    assert app.sfn._control is None


# as a task


def test_a_workflow_is_a_celery_task_of_this_app_alone_and_its_signatures_compose(app: Any) -> None:
    workflow = app.workflow("orders", app.add.s(2))
    task = app.tasks["sfini.workflow.orders"]
    assert task.workflow is workflow
    other = SfiniCelery("other", broker="memory://", set_as_current=False)
    assert "sfini.workflow.orders" not in other.tasks
    assert "sfini.workflow.orders" not in app.sfn.activities
    canvas = app.add.s(1, 2) | workflow.s() | app.add.s(10)
    assert canvas.apply().get() == 15
    again = signature(json.loads(kombu_json.dumps(canvas)))
    assert again.apply().get() == 15
    assert chain(app.add.s(1, 2), workflow.si(5), app.add.s(10)).apply().get() == 17
    assert workflow.s(1, y=2).kwargs == {"y": 2}
    assert workflow.si().immutable
    assert workflow.signature((1,), countdown=3).options == {"countdown": 3}
    other.close()


def test_two_workflows_may_use_each_other_and_a_new_one_is_seen(app: Any) -> None:
    outer = app.workflow("outer", app.add.s(1) | app.signature("sfini.workflow.inner"))
    with pytest.raises(CompileError, match="no workflow"):
        outer.definition()
    app.workflow("inner", app.add.s(2))
    nested = outer.definition()["States"]["inner"]
    assert nested["Parameters"]["StateMachineArn"].endswith(":stateMachine:p-inner")


def test_the_repr_names_it(app: Any) -> None:
    assert repr(app.workflow("orders", app.add.s(2))) == "<Workflow 'orders'>"
