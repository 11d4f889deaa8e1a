"""Whether Step Functions answers: shared by polls, reports and heartbeats, so that an outage is one line in the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from sfini_celery.errors import ServiceError, Unreachable

__all__ = ["Endpoint", "is_outage", "name_of"]

log = logging.getLogger(__name__)


def is_outage(error: BaseException) -> bool:
    """Whether the endpoint is at fault, rather than the call."""
    return isinstance(error, Unreachable) or (isinstance(error, ServiceError) and error.status >= 500)


def name_of(error: BaseException) -> str:
    """What to call an error in a log line: its code, never its text, which may quote a payload."""
    if isinstance(error, ServiceError):
        return error.code
    return type(error).__name__


class Endpoint:
    """Counts failures without an answer between, says when an outage begins and ends, wakes those who wait for its end.

    Parameters:
        url: for the log
    """

    # Fewer are the noise of any network.
    OUTAGE = 3
    REMINDER = 300.0

    def __init__(self, url: str) -> None:
        self._url = url
        self._failures, self._since, self._said = 0, 0.0, 0.0
        self._back = asyncio.Event()
        self.last_error: str | None = None

    @property
    def out(self) -> bool:
        """Whether there is an outage."""
        return self._failures >= self.OUTAGE

    def heard(self, error: BaseException, now: float) -> None:
        """A call ended with this error: an outage, or an answer like any other."""
        if is_outage(error):
            self.failed(error, now)
        elif isinstance(error, ServiceError):
            self.answered(now)

    def failed(self, error: BaseException, now: float) -> None:
        """A call was not answered, or with a fault of the service."""
        detail = error.detail if isinstance(error, Unreachable) else name_of(error)
        self.last_error = detail
        if not self._failures:
            self._since = now
        self._failures += 1
        if self._failures == self.OUTAGE or (self.out and now - self._said >= self.REMINDER):
            self._said = now
            log.warning(
                "sfini_endpoint_unreachable endpoint=%s seconds=%.1f error=%s; trying again",
                self._url, now - self._since, detail,
            )  # fmt: skip

    def answered(self, now: float) -> None:
        """A call was answered, be it with a refusal."""
        if not self._failures:
            return
        if self.out:
            log.warning("sfini_endpoint_back endpoint=%s seconds=%.1f", self._url, now - self._since)
            self._back.set()
            self._back.clear()
        self._failures = 0

    async def pause(self, seconds: float) -> None:
        """Sleep, but not longer than an outage lasts."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._back.wait(), seconds)
