"""The bridge's line to AWS: one daemon thread, one asyncio loop, for polls, reports and heartbeats.

Neither the broker nor the pool can block it. It knows nothing of Celery: what it takes it hands to ``deliver``, what
it is told to report it reports. Its owner starts it once and keeps it over every reconnect of the broker.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sfini_celery.dataplane import DataPlane
from sfini_celery.errors import Ending, WorkerError
from sfini_celery.names import LONGEST_NAME, is_valid_name
from sfini_celery.worker import reports, sockets
from sfini_celery.worker.endpoint import Endpoint
from sfini_celery.worker.heartbeats import Heartbeats
from sfini_celery.worker.ledger import Job, Ledger
from sfini_celery.worker.pace import Bucket
from sfini_celery.worker.polls import ActivityPoll, Polls
from sfini_celery.worker.reports import Report, Reports

__all__ = ["ActivityPoll", "Loop"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Parts:
    """What lives on the loop, from the moment the data plane is open."""

    plane: DataPlane
    endpoint: Endpoint
    bucket: Bucket
    polls: Polls
    beats: Heartbeats
    reports: Reports


class Loop:
    """Polls, reports and heartbeats on a thread of their own, named ``sfini-loop``.

    Every method may be called from any thread; those that wait (``drain``, ``flush``, ``close``) not from a callback.
    The callbacks run on the loop's thread and must return at once, except ``missing``.

    Parameters:
        connect: makes the data plane; called once, in a helper thread
        ledger: where tasks are entered when taken; what is in it is beaten for
        activities: to poll
        worker: this worker's name, as AWS shows it
        capacity: free slots now, what is in the ledger already subtracted; asked often
        deliver: gets each job that was taken; if it raises, the job is reported as ``sfini.NotStarted``
        closed: gets a job whose token AWS closed; it is out of the ledger already, ``job.state`` says where it was
        missing: gets the name of an activity that does not exist, in a helper thread; may create it, and returns
            something true when it did
        refused: gets the name of an activity that may not be polled, and the error; polling goes on at a slow pace
        on_late: gets a job that came after :meth:`stop_polling`, instead of its being reported as ``sfini.NotStarted``
        on_crash: gets the exception that ended the thread, on that thread
        poll_rate: polls per second at most that bring no task, all activities together
        report_deadline: seconds until an undeliverable report is given up
        start_jitter: seconds over which the first polls are spread, so that workers started together do not poll as one
        rng: where all randomness comes from
        new_event_loop: makes the asyncio loop; its ``time()`` is the only clock used on the thread

    Example:
        ledger = Ledger()
        loop = Loop(connect=lambda: plane, ledger=ledger, activities=[ActivityPoll("resize", arn)], worker="me",
                    capacity=lambda: 4 - ledger.busy, deliver=inbox.put, closed=lambda job: None)
        loop.start()
        job = inbox.get()
        loop.report_success(job, "42")
        loop.drain(), loop.flush(), loop.close()
    """

    def __init__(
        self,
        *,
        connect: Callable[[], DataPlane],
        ledger: Ledger,
        activities: Iterable[ActivityPoll],
        worker: str,
        capacity: Callable[[], int],
        deliver: Callable[[Job], None],
        closed: Callable[[Job], None] = lambda job: None,
        missing: Callable[[str], object] | None = None,
        refused: Callable[[str, Exception], None] | None = None,
        on_late: Callable[[Job], None] | None = None,
        on_crash: Callable[[BaseException], None] | None = None,
        poll_rate: float = 50.0,
        report_deadline: float = 3600.0,
        start_jitter: float = 0.5,
        rng: random.Random | None = None,
        new_event_loop: Callable[[], asyncio.AbstractEventLoop] = sockets.new_event_loop,
    ) -> None:
        self.activities = tuple(activities)
        self.ledger = ledger
        self.worker = _worker_name(worker)
        self._connect, self._capacity = connect, capacity
        self._deliver, self._closed, self._on_late, self._on_crash = deliver, closed, on_late, on_crash
        self._missing, self._refused = missing, refused
        self._poll_rate, self._report_deadline, self._start_jitter = poll_rate, report_deadline, start_jitter
        self._rng = rng or random.Random()
        self._new_event_loop = new_event_loop

        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._parts: _Parts | None = None
        # Guards what is below, and is notified when a poll ends, a report is done, or the thread ends.
        self._changed = threading.Condition()
        self._inbox: deque[Callable[[_Parts], None]] = deque()
        self._called = False
        self._stopping = self._closing = self._ended = False
        self._pending = self._taken = self._late = 0
        self._end: asyncio.Future[None] | None = None
        self.crashed: BaseException | None = None

    def __repr__(self) -> str:
        return f"<Loop {self.worker} {self.state}>"

    # -- any thread

    @property
    def state(self) -> str:
        """new, running, stopping, closed or crashed."""
        if self.crashed is not None:
            return "crashed"
        if self._ended or self._closing:
            return "closed"
        if self._thread is None:
            return "new"
        return "stopping" if self._stopping else "running"

    @property
    def running(self) -> bool:
        """Whether the thread lives."""
        return self._thread is not None and not self._ended

    @property
    def thread(self) -> threading.Thread | None:
        """The thread, once started."""
        return self._thread

    def start(self) -> None:
        """Start the thread; a second call does nothing. After a prefork pool is up, so that its children have no copy.

        Raises:
            WorkerError: the loop was closed
        """
        with self._changed:
            if self._closing:
                raise WorkerError("this loop was closed; make another one")
            if self._thread is not None:
                return
            sockets.allow(sum(activity.polls for activity in self.activities) + 256)
            self._thread = threading.Thread(target=self._run, name="sfini-loop", daemon=True)
            self._thread.start()

    def wake(self) -> None:
        """Capacity may have grown: look again now. Cheap; there is a look every second anyway."""
        if not self._stopping:
            self._soon(lambda parts: parts.polls.kick())

    def report_success(self, job: Job | str, output: str) -> bool:
        """Report a result, unless the job has ended already.

        Parameters:
            job: the job or its id
            output: JSON text; more than 262,144 bytes become the failure ``sfini.OutputNotSerializable``

        Returns:
            whether this was the first outcome; only that is sent
        """
        return self._report(job, lambda held: reports.success(held, output))

    def report_failure(self, job: Job | str, error: str, cause: str = "") -> bool:
        """Report a failure, unless the job has ended already; whether this was the first outcome.

        Parameters:
            job: the job or its id
            error: its name, cut to 256 characters
            cause: any text, cut to its last 32,768 characters
        """
        return self._report(job, lambda held: reports.failure(held, error, cause))

    def pause(self, activity: str | None = None) -> None:
        """Open no more polls, of one activity or of all. What open polls bring is still delivered."""
        self._pause(activity, paused=True)

    def resume(self, activity: str | None = None) -> None:
        """Open polls again, of one activity or of all."""
        self._pause(activity, paused=False)

    def stop_polling(self) -> None:
        """Open no more polls, for good; a task that an open one still brings is late. Early or twice does no harm."""
        with self._changed:
            if self._stopping:
                return
            self._stopping = True
        self._soon(self._stop_polls)

    def drain(self, timeout: float = 65.0) -> bool:
        """Stop polling and wait until every open poll was answered, which takes up to a minute.

        Parameters:
            timeout: seconds

        Returns:
            whether no poll is open any more
        """
        self.stop_polling()
        self._wait(self._drained, timeout)
        return not self._open_polls()

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until every report was delivered or given up.

        Parameters:
            timeout: seconds

        Returns:
            whether none is pending
        """
        self._wait(lambda: not self._pending, timeout)
        return not self._pending

    def close(self, timeout: float = 5.0) -> None:
        """End the thread; a second call does nothing.

        The order of a shutdown, and why: ``stop_polling()`` first, since a task taken now cannot be run; running tasks
        finish; ``drain()``, since an abandoned poll swallows a task; what is left in the ledger is handed back with
        ``report_failure()``; ``flush()``, since an unsent report is lost; then ``close()``.

        Parameters:
            timeout: seconds to wait for the thread
        """
        self.stop_polling()
        with self._changed:
            self._closing = True
        self._soon(self._finish)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            if thread.is_alive():
                log.error("sfini_loop_hangs seconds=%.0f", timeout)

    def stats(self) -> dict[str, Any]:
        """Figures for ``inspect`` and the log; no token, no payload."""
        parts = self._parts
        lines = list(parts.polls.lines.values()) if parts else []
        counts = dict(parts.reports.counts) if parts else {}
        beats = dict(parts.beats.counts) if parts else {}
        clock = self._loop
        return {
            "state": self.state,
            "polled": sum(line.polled for line in lines),
            "open_polls": self._open_polls(),
            "taken": self._taken,
            "late": self._late,
            "ledger": {str(state): number for state, number in self.ledger.counts().items()},
            "reported": {
                **{end: counts.get(end, 0) for end in ("succeeded", "failed", "settled", "refused", "abandoned")},
                "pending": self._pending,
            },
            "heartbeats": {what: beats.get(what, 0) for what in ("sent", "failed", "closed")},
            "poll_rate": parts.bucket.rate(clock.time()) if parts and clock else self._poll_rate,
            "last_error": parts.endpoint.last_error if parts else None,
            "activities": {
                line.activity.name: {
                    "open_polls": len(line.open),
                    "polled": line.polled,
                    "taken": line.taken,
                    "paused": line.paused,
                    "last_error": line.last_error,
                }
                for line in lines
            },
        }

    # -- from any thread to the loop's

    def _soon(self, call: Callable[[_Parts], None]) -> bool:
        """Have the loop's thread call this; what is asked for before it is ready waits for it."""
        with self._changed:
            if self._ended:
                return False
            self._inbox.append(call)
            loop = self._loop
            if self._called or loop is None:
                return True
            self._called = True
            # One byte wakes the loop however much is in the box.
            loop.call_soon_threadsafe(self._open_inbox)
        return True

    def _report(self, job: Job | str, make: Callable[[Job], Report]) -> bool:
        held = self.ledger.get(job.id if isinstance(job, Job) else job)
        if held is None:
            return False
        # Made first: what cannot be made raises here, and the job can still be reported otherwise.
        report = make(held)
        if self.ledger.pop(held.id) is None:
            return False
        with self._changed:
            self._pending += 1
        if not self._soon(lambda parts: parts.reports.submit(report)):
            with self._changed:
                self._pending -= 1
            log.error("sfini_report_lost id=%s activity=%s; the loop has ended", held.id, held.activity)
        return True

    def _pause(self, activity: str | None, *, paused: bool) -> None:
        if activity is not None and activity not in {poll.name for poll in self.activities}:
            raise WorkerError(f"this worker does not poll an activity {activity!r}")
        self._soon(lambda parts: parts.polls.pause(activity, paused=paused))

    def _wait(self, condition: Callable[[], bool], timeout: float) -> None:
        if threading.current_thread() is self._thread:
            raise WorkerError("a callback of the loop cannot wait for the loop")
        with self._changed:
            self._changed.wait_for(lambda: condition() or self._ended or self._thread is None, timeout)

    def _drained(self) -> bool:
        # Not before the loop itself has seen the stop: it may be opening one more poll right now.
        return self._parts is not None and self._parts.polls.stopped and not self._parts.polls.open

    def _open_polls(self) -> int:
        return self._parts.polls.open if self._parts is not None else 0

    # -- the loop's thread

    def _run(self) -> None:
        loop = self._new_event_loop()
        helpers = ThreadPoolExecutor(8, thread_name_prefix="sfini-helper")
        try:
            loop.set_default_executor(helpers)
            loop.run_until_complete(self._main(loop))
        except BaseException as exc:
            self.crashed = exc
            log.critical(
                "sfini_loop_crashed worker=%s; no polls, reports or heartbeats from now on", self.worker, exc_info=True
            )
        finally:
            with self._changed:
                self._ended = True
                self._inbox.clear()
                self._changed.notify_all()
            if self._pending:
                log.error("sfini_reports_lost count=%d", self._pending)
            loop.close()
            helpers.shutdown(wait=False)
        if self.crashed is not None and self._on_crash is not None:
            self._on_crash(self.crashed)

    async def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        plane = await loop.run_in_executor(None, self._connect)
        self._end = loop.create_future()
        async with plane:
            self._parts = parts = self._assemble(plane, loop)
            with self._changed:
                self._loop = loop
                self._called = True
            try:
                # What was asked for before now, an early stop above all, comes before the first poll.
                self._open_inbox()
                parts.polls.kick()
                await self._end
            finally:
                await self._leave(parts)

    def _assemble(self, plane: DataPlane, loop: asyncio.AbstractEventLoop) -> _Parts:
        endpoint = Endpoint(plane.endpoint_url)
        bucket = Bucket(self._poll_rate, loop.time())
        beats = Heartbeats(plane=plane, ledger=self.ledger, endpoint=endpoint, closed=self._token_closed, rng=self._rng)
        polls = Polls(
            plane=plane,
            ledger=self.ledger,
            activities=self.activities,
            worker=self.worker,
            capacity=self._capacity,
            bucket=bucket,
            endpoint=endpoint,
            taken=self._job_taken,
            missing=self._missing,
            refused=self._refused,
            changed=self._tell,
            crash=self._crash,
            start_jitter=self._start_jitter,
            rng=self._rng,
        )
        sender = Reports(
            plane=plane, endpoint=endpoint, deadline=self._report_deadline, done=self._done, rng=self._rng
        )  # fmt: skip
        return _Parts(plane, endpoint, bucket, polls, beats, sender)

    async def _leave(self, parts: _Parts) -> None:
        parts.polls.stop()
        parts.beats.stop()
        if abandoned := parts.polls.abandon():
            log.warning("sfini_polls_abandoned count=%d; a task they were given waits for its time-out", abandoned)
        parts.reports.abandon()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _open_inbox(self) -> None:
        assert self._parts is not None
        with self._changed:
            # Emptied under the lock: what comes in from now on calls again.
            calls, self._inbox = self._inbox, deque()
            self._called = False
        for call in calls:
            call(self._parts)

    def _stop_polls(self, parts: _Parts) -> None:
        parts.polls.stop()
        if parts.polls.open:
            task = asyncio.ensure_future(self._release(parts))
            task.add_done_callback(lambda done: None if done.cancelled() else done.exception())

    async def _release(self, parts: _Parts) -> None:
        # An embedded server ends idle polls when asked; AWS is not asked. Again for one that was still on its way.
        while parts.polls.open and await parts.plane.release_polls(self.worker):
            await asyncio.sleep(0.2)

    def _finish(self, parts: _Parts) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_result(None)

    def _crash(self, error: BaseException) -> None:
        if self._end is not None and not self._end.done():
            self._end.set_exception(error)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _done(self, report: Report) -> None:
        with self._changed:
            self._pending -= 1
            self._changed.notify_all()
        if not self._stopping and self._parts is not None:
            self._parts.polls.kick()

    def _job_taken(self, job: Job, late: bool) -> None:
        assert self._parts is not None
        self._taken += 1
        self._parts.beats.add(job)
        take = self._deliver
        if late or self._stopping:
            self._late += 1
            log.info("sfini_task_late id=%s activity=%s", job.id, job.activity)
            take = self._on_late or self._hand_back
        try:
            take(job)
        except Exception:
            log.exception("sfini_task_not_delivered id=%s activity=%s", job.id, job.activity)
            self._hand_back(job)

    def _hand_back(self, job: Job) -> None:
        self.report_failure(job, Ending.NOT_STARTED, "the worker was not able to start it; nothing was run")

    def _token_closed(self, job: Job) -> None:
        try:
            self._closed(job)
        except Exception:
            log.exception("sfini_task_not_revoked id=%s activity=%s", job.id, job.activity)
        if self._parts is not None:
            self._parts.polls.kick()


def _worker_name(name: str) -> str:
    """The name as AWS takes it."""
    return "".join(char if is_valid_name(char) else "-" for char in name)[:LONGEST_NAME] or "worker"
