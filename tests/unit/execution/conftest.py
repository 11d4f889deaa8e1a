"""Executions on the embedded server, and somebody who answers their activity tasks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import boto3
import pytest

from sfini_celery.activity import write_cause
from sfini_celery.aws import ControlPlane
from sfini_celery.execution import Execution, ExecutionResult
from sfini_celery.local import LocalServer

ROLE = "arn:aws:iam::123456789012:role/mine"


class Counting(ControlPlane):
    """Remembers when it looked at executions."""

    looks: list[str]

    def describe_execution(self, arn: str) -> dict[str, Any]:
        self.__dict__.setdefault("looks", []).append(arn)
        return super().describe_execution(arn)


class Bench:
    """Starts executions, and answers their activity tasks."""

    def __init__(self, server: LocalServer) -> None:
        session = boto3.session.Session("local", "local", region_name="us-east-1")
        self.control = Counting(session=session, endpoint_url=server.url)
        self._numbers = count()

    def start(
        self, states: dict[str, Any] | list[dict[str, Any]], input: Any = None, **machine: Any
    ) -> ExecutionResult:
        """An execution of states that follow each other, or of a definition."""
        if isinstance(states, list):
            names = [state.pop("Name", f"s{place}") for place, state in enumerate(states)]
            for state, following in zip(states, names[1:], strict=False):
                state["Next"] = following
            if states[-1]["Type"] not in ("Fail", "Succeed"):
                states[-1]["End"] = True
            states = {"StartAt": names[0], "States": dict(zip(names, states, strict=True))}
        name = f"machine-{next(self._numbers)}"
        arn = self.control.create_state_machine(name, json.dumps({**states, **machine}), ROLE)["stateMachineArn"]
        return ExecutionResult(
            Execution(f"run-{name}", arn, {} if input is None else input, control=self.control).start()
        )

    def activity(self) -> str:
        return self.control.create_activity(f"activity-{next(self._numbers)}")

    def answer(self, activity: str, answer: Callable[[Any], Any], times: int = 1) -> threading.Thread:
        """Take tasks, in a thread; an exception of ``answer`` fails the task."""

        def work() -> None:
            for _ in range(times):
                task = self.control.client.get_activity_task(activityArn=activity)
                try:
                    value = answer(json.loads(task["input"]))
                except Exception as exc:
                    kind = type(exc)
                    cause = write_cause(kind.__name__, kind.__module__, str(exc), list(exc.args), "Traceback: here\n")
                    self.control.client.send_task_failure(taskToken=task["taskToken"], error=kind.__name__, cause=cause)
                else:
                    self.control.client.send_task_success(taskToken=task["taskToken"], output=json.dumps(value))

        thread = threading.Thread(target=work, name="test-answers", daemon=True)
        thread.start()
        return thread


@pytest.fixture(scope="session")
def _bench() -> Iterator[Bench]:
    with LocalServer() as server:
        bench = Bench(server)
        yield bench
        bench.control.client.close()


@pytest.fixture
def bench(_bench: Bench) -> Bench:
    _bench.control.looks = []
    return _bench
