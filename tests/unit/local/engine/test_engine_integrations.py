"""Task states that call services: the registry, callbacks, what takes long, and what breaks."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sfini_celery.local import Payload, TaskCall
from sfini_celery.local.data import StateError
from sfini_celery.local.engine import Integrations, TokenClosed, read_resource

SEND = "arn:aws:states:::sqs:sendMessage"
LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:f"


def state(resource: str, **fields: Any) -> dict[str, Any]:
    return {"S": {"Type": "Task", "Resource": resource, "End": True, **fields}}


@pytest.mark.parametrize(
    ("arn", "kind", "type", "action", "pattern"),
    [
        ("arn:aws:states:us-east-1:123456789012:activity:a.b", "Activity", "", "", ""),
        (LAMBDA, "LambdaFunction", "", "", ""),
        (SEND, "Task", "sqs", "sendMessage", ""),
        (SEND + ".waitForTaskToken", "Task", "sqs", "sendMessage.waitForTaskToken", "waitForTaskToken"),
        ("arn:aws:states:::states:startExecution.sync:2", "Task", "states", "startExecution.sync:2", "sync:2"),
        ("arn:aws:states:::aws-sdk:s3:listBuckets", "Task", "aws-sdk:s3", "listBuckets", ""),
        ("arn:aws-cn:states:::lambda:invoke", "Task", "lambda", "invoke", ""),
    ],
)
def test_resources_are_read_as_aws_shows_them_in_histories(
    arn: str, kind: str, type: str, action: str, pattern: str
) -> None:
    resource = read_resource(arn)
    assert resource is not None
    assert (resource.kind, resource.type, resource.action, resource.pattern) == (kind, type, action, pattern)


@pytest.mark.parametrize("arn", ["", "nonsense", "arn:aws:s3:::bucket", "arn:aws:states:::sqs"])
def test_what_is_no_resource_is_not_taken_for_one(arn: str) -> None:
    assert read_resource(arn) is None


def test_exact_resources_come_before_patterns() -> None:
    async def one(call: TaskCall) -> None: ...

    async def other(call: TaskCall) -> None: ...

    integrations = Integrations({"arn:aws:states:::sqs:*": one, SEND: other})
    assert integrations.find(SEND) is other
    assert integrations.find(SEND + ".waitForTaskToken") is one
    assert integrations.find(LAMBDA) is None


def test_a_call_is_made_with_the_parameters_and_its_answer_is_the_result(
    skipping: Any, types: Any, details: Any
) -> None:
    calls: list[TaskCall] = []

    async def send(call: TaskCall) -> Any:
        calls.append(call)
        return {"MessageId": "m"}

    skipping.engine.integrations.register(SEND, send)

    async def main() -> None:
        execution = await skipping.start(state(SEND, Parameters={"Body.$": "$.b"}, TimeoutSeconds=9), {"b": 1}).wait()
        assert execution.output.value == {"MessageId": "m"}
        assert types(execution)[1:-1] == [
            "TaskStateEntered",
            "TaskScheduled",
            "TaskStarted",
            "TaskSucceeded",
            "TaskStateExited",
        ]
        assert details(execution, "TaskScheduled") == {
            "resourceType": "sqs",
            "resource": "sendMessage",
            "region": "us-east-1",
            "parameters": '{"Body":1}',
            "timeoutInSeconds": 9,
        }
        assert (calls[0].parameters, calls[0].state, calls[0].execution) == ({"Body": 1}, "S", execution.arn)
        assert calls[0].token is None

    asyncio.run(main())


def test_a_lambda_has_its_own_events(skipping: Any, types: Any, details: Any) -> None:
    async def invoke(call: TaskCall) -> Any:
        raise StateError("ValueError", "no")

    skipping.engine.integrations.register("arn:aws:lambda:*", invoke)

    async def main() -> None:
        execution = await skipping.start(state(LAMBDA), Payload('{"a":  1}')).wait()
        assert types(execution)[2:5] == ["LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionFailed"]
        assert details(execution, "LambdaFunctionScheduled")["input"] == '{"a":  1}'
        assert (execution.error, execution.cause) == ("ValueError", "no")

    asyncio.run(main())


def test_an_unknown_resource_fails_and_is_named(skipping: Any) -> None:
    async def main() -> None:
        for resource in (SEND, LAMBDA, "arn:aws:s3:::bucket"):
            execution = await skipping.start(state(resource)).wait()
            assert execution.error == "States.Runtime"
            assert resource in execution.cause

    asyncio.run(main())


def test_a_crashing_integration_fails_the_task_loudly(skipping: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def crash(call: TaskCall) -> Any:
        raise KeyError("a bug")

    skipping.engine.integrations.register(SEND, crash)

    async def main() -> None:
        execution = await skipping.start(state(SEND)).wait()
        assert execution.error == "States.Runtime"

    asyncio.run(main())
    assert "local.integration_crashed" in caplog.text
    assert "KeyError" in caplog.text


def test_a_result_that_is_no_json_fails_the_task(skipping: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def odd(call: TaskCall) -> Any:
        return {1, 2}

    skipping.engine.integrations.register(SEND, odd)

    async def main() -> None:
        assert (await skipping.start(state(SEND)).wait()).status == "FAILED"

    asyncio.run(main())


def test_a_call_that_takes_too_long_is_cancelled(skipping: Any) -> None:
    cancelled = []

    async def hang(call: TaskCall) -> Any:
        try:
            await call.engine.clock.sleep(10_000)
        except asyncio.CancelledError:
            cancelled.append(call.engine.clock.now() - 1_700_000_000)
            raise

    skipping.engine.integrations.register(SEND, hang)

    async def main() -> None:
        execution = await skipping.start(state(SEND, TimeoutSeconds=5)).wait()
        assert execution.error == "States.Timeout"
        await asyncio.sleep(0)
        assert cancelled == [5]

    asyncio.run(main())


def test_a_callback_waits_for_its_token(world: Any, types: Any) -> None:
    tokens: list[str | None] = []

    async def send(call: TaskCall) -> Any:
        assert call.parameters == {"token": call.token}
        tokens.append(call.token)
        return {"MessageId": "m"}

    world.engine.integrations.register(SEND + "*", send)

    async def main() -> None:
        machine = state(SEND + ".waitForTaskToken", Parameters={"token.$": "$$.Task.Token"}, HeartbeatSeconds=10)
        execution = world.start(machine)
        await world.clock.advance(9)
        assert not execution.is_closed
        world.engine.tokens.find(tokens[0]).heartbeat()
        await world.clock.advance(9)
        world.engine.tokens.find(tokens[0]).succeed(Payload("42"))
        assert (await execution.wait()).output.text == "42"
        assert types(execution)[2:6] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]

    asyncio.run(main())


def test_a_token_answered_before_its_call_returned_is_taken_once_and_in_order(world: Any, types: Any) -> None:
    async def eager(call: TaskCall) -> Any:
        call.engine.tokens.find(str(call.token)).succeed(Payload("1"))
        with pytest.raises(TokenClosed):
            call.engine.tokens.find(str(call.token))
        await call.engine.clock.sleep(5)
        return {}

    world.engine.integrations.register(SEND + "*", eager)

    async def main() -> None:
        execution = world.start(state(SEND + ".waitForTaskToken"))
        await world.clock.advance(4)
        assert not execution.is_closed
        await world.clock.advance(1)
        assert (await execution.wait()).output.text == "1"
        assert types(execution)[2:6] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]

    asyncio.run(main())


def test_a_call_that_fails_fails_its_callback_whatever_the_token_was_told(world: Any) -> None:
    async def fickle(call: TaskCall) -> Any:
        call.engine.tokens.find(str(call.token)).succeed(Payload("1"))
        raise StateError("SQS.Down", "gone")

    world.engine.integrations.register(SEND + "*", fickle)

    async def main() -> None:
        assert (await world.start(state(SEND + ".waitForTaskToken")).wait()).error == "SQS.Down"

    asyncio.run(main())


def test_stop_cancels_a_running_call(world: Any) -> None:
    cancelled = asyncio.Event()

    async def hang(call: TaskCall) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    world.engine.integrations.register(SEND, hang)

    async def main() -> None:
        execution = world.start(state(SEND))
        await world.clock.advance(0)
        world.engine.stop(execution)
        await asyncio.wait_for(cancelled.wait(), 5)

    asyncio.run(main())


def test_credentials_are_shown_in_the_history(skipping: Any, details: Any) -> None:
    async def send(call: TaskCall) -> Any:
        return None

    skipping.engine.integrations.register(SEND, send)

    async def main() -> None:
        machine = state(SEND, Credentials={"RoleArn.$": "$.role"})
        execution = await skipping.start(machine, {"role": "arn:aws:iam::1:role/r"}).wait()
        assert details(execution, "TaskScheduled")["taskCredentials"] == {"roleArn": "arn:aws:iam::1:role/r"}

    asyncio.run(main())
