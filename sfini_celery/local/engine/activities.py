"""Activities: queues of tasks that workers poll."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from sfini_celery.local.clock import Clock
from sfini_celery.local.engine.ticket import Ticket

__all__ = ["POLL_SECONDS", "Activity"]

POLL_SECONDS = 60.0
"""How long a poll of an empty activity is held."""


def _always() -> bool:
    return True


def _release(poll: asyncio.Future[Ticket | None]) -> None:
    if not poll.done():
        poll.set_result(None)


class Activity:
    """One activity: tasks wait here for polls, or polls for tasks, first come first served.

    Parameters:
        arn, name: its identity
        clock: what polls are timed by
    """

    def __init__(self, arn: str, name: str, clock: Clock) -> None:
        self.arn, self.name = arn, name
        self.created = clock.now()
        self.is_deleted = False
        self._clock = clock
        self._tasks: OrderedDict[Ticket, None] = OrderedDict()
        self._polls: dict[asyncio.Future[Ticket | None], str | None] = {}

    def __repr__(self) -> str:
        return f"<Activity {self.name}: {self.waiting_tasks} tasks, {self.open_polls} polls>"

    @property
    def open_polls(self) -> int:
        """How many polls wait for a task."""
        return len(self._polls)

    @property
    def waiting_tasks(self) -> int:
        """How many tasks wait for a poll."""
        return len(self._tasks)

    def put(self, ticket: Ticket, *, first: bool = False) -> None:
        """Offer a task to the poll that has waited longest, or keep it for the next one."""
        while self._polls:
            poll = next(iter(self._polls))
            del self._polls[poll]
            if not poll.done():
                poll.set_result(ticket)
                return
        if not ticket.is_open:
            return
        self._tasks[ticket] = None
        self._tasks.move_to_end(ticket, last=not first)
        ticket.on_close(lambda: self._tasks.pop(ticket, None))

    async def poll(
        self, worker: str | None = None, *, seconds: float = POLL_SECONDS, is_alive: Callable[[], bool] = _always
    ) -> Ticket | None:
        """The next task, started, or None after ``seconds``.

        Parameters:
            worker: the worker's name, for the history
            seconds: how long to wait
            is_alive: whether the caller is still there; asked before a task is started, which stays in the queue
                otherwise, as it does when this coroutine is cancelled
        """
        deadline = self._clock.now() + seconds
        while True:
            ticket = await self._take(deadline, worker)
            if ticket is None:
                return None
            if not ticket.is_open:
                continue
            if not is_alive():
                self.put(ticket, first=True)
                return None
            if ticket.start(worker):
                return ticket

    async def _take(self, deadline: float, worker: str | None) -> Ticket | None:
        if self._tasks:
            return self._tasks.popitem(last=False)[0]
        left = deadline - self._clock.now()
        if left <= 0 or self.is_deleted:
            return None
        poll: asyncio.Future[Ticket | None] = asyncio.get_running_loop().create_future()
        self._polls[poll] = worker
        timer = self._clock.call_later(left, lambda: _release(poll), background=True)
        try:
            return await poll
        except asyncio.CancelledError:
            # The caller hung up in the very moment a task was offered to it.
            if poll.done() and not poll.cancelled() and (offered := poll.result()) is not None:
                self.put(offered, first=True)
            raise
        finally:
            timer.cancel()
            self._polls.pop(poll, None)

    def release_polls(self, worker: str | None = None) -> None:
        """Let the open polls of a worker, or of all, return without a task."""
        for poll, of in list(self._polls.items()):
            if worker in (None, of):
                del self._polls[poll]
                _release(poll)

    def delete(self) -> None:
        """No more polls; what waits for a worker goes on waiting, until it times out."""
        self.is_deleted = True
        self._tasks.clear()
        self.release_polls()
