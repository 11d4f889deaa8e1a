"""Outcomes on their way to AWS: tried until AWS takes them, refuses the token, or the deadline is past.

A report is never dropped because the network was down. A try whose answer was lost may have been applied: the refusal
that follows then says that the report is in, not that it came too late.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from sfini_celery.dataplane import DataPlane
from sfini_celery.errors import AccessDenied, Ending, NoCredentials, ServiceError, TokenClosed, Unreachable
from sfini_celery.worker.endpoint import Endpoint, is_outage, name_of
from sfini_celery.worker.ledger import Job
from sfini_celery.worker.pace import Backoff, Sayings

__all__ = ["LONGEST_CAUSE", "LONGEST_ERROR", "LONGEST_OUTPUT", "Report", "Reports"]

log = logging.getLogger(__name__)

# Source: the API reference of SendTaskFailure, and "Quotas" in the developer guide.
LONGEST_ERROR = 256
LONGEST_CAUSE = 32_768
LONGEST_OUTPUT = 262_144

_CUT = "[...] "
# The content is at fault: it will be refused however often it is sent.
_HOPELESS = frozenset({"InvalidOutput", "ValidationException", "SerializationException"})


@dataclass(frozen=True)
class Report:
    """The outcome of a job; ``error`` is None for a success. Neither output nor cause is in the repr."""

    job: Job
    output: str
    error: str | None = None
    cause: str = ""

    def __repr__(self) -> str:
        return f"<Report {self.job.id} {self.error or 'success'}>"


def success(job: Job, output: str) -> Report:
    """The report of a result, or of the failure that it is too large."""
    # Four bytes are the most a character takes; most outputs need no second look.
    if len(output) * 4 > LONGEST_OUTPUT and (size := len(output.encode("utf-8", "surrogatepass"))) > LONGEST_OUTPUT:
        return failure(
            job,
            Ending.OUTPUT_NOT_SERIALIZABLE,
            f"the result is {size} bytes of JSON, and Step Functions allows {LONGEST_OUTPUT}:"
            " return less, or keep the data in S3 and return its key",
        )
    return Report(job, output)


def failure(job: Job, error: str, cause: str) -> Report:
    """The report of a failure, cut to what the API allows, keeping the end of the cause: a traceback ends with why."""
    if len(cause) > LONGEST_CAUSE:
        cause = _CUT + cause[len(_CUT) - LONGEST_CAUSE :]
    return Report(job, "", str(error)[:LONGEST_ERROR], cause)


class Reports:
    """Delivers reports on the running loop.

    Parameters:
        plane: the open data plane
        endpoint: shared with polls and heartbeats
        deadline: seconds until a report is given up
        done: called when a report was delivered or given up
        rng: where the randomness comes from
        at_once: calls under way at once
    """

    def __init__(
        self,
        *,
        plane: DataPlane,
        endpoint: Endpoint,
        deadline: float,
        done: Callable[[Report], None],
        rng: random.Random,
        at_once: int = 48,
    ) -> None:
        self._plane, self._endpoint, self._deadline, self._done, self._rng = plane, endpoint, deadline, done, rng
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(at_once)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sayings = Sayings()
        # succeeded, failed, settled, refused, abandoned
        self.counts: Counter[str] = Counter()

    def submit(self, report: Report) -> None:
        """Deliver a report, some time."""
        task = asyncio.ensure_future(self._deliver(report))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def abandon(self) -> int:
        """Give up what is still on its way; how many there were."""
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        return len(tasks)

    async def _deliver(self, report: Report) -> None:
        end = "abandoned"
        try:
            end = await self._insist(report)
        finally:
            self.counts[end] += 1
            self._done(report)

    async def _insist(self, report: Report) -> str:
        job = report.job
        deadline = self._loop.time() + self._deadline
        backoff = Backoff(0.2, 20.0, self._rng)
        maybe_in = False
        while True:
            try:
                async with self._slots:
                    await self._send(report)
            except TokenClosed as exc:
                self._endpoint.answered(self._loop.time())
                if maybe_in:
                    log.info("sfini_report_settled id=%s activity=%s; an earlier try was taken", job.id, job.activity)
                    return "settled"
                log.warning(
                    "sfini_report_refused id=%s activity=%s code=%s; nobody waits for it any more",
                    job.id, job.activity, exc.code,
                )  # fmt: skip
                return "refused"
            except Exception as exc:
                if isinstance(exc, ServiceError) and exc.code in _HOPELESS:
                    self._endpoint.answered(self._loop.time())
                    if report.error == Ending.OUTPUT_NOT_SERIALIZABLE:
                        log.error("sfini_report_given_up id=%s activity=%s code=%s", job.id, job.activity, exc.code)
                        return "abandoned"
                    report = _unsendable(report, exc)
                    continue
                maybe_in = maybe_in or _may_be_in(exc)
                wait = backoff.next()
                if not self._goes_on(job, exc, wait, deadline):
                    return "abandoned"
                await self._endpoint.pause(wait)
            else:
                self._endpoint.answered(self._loop.time())
                self._sayings.over("denied")
                return "failed" if report.error is not None else "succeeded"

    async def _send(self, report: Report) -> None:
        token = report.job.token.reveal()
        if report.error is None:
            await self._plane.send_success(token, report.output)
        else:
            await self._plane.send_failure(token, report.error, report.cause)

    def _goes_on(self, job: Job, error: Exception, wait: float, deadline: float) -> bool:
        now = self._loop.time()
        self._endpoint.heard(error, now)
        if isinstance(error, (AccessDenied, NoCredentials)):
            if self._sayings.due("denied", now):
                log.error("sfini_report_denied activity=%s error=%s; trying again", job.activity, name_of(error))
        elif not isinstance(error, (ServiceError, Unreachable)):
            log.error("sfini_report_failed id=%s activity=%s", job.id, job.activity, exc_info=error)
        if now + wait <= deadline:
            return True
        log.error(
            "sfini_report_given_up id=%s activity=%s seconds=%.0f error=%s; the state machine waits for its time-out",
            job.id, job.activity, self._deadline, name_of(error),
        )  # fmt: skip
        return False


def _unsendable(report: Report, error: ServiceError) -> Report:
    what = "result" if report.error is None else "failure"
    log.warning("sfini_report_unsendable id=%s activity=%s code=%s", report.job.id, report.job.activity, error.code)
    return replace(
        report,
        output="",
        error=str(Ending.OUTPUT_NOT_SERIALIZABLE),
        cause=f"Step Functions refused the task's {what} with {error.code}: it is not JSON as the API takes it",
    )


def _may_be_in(error: Exception) -> bool:
    return error.sent if isinstance(error, Unreachable) else is_outage(error)
