"""Everything that can break breaks, and every execution ends with the right output.

pytest tests/faults                                                   # 120 executions, about a minute
SFINI_FAULT_EXECUTIONS=1000 pytest tests/faults --timeout 3600        # the long form
SFINI_FAULT_SEED=7 pytest tests/faults                                # the run that printed this seed, again
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import pytest
from fault_rig.processes import Broker, Chaos, Worker
from fault_rig.proxy import Proxy
from fault_rig.schedule import Schedule

from sfini_celery.compiler import compile_canvas
from sfini_celery.local import LocalServer

EXECUTIONS = int(os.environ.get("SFINI_FAULT_EXECUTIONS", "120"))
SECONDS_EACH = 0.3  # of the load, per execution
EVERY = 3.5  # seconds between two things done to processes
HEARTBEAT = 4
STEPS = 3
PATIENCE = 90.0 + EXECUTIONS * 0.2  # seconds, after the last fault, for all executions to end
ALARMS = (
    "sfini_loop_crashed",
    "sfini_loop_hangs",
    "sfini_call_failed",
    "sfini_start_failed",
    "sfini_move_refused",
    "sfini_input_invalid",
    "sfini_input_unreadable",
    "sfini_heartbeat_crashed",
    "sfini_heartbeat_failed",
    "sfini_poll_failed",
    "sfini_report_failed",
    "sfini_report_given_up",
    "sfini_report_lost",
    "sfini_reports_lost",
    "sfini_reports_unsent",
    "sfini_task_not_delivered",
    "sfini_task_not_revoked",
)
"""Log lines that only a bug explains."""


class Figures:
    """What happened, to be printed and checked."""

    def __init__(self) -> None:
        self.attempts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def read_history(self, client: Any, arn: str) -> None:
        pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
        for event in (event for page in pages for event in page["events"]):
            if event["type"] == "ActivityScheduled":
                self.attempts["scheduled"] += 1
            elif event["type"] in ("ActivityTimedOut", "ActivityFailed"):
                details = event.get("activityTimedOutEventDetails") or event.get("activityFailedEventDetails")
                self.attempts[details["error"]] += 1


@pytest.fixture
def seed() -> int:
    given = os.environ.get("SFINI_FAULT_SEED")
    if given is not None:
        return int(given)
    return random.SystemRandom().randrange(10**6) if os.environ.get("CI") else 1


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture
def client(server: LocalServer) -> Any:
    """Not through the proxy: the load itself is not under attack."""
    return boto3.client(
        "stepfunctions", endpoint_url=server.url, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
        config=botocore.config.Config(retries={"max_attempts": 1}, read_timeout=70),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(max(300, EXECUTIONS * 2))
def test_every_execution_ends_with_the_right_output_whatever_is_killed_cut_throttled_or_stopped(
    seed: int, server: LocalServer, client: Any, broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import fault_rig.project as project

    def say(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)

    say(f"\nSFINI_FAULT_SEED={seed} SFINI_FAULT_EXECUTIONS={EXECUTIONS}; logs in {tmp_path}")
    schedule = Schedule(seed, heartbeat=HEARTBEAT)
    journal = tmp_path / "journal"
    machine = _create_machine(client, server, project)
    begun = time.monotonic()
    with Proxy(server.port, schedule.on_wire) as proxy:
        conf = {
            "broker_url": broker.url,
            "broker_connection_retry_on_startup": True,
            "worker_cancel_long_running_tasks_on_connection_loss": True,
            "sfn_polls": 2,
        }
        environment = {
            **server.environment(),
            "AWS_ENDPOINT_URL": proxy.url,
            "PROJECT_JOURNAL": str(journal),
            "PROJECT_HEARTBEAT": str(HEARTBEAT),
        }
        workers = [
            Worker(pool, tmp_path, pool=pool, environment=environment, conf=conf) for pool in ("prefork", "threads")
        ]
        try:
            _wait(lambda: all("sfini_serving" in worker.log for worker in workers), 60, "workers that poll")
            seconds = EXECUTIONS * SECONDS_EACH
            chaos = Chaos(workers, broker, proxy, busy=lambda: _busy(journal), say=say)
            attack = threading.Thread(target=chaos.run, args=(schedule.on_processes(seconds, every=EVERY),))
            attack.start()
            executions = _load(client, machine, schedule.starts(EXECUTIONS, seconds))
            attack.join()
            proxy.decide = lambda operation, number: None
            _wait(
                lambda: not any(True for _ in _running(client, machine)),
                PATIENCE,
                lambda: f"{len(list(_running(client, machine)))} executions are left",
            )
            took = time.monotonic() - begun
            idle = _wait_until_idle(project.app, broker, workers)
            orphans = sum(worker.orphans() for worker in workers)
            codes = [worker.stop(40) for worker in workers]
        finally:
            for worker in workers:
                worker.stop(0)
    figures = Figures()
    for number, arn in executions.items():
        found = client.describe_execution(executionArn=arn)
        figures.read_history(client, arn)
        output = json.loads(found.get("output", "null"))
        if found["status"] != "SUCCEEDED" or output != project.expected(number):
            figures.wrong.append(f"{arn} {found['status']} {found.get('error')} {output!r}")
    starts = [json.loads(line) for line in journal.read_text().splitlines()]
    began = Counter((entry[1], entry[4]) for entry in starts if entry[0] == "start")
    scheduled = figures.attempts.pop("scheduled")
    say(
        f"executions {len(executions)}, tasks {len(executions) * STEPS}, lost {len(figures.wrong)}, "
        f"repeated tasks {scheduled - len(executions) * STEPS} {dict(figures.attempts)}, "
        f"bodies begun {sum(began.values())}, seconds {took:.0f}\n"
        f"faults on the wire {sum(proxy.faults.values())} of {sum(proxy.requests.values())} requests "
        f"{dict(proxy.faults)}, tasks swallowed {proxy.swallowed}\n"
        f"faults of processes {sum(chaos.done.values())} {dict(chaos.done)}, "
        f"worker starts {[worker.starts for worker in workers]}, orphaned pools {orphans}"
    )
    assert figures.wrong == []
    # An attempt that began is reported or given back to the state machine, never begun again behind its back.
    assert [key for key, number in began.items() if number > 1] == []
    assert idle
    assert codes == [0, 0]
    assert orphans == 0
    for worker in workers:
        assert [alarm for alarm in ALARMS if alarm in worker.log] == [], worker.log_path


def _busy(journal: Path) -> set[int]:
    """Processes whose last word in the journal is the start of a task."""
    last: dict[int, str] = {}
    if journal.exists():
        for line in journal.read_text().splitlines()[-50:]:
            what, *_, pid, _ = json.loads(line)
            last[pid] = what
    return {pid for pid, what in last.items() if what == "start"}


def _create_machine(client: Any, server: LocalServer, project: Any) -> str:
    project.app.conf.update(sfn_account=server.engine.account, sfn_region=server.engine.region)
    compiled = compile_canvas(project.CANVAS, project.app.sfn, name="three-steps")
    for name in compiled.activities:
        client.create_activity(name=name)
    return client.create_state_machine(
        name="three-steps", definition=json.dumps(compiled.definition()), roleArn="arn:aws:iam::123456789012:role/test"
    )["stateMachineArn"]


def _load(client: Any, machine: str, moments: Any) -> dict[int, str]:
    begun = time.monotonic()
    executions = {}
    for number, moment in enumerate(moments):
        time.sleep(max(0.0, begun + moment - time.monotonic()))
        started = client.start_execution(stateMachineArn=machine, input=json.dumps({"args": [number]}))
        executions[number] = started["executionArn"]
    return executions


def _running(client: Any, machine: str) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
    return (execution for page in pages for execution in page["executions"])


def _wait(condition: Any, seconds: float, what: Any) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds:.0f} s still not: {what() if callable(what) else what}")
        time.sleep(0.2)


def _wait_until_idle(app: Any, broker: Broker, workers: list[Worker], seconds: float = 30) -> bool:
    """Whether the workers come to hold nothing more: no task, no report."""
    app.conf.broker_url = broker.url
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answers = app.control.inspect(timeout=2)._request("sfn") or {}
        if len(answers) == len(workers) and all(_holds_nothing(answer) for answer in answers.values()):
            return True
        time.sleep(0.5)
    return False


def _holds_nothing(answer: dict[str, Any]) -> bool:
    # One that was started again a moment ago has no ledger yet.
    return "ledger" in answer and not sum(answer["ledger"].values()) + answer["reported"]["pending"]
