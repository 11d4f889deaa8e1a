"""A task token is worth as much as the task: whoever has it can answer. It is nowhere but in memory and on the wire."""

from __future__ import annotations

import base64
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import celery
import pytest
import redis
from fault_rig.processes import Broker, Worker
from fault_rig.proxy import Proxy
from fault_rig.schedule import Schedule

from sfini_celery.local import LocalServer

ENDINGS: dict[str, Any] = {
    "tells": {"value": 1},
    "fails": {"value": 2},
    "not_json": {},
    "unpicklable": {},
    "ignores": {},
    "rejects": {},
    "exhausts": {},
    "dies": {},
    "overruns": {},
    "sleeps": {"seconds": 60},
    "seldom": {"value": 3},
}
ONLY_ON = {"dies": "prefork", "overruns": "prefork"}
INSPECTIONS = ("active", "reserved", "scheduled", "stats", "revoked", "registered", "report", "conf", "sfn")


class Events(threading.Thread):
    """Receives every event of the workers, from construction to :meth:`end`."""

    def __init__(self, app: Any) -> None:
        super().__init__(name="events", daemon=True)
        self.seen: list[str] = []
        self._app, self._end = app, threading.Event()
        self.start()

    def run(self) -> None:
        with self._app.connection() as connection:
            receiver = self._app.events.Receiver(
                connection, handlers={"*": lambda event: self.seen.append(json.dumps(event, default=repr))}
            )
            while not self._end.is_set():
                try:
                    for _ in receiver.itercapture(limit=None, timeout=0.5, wakeup=True):
                        if self._end.is_set():
                            break
                except TimeoutError:
                    continue

    def end(self) -> str:
        self._end.set()
        self.join(10)
        return "\n".join(self.seen)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_no_task_token_is_in_logs_events_inspections_results_or_the_broker(
    pool: str, server: LocalServer, broker: Broker, tmp_path: Path
) -> None:
    import fault_rig.talkative as talkative

    client = boto3.Session().client(
        "stepfunctions", endpoint_url=server.url, region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    conf = {
        "broker_url": broker.url, "result_backend": broker.url.replace("/0", "/1"), "result_extended": True,
        "worker_send_task_events": True, "task_send_sent_event": True, "task_track_started": True, "sfn_polls": 1,
        "task_store_errors_even_if_ignored": True,
    }  # fmt: skip
    app = celery.Celery("asks", set_as_current=False)
    app.conf.update(conf)
    schedule = Schedule(int(os.environ.get("SFINI_FAULT_SEED", "1")), heartbeat=3, losing=0.0)
    with Proxy(server.port, schedule.on_wire) as proxy:
        environment = {
            **server.environment(), "AWS_ENDPOINT_URL": proxy.url, "PYTHONASYNCIODEBUG": "1", "PYTHONDEVMODE": "1",
        }  # fmt: skip
        worker = Worker(
            "talkative", tmp_path, app="fault_rig.talkative", pool=pool, environment=environment, conf=conf,
            level="DEBUG", args=("-E",),
        )  # fmt: skip
        events = Events(app)
        try:
            _until(lambda: "sfini_serving" in worker.log, 60, "a worker that polls")
            chosen = {name: input for name, input in ENDINGS.items() if ONLY_ON.get(name, pool) == pool}
            running = {name: _start(client, name, input) for name, input in chosen.items()}
            more = [_start(client, "seldom", {"value": 4}), _start(client, "sleeps", {"seconds": 60})]
            secret = [_start(client, "hashes", {"password": talkative.PASSWORD})]
            answers = [_inspect(app)]
            _until(lambda: len(_ids_of(worker, "sleeps")) == 2, 30, "both sleepers taken")
            answers.append(_inspect(app))
            client.stop_execution(executionArn=running["sleeps"])
            app.control.revoke(_ids_of(worker, "sleeps")[-1], terminate=pool == "prefork")
            client.stop_execution(executionArn=more[0])
            _until(lambda: "sfini_task_closed" in worker.log, 30, "a closed token noticed")
            ending = [arn for name, arn in running.items() if name not in ("sleeps", "seldom")] + secret
            _until(lambda: not any(_is_running(client, arn) for arn in ending), 60, "the executions' end")
            answers.append(_inspect(app))
            stored = _stored(broker)
            worker.stop(40 if pool == "prefork" else 5)  # threads cannot be stopped: the sleeper sleeps on
        finally:
            worker.stop(0)
            heard = events.end()
        seen = {
            "log": worker.log, "events": heard, "inspect": "\n".join(answers), "redis": stored,
        }  # fmt: skip
        assert len(proxy.tokens) >= len(chosen)
    # What was searched is what it should be: all the sources had much to say.
    assert "sfini_report_" in seen["log"] and "DEBUG" in seen["log"] and "Traceback" in seen["log"]
    assert '"task-failed"' in seen["events"] and "talkative.sleeps" in seen["inspect"]
    assert "celery-task-meta-" in seen["redis"] and "talkative.tells" in seen["redis"]
    for where, text in seen.items():
        text += "\n".join(_decoded(text))
        for token in proxy.tokens:
            for piece in (token, token[:16], token[-17:-1], token[30:46]):
                assert piece not in text, f"{pool}: a token is in the {where}: {_around(text, piece)}"
        assert talkative.PASSWORD not in text, f"{pool}: the {where} knows: {_around(text, talkative.PASSWORD)}"


def _start(client: Any, name: str, input: Any) -> str:
    activity = client.create_activity(name=f"fault_rig.talkative.{name}")["activityArn"]
    state = {"Type": "Task", "Resource": activity, "HeartbeatSeconds": 3, "End": True}
    machine = client.create_state_machine(
        name=name, definition=json.dumps({"StartAt": "Work", "States": {"Work": state}}),
        roleArn="arn:aws:iam::123456789012:role/any",
    )["stateMachineArn"]  # fmt: skip
    return client.start_execution(stateMachineArn=machine, input=json.dumps(input))["executionArn"]


def _is_running(client: Any, arn: str) -> bool:
    return client.describe_execution(executionArn=arn)["status"] == "RUNNING"


def _inspect(app: Any) -> str:
    """All that a worker says of itself."""
    inspect = app.control.inspect(["talkative@faults"], timeout=10)  # with a destination it returns at its answer
    return json.dumps({name: inspect._request(name) for name in INSPECTIONS}, default=repr)


def _ids_of(worker: Worker, task: str) -> list[str]:
    return re.findall(rf"{task}\[([0-9a-f-]{{36}})\] received", worker.log)


def _stored(broker: Broker) -> str:
    """Every value of every key in Redis: messages, results."""
    seen = []
    for number in (0, 1):
        client = redis.Redis.from_url(broker.url.replace("/0", f"/{number}"))
        for key in client.scan_iter("*"):
            name, args = READ[client.type(key)]
            seen.append(f"{key!r}: {getattr(client, name)(key, *args)!r}")
        client.close()
    return "\n".join(seen)


READ: dict[bytes, tuple[str, tuple[int, ...]]] = {
    b"string": ("get", ()),
    b"hash": ("hgetall", ()),
    b"set": ("smembers", ()),
    b"list": ("lrange", (0, -1)),
    b"zset": ("zrange", (0, -1)),
}


def _decoded(text: str) -> Iterator[str]:
    """What is written in base64: the bodies of messages."""
    for run in re.findall(r"(?:[A-Za-z0-9+/]{4}){10,}", text):
        yield base64.b64decode(run).decode(errors="replace")


def _around(text: str, piece: str) -> str:
    where = text.index(piece)
    return repr(text[max(0, where - 200) : where + 100].replace(piece, "..."))


def _until(condition: Any, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.1)
