"""A proxy in front of the embedded server that misbehaves as a network and a service do, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from fault_rig.schedule import TASK_LOSING, WireFault

__all__ = ["Proxy"]

_LIMIT = 4 * 1024 * 1024
_Decide = Callable[[str, int], WireFault | None]


class _Gone(Exception):
    """The client's connection is over, by the client's will or by ours."""


class Proxy:
    """Passes requests on, most of them.

    Parameters:
        port: of the server behind it, on loopback
        decide: gets an operation and how many requests of it came before; what happens to this one

    Attributes:
        requests: how many of each operation came
        faults: how many of each kind were done
        swallowed: answers with a task in them that never reached the worker
        tokens: every task token that the server gave out
    """

    def __init__(self, port: int, decide: _Decide = lambda operation, number: None) -> None:
        self._upstream, self.decide = port, decide
        self.requests: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.swallowed = 0
        self.tokens: set[str] = set()
        self.port = 0
        self._down = False
        self._clients: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._up = threading.Event()
        self._end: asyncio.Event | None = None
        # Owned by this object; runs the proxy's event loop from start to stop.
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fault-proxy", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._loop is not None and self._end is not None
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def outage(self, on: bool) -> None:
        """Reset every connection there is, and every one that is tried, until told otherwise."""
        assert self._loop is not None
        done = threading.Event()

        def switch() -> None:
            self._down = on
            for writer in list(self._clients) if on else ():
                _reset(writer)
            done.set()

        self._loop.call_soon_threadsafe(switch)
        assert done.wait(10)

    # -- the proxy's thread

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, limit=_LIMIT, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._end.wait()
        server.close()
        for writer in list(self._clients):
            _reset(writer)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._down:
            _reset(writer)
            return
        self._clients.add(writer)
        try:
            while True:
                request, operation = await _read_request(reader)
                number = self.requests[operation]
                self.requests[operation] += 1
                fault = self.decide(operation, number)
                if fault is not None:
                    self.faults[fault.kind] += 1
                await self._answer(request, operation, fault, reader, writer)
        except (_Gone, asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass  # the connection is over; or the proxy is, and asyncio would complain of a cancelled handler
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _answer(
        self,
        request: bytes,
        operation: str,
        fault: WireFault | None,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        kind = fault.kind if fault else ""
        if fault and fault.seconds:
            await asyncio.sleep(fault.seconds)
        if kind == "reset":
            _reset(writer)
            raise _Gone
        if kind == "drop":
            raise _Gone
        if kind == "throttle":
            await self._say(writer, 400, "ThrottlingException", "Rate exceeded")
            return
        if kind == "error":
            await self._say(writer, 500, "InternalServerError", "We encountered an internal error")
            return
        again = asyncio.ensure_future(self._forward(request)) if kind == "duplicate" else None
        if again is not None:
            await asyncio.wait({again}, timeout=0.05)  # so that it comes first
        try:
            answer = await self._while_connected(self._forward(request), reader, operation)
        finally:
            if again is not None:
                await self._lose(again)
        lost = kind in TASK_LOSING - {"duplicate"}
        self._note(answer, lost=lost)
        if kind == "reset_after":
            _reset(writer)
            raise _Gone
        if kind == "error_after":
            await self._say(writer, 500, "InternalServerError", "We encountered an internal error")
            return
        writer.write(answer[: len(answer) - 5] if kind == "cut" else answer)
        await writer.drain()
        if kind == "cut":
            raise _Gone

    async def _while_connected(self, forward: Any, reader: asyncio.StreamReader, operation: str) -> bytes:
        """The answer, unless the client hangs up first: then the server must see it, as it would without a proxy."""
        answer = asyncio.ensure_future(forward)
        hung_up = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({answer, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                raise _Gone
            if hung_up.done():
                self._note(answer.result(), lost=True)
                raise _Gone
            return answer.result()
        finally:
            for task in (answer, hung_up):
                task.cancel()
            await asyncio.gather(answer, hung_up, return_exceptions=True)

    async def _lose(self, again: asyncio.Future[bytes]) -> None:
        again.cancel()  # a poll without a task, by now; anything else was answered
        with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError, OSError):
            self._note(await again, lost=True)

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream, limit=_LIMIT)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            return head + await reader.readexactly(_content_length(head))
        finally:
            writer.close()

    def _note(self, answer: bytes, *, lost: bool) -> None:
        body = answer.partition(b"\r\n\r\n")[2]
        if b'"taskToken"' in body and (token := json.loads(body).get("taskToken")):
            self.tokens.add(token)
            self.swallowed += lost

    async def _say(self, writer: asyncio.StreamWriter, status: int, code: str, message: str) -> None:
        body = json.dumps({"__type": code, "message": message}).encode()
        head = f"HTTP/1.1 {status} Fault\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}"
        writer.write(f"{head}\r\n\r\n".encode() + body)
        await writer.drain()


async def _read_request(reader: asyncio.StreamReader) -> tuple[bytes, str]:
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(_content_length(head))
    target = next((line for line in head.split(b"\r\n") if line.lower().startswith(b"x-amz-target:")), b"")
    return head + body, target.rpartition(b".")[2].strip().decode() or "other"


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # closed by the other side in this moment
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
