"""What the embedded server costs: run ``python tests/benchmarks/local_server.py``, read the figures.

Nothing here passes or fails. The server runs in a process of its own, the client is plain aiohttp.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

ROLE = "arn:aws:iam::123456789012:role/benchmark"
SERVER = "from sfini_celery.local import serve; serve(on_ready=lambda url: print(url, flush=True))"


class Client:
    """The least client that works."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def __call__(self, operation: str, **request: Any) -> dict[str, Any]:
        headers = {"X-Amz-Target": f"AWSStepFunctions.{operation}", "Content-Type": "application/x-amz-json-1.0"}
        async with self.session.post(self.url, data=json.dumps(request), headers=headers) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            if response.status != 200:
                raise RuntimeError(answer)
            return answer


async def health(call: Client) -> dict[str, int]:
    """What the server says of itself."""
    async with call.session.get(call.url) as response:
        found: dict[str, int] = await response.json()
        return found


async def register(call: Client, name: str, state: dict[str, Any]) -> str:
    definition = {"StartAt": "A", "States": {"A": {**state, "End": True}}}
    created = await call("CreateStateMachine", name=name, definition=json.dumps(definition), roleArn=ROLE)
    return str(created["stateMachineArn"])


async def work(call: Client, activity: str, tasks: int) -> None:
    while tasks > 0:
        task = await call("GetActivityTask", activityArn=activity)
        if task["taskToken"]:
            tasks -= 1
            await call("SendTaskSuccess", taskToken=task["taskToken"], output="1")


async def finished(call: Client, execution: str) -> None:
    while (await call("DescribeExecution", executionArn=execution))["status"] == "RUNNING":
        await asyncio.sleep(0.001)


async def round_trips(call: Client, activity: str, count: int = 500) -> None:
    """From an open poll to the answer taken: scheduled, handed over, answered."""
    machine = await register(call, "one", {"Type": "Task", "Resource": activity})
    times = []
    for _ in range(count):
        poll = asyncio.create_task(work(call, activity, 1))
        await asyncio.sleep(0)
        begin = time.perf_counter()
        await call("StartExecution", stateMachineArn=machine)
        await poll
        times.append((time.perf_counter() - begin) * 1000)
    print(
        f"start, poll, answer: median {statistics.median(times):.2f} ms, 99 % {sorted(times)[count * 99 // 100]:.2f} ms"
    )


async def fan_out(call: Client, activity: str, items: int = 1000, workers: int = 20) -> None:
    """An inline Map of activity tasks."""
    inner = {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": activity, "End": True}}}
    machine = await register(call, "map", {"Type": "Map", "ItemProcessor": inner})
    begin = time.perf_counter()
    started = await call("StartExecution", stateMachineArn=machine, input=json.dumps(list(range(items))))
    share, extra = divmod(items, workers)
    await asyncio.gather(*(work(call, activity, share + (index < extra)) for index in range(workers)))
    await finished(call, started["executionArn"])
    seconds = time.perf_counter() - begin
    print(f"a Map of {items} tasks, {workers} workers: {seconds:.2f} s, {items / seconds:.0f} tasks/s")


async def children(call: Client, activity: str, process: int, items: int = 10_000, workers: int = 20) -> None:
    """A distributed Map of activity tasks: all its children wait at once, then workers take them."""
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    task = {"Type": "Task", "Resource": activity, "HeartbeatSeconds": 60, "End": True}
    processor = {"ProcessorConfig": config, "StartAt": "T", "States": {"T": task}}
    machine = await register(call, "children", {"Type": "Map", "ItemProcessor": processor})
    before, used, begin = resident(process), processor_time(process), time.perf_counter()
    started = await call("StartExecution", stateMachineArn=machine, input=json.dumps(list(range(items))))
    while (await health(call))["waitingTasks"] < items:
        await asyncio.sleep(0.1)
    waiting, grown = time.perf_counter() - begin, resident(process) - before
    print(f"{items} children of a Map wait after {waiting:.1f} s and hold {grown / 1024:.0f} MB in all")
    share, extra = divmod(items, workers)
    await asyncio.gather(*(work(call, activity, share + (index < extra)) for index in range(workers)))
    await finished(call, started["executionArn"])
    seconds, spent = time.perf_counter() - begin, processor_time(process) - used
    print(f"they were done after {seconds:.1f} s, {spent:.1f} s of the server's processor time", end="; ")
    print(f"their histories are in {(resident(process) - before) / 1024:.0f} MB")


async def waiting(call: Client, activity: str, process: int, count: int = 1000) -> None:
    """Executions that wait for a worker who does not come."""
    machine = await register(call, "many", {"Type": "Task", "Resource": activity, "HeartbeatSeconds": 60})
    before, begin = resident(process), time.perf_counter()
    for _ in range(count):
        await call("StartExecution", stateMachineArn=machine, input='{"order": 17, "lines": [1, 2, 3]}')
    seconds, grown = time.perf_counter() - begin, resident(process) - before
    print(f"{count} executions started in {seconds:.2f} s; waiting, they hold {grown / 1024:.1f} MB in all")


async def idle_polls(call: Client, activity: str, process: int, count: int = 500) -> None:
    """Open polls of an activity without tasks."""
    before = resident(process)
    polls = [asyncio.create_task(call("GetActivityTask", activityArn=activity)) for _ in range(count)]
    await asyncio.sleep(1.5)
    print(f"{count} open polls hold {(resident(process) - before) / 1024:.1f} MB in all")
    for poll in polls:
        poll.cancel()
    await asyncio.gather(*polls, return_exceptions=True)


def resident(process: int) -> int:
    """A process's resident memory in KiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def processor_time(process: int) -> float:
    """What a process has used of the processor, in seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def main() -> None:
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        url = server.stdout.readline().strip()
        print(f"server at {url}, {resident(server.pid) / 1024:.0f} MB at rest")
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            call = Client(session, url)
            activities = [(await call("CreateActivity", name=f"a{number}"))["activityArn"] for number in range(5)]
            await round_trips(call, activities[0])
            before = processor_time(server.pid)
            await fan_out(call, activities[1])
            print(f"the server spent {processor_time(server.pid) - before:.2f} s of processor time on that")
            await waiting(call, activities[2], server.pid)
            await idle_polls(call, activities[3], server.pid)
            await children(call, activities[4], server.pid)
    finally:
        server.terminate()
        print(f"stopped with exit code {server.wait(10)}")


if __name__ == "__main__":
    asyncio.run(main())
