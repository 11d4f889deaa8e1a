"""Celery tasks as the resource of a Task state."""

from __future__ import annotations

from typing import Any

import pytest

from sfini_celery import SfiniCelery
from sfini_celery.asl import Task
from sfini_celery.errors import ActivityNotFound, WrongType
from sfini_celery.sfini import StateMachine


@pytest.fixture
def app(control: Any) -> SfiniCelery:
    app = SfiniCelery("proj", set_as_current=False)
    app.sfn._control = control
    return app


def test_a_celery_task_is_a_resource_by_its_activity(app: SfiniCelery, session: Any) -> None:
    @app.activity(name="proj.add", heartbeat=40, timeout=100)
    def add(x, y):
        return x + y

    sm = StateMachine("adding", session=session)
    sm.start_at(sm.task("add", add))
    state = sm.to_dict()["States"]["add"]
    assert state["Resource"] == "arn:aws:states:eu-west-1:123456789012:activity:proj.add"
    assert (state["HeartbeatSeconds"], state["TimeoutSeconds"]) == (40, 100)
    assert Task("add", add, timeout=20).to_dict()["TimeoutSeconds"] == 20
    assert "TimeoutSeconds" not in Task("add", add, timeout_path="$.t").to_dict()


def test_a_machine_is_built_of_celery_tasks_without_reading_the_apps_configuration(control: Any) -> None:
    app = SfiniCelery("proj", set_as_current=False)
    app.config_from_object("there.is.no.such.module")

    @app.activity(name="proj.add")
    def add(x, y):
        return x + y

    Task("add", add)
    assert not app.configured


def test_a_celery_task_that_is_no_activity_is_refused_when_the_definition_is_written(app: SfiniCelery) -> None:
    @app.task(name="proj.plain")
    def plain():
        return 1

    with pytest.raises(ActivityNotFound, match=r"proj\.plain"):
        Task("plain", plain).to_dict()
    with pytest.raises(WrongType, match="resource"):
        Task("nothing", object()).to_dict()
