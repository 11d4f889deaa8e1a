"""The thread that looks for everybody: its coming and going, who is told what, and when."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import pytest

from sfini_celery.aws import Waiter
from sfini_celery.errors import NotFound, SfiniError, Throttled, Unreachable, WaitTimeout

ARN = "arn:aws:states:us-east-1:123456789012:execution:orders:one"
GONE = Unreachable("DescribeExecution", "http://127.0.0.1:1", "refused")


class Time:
    """A clock that moves only when the waiter rests."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.rests: list[float] = []

    def rest(self, changed: threading.Condition, seconds: float) -> None:
        assert seconds > 0
        self.rests.append(seconds)
        self.now += seconds
        changed.wait(0)  # lets the others in


def waiter(answers: Iterator[Any] | Callable[[], Any], clock: Time) -> Waiter:
    def describe(arn: str) -> dict[str, Any]:
        answer = answers() if callable(answers) else next(answers)
        if isinstance(answer, Exception):
            raise answer
        return {"executionArn": arn, "status": answer}

    return Waiter(describe, now=lambda: clock.now, rng=lambda: 0.5, rest=clock.rest)


def poller() -> threading.Thread | None:
    return next((thread for thread in threading.enumerate() if thread.name == "sfini-waiter"), None)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    if (thread := poller()) is not None:
        thread.join(5)
        assert not thread.is_alive()


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_wait_for_what_has_ended_is_one_look_and_no_thread(status: str) -> None:
    looked_from: list[str] = []

    def describe(arn: str) -> dict[str, Any]:
        looked_from.append(threading.current_thread().name)
        return {"status": status}

    assert Waiter(describe).wait(ARN)["status"] == status
    assert looked_from == [threading.current_thread().name]


def test_wait_returns_as_soon_as_a_look_sees_the_end() -> None:
    clock = Time()
    assert waiter(iter(["RUNNING", "RUNNING", "FAILED"]), clock).wait(ARN)["status"] == "FAILED"
    assert clock.now - 1000 == pytest.approx(0.1)


def test_wait_goes_on_while_a_redrive_is_pending() -> None:
    assert waiter(iter(["PENDING_REDRIVE", "PENDING_REDRIVE", "SUCCEEDED"]), Time()).wait(ARN)["status"] == "SUCCEEDED"


def test_wait_ends_on_time_and_says_what_was_seen_last() -> None:
    begun = time.monotonic()
    with pytest.raises(WaitTimeout, match=r"'one' of 'orders' is still RUNNING after 0\.2 s"):
        Waiter(lambda arn: {"status": "RUNNING"}).wait(ARN, timeout=0.2)
    assert 0.2 <= time.monotonic() - begun < 5


def test_wait_of_no_time_looks_once_and_starts_no_thread() -> None:
    clock = Time()
    assert waiter(iter(["SUCCEEDED"]), clock).wait(ARN, timeout=0)["status"] == "SUCCEEDED"
    with pytest.raises(WaitTimeout, match="RUNNING after 0 s"):
        waiter(iter(["RUNNING"]), clock).wait(ARN, timeout=0)
    with pytest.raises(Throttled):
        waiter(iter([Throttled("DescribeExecution", "ThrottlingException")]), clock).wait(ARN, timeout=0)
    assert (clock.rests, poller()) == ([], None)


def test_wait_that_times_out_looks_a_last_time() -> None:
    ended = threading.Event()

    def describe(arn: str) -> dict[str, Any]:
        return {"status": "SUCCEEDED" if ended.is_set() else "RUNNING"}

    threading.Timer(0.1, ended.set).start()
    assert Waiter(describe).wait(ARN, timeout=0.3, interval=3600)["status"] == "SUCCEEDED"


def test_wait_timeout_is_what_both_python_and_sfini_call_it() -> None:
    assert issubclass(WaitTimeout, TimeoutError)
    assert issubclass(WaitTimeout, RuntimeError)


@pytest.mark.parametrize(
    "blip", [GONE, Throttled("DescribeExecution", "ThrottlingException"), NotFound("X", "InternalError", status=500)]
)
def test_waiting_for_hours_survives_an_endpoint_that_fails_for_a_moment(blip: SfiniError) -> None:
    assert waiter(iter(["RUNNING", blip, blip, "SUCCEEDED"]), Time()).wait(ARN)["status"] == "SUCCEEDED"


