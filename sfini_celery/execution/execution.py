"""One run of a state machine: start it, wait for it, take its result, stop it, read what happened."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from kombu.utils import json as kombu_json

from sfini_celery.aws import FINISHED, ControlPlane
from sfini_celery.errors import InvalidInput, NotFinished
from sfini_celery.execution.failure import ENDINGS, exception_of
from sfini_celery.history import Event, StateVisit, parse_history, read_events, timeline
from sfini_celery.names import check_name
from sfini_celery.render import format_history

__all__ = ["Execution", "typed"]

_UNKNOWN: Any = object()


class Execution:
    """An execution of a state machine, existing or about to be started.

    What AWS said last is kept, and asked for again only while the execution has not ended.

    Parameters:
        name: its name
        state_machine_arn: the machine it runs
        execution_input: its input, any value that is JSON; left out, it is ``{}`` on start, or what AWS says
        arn: its ARN, once it has been started
        control: the calls
    Example:
        >>> execution = Execution("first", machine_arn, {"a": 3}, control=control)  # doctest: +SKIP
        >>> execution.start().wait()  # doctest: +SKIP
        'SUCCEEDED'
        >>> execution.output  # doctest: +SKIP
        45
    """

    def __init__(
        self,
        name: str,
        state_machine_arn: str,
        execution_input: Any = _UNKNOWN,
        arn: str | None = None,
        *,
        control: ControlPlane,
    ) -> None:
        self.name, self.state_machine_arn, self.arn = name, state_machine_arn, arn
        self.control = control
        self._input = execution_input
        self._known: Mapping[str, Any] = {}
        self._described = False
        self._definition: dict[str, Any] | None = None

    @classmethod
    def from_arn(cls, arn: str, *, control: ControlPlane, look: bool = True) -> Execution:
        """The execution with this ARN.

        Parameters:
            arn: its ARN
            control: the calls
            look: ask AWS about it now, and not when something of it is wanted
        Raises:
            NotFound: there is none, when AWS is asked
        """
        if look:
            found = control.describe_execution(arn)
            execution = cls(found["name"], found["stateMachineArn"], arn=arn, control=control)
            execution.keep(found)
            return execution
        machine, _, name = arn.rpartition(":")
        return cls(name, machine.replace(":execution:", ":stateMachine:"), arn=arn, control=control)

    @classmethod
    def from_list_item(cls, item: Mapping[str, Any], *, control: ControlPlane) -> Execution:
        """From an item of ListExecutions; input, output and error, which it lacks, are asked for when wanted."""
        execution = cls(item["name"], item["stateMachineArn"], arn=item["executionArn"], control=control)
        execution._known = item
        return execution

    from_execution_list_item = from_list_item

    def __str__(self) -> str:
        status = self._known.get("status")
        return f"{self.name} [{status}]" if status else self.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.state_machine_arn!r}, arn={self.arn!r})"

    # how it stands

    def refresh(self) -> Execution:
        """Ask AWS again, also when the execution had ended (it may have been redriven); returns itself."""
        self.keep(self.control.describe_execution(self._started()))
        return self

    def keep(self, description: Mapping[str, Any]) -> None:
        """Take what DescribeExecution has answered to somebody else."""
        self._known, self._described = description, True

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended; asks nobody."""
        return self._known.get("status") in FINISHED

    @property
    def status(self) -> str:
        """RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED or PENDING_REDRIVE."""
        if not self.has_ended:
            self.refresh()
        return str(self._known["status"])

    @property
    def start_date(self) -> datetime:
        """When it was started, timezone-aware."""
        if "startDate" not in self._known:
            self.refresh()
        return self._known["startDate"]  # type: ignore[no-any-return]

    @property
    def stop_date(self) -> datetime:
        """When it ended, timezone-aware; raises NotFinished before that."""
        self._ended()
        if "stopDate" not in self._known:
            self.refresh()
        return self._known["stopDate"]  # type: ignore[no-any-return]

    @property
    def execution_input(self) -> Any:
        """What it was started with, as a value."""
        if self._input is _UNKNOWN:
            self._input = json.loads(self._told().get("input") or "null") if self.arn is not None else {}
        return self._input

    @property
    def input(self) -> Any:
        """The same as ``execution_input``."""
        return self.execution_input

    @property
    def error(self) -> str | None:
        """The name of the error it ended with, None where there is none."""
        return self._failure()[0]

    @property
    def cause(self) -> str | None:
        """What was said about the error: of a Python task, JSON with message and traceback."""
        return self._failure()[1]

    @property
    def output(self) -> Any:
        """The output as plain JSON; see :meth:`result` for Celery's types.

        Raises:
            NotFinished: it still runs
            ExecutionFailed, ExecutionTimedOut, ExecutionAborted: it has no output
        """
        self._ended()
        self._raise_on_failure()
        return json.loads(self._told().get("output") or "null")

    def result(self, timeout: float | None = None) -> Any:
        """Wait, and return the result with the types that Celery's serializer keeps: datetimes, UUIDs, decimals.

        Parameters:
            timeout: seconds to wait, without end when None
        Raises:
            the task's own exception: where its class is at hand, see :func:`exception_of`
            ExecutionFailed, ExecutionTimedOut, ExecutionAborted: it failed otherwise
            WaitTimeout: it took longer
        """
        self.wait(timeout=timeout)
        failure = self.exception()
        if failure is not None:
            raise failure
        return typed(self._told().get("output") or "null")

    def exception(self) -> BaseException | None:
        """What :meth:`result` raises; None where it succeeded.

        Raises:
            NotFinished: it still runs
        """
        self._ended()
        if self.status == "FAILED":
            return self._exception_of_part() or exception_of(self.error, self.cause, self._started())
        ending = ENDINGS.get(self.status)
        return None if ending is None else ending(self._started(), self.status, *self._failure())

    def _exception_of_part(self) -> BaseException | None:
        """The exception of an execution that this one failed with, where the cause does not tell."""
        if self.error == "States.ExceedToleratedFailureThreshold":
            run = next((visit.map_run for visit in reversed(self.timeline()) if visit.map_run is not None), None)
            failed = [] if run is None else list(self.control.list_executions(map_run=run, status="FAILED"))
            if failed:
                first = min(failed, key=lambda item: item["stopDate"])
                return Execution.from_list_item(first, control=self.control).exception()
        return None

    # what to do with it

    def start(self) -> Execution:
        """Start it; sets ``arn`` and returns itself.

        Raises:
            InvalidName: AWS would refuse the name
            InvalidInput: the input is not JSON
            AlreadyExists: an execution of this name runs with another input, or has ended
        """
        check_name("execution name", self.name)
        value = {} if self._input is _UNKNOWN else self._input
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as exc:
            raise InvalidInput(f"the input of execution {self.name!r} is not JSON: {exc}") from exc
        answer = self.control.start_execution(self.state_machine_arn, input=text, name=self.name)
        self.arn, self._input = answer["executionArn"], value
        self._known, self._described = {"status": "RUNNING", "startDate": answer["startDate"]}, False
        return self

    def wait(
        self, raise_on_failure: bool = False, timeout: float | None = None, *, interval: float | None = None
    ) -> str:
        """Wait until it has ended, and return its status.

        Looks often at first and every few seconds later. Ctrl-C ends the waiting at once, not the execution.

        Parameters:
            raise_on_failure: raise where it did not succeed
            timeout: seconds, without end when None
            interval: seconds between two looks, instead of pauses that grow
        Raises:
            WaitTimeout: it took longer
            ExecutionFailed, ExecutionTimedOut, ExecutionAborted: with ``raise_on_failure``
        """
        if not self.has_ended:
            self.keep(self.control.waiter.wait(self._started(), timeout=timeout, interval=interval))
        if raise_on_failure:
            self._raise_on_failure()
        return str(self._known["status"])

    def stop(self, error_code: str | None = None, details: str | None = None) -> None:
        """Stop it; nothing happens where it has ended.

        Parameters:
            error_code: a name for the reason
            details: the reason
        """
        self.control.stop_execution(self._started(), error=error_code, cause=details)
        self._known, self._described = {}, False

    def redrive(self, *, sleep: Callable[[float], None] = time.sleep) -> Execution:
        """Let it go on where it failed: what had succeeded is not run again. Returns itself, which can be waited for.

        Retries and time-outs of the states that run again start afresh. The definition is the one it started with.

        Parameters:
            sleep: waits some seconds, for tests
        Raises:
            ServiceError: AWS does not allow it: it runs, has succeeded, or ended more than 14 days ago
        """
        arn = self._started()
        before = self.control.describe_execution(arn).get("redriveCount", 0)
        self.control.redrive_execution(arn)
        # AWS's descriptions lag behind: until they know of it, a wait would find the old end.
        for pause in (0.0, 0.2, 0.5, 1.0, 2.0):
            sleep(pause)
            if self.refresh()._known.get("redriveCount", before) > before or not self.has_ended:
                break
        return self

    # what happened

    def definition(self) -> dict[str, Any]:
        """The definition that it started with; the machine's may be another one by now."""
        if self._definition is None:
            self._definition = dict(json.loads(self.control.definition_for(self._started())))
        return self._definition

    def get_history(self) -> list[Event]:
        """Its events, oldest first."""
        return parse_history(self.control.history(self._started()))

    def format_history(self) -> str:
        """Its events as text, and the output below them where it succeeded."""
        events = self.get_history()
        if self.status == "SUCCEEDED":
            return format_history(events, self.output)
        return format_history(events)

    def timeline(self) -> list[StateVisit]:
        """The states it went through."""
        return timeline(read_events(self.control.history(self._started())))

    # inside

    def _started(self) -> str:
        if self.arn is None:
            raise NotFinished(f"execution {self.name!r} has not been started: its ARN is unknown")
        return self.arn

    def _told(self) -> Mapping[str, Any]:
        if not self._described:
            self.refresh()
        return self._known

    def _ended(self) -> None:
        if self.status not in FINISHED:
            raise NotFinished(f"execution {self.name!r} is still {self._known['status']}")

    def _failure(self) -> tuple[str | None, str | None]:
        status, known = self.status, self._told()
        error, cause = known.get("error"), known.get("cause")
        if error is None and cause is None and status in ENDINGS:
            # older servers tell it in the history only
            last = next(read_events(self.control.history(self._started(), reverse=True, limit=1)), None)
            if last is not None:
                error, cause = last.error, last.cause
            self._known = {**known, "error": error or "", "cause": cause or ""}
        return error or None, cause or None

    def _raise_on_failure(self) -> None:
        ending = ENDINGS.get(self.status)
        if ending is not None:
            error, cause = self._failure()
            raise ending(self._started(), self.status, error, cause)


def typed(text: str) -> Any:
    """JSON with the types that Celery's serializer keeps."""
    try:
        return kombu_json.loads(text)
    except Exception:
        # something that only looks like a value of Celery's serializer: somebody's plain data
        return json.loads(text)
