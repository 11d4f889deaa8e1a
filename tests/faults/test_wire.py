"""Each fault of the wire on each of the hot calls, one by one: the execution ends, and the log says what happened."""

from __future__ import annotations

import json
import logging
import queue
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from fault_rig.proxy import Proxy
from fault_rig.schedule import PROCESS_FAULTS, TASK_LOSING, WIRE_FAULTS, Schedule, WireFault

from sfini_celery.dataplane import DataPlane
from sfini_celery.local import LocalServer
from sfini_celery.worker.ledger import Job, Ledger, State
from sfini_celery.worker.loop import ActivityPoll, Loop

HEARTBEAT = 3
CALLS = ("GetActivityTask", "SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat")


class Rig:
    """A loop whose one slot doubles a number, behind a proxy that hits the first call of an operation."""

    def __init__(self, server: LocalServer, operation: str, kind: str) -> None:
        self.fault = WireFault(kind, 0.3 if kind in ("delay", "drop") else 0.0)
        self.operation = operation
        self.proxy = Proxy(server.port, lambda op, number: self.fault if op == operation and not number else None)
        self.ledger = Ledger()
        self.inbox: queue.Queue[Job | None] = queue.Queue()
        self.closed: queue.Queue[Job] = queue.Queue()
        self.started = 0
        self.client = boto3.Session().client(
            "stepfunctions", endpoint_url=server.url, region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        self.name = f"{operation}-{kind}".replace("_", "-")
        self.arn = self.client.create_activity(name=self.name)["activityArn"]
        self.loop = Loop(
            connect=self._connect, ledger=self.ledger, activities=[ActivityPoll(self.name, self.arn, 1, HEARTBEAT)],
            worker="worker@test", capacity=lambda: 1 - self.ledger.busy, deliver=self.inbox.put, closed=self.closed.put,
            start_jitter=0.0, rng=random.Random(3),
        )  # fmt: skip
        self.thread = threading.Thread(target=self._work, name="slot")

    def _connect(self) -> DataPlane:
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
        return DataPlane.from_session(session, endpoint_url=self.proxy.url)

    def _work(self) -> None:
        while (job := self.inbox.get()) is not None:
            self.started += 1
            self.ledger.move(job.id, State.RUNNING)
            number = json.loads(job.input)["number"]
            if self.operation == "SendTaskHeartbeat":
                time.sleep(HEARTBEAT * 0.6)
            if self.operation == "SendTaskFailure" and self.started == 1:
                self.loop.report_failure(job, "Unlucky", "the first time is")
            else:
                self.loop.report_success(job, json.dumps(number * 2))

    def __enter__(self) -> Rig:
        self.proxy.__enter__()
        self.thread.start()
        self.loop.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.loop.drain(5)
        self.loop.flush(5)
        self.loop.close()
        self.inbox.put(None)
        self.thread.join(5)
        self.proxy.__exit__()
        self.client.close()

    def run(self) -> dict[str, Any]:
        """One execution, which a task lost or failed does not end."""
        retriers = [{"ErrorEquals": ["States.HeartbeatTimeout", "Unlucky"], "IntervalSeconds": 1, "MaxAttempts": 1}]
        state = {"Type": "Task", "Resource": self.arn, "HeartbeatSeconds": HEARTBEAT, "Retry": retriers, "End": True}
        machine = self.client.create_state_machine(
            name=self.name,
            definition=json.dumps({"StartAt": "Double", "States": {"Double": state}}),
            roleArn="arn:aws:iam::123456789012:role/any",
        )["stateMachineArn"]
        execution = self.client.start_execution(stateMachineArn=machine, input='{"number": 21}')["executionArn"]
        deadline = time.monotonic() + 20
        while (found := self.client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{self.operation} {self.fault.kind}: it did not end"
            time.sleep(0.02)
        assert self.loop.flush(20)
        return found


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.mark.parametrize("operation", CALLS)
def test_no_single_fault_of_the_wire_loses_an_execution_or_has_a_body_run_without_need(
    operation: str, server: LocalServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sfini_celery")
    with ThreadPoolExecutor(len(WIRE_FAULTS)) as threads:  # most of them wait for a time-out
        seen = dict(zip(WIRE_FAULTS, threads.map(lambda kind: _run(server, operation, kind), WIRE_FAULTS), strict=True))
    assert seen == {kind: _promised(operation, kind) for kind in WIRE_FAULTS}
    refused = [record.getMessage() for record in caplog.records if "sfini_report_refused" in record.getMessage()]
    assert len(refused) == sum(each["refused"] for each in seen.values())
    assert "sfini_loop_crashed" not in caplog.text and "Traceback" not in caplog.text


def _run(server: LocalServer, operation: str, kind: str) -> dict[str, Any]:
    with Rig(server, operation, kind) as rig:
        found = rig.run()
        reported = rig.loop.stats()["reported"]
    return {
        "output": (found["status"], found.get("output")),
        "faults": dict(rig.proxy.faults),
        "swallowed": rig.proxy.swallowed,
        "bodies": rig.started,
        "revoked": rig.closed.qsize(),
        "left": len(rig.ledger) + reported["pending"] + reported["abandoned"],
        "settled": reported["settled"],
        "refused": reported["refused"],
    }


def _promised(operation: str, kind: str) -> dict[str, Any]:
    reports, losing = operation in ("SendTaskSuccess", "SendTaskFailure"), kind in TASK_LOSING
    return {
        "output": ("SUCCEEDED", "42"),
        "faults": {kind: 1},
        "swallowed": int(losing and operation == "GetActivityTask"),
        "bodies": 2 if operation == "SendTaskFailure" else 1,  # again only where AWS was told that it failed
        "revoked": 0,
        "left": 0,
        # A report whose answer was lost is told from one that came too late, unless somebody else had sent it.
        "settled": int(reports and losing and kind != "duplicate"),
        "refused": int(reports and kind == "duplicate"),
    }


def test_schedule_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    def told(seed: int) -> tuple[list[Any], list[Any]]:
        schedule = Schedule(seed, heartbeat=4)
        return [schedule.on_wire(call, number) for call in CALLS for number in range(200)], schedule.on_processes(
            60, every=3
        )

    assert told(5) == told(5)
    assert told(5) != told(6)
    wire, processes = told(5)
    assert {fault.kind for fault in wire if fault} == set(WIRE_FAULTS)
    assert {event.kind for event in processes} == set(PROCESS_FAULTS)
    assert [event.at for event in processes] == sorted(event.at for event in processes)
