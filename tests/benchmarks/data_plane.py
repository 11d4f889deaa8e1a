"""What one activity task (a poll and a report) costs in CPU, against boto3 and against the bare signer on aiohttp.

    python tests/benchmarks/data_plane.py [--tasks 1000] [--rounds 5] [--idle 1000]

All clients run in one process, in turn, against a stub server in another one; the figures are the client process's own
CPU time, medians of the rounds. ``--idle N`` opens N polls over TLS instead and measures what they hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import queue
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ARN = "arn:aws:states:us-east-1:123456789012:activity:probe"
KEYS = ("AKIDEXAMPLE", "secret")


# -- the server's process


class Stub(asyncio.Protocol):
    """HTTP with nothing in it that costs; every poll brings a task, or none ever does."""

    numbers = iter(range(10**9))
    idle = False

    def connection_made(self, transport: Any) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self.data) < end + 4 + size:
                return
            self.data = self.data[end + 4 + size :]
            if b"getactivitytask" not in head:
                self.answer(b"{}")
            elif not self.idle:
                self.answer(b'{"taskToken":"AQCEAAAA%064d","input":"{\\"a\\":1}"}' % next(self.numbers))

    def answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(head % len(body) + body)


async def serve(certificate: str | None) -> None:
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        Stub.idle = True
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0, ssl=context, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# -- the clients: each runs ``tasks`` polls and reports


def boto3_client(url: str, tasks: int) -> None:
    import boto3

    client = boto3.client(
        "stepfunctions", endpoint_url=url, region_name="us-east-1",
        aws_access_key_id=KEYS[0], aws_secret_access_key=KEYS[1],
    )  # fmt: skip
    for _ in range(tasks):
        task = client.get_activity_task(activityArn=ARN, workerName="me")
        client.send_task_success(taskToken=task["taskToken"], output="42")
    client.close()


def bare(url: str, tasks: int) -> None:
    """botocore's signer and aiohttp, and nothing that a worker needs."""
    import aiohttp
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import ReadOnlyCredentials

    keys = ReadOnlyCredentials(*KEYS, None)

    async def main() -> None:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

            async def call(operation: str, parameters: dict[str, str]) -> Any:
                body = json.dumps(parameters).encode()
                headers = {
                    "Content-Type": "application/x-amz-json-1.0",
                    "X-Amz-Target": f"AWSStepFunctions.{operation}",
                }
                request = AWSRequest("POST", url + "/", headers, body)
                SigV4Auth(keys, "states", "us-east-1").add_auth(request)
                async with session.post(url + "/", data=body, headers=dict(request.headers.items())) as response:
                    return json.loads(await response.read())

            async def work(number: int) -> None:
                for _ in range(number):
                    task = await call("GetActivityTask", {"activityArn": ARN, "workerName": "me"})
                    await call("SendTaskSuccess", {"taskToken": task["taskToken"], "output": "42"})

            await asyncio.gather(*(work(tasks // 4) for _ in range(4)))

    asyncio.run(main())


def plane(url: str, tasks: int) -> None:
    """Our data plane alone."""

    async def main() -> None:
        async with data_plane(url) as plane:

            async def work(number: int) -> None:
                for _ in range(number):
                    task = await plane.get_activity_task(ARN, "me")
                    await plane.send_success(task.token, "42")

            await asyncio.gather(*(work(tasks // 4) for _ in range(4)))

    asyncio.run(main())


def loop(url: str, tasks: int) -> None:
    """The whole: the loop's thread, the ledger, the hand-over to another thread and back, heartbeats armed."""
    from sfini_celery.worker.ledger import Ledger, State
    from sfini_celery.worker.loop import ActivityPoll, Loop

    ledger, inbox, left = Ledger(), queue.Queue(), tasks
    loop = Loop(
        connect=lambda: data_plane(url), ledger=ledger, activities=[ActivityPoll("probe", ARN)], worker="me",
        capacity=lambda: min(8, left) - ledger.busy, deliver=inbox.put, poll_rate=1e6, start_jitter=0,
    )  # fmt: skip
    loop.start()
    while left:
        job = inbox.get(timeout=30)
        ledger.move(job.id, State.RUNNING)
        left -= 1
        loop.report_success(job, "42")
    assert loop.flush(30)
    loop.close()


def data_plane(url: str, **options: Any) -> Any:
    from botocore.credentials import Credentials

    from sfini_celery.dataplane import DataPlane

    return DataPlane(credentials=Credentials(*KEYS), endpoint_url=url, region="us-east-1", **options)


def idle(url: str, polls: int, bundle: str) -> None:
    async def main() -> None:
        async with data_plane(url, verify=bundle, poll_timeout=600) as plane:
            before = rss()
            tasks = []
            for number in range(polls):
                tasks.append(asyncio.ensure_future(plane.get_activity_task(ARN, "me")))
                await asyncio.sleep(0.1 if number % 20 == 19 else 0)  # the worker paces them too
            used, quiet = time.process_time(), 0
            while quiet < 3:  # until every connection has shaken hands
                await asyncio.sleep(0.5)
                now = time.process_time()
                quiet, used = (quiet + 1 if now - used < 0.05 else 0), now
            assert not any(task.done() for task in tasks)
            held, used = rss() - before, time.process_time()
            await asyncio.sleep(5)
            share = (time.process_time() - used) / 5
            print(f"{polls} idle polls over TLS: {held / polls:.1f} KB each, {100 * share:.2f} % of a core")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())


def rss() -> float:
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0])


def measure(url: str, tasks: int, rounds: int) -> None:
    clients: list[Callable[[str, int], None]] = [boto3_client, bare, plane, loop]
    costs: dict[str, list[float]] = {client.__name__: [] for client in clients}
    for turn in range(rounds + 1):
        for client in clients:
            used, begun = time.process_time(), time.perf_counter()
            client(url, tasks if turn else 40)
            if turn:  # the first turn only imports
                costs[client.__name__].append((time.process_time() - used) / tasks * 1000)
                rate = tasks / (time.perf_counter() - begun)
                print(f"  {client.__name__:<13} {costs[client.__name__][-1]:.3f} ms/task {rate:6.0f} tasks/s")
    medians = {name: statistics.median(values) for name, values in costs.items()}
    print(f"\nCPU per activity task (poll + report), medians of {rounds} rounds of {tasks}:")
    for name, value in medians.items():
        against = f"{medians['boto3_client'] / value:5.2f} x cheaper than boto3, {value / medians['bare']:.2f} x bare"
        print(f"  {name:<13} {value:.3f} ms  {against}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=0)
    parser.add_argument("--serve", nargs="?", const="", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20_000)), hard))
    if options.serve is not None:
        asyncio.run(serve(options.serve))
        return
    with tempfile.TemporaryDirectory() as folder:
        command, scheme, bundle = [sys.executable, __file__, "--serve"], "http", f"{folder}/ca.pem"
        if options.idle:
            import trustme

            authority = trustme.CA()
            authority.cert_pem.write_to_path(bundle)
            authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(f"{folder}/server.pem")
            command, scheme = [*command, f"{folder}/server.pem"], "https"
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            url = f"{scheme}://localhost:{int(server.stdout.readline())}"
            if options.idle:
                idle(url, options.idle, bundle)
            else:
                measure(url, options.tasks, options.rounds)
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
    assert threading.active_count() == 1


if __name__ == "__main__":
    main()
