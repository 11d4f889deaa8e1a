"""A data plane that is a dictionary, and an event loop whose time skips ahead whenever nothing can run."""

from __future__ import annotations

import asyncio
import random
import selectors
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sfini_celery.dataplane import ActivityTask
from sfini_celery.errors import Unreachable, service_error
from sfini_celery.worker.endpoint import Endpoint
from sfini_celery.worker.heartbeats import Heartbeats
from sfini_celery.worker.ledger import Job, Ledger
from sfini_celery.worker.pace import Bucket
from sfini_celery.worker.polls import ActivityPoll, Polls
from sfini_celery.worker.reports import Reports

HOLD = 60.0


class SkippingLoop(asyncio.SelectorEventLoop):
    """Time stands still while something runs and jumps to the next timer when nothing does."""

    def __init__(self) -> None:
        self.now = 1000.0
        outer = self

        class Selector(selectors.SelectSelector):
            def select(self, timeout: float | None = None) -> Any:
                if timeout is not None and timeout > 0:
                    events = super().select(0)
                    if not events:
                        outer.now += timeout
                    return events
                return super().select(timeout if timeout is not None else 5)

        super().__init__(Selector())

    def time(self) -> float:
        return self.now


class FakePlane:
    """Step Functions as far as the bridge sees it: queues, tokens that close, and faults on demand."""

    endpoint_url, region = "http://nowhere", "us-east-1"

    def __init__(self) -> None:
        self.queues: defaultdict[str, deque[ActivityTask]] = defaultdict(deque)
        self.waiters: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)
        self.calls: list[tuple[float, str, str]] = []
        self.sent: list[tuple[str, ...]] = []
        # What a call of an operation meets: an exception is raised, anything else is called with the token or ARN.
        self.faults: dict[str, Any] = {}
        self.closed: dict[str, str] = {}
        self.open: Counter[str] = Counter()
        self.most_open: Counter[str] = Counter()
        self.cancelled = 0
        self.latency = 0.01
        self.releasable = False
        self.entered = self.exited = 0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.worlds: list[SimpleNamespace] = []
        self._numbers = iter(range(10**6))

    async def __aenter__(self) -> FakePlane:
        self.loop = asyncio.get_running_loop()
        self.entered += 1
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.exited += 1

    def offer(self, arn: str, input: str = '"payload-of-the-task"') -> str:
        """A task becomes available; its token. From any thread."""
        token = f"SECRET-TOKEN-{next(self._numbers):06d}"

        def put() -> None:
            self.queues[arn].append(ActivityTask(token, input))
            while self.waiters[arn]:
                waiter = self.waiters[arn].popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    break

        if self.loop is not None and threading.current_thread() is not threading.main_thread():
            raise AssertionError("offer from the test's own thread")
        if self.loop is not None and not self.loop.is_running():
            put()
        elif self.loop is not None:
            self.loop.call_soon_threadsafe(put)
        else:
            put()
        return token

    def times(self, operation: str, which: str | None = None) -> list[float]:
        return [when for when, name, what in self.calls if name == operation and which in (None, what)]

    async def _meet(self, operation: str, which: str) -> None:
        loop = asyncio.get_running_loop()
        self.calls.append((loop.time(), operation, which))
        await asyncio.sleep(self.latency)
        fault = self.faults.get(operation)
        if isinstance(fault, deque):
            fault = fault.popleft() if fault else None
        if isinstance(fault, BaseException):
            raise fault
        if fault is not None:
            result = fault(which)
            if isinstance(result, Awaitable):
                await result

    async def get_activity_task(self, arn: str, worker: str) -> ActivityTask | None:
        self.open[arn] += 1
        self.most_open[arn] = max(self.most_open[arn], self.open[arn])
        self.most_open["all"] = max(self.most_open["all"], self.open.total())
        try:
            await self._meet("poll", arn)
            loop = asyncio.get_running_loop()
            end = loop.time() + HOLD
            while not self.queues[arn]:
                waiter = loop.create_future()
                self.waiters[arn].append(waiter)
                done, _ = await asyncio.wait({waiter}, timeout=end - loop.time())
                if not done:
                    self.waiters[arn].remove(waiter)
                    return None
                if waiter.result() == "released":
                    return None
            return self.queues[arn].popleft()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.open[arn] -= 1

    def _token(self, operation: str, token: str) -> None:
        if token in self.closed:
            raise service_error(operation, self.closed[token], "Task Timed Out")

    async def send_success(self, token: str, output: str) -> None:
        await self._meet("success", token)
        self._token("SendTaskSuccess", token)
        self.sent.append(("success", token, output))
        self.closed[token] = "TaskTimedOut"

    async def send_failure(self, token: str, error: str, cause: str) -> None:
        await self._meet("failure", token)
        self._token("SendTaskFailure", token)
        self.sent.append(("failure", token, error, cause))
        self.closed[token] = "TaskTimedOut"

    async def send_heartbeat(self, token: str) -> None:
        await self._meet("heartbeat", token)
        self._token("SendTaskHeartbeat", token)

    async def release_polls(self, worker: str) -> bool:
        self.calls.append((asyncio.get_running_loop().time(), "release", worker))
        if not self.releasable:
            return False
        for waiters in self.waiters.values():
            while waiters:
                waiter = waiters.popleft()
                if not waiter.done():
                    waiter.set_result("released")
        return True


