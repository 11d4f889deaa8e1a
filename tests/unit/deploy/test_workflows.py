"""A workflow's own ways to be registered, started by version, and removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app

from sfini_celery import SfiniCelery, asl
from sfini_celery.aws import ControlPlane
from sfini_celery.errors import ConfigurationError, NotFound


@pytest.fixture
def app(control: ControlPlane, name: str) -> Iterator[SfiniCelery]:
    before = current_app._get_current_object()
    app = SfiniCelery("proj", broker="memory://", sfn_prefix=name)
    app.sfn._control = control
    yield app
    before.set_current()


def workflow(app: SfiniCelery, name: str, result: object) -> Any:
    app.sfn.workflows.pop(name, None)
    return app.workflow(name, asl.construct_state_machine("m", asl.Pass("say", result=result)))


def ran(execution: Any) -> Any:
    execution.wait(timeout=10)
    return execution.output


def test_an_execution_started_right_after_registering_runs_the_version_that_was_registered(
    app: SfiniCelery, control: ControlPlane
) -> None:
    first = workflow(app, "w", {"n": 1})
    assert first.register(publish=True) == f"{first.arn}:1"
    # as with AWS's updates, which take a while: the machine itself is not, or no more, what was registered
    stale = {"StartAt": "old", "States": {"old": {"Type": "Pass", "Result": "old", "End": True}}}
    control.update_state_machine(first.arn, definition=json.dumps(stale))
    assert ran(first.start()) == {"n": 1}
    assert ran(workflow(app, "w", {"n": 1}).start()) == "old"  # another process's


def test_registering_without_publishing_starts_the_machine_itself(app: SfiniCelery, control: ControlPlane) -> None:
    plain = workflow(app, "w", 1)
    assert plain.register() is None
    assert ran(plain.start()) == 1
    assert list(control.list_versions(plain.arn)) == []


def test_an_alias_or_a_version_can_be_started(app: SfiniCelery) -> None:
    workflow(app, "w", 1).register(alias="live")
    second = workflow(app, "w", 2)
    assert second.register(publish=True) == f"{second.arn}:2"
    assert second.register(publish=True) == f"{second.arn}:2"  # nothing to do
    assert [ran(second.start(alias="live")), ran(second.start(version=2)), ran(second.start(version=1))] == [1, 2, 1]
    assert len(list(second.executions())) == 3
    with pytest.raises(NotFound):
        second.start(alias="none")
    with pytest.raises(ConfigurationError, match="either an alias or a version"):
        second.start(alias="live", version=1)


def test_a_workflow_that_somebody_else_made_is_not_deregistered(app: SfiniCelery, control: ControlPlane) -> None:
    foreign = workflow(app, "w", 1)
    control.create_state_machine(foreign.full_name, json.dumps(foreign.definition()), "arn:aws:iam::1:role/r")
    with pytest.raises(ConfigurationError, match="does not have this app's tags"):
        foreign.deregister()
    foreign.register()
    foreign.deregister()
    foreign.deregister()
    with pytest.raises(NotFound):
        control.describe_state_machine(foreign.arn)


def test_logging_and_tracing_come_from_the_settings(app: SfiniCelery, control: ControlPlane) -> None:
    app.conf.sfn_log_group = "arn:aws:logs:us-east-1:123456789012:log-group:orders"
    app.conf.sfn_tracing = True
    logged = workflow(app, "w", 1)
    logged.register()
    there = control.describe_state_machine(logged.arn)
    group = {"logGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:orders:*"}
    assert there["loggingConfiguration"] == {
        "level": "ERROR",
        "includeExecutionData": False,
        "destinations": [{"cloudWatchLogsLogGroup": group}],
    }
    assert there["tracingConfiguration"] == {"enabled": True}
