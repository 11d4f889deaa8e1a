"""Every ending of a task, on every pool, with every broker, comes out as one report that says what happened.

All cases run through one worker per combination; the outcomes are compared one by one.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import celery
import pytest

POOLS = ("prefork", "threads", "solo")
BROKERS = ("redis", "rabbitmq", "none")
COMBINATIONS = [f"{pool}-{broker}" for pool in POOLS for broker in BROKERS]

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:machine:one"
AT = {"execution": EXECUTION, "name": "one", "state": "Work", "entered": "2024-02-29T12:00:00.000Z", "attempt": 0}


def envelope(task: str, *args: object, **more: object) -> dict:
    return {"sfini": 1, "task": f"project.tasks.{task}", "args": list(args), "at": AT, **more}


@dataclass(frozen=True)
class Case:
    """A task, its input, and how its execution must end.

    Attributes:
        id: what is tested
        task: which task of the project
        input: the execution's input, or a function of a path that the case has to itself
        output: what the execution returns, if it succeeds
        error: what it fails with, if it fails
        cause: members that the cause must have
        pools: the pools on which this can happen
        state: members of the Task state
        needs: an attribute that Celery's tasks have where Celery can do this
    """

    id: str
    task: str
    input: Any = None
    output: Any = None
    error: str | None = None
    cause: dict[str, Any] | None = None
    pools: tuple[str, ...] = POOLS
    state: dict[str, Any] | None = None
    needs: str = "name"


PREFORK = ("prefork",)
IN_PROCESS = ("threads", "solo")

CASES = [
    Case("success", "add", {"x": 1, "y": 2}, 3),
    Case("success of an envelope", "add", envelope("add", 40, result=2), 42),
    Case("map over a task", "limited", envelope("limited", 1, 2, 3, over="map"), [1, 2, 3]),
    Case("starmap over a task", "add", envelope("add", [1, 2], [3, 4], over="starmap"), [3, 7]),
    Case("plain output of a raw input", "when", None, "2024-02-29T12:00:00"),
    Case(
        "typed output of an envelope",
        "when",
        envelope("when"),
        {"__type__": "datetime", "__value__": "2024-02-29T12:00:00"},
    ),
    Case("data convention", "whole", {"sfini": "is data here"}, {"sfini": "is data here"}),
    Case("sensitive", "secret", {"password": "hunter2"}, "hash of hunter2"),
    Case(
        "exception",
        "fail",
        {"message": "broken"},
        error="Derived",
        cause={"errorType": "Derived", "errorModule": "project.tasks", "errorArgs": ["broken", 7]},
    ),
    Case("exception that the state matches by its base", "fail", envelope("fail", "x", errors=["Base"]), error="Base"),
    Case("exception that cannot be pickled", "unpicklable", error="Unpicklable", cause={"errorMessage": "no way"}),
    Case("wrong arguments", "add", envelope("add", 1), error="TypeError"),
    Case("retry with a countdown", "flaky", {"times": 2}, 2),
    Case("retry with other arguments", "changed", {"n": 3}, "done"),
    Case("autoretry", "automatic", lambda path: {"path": path, "times": 3}, 3),
    Case("retries used up", "exhausted", error="Derived", cause={"errorMessage": "never"}),
    Case("retry asked for, then returned", "retry_and_return", {"path": ""}, "but this"),
    Case("Retry raised by hand", "bare_retry", error="Retry"),
    Case("longer than its heartbeat", "long", {"seconds": 5}, "rested", state={"HeartbeatSeconds": 3}),
    Case("result that is not JSON", "not_json", error="sfini.OutputNotSerializable"),
    Case("result that is not a number", "nan", error="sfini.OutputNotSerializable"),
    Case("Ignore", "ignore", error="sfini.Ignored"),
    Case("Reject", "reject", error="sfini.Rejected"),
    Case("Reject with requeue", "requeue", lambda path: {"path": path}, "second time"),
    Case("memory used up", "out_of_memory", error="MemoryError"),
    Case("SystemExit", "exits", error="SystemExit", cause={"errorMessage": "3"}),
    Case("expired", "add", envelope("add", 1, 2, options={"expires": 1}), error="sfini.TaskExpired"),
    Case("unknown member", "add", {"x": 1, "z": 2}, error="sfini.InvalidInput"),
    Case("task of another activity", "add", envelope("killed"), error="sfini.InvalidInput"),
    Case(
        "option of a wrong type", "add", envelope("add", 1, 2, options={"time_limit": "x"}), error="sfini.InvalidInput"
    ),
    Case("option that is not known", "add", envelope("add", 1, 2, options={"serializer": "pickle"}), 3),
    Case("rate limit", "limited", {"n": 1}, 1),
    Case("rate limit, next", "limited", {"n": 2}, 2),
    Case("rate limit, after that", "limited", {"n": 3}, 3),
    Case("hard time limit", "hard", error="sfini.TimeLimitExceeded", pools=PREFORK),
    Case(
        "hard time limit of the envelope",
        "long",
        envelope("long", 30, options={"time_limit": 1}),
        error="sfini.TimeLimitExceeded",
        pools=PREFORK,
    ),
    Case(
        "hard time limit, requeued",
        "hard_requeued",
        lambda path: {"path": path},
        "in time",
        pools=PREFORK,
        needs="acks_on_timeout",
    ),
    Case("soft time limit", "soft", error="SoftTimeLimitExceeded", pools=PREFORK),
    Case("soft time limit caught", "soft_caught", None, "tidied up", pools=PREFORK),
    Case("child killed", "killed", error="sfini.WorkerLost", pools=PREFORK),
    Case("child killed, rejected", "killed_once", lambda path: {"path": path}, "survived", pools=PREFORK),
    Case("child killed, retried", "killed_and_retried", None, 1, pools=PREFORK, needs="retry_on_worker_lost"),
]


@pytest.fixture(scope="session")
def executions(fleet: Any, machines: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """An execution of every case on every worker of the fleet, all started at once."""
    folder = tmp_path_factory.mktemp("cases")
    return {
        combination: {
            case.id: machines.start(case.task, input_of(case, folder), prefix=worker.prefix, **(case.state or {}))
            for case in CASES
            if worker.pool in case.pools and hasattr(celery.Task, case.needs)
        }
        for combination, worker in fleet.started.items()
    }


def input_of(case: Case, folder: Path) -> object:
    return case.input(str(folder / uuid.uuid4().hex)) if callable(case.input) else case.input


@pytest.mark.parametrize(
    ("combination", "case"),
    [
        pytest.param(combination, case, id=f"{combination}-{case.id}")
        for combination in COMBINATIONS
        for case in CASES
        if combination.split("-")[0] in case.pools and hasattr(celery.Task, case.needs)
    ],
)
def test_ending_is_reported_once_and_says_what_happened(
    case: Case, combination: str, fleet: Any, executions: Any, machines: Any
) -> None:
    fleet[combination]
    outcome = machines.end(executions[combination][case.id])
    if case.error is None:
        assert outcome["status"] == "SUCCEEDED", outcome
        assert outcome["output"] == case.output
    else:
        assert (outcome["status"], outcome["error"]) == ("FAILED", case.error), outcome
        assert {member: outcome["cause"][member] for member in case.cause or {}} == (case.cause or {})
        assert outcome["cause"]["errorMessage"]


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_position_in_the_execution_is_in_the_request(combination: str, fleet: Any, machines: Any) -> None:
    worker = fleet[combination]
    input = envelope("where", options={"headers": {"trace": "abc", "id": "mine", "task": "other"}})
    started = [machines.start("where", input, prefix=worker.prefix) for _ in range(2)]
    first, second = (machines.end(execution)["output"] for execution in started)
    assert first["key"] == second["key"] != ""
    assert first["root"] == second["root"]
    assert (first["state"], first["header"]) == ("Work", "abc")


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_broker_messages_are_served_beside_activities(combination: str, fleet: Any, until: Any, tmp_path: Path) -> None:
    worker = fleet[combination]
    note = tmp_path / "note"
    with worker.broker.app() as app:
        app.send_task("project.tasks.leave_note", (str(note),))
    until(lambda: note.exists() and note.read_text(), 10, "the note")
    assert note.read_text() == "failed"


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_nothing_secret_is_logged_and_the_bridge_never_stumbles(
    combination: str, fleet: Any, executions: Any, machines: Any
) -> None:
    worker = fleet[combination]
    for execution in executions[combination].values():
        machines.end(execution)
    log = worker.log
    assert "hunter2" not in log
    complaints = ["call_failed", "start_failed", "move_refused", "loop_crashed", "report_refused", "task_twice"]
    for complaint in complaints:
        assert f"sfini_{complaint}" not in log
    assert log.count("sfini_option_ignored") <= 1
