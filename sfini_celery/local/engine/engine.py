"""The engine: runs executions on one event loop, hands out their tasks and takes the answers."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import uuid
from collections.abc import Mapping
from typing import Any

from sfini_celery.local.clock import Clock, RealClock, VirtualClock
from sfini_celery.local.engine.activities import Activity
from sfini_celery.local.engine.execution import Execution, Frame, Revision, Status
from sfini_celery.local.engine.failure import RUNTIME, Failure
from sfini_celery.local.engine.integrations import Integration, Integrations
from sfini_celery.local.engine.interpreter import run_frame
from sfini_celery.local.engine.maprun import MapRun
from sfini_celery.local.engine.payload import Payload
from sfini_celery.local.engine.ticket import Tokens

__all__ = ["Engine", "run_definition"]

log = logging.getLogger(__name__)


class Engine:
    """Runs executions; all of it on the running event loop, never in a thread.

    Parameters:
        clock: what time is; the machine's without it
        account, region: of the ARNs it makes
        integrations: what the resources of Task states lead to, by resource ARN (``*`` stands for anything)
        seed: of the jitter of retries, for runs that repeat

    Attributes:
        activities: by ARN
        executions: by ARN, the running and the ended
        map_runs: by ARN, the running and the ended
        integrations: what is registered; see :class:`Integrations`
        tokens: the open tasks

    Example:
        >>> async def add() -> str:
        ...     engine = Engine(clock=VirtualClock(auto=True))
        ...     activity = engine.create_activity("add")
        ...     machine = {"StartAt": "Add", "States": {"Add": {"Type": "Task", "Resource": activity.arn, "End": True}}}
        ...     execution = engine.start(engine.revision("sum", machine), Payload("[1, 2]"))
        ...     task = await activity.poll("worker-1")
        ...     engine.tokens.find(task.token).succeed(Payload(value=sum(task.input.value)))
        ...     return (await execution.wait()).output.text
        >>> asyncio.run(add())
        '3'
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        account: str = "123456789012",
        region: str = "us-east-1",
        integrations: Mapping[str, Integration] | None = None,
        seed: int | None = None,
    ) -> None:
        self.clock: Clock = clock or RealClock()
        self.account, self.region = account, region
        self.integrations = Integrations(integrations)
        self.randomness = random.Random(seed)
        self.activities: dict[str, Activity] = {}
        self.executions: dict[str, Execution] = {}
        self.map_runs: dict[str, MapRun] = {}
        self.tokens = Tokens()

    def arn(self, *parts: str) -> str:
        """An ARN of this account, as in ``arn("activity", "add")``."""
        return ":".join(("arn:aws:states", self.region, self.account, *parts))

    def create_activity(self, name: str) -> Activity:
        """The activity of this name, made where there is none."""
        arn = self.arn("activity", name)
        activity = self.activities.get(arn)
        if activity is None:
            activity = self.activities[arn] = Activity(arn, name, self.clock)
        return activity

    def delete_activity(self, arn: str) -> None:
        """Forget an activity; harmless where there is none."""
        activity = self.activities.pop(arn, None)
        if activity is not None:
            activity.delete()

    def revision(self, name: str, definition: Mapping[str, Any] | str, *, role_arn: str = "") -> Revision:
        """A state machine to start, without registering it anywhere."""
        text = definition if isinstance(definition, str) else json.dumps(definition)
        parsed = json.loads(text)
        return Revision(
            self.arn("stateMachine", name), name, parsed, text, role_arn, str(uuid.uuid4()), self.clock.now()
        )

    def start(
        self,
        revision: Revision,
        input: Payload,
        *,
        name: str | None = None,
        arn: str | None = None,
        version_arn: str | None = None,
        alias_arn: str | None = None,
        trace_header: str | None = None,
        map_run: MapRun | None = None,
        items: int = 1,
    ) -> Execution:
        """Start an execution and return it; its first state runs on the event loop's next turn.

        Parameters:
            revision: what to run
            input: the first state's input
            name: unique for the state machine; made up without it
            arn: made from the names without it
            version_arn, alias_arn: the version and the alias it was started by
            trace_header: kept for DescribeExecution
            map_run, items: the Map run whose child it is, and how many items are in its input
        """
        name = name or str(uuid.uuid4())
        execution = Execution(
            self,
            arn=arn or self.arn("execution", revision.machine_name, name),
            name=name,
            revision=revision,
            input=input,
            version_arn=version_arn,
            alias_arn=alias_arn,
            trace_header=trace_header,
            map_run=map_run,
            items=items,
        )
        self.executions[execution.arn] = execution
        execution.record("ExecutionStarted", 0, input, revision.role_arn, version_arn, alias_arn)
        execution.root = Frame(execution)
        self._go(execution, execution.root)
        return execution

    def redrive(self, execution: Execution, *, from_start: bool = False) -> None:
        """Let an execution that has not succeeded go on where it stood; whether it may is for the caller to know.

        Parameters:
            execution: ended
            from_start: run it from its first state instead
        """
        self._go(execution, execution.reopen(from_start=from_start))

    def _go(self, execution: Execution, root: Frame) -> None:
        seconds = execution.revision.definition.get("TimeoutSeconds")
        if seconds is not None:
            execution.timer = self.clock.call_later(seconds, lambda: self._time_out(execution))
        root.task = asyncio.create_task(self._run(execution, root))

    def stop(self, execution: Execution, *, error: str | None = None, cause: str | None = None) -> None:
        """Stop an execution now; harmless when it has ended."""
        execution.end(Status.ABORTED, error=error, cause=cause)

    def close(self) -> None:
        """Stop everything in silence: open polls return without a task, executions go no further."""
        for activity in self.activities.values():
            activity.release_polls()
        for execution in self.executions.values():
            if execution.timer is not None:
                execution.timer.cancel()
            if execution.root is not None:
                execution.root.stop()

    async def interpret(self, frame: Frame, machine: Mapping[str, Any], input: Payload) -> Payload:
        """Run the states of a frame; see :func:`~sfini_celery.local.engine.interpreter.run_frame`.

        Raises:
            Failure: a state failed and nothing caught it, or this server has a bug, which it logs
        """
        try:
            return await run_frame(frame, machine, input)
        except Failure:
            raise
        except Exception as error:
            log.exception("local.frame_crashed execution=%s", frame.execution.arn)
            cause = f"This is a bug of the embedded server, whose log has the traceback: {error!r}"
            raise Failure(RUNTIME, cause) from None

    def _time_out(self, execution: Execution) -> None:
        last = execution.root.last if execution.root is not None else 0
        execution.end(Status.TIMED_OUT, previous=last)

    async def _run(self, execution: Execution, root: Frame) -> None:
        try:
            output = await self.interpret(root, execution.revision.definition, execution.input)
        except Failure as failure:
            execution.end(Status.FAILED, previous=root.last, error=failure.error, cause=failure.cause)
        else:
            execution.end(Status.SUCCEEDED, previous=root.last, output=output)


