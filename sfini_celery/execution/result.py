"""``ExecutionResult``: an execution with the names of Celery's AsyncResult.

| Step Functions | Celery |
|---|---|
| no such execution | PENDING |
| RUNNING | STARTED |
| PENDING_REDRIVE | RETRY |
| SUCCEEDED | SUCCESS |
| FAILED, TIMED_OUT | FAILURE |
| ABORTED | REVOKED |
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import datetime
from typing import Any, NoReturn

from celery import states
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import assert_will_not_block

from sfini_celery.errors import ExecutionAborted, NotFound, WaitTimeout
from sfini_celery.execution.execution import Execution
from sfini_celery.execution.outcome import Outcome
from sfini_celery.execution.parts import PartResult, parts_of

__all__ = ["CELERY_STATES", "ExecutionResult", "ExecutionRevoked", "ResultTimeout"]

CELERY_STATES: Mapping[str, str] = {
    "RUNNING": states.STARTED,
    "PENDING_REDRIVE": states.RETRY,
    "SUCCEEDED": states.SUCCESS,
    "FAILED": states.FAILURE,
    "TIMED_OUT": states.FAILURE,
    "ABORTED": states.REVOKED,
}
"""Celery's word for each status of an execution."""


class ResultTimeout(WaitTimeout, CeleryTimeoutError):
    """Waiting for a result took longer than allowed; the execution goes on. Celery's TimeoutError too, and Python's."""


class ExecutionRevoked(ExecutionAborted, TaskRevokedError):
    """The execution was stopped. Celery's TaskRevokedError too."""


class ExecutionResult(Outcome):
    """The result of an execution, as Celery's :class:`~celery.result.AsyncResult` would be.

    Its ``id`` is the execution's ARN: ``app.sfn.result(id)`` finds it again, in any process, without a result backend.
    In asyncio, ``await outcome`` waits and gives what :meth:`get` does.

    Parameters:
        execution: the execution

    Attributes:
        execution: the same

    Example:
        >>> outcome = orders.delay(40)
        >>> outcome.state
        'STARTED'
        >>> outcome.get(timeout=60)
        91
    """

    def __init__(self, execution: Execution) -> None:
        self.execution = execution

    @property
    def id(self) -> str:
        """The execution's ARN. The name that ``task_id=`` gave is ``execution.name``."""
        return str(self.execution.arn)

    task_id = id

    # how it stands

    @property
    def state(self) -> str:
        """PENDING (there is no such execution), STARTED, RETRY (a redrive is pending), SUCCESS, FAILURE or REVOKED."""
        try:
            status = self.execution.status
        except NotFound:
            return str(states.PENDING)
        return CELERY_STATES.get(status, states.STARTED)

    status = state

    @property
    def date_done(self) -> datetime | None:
        """When it ended, timezone-aware; None before that."""
        return self.execution.stop_date if self.ready() else None

    # waiting

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float | None = None,
        no_ack: object = None,
        follow_parents: object = None,
        callback: Callable[[str, Any], object] | None = None,
        on_message: object = None,
        on_interval: object = None,
        disable_sync_subtasks: bool = True,
    ) -> Any:
        """Wait until it has ended, and return its result.

        However many wait in a process, one thread looks for all of them, at most 15 times a second. Celery's other
        arguments are taken, and mean nothing here.

        Parameters:
            timeout: seconds, without end when None
            propagate: raise what it failed with; returned otherwise
            interval: seconds between two looks; they grow from 50 ms to 2 or 3 s without it
            callback: called with the id and the result
            disable_sync_subtasks: refuse to wait within a task, as Celery does: tasks that wait for tasks run out of
                workers
        Raises:
            ResultTimeout: it took longer; also Celery's TimeoutError, and Python's
            ExecutionRevoked: it was stopped; also Celery's TaskRevokedError
            the task's own exception: where its class is at hand, see :func:`~sfini_celery.execution.exception_of`
            ExecutionFailed, ExecutionTimedOut: it failed otherwise
            NotFound: there is no such execution
        """
        if disable_sync_subtasks:
            assert_will_not_block()
        try:
            self.execution.wait(timeout=timeout, interval=interval)
        except WaitTimeout as exc:
            raise ResultTimeout(*exc.args) from None
        failure = self._failure()
        if failure is not None and propagate:
            raise failure
        value = self.execution.result() if failure is None else failure
        if callback is not None:
            callback(self.id, value)
        return value

    wait = get

    def __await__(self) -> Generator[Any, None, Any]:
        return self._awaited().__await__()

    async def _awaited(self) -> Any:
        execution = self.execution
        if not execution.has_ended:
            ended = execution.control.waiter.watch(self.id)
            found = await asyncio.wrap_future(ended)
            execution.keep(found)
        if execution.status == "SUCCEEDED":
            return execution.result()
        failure = await asyncio.to_thread(self._failure)  # it may have to read the history
        assert failure is not None
        raise failure

    def _value(self) -> Any:
        return self.execution.result()

    def _failure(self) -> BaseException | None:
        """What it failed with; the execution has ended."""
        failure = self.execution.exception()
        if type(failure) is ExecutionAborted:
            return ExecutionRevoked(failure.execution, failure.status, failure.error, failure.cause)
        return failure

    # what it consists of

    @property
    def children(self) -> list[PartResult | ExecutionResult]:
        """The results of its steps as far as they have begun, in order; of its members where it is but a group.

        A group's members, the items of ``each`` and the steps of a chain inside them are the ``children`` of a step,
        and so is an execution that a step started. Read from the history, page by page: for a large execution that
        takes a while.
        """
        parts = parts_of(self)
        return parts[0].children if len(parts) == 1 and parts[0].is_group else list(parts)

    def collect(self, intermediate: bool = False, **options: Any) -> Iterator[tuple[Any, Any]]:
        """Wait, then go through its results and those of its parts, each with its value.

        Parameters:
            intermediate: do not wait; parts that have not ended are left out
            options: as for :meth:`get`
        Raises:
            what :meth:`get` raises, at the part that failed

        Example:
            >>> [value for part, value in outcome.collect() if not part.children]
            [43, 44, 91]
        """
        ahead: deque[Any] = deque([self])
        while ahead:
            part = ahead.popleft()
            if not intermediate or part.ready():
                yield part, part.get(**options)
            ahead.extend(part.children)

    # going on, and ending

    def redrive(self) -> ExecutionResult:
        """Let a failed execution go on where it failed; returns itself, whose :meth:`get` gives the new result.

        Raises:
            ServiceError: AWS does not allow it: it runs, has succeeded, or ended more than 14 days ago

        Example:
            >>> outcome.redrive().get(timeout=60)
            91
        """
        self.execution.redrive()
        return self

    def revoke(
        self,
        connection: object = None,
        terminate: bool = False,
        signal: object = None,
        wait: bool = False,
        timeout: float | None = None,
    ) -> None:
        """Stop the execution; nothing happens where it has ended.

        It is REVOKED at once. A worker that runs one of its tasks learns of it at the next heartbeat and revokes the
        task; whether that kills the process is the setting ``sfn_revoke_terminate``, on the worker's side. So none of
        Celery's arguments change anything.
        """
        self.execution.stop(details="revoked through its result")

    def forget(self) -> NoReturn:
        """Refused: nothing can be forgotten."""
        raise NotImplementedError(
            "Step Functions keeps an execution and its history for 90 days after its end; nothing can be forgotten"
        )

    # as a value

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.id}>"

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ExecutionResult):
            return self.id == other.id
        return self.id == other if isinstance(other, str) else NotImplemented
