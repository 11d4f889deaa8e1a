"""The control plane, executions and deployment, through boto3 and HTTP against the embedded server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sfini_celery.activity import failure_of, write_output
from sfini_celery.aws import ControlPlane, execution_name
from sfini_celery.deploy import Machine, apply, deregister, make_plan
from sfini_celery.errors import (
    AlreadyExists,
    ExecutionAborted,
    ExecutionFailed,
    NotFinished,
    NotFound,
    ServiceError,
    WaitTimeout,
)
from sfini_celery.execution import Execution
from sfini_celery.history import VisitStatus, execution_status
from sfini_celery.local import LocalServer
from sfini_celery.render import progress_line, timeline_table


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(account="210987654321", region="eu-central-1") as served:
        yield served


@pytest.fixture
def control(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """Configured as a user would: by the environment alone."""
    for key, value in server.environment().items():
        monkeypatch.setenv(key, value)
    plane = ControlPlane()
    yield plane
    plane.client.close()


Register = Callable[..., str]


@pytest.fixture
def register(control: ControlPlane) -> Register:
    def make(**states: Any) -> str:
        name = f"machine-{execution_name('')}"
        definition = {"StartAt": next(iter(states)), "States": states}
        apply(make_plan(control, machines=[Machine(name, definition)]), control)
        return control.arn("stateMachine", name)

    return make


def run(control: ControlPlane, machine: str, *given: Any, name: str | None = None) -> Execution:
    return Execution(name or execution_name("run"), machine, *given, control=control).start()


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return found


def task(control: ControlPlane, activity: str, **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": control.create_activity(activity), **more, "End": True}


def work(control: ControlPlane, activity: str, function: Callable[[Any], Any], *, typed: bool = False) -> None:
    """Take one activity task and answer it."""
    arn = control.arn("activity", activity)
    taken = control.client.get_activity_task(activityArn=arn, workerName="test-worker")
    try:
        output = write_output(function(json.loads(taken["input"])), typed=typed)
    except Exception as exc:
        error, cause = failure_of(exc)
        control.client.send_task_failure(taskToken=taken["taskToken"], error=error, cause=cause)
    else:
        control.client.send_task_success(taskToken=taken["taskToken"], output=output)


def test_account_and_region_are_those_of_the_server(control: ControlPlane) -> None:
    assert (control.account, control.region, control.is_local) == ("210987654321", "eu-central-1", True)
    assert control.create_activity("here") == control.arn("activity", "here")
    assert ControlPlane(region="eu-central-1").account == "210987654321"


def test_execution_succeeds_and_tells_everything(control: ControlPlane, register: Register) -> None:
    machine = register(add=task(control, "add"))
    execution = run(control, machine, {"a": 3, "b": 42})
    assert execution.status == "RUNNING"
    with pytest.raises(NotFinished):
        _ = execution.output
    work(control, "add", lambda data: data["a"] + data["b"])
    assert execution.wait(timeout=10) == "SUCCEEDED"
    assert (execution.output, execution.result(), execution.error) == (45, 45, None)
    assert execution.start_date <= execution.stop_date
    history = execution.get_history()
    assert [event.type for event in history] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "ActivityScheduled",
        "ActivityStarted",
        "ActivitySucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    assert execution_status(history) == "SUCCEEDED"
    (visit,) = execution.timeline()
    assert (visit.status, visit.worker, visit.input, visit.output) == (
        VisitStatus.SUCCEEDED,
        "test-worker",
        '{"a": 3, "b": 42}',
        "45",
    )
    assert "test-worker" in timeline_table([visit])
    assert progress_line([visit]) == "1 done"
    lines = execution.format_history().splitlines()
    assert lines[0].startswith("ExecutionStarted [1] @ 20")
    assert f"  resource: {control.arn('activity', 'add')}" in lines
    assert lines[-1] == "Output: 45"
    found = Execution.from_arn(str(execution.arn), control=control)
    assert (found.name, found.input, found.output) == (execution.name, {"a": 3, "b": 42}, 45)


class Refused(Exception):
    pass


def test_tasks_exception_is_raised_where_the_result_is_wanted(control: ControlPlane, register: Register) -> None:
    def refuse(data: Any) -> None:
        raise Refused("no", data)

    execution = run(control, register(one=task(control, "refuse")), 7)
    work(control, "refuse", refuse)
    assert execution.wait(timeout=10) == "FAILED"
    with pytest.raises(Refused) as caught:
        execution.result()
    assert caught.value.args == ("no", 7)
    assert "in refuse" in str(caught.value.__cause__)
    with pytest.raises(ExecutionFailed, match="Refused"):
        _ = execution.output
    assert execution.error == "Refused"
    assert "error: Refused" in execution.format_history()


def test_typed_values_come_back_as_they_were(control: ControlPlane, register: Register) -> None:
    from datetime import datetime, timezone

    value = {"at": datetime(2026, 3, 1, tzinfo=timezone.utc)}
    execution = run(control, register(one=task(control, "typed")))
    work(control, "typed", lambda _: value, typed=True)
    assert execution.result(timeout=10) == value


def test_stopped_execution_is_aborted_with_its_reason(control: ControlPlane, register: Register) -> None:
    execution = run(control, register(one={"Type": "Wait", "Seconds": 3600, "End": True}))
    with pytest.raises(WaitTimeout):
        execution.wait(timeout=0.1)
    execution.stop(error_code="Enough", details="it is late")
    assert execution.wait(timeout=10) == "ABORTED"
    with pytest.raises(ExecutionAborted, match="Enough: it is late"):
        execution.result()
    assert [str(visit.status) for visit in execution.timeline()] == ["ABORTED"]


def test_map_and_parallel_read_as_they_ran(control: ControlPlane, register: Register) -> None:
    one = {"StartAt": "item", "States": {"item": {"Type": "Pass", "End": True}}}
    machine = register(
        both={
            "Type": "Parallel",
            "End": True,
            "Branches": [
                {"StartAt": "each", "States": {"each": {"Type": "Map", "ItemProcessor": one, "End": True}}},
                {"StartAt": "other", "States": {"other": {"Type": "Succeed"}}},
            ],
        }
    )
    execution = run(control, machine, [1, 2, 3])
    assert execution.result(timeout=10) == [[1, 2, 3], [1, 2, 3]]
    visits = execution.timeline()
    assert {str(visit.status) for visit in visits} == {"SUCCEEDED"}
    items = sorted(visit.map for visit in visits if visit.name == "item")
    assert items == [(0,), (1,), (2,)]
    (each,) = (visit for visit in visits if visit.name == "each")
    assert (each.length, each.branch, visits[each.parent or 0].name) == (3, "each", "both")


def test_long_history_is_paged(control: ControlPlane, register: Register) -> None:
    one = {"StartAt": "item", "States": {"item": {"Type": "Pass", "End": True}}}
    execution = run(control, register(each={"Type": "Map", "ItemProcessor": one, "End": True}), list(range(300)))
    assert execution.wait(timeout=30) == "SUCCEEDED"
    events = execution.get_history()
    assert len(events) > 1000
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    backwards = [event["id"] for event in control.history(str(execution.arn), reverse=True)]
    assert backwards == list(range(len(events), 0, -1))
    assert len(execution.timeline()) == 301


def test_executions_are_listed_newest_first_by_status_and_up_to_a_limit(
    control: ControlPlane, register: Register
) -> None:
    machine = register(one={"Type": "Choice", "Choices": [{"Variable": "$.x", "IsPresent": True, "Next": "two"}]},
                       two={"Type": "Pass", "End": True})  # fmt: skip
    started = [run(control, machine, {"x": 1} if number % 2 else {}) for number in range(4)]
    for execution in started:
        execution.wait(timeout=10)
    listed = [Execution.from_list_item(item, control=control) for item in control.list_executions(machine)]
    assert {execution.name for execution in listed} == {execution.name for execution in started}
    dates = [execution.start_date for execution in listed]
    assert dates == sorted(dates, reverse=True)
    failed = list(control.list_executions(machine, status="FAILED"))
    assert {item["name"] for item in failed} == {execution.name for execution in started[::2]}
    assert len(list(control.list_executions(machine, limit=3))) == 3


def test_name_is_idempotent_with_its_input_only(control: ControlPlane, register: Register) -> None:
    machine = register(one={"Type": "Wait", "Seconds": 3600, "End": True})
    first = run(control, machine, {"a": 1}, name="the-one")
    assert run(control, machine, {"a": 1}, name="the-one").arn == first.arn
    with pytest.raises(AlreadyExists):
        run(control, machine, {"a": 2}, name="the-one")
    first.stop()


def test_what_does_not_exist_is_not_found(control: ControlPlane, register: Register) -> None:
    machine = register(one={"Type": "Succeed"})
    with pytest.raises(NotFound):
        Execution.from_arn(machine.replace("stateMachine", "execution") + ":none", control=control)
    with pytest.raises(NotFound):
        run(control, machine + "x")
    with pytest.raises(NotFound):
        control.describe_activity(control.arn("activity", "none"))
    with pytest.raises(ServiceError):
        list(control.list_executions("arn:aws:states:eu-central-1:210987654321:stateMachine:none"))


def test_tags_are_kept(control: ControlPlane) -> None:
    arn = control.create_activity("tagged", tags={"owner": "me"})
    control.tag(arn, {"more": "yes"})
    assert control.tags(arn) == {"owner": "me", "more": "yes"}


def test_every_activity_and_machine_is_listed_over_pages(control: ControlPlane) -> None:
    names = [f"paged-{number}" for number in range(25)]
    definition = {"StartAt": "a", "States": {"a": {"Type": "Succeed"}}}
    apply(make_plan(control, activities=names, machines=[Machine(name, definition) for name in names]), control)
    assert set(names) <= {item["name"] for item in control.list_activities()}
    assert set(names) <= {item["name"] for item in control.list_state_machines()}
    deregister(control, activities=names, machines=names)
    assert not set(names) & {item["name"] for item in control.list_activities()}
    assert not set(names) & {item["name"] for item in control.list_state_machines()}


def test_one_control_plane_serves_many_threads(control: ControlPlane, register: Register) -> None:
    machine = register(one={"Type": "Pass", "End": True})

    def one(number: int) -> Any:
        return run(control, machine, number).result(timeout=30)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(40))) == list(range(40))


def test_wait_sees_the_end_soon(control: ControlPlane, register: Register) -> None:
    execution = run(control, register(one=task(control, "soon")))
    ended: list[float] = []

    def finish() -> None:
        time.sleep(0.2)
        work(control, "soon", lambda _: None)
        ended.append(time.monotonic())

    worker = threading.Thread(target=finish, name="test-worker")
    worker.start()
    execution.wait(timeout=20)
    seen = time.monotonic()
    worker.join()
    assert seen - ended[0] < 1.0


def test_ctrl_c_ends_the_waiting_and_not_the_execution(
    server: LocalServer, control: ControlPlane, register: Register
) -> None:
    execution = run(control, register(one={"Type": "Wait", "Seconds": 3600, "End": True}))
    code = f"""
