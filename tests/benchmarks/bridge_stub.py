"""A Step Functions that costs next to nothing: hands out as many tasks as it is told to, and counts the reports.

    python tests/benchmarks/bridge_stub.py TEMPLATE    # a file with a task's input; prints its port

``Bench.Burst {"tasks": n}`` makes n tasks available at once. ``Bench.Drip {"tasks": n, "rate": r}`` makes r a second
available, each input carrying the moment. ``Bench.Stats {}`` says how far it is, and what the tasks returned.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

HOLD = 60.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%b"
EMPTY = HEAD % (2, b"{}")


class State:
    """All there is: what waits, who waits, what was reported."""

    def __init__(self, template: bytes) -> None:
        self.template = template
        self.waiting: deque[bytes] = deque()
        self.polls: deque[Stub] = deque()
        self.numbers = 0
        self.dripping: asyncio.Future[None] | None = None
        self.reset()

    def reset(self) -> None:
        self.begun = self.first = self.last = 0.0
        self.handed = self.reported = self.failed = self.polled = self.beats = 0
        self.outputs: list[str] = []

    def offer(self) -> None:
        """One more task."""
        moment = b"%d" % time.monotonic_ns()
        self.numbers += 1
        answer = b'{"taskToken":"AQCEAAAA%064d","input":"%b"}' % (
            self.numbers, self.template.replace(b"MOMENT", moment),
        )  # fmt: skip
        while self.polls:
            poll = self.polls.popleft()
            if poll.is_waiting:
                poll.give(answer)
                return
        self.waiting.append(answer)

    def stats(self) -> dict[str, Any]:
        return {
            "handed": self.handed, "reported": self.reported, "failed": self.failed, "polled": self.polled,
            "beats": self.beats, "seconds": self.last - self.begun, "waiting": len(self.waiting),
            "polls": sum(poll.is_waiting for poll in self.polls), "outputs": self.outputs,
        }  # fmt: skip


class Stub(asyncio.Protocol):
    """One connection."""

    state: State

    def connection_made(self, transport: Any) -> None:
        self.transport, self.data, self.is_waiting = transport, b"", False
        self.timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_waiting = False

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end].lower()
            size = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self.data) < end + 4 + size:
                return
            body, self.data = self.data[end + 4 : end + 4 + size], self.data[end + 4 + size :]
            self.call(head, body)

    def call(self, head: bytes, body: bytes) -> None:
        state = self.state
        if b"getactivitytask" in head:
            state.polled += 1
            wanted = b".nothing" in body
            if wanted and state.waiting:
                self.give(state.waiting.popleft())
                return
            self.is_waiting = True
            self.timer = asyncio.get_running_loop().call_later(HOLD, self.give, None)
            if wanted:
                state.polls.append(self)
            return
        if b"sendtasksuccess" in head:
            state.reported += 1
            state.last = time.monotonic()
            if len(state.outputs) < 100_000:
                state.outputs.append(json.loads(body)["output"])
        elif b"sendtaskfailure" in head:
            state.failed += 1
            print(body.decode()[:2000], file=sys.stderr, flush=True)
        elif b"sendtaskheartbeat" in head:
            state.beats += 1
        elif b"bench.burst" in head:
            state.reset()
            state.begun = time.monotonic()
            for _ in range(json.loads(body)["tasks"]):
                state.offer()
        elif b"bench.drip" in head:
            state.reset()
            state.begun = time.monotonic()
            state.dripping = asyncio.ensure_future(drip(state, **json.loads(body)))
        elif b"bench.stats" in head:
            answer = json.dumps(state.stats()).encode()
            self.transport.write(HEAD % (len(answer), answer))
            return
        self.transport.write(EMPTY)

    def give(self, answer: bytes | None) -> None:
        self.is_waiting = False
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        if answer is not None:
            self.state.handed += 1
        self.transport.write(EMPTY if answer is None else HEAD % (len(answer), answer))


async def drip(state: State, *, tasks: int, rate: float) -> None:
    begun = time.monotonic()
    for number in range(tasks):
        if (wait := begun + number / rate - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        state.offer()


async def main() -> None:
    Stub.state = State(json.dumps(Path(sys.argv[1]).read_text())[1:-1].encode())
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
