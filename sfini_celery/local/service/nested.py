"""Executions that a state starts: ``states:startExecution``, and its patterns ``.sync``, ``.sync:2`` and
``.waitForTaskToken``.

Sources: the developer guide's "Start workflow executions from a task state"; the names of errors and members are from
AWS's recordings.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from sfini_celery.local.data import StateError, dumps, loads
from sfini_celery.local.engine import Execution, TaskCall
from sfini_celery.local.service.errors import ApiError

if TYPE_CHECKING:
    from sfini_celery.local.service.service import Service

__all__ = ["RESOURCE", "NestedExecutions"]

RESOURCE = "arn:aws:states:::states:startExecution*"


class NestedExecutions:
    """The integration that starts executions.

    Parameters:
        service: where their state machines are registered
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, call: TaskCall) -> Any:
        """Start an execution; wait for its end where the pattern says so."""
        started = await self._start(call.parameters)
        if not call.resource.pattern.startswith("sync"):
            return started
        call.submitted(started)
        child = self._service.execution(started["ExecutionArn"])
        try:
            await child.wait()
        except asyncio.CancelledError:
            cause = f"The execution that started it went on without it: {call.execution}"
            self._service.engine.stop(child, cause=cause)
            raise
        result = await self._result(child, is_parsed=call.resource.pattern == "sync:2")
        if child.status.value != "SUCCEEDED":
            raise StateError("States.TaskFailed", dumps(result))
        return result

    async def _start(self, parameters: Any) -> dict[str, Any]:
        request = {
            "stateMachineArn": parameters.get("StateMachineArn"),
            "name": parameters.get("Name"),
            "input": _input(parameters.get("Input")),
            "traceHeader": parameters.get("TraceHeader"),
        }
        try:
            answer = await self._service.call("StartExecution", request)
        except ApiError as error:
            details = f"Service: AWSStepFunctions; Status Code: {error.status}; Error Code: {error.code}"
            cause = f"{error.message} ({details}; Request ID: {uuid.uuid4()}; Proxy: null)"
            raise StateError(f"StepFunctions.{error.code}Exception", cause) from None
        return {
            "ExecutionArn": answer["executionArn"],
            "StartDate": _milliseconds(answer["startDate"]),
            **_sdk_metadata(),
        }

    async def _result(self, child: Execution, *, is_parsed: bool) -> dict[str, Any]:
        described = await self._service.call("DescribeExecution", {"executionArn": child.arn})
        result = {f"{name[:1].upper()}{name[1:]}": value for name, value in described.items()}
        for name in ("StartDate", "StopDate", "RedriveDate"):
            if name in result:
                result[name] = _milliseconds(result[name])
        for name in ("InputDetails", "OutputDetails"):
            if name in result:
                result[name] = {"Included": result[name]["included"]}
        for name in ("Input", "Output"):
            if is_parsed and name in result:
                result[name] = loads(result[name])
        return result


def _input(given: Any) -> str:
    if given is None:
        return "{}"
    return given if isinstance(given, str) else dumps(given)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _sdk_metadata() -> dict[str, Any]:
    identity = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": identity, "Content-Type": "application/x-amz-json-1.0"}
    return {
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": 200,
        },
        "SdkResponseMetadata": {"RequestId": identity},
    }
