"""The embedded server answers a stopping worker's idle polls at once, and loses no task by it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from sfini_celery.aws import ControlPlane
from sfini_celery.dataplane import DataPlane
from sfini_celery.local import LocalServer
from sfini_celery.sfini import AWSSession


def test_only_the_polls_of_the_worker_that_stops_are_answered(session: AWSSession, control: ControlPlane) -> None:
    arns = [control.create_activity(name) for name in ("one", "two")]

    async def scene() -> tuple[float, bool, Any, bool]:
        async with session.data_plane() as plane:
            ending = [asyncio.ensure_future(plane.get_activity_task(arn, "ending")) for arn in arns]
            staying = asyncio.ensure_future(plane.get_activity_task(arns[0], "staying"))
            await asyncio.sleep(0.3)
            begun = time.monotonic()
            released = await plane.release_polls("ending")
            answers = await asyncio.gather(*ending)
            took = time.monotonic() - begun
            still_open = not staying.done()
            await plane.release_polls("staying")
            await staying
            return took, released, answers, still_open

    took, released, answers, still_open = asyncio.run(asyncio.wait_for(scene(), 30))
    assert released
    assert answers == [None, None]
    assert still_open
    assert took < 5


def test_a_task_that_is_handed_over_while_polls_are_released_is_not_lost(
    session: AWSSession, control: ControlPlane
) -> None:
    arn = control.create_activity("raced")
    task = {"Type": "Task", "Resource": arn, "HeartbeatSeconds": 600, "End": True}
    definition = json.dumps({"StartAt": "a", "States": {"a": task}})
    machine = control.create_state_machine("raced", definition, "arn:aws:iam::123456789012:role/any")
    executions = []

    async def scene() -> None:
        async with session.data_plane() as plane:
            for _ in range(40):
                poll = asyncio.ensure_future(plane.get_activity_task(arn, "ending"))
                await asyncio.sleep(0.005)
                start = asyncio.to_thread(control.start_execution, machine["stateMachineArn"], input="{}")
                started, _ = await asyncio.gather(start, plane.release_polls("ending"))
                executions.append(started["executionArn"])
                taken = await poll
                if taken is None:
                    taken = await plane.get_activity_task(arn, "next")
                assert taken is not None
                await plane.send_success(taken.token, "1")

    asyncio.run(asyncio.wait_for(scene(), 60))
    ended = [control.waiter.wait(arn, timeout=10)["status"] for arn in executions]
    assert ended == ["SUCCEEDED"] * 40


def test_an_endpoint_that_does_not_answer_is_no_error(server: LocalServer, free_port: int, session: AWSSession) -> None:
    async def scene() -> bool:
        options = {"region": "us-east-1", "endpoint_url": f"http://127.0.0.1:{free_port}"}
        async with DataPlane.from_session(session.session, **options) as plane:
            return await plane.release_polls("me")

    assert asyncio.run(asyncio.wait_for(scene(), 30)) is False