@pytest.fixture
def plane() -> FakePlane:
    return FakePlane()


@pytest.fixture
def run(plane: FakePlane) -> Iterator[Callable[[Callable[[], Awaitable[Any]]], Any]]:
    """Runs an async test in virtual time: ``await asyncio.sleep(3600)`` costs nothing."""

    async def leave() -> None:
        for world in plane.worlds:
            world.polls.stop()
            world.heartbeats.stop()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()

    def run(test: Callable[[], Awaitable[Any]]) -> Any:
        loop = SkippingLoop()
        try:
            return loop.run_until_complete(test())
        finally:
            loop.run_until_complete(leave())
            loop.close()

    return run


@pytest.fixture
def unreachable() -> Callable[..., Unreachable]:
    return lambda *, sent=False: Unreachable("GetActivityTask", "http://nowhere", "Connection refused", sent=sent)


@pytest.fixture
def parts(plane: FakePlane) -> Callable[..., SimpleNamespace]:
    """The three parts of the loop on the running event loop, with ``slots`` slots, a task taking ``seconds``."""

    def make(
        activities: list[ActivityPoll],
        *,
        slots: int = 4,
        seconds: float = 1.0,
        rate: float = 1000.0,
        deadline: float = 3600.0,
        rng: random.Random | None = None,
        **options: Any,
    ) -> SimpleNamespace:
        loop = asyncio.get_running_loop()
        rng = rng or random.Random(7)
        ledger = Ledger(loop.time)
        endpoint = Endpoint(plane.endpoint_url)
        world = SimpleNamespace(
            ledger=ledger, endpoint=endpoint, plane=plane, taken=[], late=[], closed=[], crashed=[], done=[],
            started=[], backlog=deque(), running=0, most_waiting=0,
        )  # fmt: skip

        def start() -> None:
            while world.backlog and world.running < slots:
                job = world.backlog.popleft()
                world.running += 1
                world.started.append((loop.time(), job))
                loop.call_later(seconds, end, job)
            world.most_waiting = max(world.most_waiting, len(world.backlog))

        def end(job: Job) -> None:
            world.running -= 1
            ledger.pop(job.id)
            start()
            world.polls.kick()

        def taken(job: Job, late: bool) -> None:
            (world.late if late else world.taken).append((loop.time(), job))
            world.backlog.append(job)
            start()

        world.heartbeats = Heartbeats(
            plane=plane, ledger=ledger, endpoint=endpoint, closed=world.closed.append, rng=rng
        )
        world.reports = Reports(plane=plane, endpoint=endpoint, deadline=deadline, done=world.done.append, rng=rng)
        world.polls = Polls(
            plane=plane,
            ledger=ledger,
            activities=activities,
            worker="worker",
            capacity=options.pop("capacity", lambda: slots - ledger.busy),
            bucket=Bucket(rate, loop.time()),
            endpoint=endpoint,
            taken=options.pop("taken", taken),
            crash=world.crashed.append,
            rng=rng,
            **options,
        )
        plane.worlds.append(world)
        return world

    return make