from sfini_celery.aws import ControlPlane
from sfini_celery.execution import Execution
execution = Execution.from_arn({execution.arn!r}, control=ControlPlane())
print("waiting", flush=True)
try:
    execution.wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    waiting = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, **server.environment()}, stdout=subprocess.PIPE, text=True
    )
    assert waiting.stdout is not None
    with waiting:
        assert waiting.stdout.readline() == "waiting\n"
        time.sleep(0.3)  # some way into the waiting; an earlier signal would do as well
        began = time.monotonic()
        waiting.send_signal(signal.SIGINT)
        assert waiting.communicate(timeout=10)[0] == "interrupted\n"
        assert time.monotonic() - began < 2
    assert execution.refresh().status == "RUNNING"
    execution.stop()


def test_forked_children_start_and_wait_at_once(server: LocalServer, control: ControlPlane, register: Register) -> None:
    machine = register(one={"Type": "Pass", "End": True})
    code = f"""
import os, warnings
from sfini_celery.aws import ControlPlane
from sfini_celery.execution import Execution
control = ControlPlane()
def one(number):
    return Execution(f"fork-{{os.getpid()}}-{{number}}", {machine!r}, number, control=control).start().result(20)
one(0)  # the parent has an open connection before it forks
children = []
for child in range(4):
    pid = os.fork()
    if not pid:
        try:
            os._exit(0 if [one(n) for n in range(10)] == list(range(10)) else 3)
        except BaseException as exc:
            print(repr(exc), flush=True)
            os._exit(4)
    children.append(pid)
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **server.environment()}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout == "[0, 0, 0, 0]\n", done.stdout + done.stderr
