"""The Step Functions API over an engine, without HTTP."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from sfini_celery.local.engine import Engine, Execution, MapRun, Payload, hindrance
from sfini_celery.local.service import nested
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import OPERATIONS, Answer, Request
from sfini_celery.local.service.retention import is_old
from sfini_celery.local.service.shapes import check_request, operations
from sfini_celery.local.service.store import Machine, Store, Target

__all__ = ["Service"]


class Service:
    """The operations of Step Functions.

    Parameters:
        engine: what runs the executions

    Example:
        >>> async def names() -> list[str]:
        ...     service = Service(Engine())
        ...     await service.call("CreateActivity", {"name": "add"})
        ...     return [shown["name"] for shown in (await service.call("ListActivities", {}))["activities"]]
        >>> asyncio.run(names())
        ['add']
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.store = Store()
        self.activity_numbers: dict[str, int] = {}
        self._deletions: set[asyncio.Task[None]] = set()
        if engine.integrations.find(nested.RESOURCE) is None:
            engine.integrations.register(nested.RESOURCE, nested.NestedExecutions(self))

    async def call(
        self, operation: str, request: Mapping[str, Any], *, is_alive: Callable[[], bool] | None = None
    ) -> Answer:
        """Answer one call.

        Parameters:
            operation: as in ``StartExecution``
            request: the operation's input
            is_alive: whether the caller still waits; a poll hands no task to one that does not

        Raises:
            ApiError: the call is refused
        """
        handler = OPERATIONS.get(operation)
        if handler is None:
            if operation in operations():
                raise ApiError("UnknownOperationException", f"The embedded server does not have {operation}")
            raise ApiError("UnknownOperationException", f"There is no operation {operation!r}")
        if operation in operations():
            check_request(operation, request)
        answer = handler(self, Request(request) if is_alive is None else Request(request, is_alive=is_alive))
        return await answer if inspect.isawaitable(answer) else answer

    def now(self) -> float:
        """Seconds since the epoch, on the engine's clock."""
        return self.engine.clock.now()

    def execution(self, arn: str) -> Execution:
        """The execution of an ARN."""
        execution = self.engine.executions.get(arn)
        if execution is None or is_old(execution, self.now()):
            raise ApiError("ExecutionDoesNotExist", arn)
        return execution

    def map_run(self, arn: str) -> MapRun:
        """The Map run of an ARN."""
        run = self.engine.map_runs.get(arn)
        if run is None:
            raise ApiError("ResourceNotFound", arn)
        return run

    def redrive_hindrance(self, execution: Execution) -> str | None:
        """Why an execution cannot be redriven, None where it can."""
        started = execution
        while started.map_run is not None:
            started = started.map_run.execution
        machine = self.store.machines.get(started.revision.machine_arn)
        is_gone = machine is None or machine.is_deleting or started.arn not in machine.executions
        if execution.is_unsuccessful and is_gone:
            return "State machine is in DELETING status"
        return hindrance(execution, self.now())

    def start(
        self, target: Target, input: Payload, *, name: str | None = None, trace_header: str | None = None
    ) -> Execution:
        """Start an execution of a registered state machine."""
        machine, version = target.machine, target.routed(self.engine.randomness)
        execution = self.engine.start(
            version.revision if version else machine.revision,
            input,
            name=name,
            version_arn=version.arn if version else None,
            alias_arn=target.alias.arn if target.alias else None,
            trace_header=trace_header,
        )
        machine.executions[execution.arn] = next(self.store.numbers), execution
        return execution

    def forget_when_idle(self, machine: Machine) -> None:
        """Drop a state machine as soon as none of its executions runs; they end at their next state."""
        running = [execution for _, execution in machine.executions.values() if not execution.is_closed]
        if not running:
            self._forget(machine)
            return
        for execution in running:
            execution.is_doomed = True
        task = asyncio.create_task(self._forget_after(machine, running))
        self._deletions.add(task)
        task.add_done_callback(self._deletions.discard)

    async def _forget_after(self, machine: Machine, running: list[Execution]) -> None:
        for execution in running:
            await execution.wait()
        self._forget(machine)

    def _forget(self, machine: Machine) -> None:
        if self.store.machines.get(machine.arn) is machine:
            del self.store.machines[machine.arn]
            self.store.tags.pop(machine.arn, None)
