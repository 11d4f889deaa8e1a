"""The bridge against Celery's own way: the same worker runs the same tasks from Step Functions and from Redis.

    python tests/benchmarks/bridge.py                         # tasks a second and CPU, prefork and threads
    python tests/benchmarks/bridge.py --latency               # from 'task available' to 'task body starts'
    python tests/benchmarks/bridge.py --memory 200000         # resident memory over so many tasks

Step Functions is a stub in a process of its own, whose ceiling is measured first. Redis is a server of this script's
own. Rounds alternate, so that what else the machine does hits both; figures are medians. CPU is that of the worker's
main process and its children, from /proc.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

HERE = Path(__file__).resolve().parent
TICK = os.sysconf("SC_CLK_TCK")
AT = {
    "execution": "arn:aws:states:us-east-1:123456789012:execution:bench:0d5d8c0c-0b5a-4b0e-9d5c-5b0c1d1ce1e7",
    "name": "0d5d8c0c-0b5a-4b0e-9d5c-5b0c1d1ce1e7", "state": "nothing", "entered": "2026-01-01T00:00:00.000Z",
    "attempt": 0,
}  # fmt: skip
ENVELOPE = {"sfini": 1, "task": "bridge_project.nothing", "args": ["MOMENT"], "kwargs": {}, "at": AT}


class Stub:
    """The server's process, as seen from here."""

    def __init__(self, folder: Path) -> None:
        template = folder / "input.json"
        template.write_text(json.dumps(ENVELOPE).replace('"MOMENT"', "MOMENT"))
        command = [sys.executable, str(HERE / "bridge_stub.py"), str(template)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def call(self, operation: str, **members: Any) -> Any:
        request = urllib.request.Request(
            self.url, data=json.dumps(members).encode(), headers={"X-Amz-Target": f"Bench.{operation}"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def ceiling(self, tasks: int = 20_000, connections: int = 16) -> tuple[float, float]:
        """Tasks a second, and its CPU for each in ms, for clients that send bytes made beforehand and do not look."""
        poll = _request(
            "GetActivityTask",
            {
                "activityArn": "arn:aws:states:us-east-1:123456789012:activity:bridge_project.nothing",
                "workerName": "me",
            },
        )
        report = _request("SendTaskSuccess", {"taskToken": "AQCEAAAA" + "0" * 64, "output": "42"})
        self.call("Burst", tasks=tasks)
        used, begun = _cpu([self.process.pid]), time.monotonic()

        def client() -> None:
            with socket.create_connection(("127.0.0.1", self.port)) as wire:
                for _ in range(tasks // connections):
                    wire.sendall(poll)
                    wire.recv(65536)
                    wire.sendall(report)
                    wire.recv(65536)

        threads = [threading.Thread(target=client) for _ in range(connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begun
        return tasks / seconds, (_cpu([self.process.pid]) - used) / tasks * 1000


def _request(operation: str, members: dict[str, str]) -> bytes:
    body = json.dumps(members)
    return (
        f"POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: AWSStepFunctions.{operation}\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Worker:
    """A Celery worker that serves the activities and a queue in Redis."""

    def __init__(self, folder: Path, stub: Stub, broker: str, pool: str, options: argparse.Namespace) -> None:
        self.queue = f"bench-{pool}"
        conf = {
            "broker_url": broker, "task_default_queue": self.queue, "sfn_account": "123456789012",
            "sfn_region": "us-east-1", "sfn_create_missing_activities": False, "sfn_polls": options.polls,
            "broker_connection_retry_on_startup": True, **dict(options.conf),
        }  # fmt: skip
        keep = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SFN_", "CELERY_"))}
        env = {
            **keep, "PROJECT_CONF": json.dumps(conf), "AWS_ENDPOINT_URL": stub.url, "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [keep.get("PYTHONPATH")])]),
        }  # fmt: skip
        self.log = folder / f"{pool}.log"
        command = [sys.executable, "-m", "celery", "-A", "bridge_project", "worker", "-P", pool, "-n", f"{pool}@bench"]
        command += ["-c", str(options.concurrency), "-l", options.level, "--without-gossip", "--without-mingle"]
        command += ["--without-heartbeat"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, env=env, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while not stub.call("Stats")["polls"]:
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(self.log.read_text())
            time.sleep(0.1)

    def pids(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def rss(self) -> list[int]:
        """Kilobytes: of the main process, and of all its children."""
        sizes = [int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) for pid in self.pids()]
        return [sizes[0], sum(sizes[1:])]

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def _cpu(pids: list[int]) -> float:
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


# -- what is measured


def from_redis(worker: Worker, broker: str, tasks: int) -> tuple[float, float, float]:
    """Tasks a second, CPU milliseconds per task of the main process and of its children."""
    client = redis.Redis.from_url(broker)
    messages = [_message(worker.queue) for _ in range(tasks)]
    before, begun = [_cpu([pid]) for pid in worker.pids()], time.monotonic()
    with client.pipeline(transaction=False) as pipeline:
        for start in range(0, tasks, 1000):
            pipeline.lpush(worker.queue, *messages[start : start + 1000])
        pipeline.execute()
    while client.llen(worker.queue) or client.hlen("unacked"):
        time.sleep(0.005)
    seconds = time.monotonic() - begun
    client.close()
    return _costs(worker, before, tasks, seconds)


def from_step_functions(worker: Worker, stub: Stub, tasks: int) -> tuple[float, float, float]:
    """As :func:`from_redis`."""
    before = [_cpu([pid]) for pid in worker.pids()]
    stub.call("Burst", tasks=tasks)
    while (stats := stub.call("Stats"))["reported"] < tasks:
        if stats["failed"] or worker.process.poll() is not None:
            sys.exit(worker.log.read_text())
        time.sleep(0.1)
    return _costs(worker, before, tasks, stats["seconds"])


def _costs(worker: Worker, before: list[float], tasks: int, seconds: float) -> tuple[float, float, float]:
    time.sleep(0.3)
    used = [_cpu([pid]) - then for pid, then in zip(worker.pids(), before, strict=True)]
    return tasks / seconds, used[0] / tasks * 1000, sum(used[1:]) / tasks * 1000


def _message(queue: str) -> str:
    id, tag = str(uuid.uuid4()), str(uuid.uuid4())
    body = base64.b64encode(json.dumps([[time.monotonic_ns()], {}, {}]).encode()).decode()
    headers = {
        "lang": "py", "task": "bridge_project.nothing", "id": id, "shadow": None, "eta": None, "expires": None,
        "group": None, "group_index": None, "retries": 0, "timelimit": [None, None], "root_id": id, "parent_id": None,
        "argsrepr": "(1,)", "kwargsrepr": "{}", "origin": "bench", "ignore_result": False, "stamps": {},
    }  # fmt: skip
    properties = {
        "correlation_id": id, "reply_to": tag, "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": queue}, "delivery_tag": tag,
    }  # fmt: skip
    return json.dumps({
        "body": body, "content-encoding": "utf-8", "content-type": "application/json", "headers": headers,
        "properties": properties,
    })  # fmt: skip


def throughput(stub: Stub, broker: str, folder: Path, options: argparse.Namespace) -> None:
    rate, cost = stub.ceiling()
    print(f"the stub alone: {rate:.0f} tasks/s for clients in this process, {cost:.3f} ms of its CPU per task\n")
    for pool in options.pools:
        worker = Worker(folder, stub, broker, pool, options)
        try:
            seen: dict[str, list[tuple[float, float, float]]] = {"redis": [], "step functions": []}
            for turn in range(options.rounds + 1):
                tasks = options.tasks if turn else 200  # the first turn only warms up
                native = from_redis(worker, broker, tasks)
                bridge = from_step_functions(worker, stub, tasks)
                if turn:
                    seen["redis"].append(native)
                    seen["step functions"].append(bridge)
            print(f"{pool}, concurrency {options.concurrency}, medians of {options.rounds} rounds of {options.tasks}:")
            medians = {
                name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in seen.items()
            }
            for name, (speed, main, children) in medians.items():
                print(f"  {name:<15} {speed:6.0f} tasks/s  {main:.3f} ms CPU main + {children:.3f} ms pool per task")
            native, bridge = medians["redis"], medians["step functions"]
            print(
                f"  ratio: {bridge[0] / native[0]:.2f} of the tasks/s, {sum(bridge[1:]) / sum(native[1:]):.2f} x CPU\n"
            )
        finally:
            worker.end()


def latency(stub: Stub, broker: str, folder: Path, options: argparse.Namespace) -> None:
    for pool in options.pools:
        worker = Worker(folder, stub, broker, pool, options)
        try:
            for what, tasks, rate in (
                ("idle", 200, 10.0),
                (f"{options.rate:.0f}/s", int(options.rate * 10), options.rate),
            ):
                before = [_cpu([pid]) for pid in worker.pids()]
                stub.call("Drip", tasks=tasks, rate=rate)
                while (stats := stub.call("Stats"))["reported"] < tasks:
                    time.sleep(0.2)
                used = sum(_cpu([pid]) - then for pid, then in zip(worker.pids(), before, strict=True))
                took = sorted(int(output) / 1e6 for output in stats["outputs"])
                print(
                    f"{pool:<8} {what:<6} p50 {took[len(took) // 2]:6.1f} ms  p99 {took[len(took) * 99 // 100]:6.1f} ms"
                    f"  worst {took[-1]:6.1f} ms  ({100 * used / stats['seconds']:.0f} % of a core)"
                )
        finally:
            worker.end()


def memory(stub: Stub, broker: str, folder: Path, options: argparse.Namespace) -> None:
    for pool in options.pools:
        worker = Worker(folder, stub, broker, pool, options)
        try:
            step, done = 2000, 0
            begun = time.monotonic()
            print(f"{pool}: tasks, KB of the main process, KB of its children")
            while done < options.memory and time.monotonic() - begun < options.seconds:
                from_step_functions(worker, stub, step)
                done += step
                main, children = worker.rss()
                print(f"  {done:7} {main:7} {children:7}", flush=True)
        finally:
            worker.end()


@contextmanager
def own_redis(folder: Path) -> Iterator[str]:
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        url = f"redis://127.0.0.1:{port}/0"
        client = redis.Redis.from_url(url)
        deadline = time.monotonic() + 10
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        client.close()
        yield url
    finally:
        server.kill()
        server.wait()


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pools", nargs="+", default=["prefork", "threads"])
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--polls", type=int, default=4)
    parser.add_argument("--tasks", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--level", default="WARNING", help="of the worker's log")
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--rate", type=float, default=400.0, help="tasks a second, for --latency")
    parser.add_argument("--memory", type=int, default=0, metavar="TASKS")
    parser.add_argument("--seconds", type=float, default=180.0, help="at most, for each pool, with --memory")
    parser.add_argument("--conf", type=_setting, action="append", default=[], metavar="NAME=JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, own_redis(folder := Path(name)) as broker:
        stub = Stub(folder)
        try:
            if options.latency:
                latency(stub, broker, folder, options)
            elif options.memory:
                memory(stub, broker, folder, options)
            else:
                throughput(stub, broker, folder, options)
        finally:
            stub.end()


if __name__ == "__main__":
    main()
