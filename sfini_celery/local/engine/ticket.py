"""A task that somebody works on: what its state waits for, what its token stands for, and its time-outs.

    open --start--> started --succeed, fail, time out--> closed
      `------------------close (stopped, aborted)----------^

A closed ticket stays closed: whatever comes later changes nothing. Tokens are signed, so that one that was handed out
and closed is told from one that never existed without a table of closed ones.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
from collections.abc import Callable
from typing import Any

from sfini_celery.local.clock import Timer
from sfini_celery.local.engine.execution import Frame
from sfini_celery.local.engine.failure import TIMEOUT, Failure, too_large
from sfini_celery.local.engine.payload import Payload, is_too_large

__all__ = ["InvalidToken", "Ticket", "TokenClosed", "Tokens"]


class InvalidToken(Exception):
    """A token that was never handed out here."""


class TokenClosed(Exception):
    """A token whose task was answered, timed out or ended with its execution."""


class Ticket:
    """One attempt of a Task state.

    Parameters:
        frame: whose open state waits for it
        kind: ``Activity``, ``LambdaFunction`` or ``Task``, with which its events' names begin
        head: the details that all its events begin with
        resource: what works on it, for a result that is too large
        timeout, heartbeat: seconds, running from :meth:`start`; None for none

    Attributes:
        timeout, beat_every: those two
        input: what the task gets
        token: what its worker answers with, once there is one
        forget_token: called once, when the token is no good any more
        is_open: whether its state still waits for it
    """

    __slots__ = (
        "_beat",
        "_closing",
        "_frame",
        "_head",
        "_held",
        "_is_held",
        "_kind",
        "_outcome",
        "_resource",
        "_timers",
        "beat_every",
        "forget_token",
        "input",
        "is_open",
        "timeout",
        "token",
    )

    def __init__(
        self,
        frame: Frame,
        kind: str,
        *,
        resource: str,
        head: tuple[str, ...] = (),
        timeout: int | None = None,
        heartbeat: int | None = None,
    ) -> None:
        self._frame, self._kind, self._head, self._resource = frame, kind, head, resource
        self.timeout, self.beat_every = timeout, heartbeat
        self._outcome: asyncio.Future[Payload | Failure] = asyncio.get_running_loop().create_future()
        self._timers: dict[str, Timer] = {}
        self._beat = 0.0
        self._closing: list[Callable[[], object]] = []
        self._is_held = False
        self._held: tuple[str, tuple[Any, ...], Payload | Failure] | None = None
        self.forget_token: Callable[[], object] | None = None
        self.input: Payload | None = None
        self.token: str | None = None
        self.is_open = True

    def __repr__(self) -> str:
        return f"<Ticket {self._kind} {'open' if self.is_open else 'closed'}>"

    def record(self, suffix: str, *details: Any) -> None:
        """Write one of its events down."""
        self._frame.record(self._kind + suffix, *self._head, *details)

    def on_close(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when it closes, however that comes."""
        self._closing.append(callback)

    async def outcome(self) -> Payload:
        """What the task returned; raises its :class:`Failure`."""
        result = await self._outcome
        if isinstance(result, Failure):
            raise result
        return result

    def start(self, *details: Any) -> bool:
        """Somebody works on it now, and its time-outs run. Returns False where it has been closed."""
        if not self.is_open:
            return False
        self.record("Started", *details)
        if self._frame.execution.is_closed:  # that event was one too many
            return False
        clock = self._frame.engine.clock
        self._beat = clock.now()
        if self.timeout is not None:
            self._timers["timeout"] = clock.call_later(self.timeout, self.time_out)
        if self.beat_every is not None:
            self._timers["heartbeat"] = clock.call_later(self.beat_every, self._check_heartbeat)
        return True

    def hold(self) -> None:
        """Keep answers back until :meth:`release`: a service may answer a token before the call that handed it over has
        returned."""
        self._is_held = True

    def release(self, *, drop: bool = False) -> None:
        """Let the answer that was kept back take effect, if there is one; or drop it."""
        held, self._held, self._is_held = self._held, None, False
        if held is not None and not drop:
            self._answer(*held)

    def heartbeat(self) -> None:
        """The task is alive."""
        self._beat = self._frame.engine.clock.now()

    def succeed(self, output: Payload) -> None:
        """The task has returned."""
        if is_too_large(output.text):
            failure = too_large(self._resource)
            self.fail(failure.error, failure.cause)
            return
        self._answer("Succeeded", (output,), output)

    def fail(self, error: str | None, cause: str | None) -> None:
        """The task has failed."""
        self._answer("Failed", (error, cause), Failure(error, cause))

    def time_out(self, *, missed_heartbeat: bool = False) -> None:
        """The task has taken too long, or has not been heard of for too long."""
        self._is_held = False
        self._answer("TimedOut", (TIMEOUT,), Failure(TIMEOUT, missed_heartbeat=missed_heartbeat))

    def close(self) -> None:
        """Nobody waits for it any more."""
        if not self.is_open:
            return
        self.is_open = False
        for timer in self._timers.values():
            timer.cancel()
        self._close_token()
        for callback in self._closing:
            callback()
        self._timers, self._closing = {}, []

    def _answer(self, suffix: str, details: tuple[Any, ...], outcome: Payload | Failure) -> None:
        if not self.is_open:
            return
        if self._is_held:
            self._held = self._held or (suffix, details, outcome)
            self._close_token()
            return
        self.record(suffix, *details)
        self.close()
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    def _close_token(self) -> None:
        if self.forget_token is not None:
            self.forget_token()
            self.forget_token = None

    def _check_heartbeat(self) -> None:
        assert self.beat_every is not None
        clock = self._frame.engine.clock
        left = self._beat + self.beat_every - clock.now()
        if left <= 0:
            self.time_out(missed_heartbeat=True)
        else:
            self._timers["heartbeat"] = clock.call_later(left, self._check_heartbeat)


class Tokens:
    """The open tickets by their tokens."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._open: dict[str, Ticket] = {}

    def __len__(self) -> int:
        return len(self._open)

    def issue(self, ticket: Ticket) -> str:
        """Give a ticket a token, good until it closes."""
        identity = secrets.token_bytes(24)
        token = base64.b64encode(identity + self._sign(identity)).decode()
        ticket.token = token
        self._open[token] = ticket
        ticket.forget_token = lambda: self._open.pop(token, None)
        return token

    def find(self, token: str) -> Ticket:
        """The open ticket of a token.

        Raises:
            InvalidToken: it was never handed out
            TokenClosed: its task is over
        """
        ticket = self._open.get(token)
        if ticket is not None:
            return ticket
        try:
            raw = base64.b64decode(token.encode(), validate=True)
        except ValueError:
            raise InvalidToken from None
        if not hmac.compare_digest(self._sign(raw[:24]), raw[24:]):
            raise InvalidToken
        raise TokenClosed

    def _sign(self, identity: bytes) -> bytes:
        return hmac.digest(self._secret, identity, "sha256")