def test_throttling_at_the_first_look_is_waited_away() -> None:
    clock = Time()
    answers = iter([Throttled("DescribeExecution", "ThrottlingException"), "SUCCEEDED"])
    assert waiter(answers, clock).wait(ARN)["status"] == "SUCCEEDED"
    assert clock.now - 1000 >= 1


def test_wrong_endpoint_shows_at_the_first_look_and_in_the_thread_that_waits() -> None:
    with pytest.raises(Unreachable) as caught:
        waiter(lambda: GONE, Time()).wait(ARN)
    assert caught.traceback[-1].path.samefile(__file__)
    assert poller() is None


def test_endpoint_that_stays_away_is_given_up_after_a_minute() -> None:
    clock = Time()
    answers = iter(["RUNNING", *[GONE] * 1000])
    with pytest.raises(Unreachable):
        waiter(answers, clock).wait(ARN)
    assert 60 < clock.now - 1000 < 70


def test_refusal_is_not_waited_away() -> None:
    with pytest.raises(NotFound):
        waiter(iter(["RUNNING", NotFound("DescribeExecution", "ExecutionDoesNotExist")]), Time()).wait(ARN)


def test_ctrl_c_ends_the_waiting_at_once_and_nobody_looks_any_more() -> None:
    looks = Counter[str]()

    def describe(arn: str) -> dict[str, Any]:
        looks[arn] += 1
        if looks[arn] == 2:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return {"status": "RUNNING"}

    with pytest.raises(KeyboardInterrupt):
        Waiter(describe).wait(ARN)
    thread = poller()
    if thread is not None:
        thread.join(5)
        assert not thread.is_alive()


def test_many_threads_share_one_poller_and_one_look_serves_all_that_wait_for_the_same() -> None:
    ended, looks, pollers = threading.Event(), Counter[str](), set[int]()

    def describe(arn: str) -> dict[str, Any]:
        looks[arn] += 1
        pollers.update(thread.ident or 0 for thread in threading.enumerate() if thread.name == "sfini-waiter")
        if sum(looks.values()) > 20:
            ended.set()
        return {"status": "SUCCEEDED" if ended.is_set() else "RUNNING", "arn": arn}

    shared = Waiter(describe)
    arns = [f"{ARN}{number % 4}" for number in range(40)]
    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(lambda arn: shared.wait(arn, timeout=30)["arn"], arns))
    assert found == arns
    assert len(pollers) == 1
    assert sum(looks.values()) < 40


def test_one_that_leaves_takes_nothing_from_the_others() -> None:
    ended = threading.Event()
    shared = Waiter(lambda arn: {"status": "SUCCEEDED" if ended.is_set() else "RUNNING"})
    leaving, staying = shared.watch(ARN), shared.watch(ARN)
    assert leaving.cancel()
    ended.set()
    assert staying.result(10)["status"] == "SUCCEEDED"
    with pytest.raises(CancelledError):
        leaving.result(0)


def test_the_thread_goes_when_the_last_one_leaves_and_comes_back_for_the_next() -> None:
    shared = Waiter(lambda arn: {"status": "RUNNING"})
    for _ in range(3):
        future = shared.watch(ARN)
        thread = poller()
        assert thread is not None
        assert thread.daemon
        future.cancel()
        thread.join(5)
        assert not thread.is_alive()


def test_event_loops_wait_without_a_thread_each_and_cancelling_ends_the_waiting() -> None:
    ended = threading.Event()
    shared = Waiter(lambda arn: {"status": "SUCCEEDED" if ended.is_set() else "RUNNING", "arn": arn})

    async def main() -> None:
        before = threading.active_count()
        waits = [asyncio.wrap_future(shared.watch(f"{ARN}{number}")) for number in range(20)]
        await asyncio.sleep(0.05)
        assert threading.active_count() - before == 1
        waits[0].cancel()
        ended.set()
        found = await asyncio.wait_for(asyncio.gather(*waits[1:]), 30)
        assert [answer["arn"] for answer in found] == [f"{ARN}{number}" for number in range(1, 20)]

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_poller_that_dies_of_a_mistake_leaves_nobody_waiting() -> None:
    def broken(changed: threading.Condition, seconds: float) -> None:
        raise ZeroDivisionError("a mistake")

    with pytest.raises(ZeroDivisionError):
        Waiter(lambda arn: {"status": "RUNNING"}, rest=broken).wait(ARN, timeout=10)