async def run_definition(
    definition: Mapping[str, Any] | str,
    input: Any = None,
    *,
    clock: Clock | None = None,
    integrations: Mapping[str, Integration] | None = None,
    engine: Engine | None = None,
    machine_name: str = "machine",
    name: str | None = None,
    role_arn: str = "arn:aws:iam::123456789012:role/local",
) -> Execution:
    """Run a definition to its end, without a server, by default on a clock that skips what nobody waits for.

    Parameters:
        definition: as a dict or as JSON text
        input: a JSON value, or a :class:`Payload` where its text matters; ``{}`` without it
        clock: a :class:`VirtualClock` with ``auto`` without it
        integrations: what the resources of Task states lead to; see :class:`Engine`
        engine: an engine to run on, instead of one made from ``clock`` and ``integrations``
        machine_name, name, role_arn: of the state machine, the execution and the role, as states see them

    Returns:
        The execution, ended: its ``status``, ``output``, ``error``, ``cause`` and ``history.rendered()``.

    Example:
        >>> machine = {"StartAt": "Nap", "States": {"Nap": {"Type": "Wait", "Seconds": 3600, "End": True}}}
        >>> asyncio.run(run_definition(machine, {"a": 1})).output.value
        {'a': 1}
    """
    engine = engine or Engine(clock=clock or VirtualClock(auto=True), integrations=integrations)
    payload = input if isinstance(input, Payload) else Payload(value={} if input is None else input)
    execution = engine.start(engine.revision(machine_name, definition, role_arn=role_arn), payload, name=name)
    return await execution.wait()
