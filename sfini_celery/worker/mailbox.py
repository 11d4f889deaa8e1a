"""Calls for the consumer's thread, posted from any other.

Celery has two loops, and which one runs depends on the environment, the transport and the system, not on the pool.
Under the hub (Redis, RabbitMQ) strategies must be called from the hub's own thread, since its mutexes are dummies; a
pipe wakes it. The synchronous loop (gevent, ``filesystem://``, ``memory://``) sleeps up to two seconds in
``drain_events``; there the call is cut into slices with the posted calls run between them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from celery.utils.log import get_logger
from celery.worker import state

__all__ = ["Mailbox"]

logger = get_logger(__name__)

SLICE = 0.1  # seconds


class Mailbox:
    """Calls waiting for the consumer's thread.

    :meth:`post` may be called from any thread, everything else belongs to the consumer's.
    """

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._posted = threading.Event()
        self._pipe: tuple[int, int] | None = None
        self._hub: Any = None

    def post(self, call: Callable[..., object], *args: Any) -> None:
        """Have ``call(*args)`` made in the consumer's thread, soon."""
        self._calls.append((call, args))
        if not self._posted.is_set():
            self._posted.set()
            self._wake()

    def _wake(self) -> None:
        if (pipe := self._pipe) is not None:
            with contextlib.suppress(OSError):  # full: it will wake anyway; closed: nobody is left to wake
                os.write(pipe[1], b"\0")

    def run(self) -> None:
        """Make the calls that were posted before this one; those that they post come next time."""
        self._posted.clear()
        for _ in range(len(self._calls)):
            try:
                call, args = self._calls.popleft()
            except IndexError:
                return
            try:
                call(*args)
            except Exception:
                logger.exception("sfini_call_failed: %s", getattr(call, "__qualname__", call))

    # -- the hub

    def attach_hub(self, hub: Any) -> None:
        """Wake this hub; again after every reconnect, which wipes what it listens to."""
        if self._pipe is None:
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            os.set_blocking(writer, False)
            self._pipe = reader, writer
        self._hub = hub
        hub.add_reader(self._pipe[0], self._on_readable)
        self._wake()  # for what was posted while nothing listened

    def _on_readable(self) -> None:
        if self._pipe is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self._pipe[0], 4096)
        self.run()

    # -- the synchronous loop

    def attach_connection(self, connection: Any) -> None:
        """Cut ``connection.drain_events`` into slices; again for every new connection."""
        drain = connection.drain_events
        # A transport that polls would sleep out its interval; one that selects on sockets is woken by them.
        polls = getattr(connection.transport, "polling_interval", None) is not None

        def drain_events(timeout: float | None = None, **options: Any) -> Any:
            end = None if timeout is None else time.monotonic() + timeout
            while True:
                self.run()
                try:
                    return drain(timeout=0 if polls else SLICE, **options)
                except TimeoutError:
                    left = SLICE if end is None else end - time.monotonic()
                    if left <= 0 or _asked_to_stop():
                        raise
                    if polls:
                        self._posted.wait(min(left, SLICE))

        connection.drain_events = drain_events

    # -- the end

    def close(self) -> None:
        """Stop waking; what was not called never will be."""
        pipe, self._pipe = self._pipe, None
        if pipe is None:
            return
        if self._hub is not None:
            with contextlib.suppress(Exception):  # a hub that was closed knows none of its readers any more
                self._hub.remove(pipe[0])
        for end in pipe:
            with contextlib.suppress(OSError):
                os.close(end)


def _asked_to_stop() -> bool:
    return any(flag is not None and flag is not False for flag in (state.should_stop, state.should_terminate))
