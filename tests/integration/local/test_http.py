"""The server over real sockets: boto3's view of it, hung-up polls, wrong requests, crashes."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from sfini_celery.local import LocalServer, VirtualClock
from sfini_celery.local.service import OPERATIONS

ROLE = "arn:aws:iam::123456789012:role/states"


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"never happened: {what}")


def post(
    server: LocalServer, operation: str | None, body: Any = "{}", **headers: str
) -> tuple[int, dict[str, str], str]:
    """One request as plain HTTP."""

    async def main() -> tuple[int, dict[str, str], str]:
        sent = {"Content-Type": "application/x-amz-json-1.0", **headers}
        if operation is not None:
            sent["X-Amz-Target"] = f"AWSStepFunctions.{operation}"
        async with aiohttp.ClientSession() as session, session.post(server.url, data=body, headers=sent) as answer:
            return answer.status, dict(answer.headers), await answer.text()

    return asyncio.run(main())


def test_a_task_travels_through_boto3(server: LocalServer, sfn: Any, register: Any) -> None:
    activity = sfn.create_activity(name="work")["activityArn"]
    machine = register({"Type": "Task", "Resource": activity, "End": True})
    execution = sfn.start_execution(stateMachineArn=machine, input='{"a":  1}')["executionArn"]
    task = sfn.get_activity_task(activityArn=activity, workerName="w")
    assert task["input"] == '{"a":  1}'
    sfn.send_task_heartbeat(taskToken=task["taskToken"])
    sfn.send_task_success(taskToken=task["taskToken"], output="[1,  2]")
    described = until(lambda: _ended(sfn, execution), "the execution ended")
    assert (described["status"], described["output"]) == ("SUCCEEDED", "[1,  2]")
    assert timedelta() <= described["stopDate"] - described["startDate"] < timedelta(seconds=20)
    events = sfn.get_execution_history(executionArn=execution)["events"]
    assert [event["type"] for event in events] == [
        "ExecutionStarted",
        "TaskStateEntered",
        "ActivityScheduled",
        "ActivityStarted",
        "ActivitySucceeded",
        "TaskStateExited",
        "ExecutionSucceeded",
    ]
    with pytest.raises(sfn.exceptions.TaskTimedOut):
        sfn.send_task_success(taskToken=task["taskToken"], output="1")
    with pytest.raises(sfn.exceptions.InvalidToken):
        sfn.send_task_heartbeat(taskToken="nonsense")


def _ended(sfn: Any, execution: str) -> Any:
    described = sfn.describe_execution(executionArn=execution)
    return described if described["status"] != "RUNNING" else None


def test_boto3_sees_the_exceptions_that_the_service_has(sfn: Any) -> None:
    arn = "arn:aws:states:us-east-1:123456789012:"
    with pytest.raises(sfn.exceptions.StateMachineDoesNotExist, match="State Machine Does Not Exist"):
        sfn.start_execution(stateMachineArn=arn + "stateMachine:m")
    with pytest.raises(sfn.exceptions.ExecutionDoesNotExist):
        sfn.describe_execution(executionArn=arn + "execution:m:e")
    with pytest.raises(sfn.exceptions.InvalidArn):
        sfn.describe_activity(activityArn="nonsense")
    with pytest.raises(sfn.exceptions.InvalidName):
        sfn.create_activity(name="a b")
    with pytest.raises(sfn.exceptions.InvalidDefinition):
        sfn.create_state_machine(name="m", definition="{", roleArn=ROLE)


def test_boto3s_paginators_reach_the_end(sfn: Any) -> None:
    for number in range(7):
        sfn.create_activity(name=f"a{number}")
    pages = sfn.get_paginator("list_activities").paginate(PaginationConfig={"PageSize": 3})
    assert [activity["name"] for page in pages for activity in page["activities"]] == [f"a{n}" for n in range(7)]


def test_the_account_is_found_on_the_same_endpoint(server: LocalServer, client: Any) -> None:
    identity = client("sts").get_caller_identity()
    assert identity["Account"] == "123456789012"
    assert identity["Arn"].startswith("arn:aws:iam::123456789012:")


def test_another_action_of_sts_is_refused_and_not_run(client: Any) -> None:
    sts = client("sts")
    with pytest.raises(sts.exceptions.ClientError, match="InvalidAction"):
        sts.get_session_token()


def test_health_answers_to_a_plain_get(server: LocalServer, sfn: Any) -> None:
    sfn.create_activity(name="a")

    async def main() -> Any:
        async with aiohttp.ClientSession() as session, session.get(server.url) as answer:
            return answer.status, await answer.json()

    status, health = asyncio.run(main())
    assert status == 200
    assert health == {
        "service": "stepfunctions",
        "account": "123456789012",
        "region": "us-east-1",
        "stateMachines": 0,
        "executions": 0,
        "runningExecutions": 0,
        "activities": 1,
        "waitingTasks": 0,
        "openPolls": 0,
    }


def test_answers_look_like_those_of_aws_json(server: LocalServer) -> None:
    status, headers, text = post(server, "CreateActivity", '{"name": "a"}')
    assert status == 200
    assert headers["Content-Type"] == "application/x-amz-json-1.0"
    assert len(headers["x-amzn-RequestId"]) == 36
    assert json.loads(text)["activityArn"].endswith(":activity:a")
    status, headers, text = post(server, "DescribeActivity", '{"activityArn": "nonsense"}')
    assert status == 400
    assert headers["x-amzn-RequestId"]
    assert json.loads(text) == {"__type": "InvalidArn", "message": "Invalid Arn: 'Invalid ARN prefix: nonsense'"}


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("CreateActivity", "{", "SerializationException"),
        ("CreateActivity", "[]", "SerializationException"),
        ("CreateActivity", b"\xff", "SerializationException"),
        ("CreateActivity", "", "ValidationException"),
        ("Nonsense", "{}", "UnknownOperationException"),
        (None, "{}", "UnknownOperationException"),
    ],
)
def test_a_malformed_request_gets_an_error_and_no_traceback(
    server: LocalServer, caplog: pytest.LogCaptureFixture, operation: str | None, body: Any, code: str
) -> None:
    status, _, text = post(server, operation, body)
    assert (status, json.loads(text)["__type"]) == (400, code)
    assert caplog.text == ""


def test_a_request_that_is_far_too_large_is_refused_without_being_taken_for_a_bug(
    server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    status, _, text = post(server, "CreateActivity", io.BytesIO(b"x" * 5_000_000))
    assert (status, json.loads(text)["__type"]) == (413, "RequestEntityTooLargeException")
    assert caplog.text == ""


def test_a_caller_that_hangs_up_in_the_middle_of_its_request_is_no_bug(
    server: LocalServer, sfn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caller = socket.create_connection((server.host, server.port))
    caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AWSStepFunctions.X\r\nContent-Length: 100\r\n\r\n{")
    sfn.list_activities()
    caller.close()
    for _ in range(5):
        sfn.list_activities()
    assert "local.request_crashed" not in caplog.text


def test_a_bug_answers_500_with_a_traceback_in_the_log_and_the_server_lives(
    server: LocalServer, sfn: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(service: Any, request: Any) -> Any:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(OPERATIONS, "ListActivities", crash)
    status, _, text = post(server, "ListActivities")
    assert (status, json.loads(text)["__type"]) == (500, "InternalFailure")
    assert "ZeroDivisionError" in caplog.text
    assert sfn.list_state_machines()["stateMachines"] == []


def test_a_poll_whose_caller_hung_up_does_not_swallow_the_next_task(
    server: LocalServer, sfn: Any, register: Any
) -> None:
    activity = sfn.create_activity(name="work")["activityArn"]
    machine = register({"Type": "Task", "Resource": activity, "End": True})
    body = json.dumps({"activityArn": activity}).encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: AWSStepFunctions.GetActivityTask\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    queue = server.engine.activities[activity]
    for _ in range(5):
        caller = socket.create_connection((server.host, server.port))
        caller.sendall(head.encode() + body)
        until(lambda: queue.open_polls, "the poll is open")
        caller.close()
        until(lambda: not queue.open_polls, "the server noticed that the caller hung up")
    sfn.start_execution(stateMachineArn=machine)
    assert sfn.get_activity_task(activityArn=activity)["taskToken"]


def test_hundreds_of_polls_wait_at_once_and_each_gets_its_task(server: LocalServer, sfn: Any, register: Any) -> None:
    activity = sfn.create_activity(name="work")["activityArn"]
    inner = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": activity, "End": True}}}
    branches = [
        {"StartAt": f"M{n}", "States": {f"M{n}": {"Type": "Map", "ItemProcessor": inner, "End": True}}} for n in (1,)
    ]
    machine = register({"Type": "Parallel", "Branches": branches, "End": True})

    async def main() -> set[str]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def call(operation: str, **request: Any) -> Any:
                headers = {"X-Amz-Target": f"AWSStepFunctions.{operation}"}
                async with session.post(server.url, data=json.dumps(request), headers=headers) as answer:
                    return await answer.json(content_type=None)

            polls = [asyncio.create_task(call("GetActivityTask", activityArn=activity)) for _ in range(300)]
            while server.engine.activities[activity].open_polls < 300:
                await asyncio.sleep(0.01)
            for _ in range(10):
                await call("StartExecution", stateMachineArn=machine, input=json.dumps([*range(30)]))
            return {task["taskToken"] for task in await asyncio.gather(*polls)}

    assert len(asyncio.run(main())) == 300


def test_a_one_hour_wait_over_http_takes_no_time_on_a_virtual_clock(client: Any) -> None:
    import boto3

    with LocalServer(clock=VirtualClock()) as server:
        sfn = boto3.client(
            "stepfunctions",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )
        text = json.dumps({"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}})
        machine = sfn.create_state_machine(name="m", definition=text, roleArn=ROLE)["stateMachineArn"]
        execution = sfn.start_execution(stateMachineArn=machine)["executionArn"]
        server.advance(3599)
        assert sfn.describe_execution(executionArn=execution)["status"] == "RUNNING"
        server.advance(1)
        assert sfn.describe_execution(executionArn=execution)["status"] == "SUCCEEDED"


def test_stop_lets_open_polls_go_and_takes_no_minute() -> None:
    server = LocalServer().start()
    answers: list[Any] = []

    async def poll() -> None:
        async with aiohttp.ClientSession() as session:
            headers = {"X-Amz-Target": "AWSStepFunctions.CreateActivity"}
            async with session.post(server.url, data='{"name": "a"}', headers=headers) as answer:
                arn = (await answer.json(content_type=None))["activityArn"]
            headers = {"X-Amz-Target": "AWSStepFunctions.GetActivityTask"}
            async with session.post(server.url, data=json.dumps({"activityArn": arn}), headers=headers) as answer:
                answers.append(await answer.json(content_type=None))

    poller = threading.Thread(target=lambda: asyncio.run(poll()))
    poller.start()
    until(lambda: any(activity.open_polls for activity in server.engine.activities.values()), "the poll is open")
    begin = time.monotonic()
    server.stop()
    poller.join(20)
    assert time.monotonic() - begin < 10
    assert answers == [{"taskToken": None}]


def test_stop_is_idempotent_and_may_come_before_the_start_and_from_any_thread() -> None:
    LocalServer().stop()
    others = set(threading.enumerate())  # servers of other tests may be up
    server = LocalServer().start()
    threads = [threading.Thread(target=server.stop) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    server.stop()
    assert "sfini-local" not in {thread.name for thread in set(threading.enumerate()) - others}
    early = LocalServer()
    early.stop()
    early.start()
    until(lambda: not early._thread.is_alive(), "a server that was stopped before its start ends")


def test_a_port_that_is_taken_is_an_error_of_start(server: LocalServer) -> None:
    with pytest.raises(OSError, match=r"(?i)address"):
        LocalServer(port=server.port).start()


def test_the_server_listens_on_loopback_alone(server: LocalServer) -> None:
    assert server.url.startswith("http://127.0.0.1:")
    addresses = server.run(_addresses(server))
    assert addresses == [("127.0.0.1", server.port)]


async def _addresses(server: LocalServer) -> list[tuple[str, int]]:
    runner = server._endpoint._runner
    assert runner is not None
    return runner.addresses


def test_its_environment_points_boto3_at_it(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    session = boto3.Session()
    assert session.client("stepfunctions").list_activities()["activities"] == []
    assert session.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_time_is_moved_only_where_it_is_virtual_and_only_while_it_runs(server: LocalServer) -> None:
    with pytest.raises(TypeError, match="VirtualClock"):
        server.advance(1)
    with pytest.raises(RuntimeError, match="not running"):
        LocalServer(clock=VirtualClock()).advance(1)
