from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import pytest

from sfini_celery.aws import Waiter, pauses
from sfini_celery.errors import NotFound, SfiniError, Throttled, Unreachable, WaitTimeout

ARN = "arn:aws:states:us-east-1:123456789012:execution:orders:one"


class Time:
    """A clock that moves only when somebody sleeps on it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.slept.append(seconds)
        self.now += seconds


def waiter(answers: Iterator[Any] | Callable[[], Any], time: Time) -> Waiter:
    def describe(arn: str) -> dict[str, Any]:
        answer = answers() if callable(answers) else next(answers)
        if isinstance(answer, Exception):
            raise answer
        return {"executionArn": arn, "status": answer}

    return Waiter(describe, sleep=time.sleep, now=lambda: time.now, rng=lambda: 0.5)


def test_pauses_grow_from_a_twentieth_of_a_second_to_a_few_seconds() -> None:
    steady = list(islice(pauses(lambda: 0.5), 40))
    assert steady[0] == pytest.approx(0.05)
    assert steady[-1] == pytest.approx(2.5)
    assert steady == sorted(steady)
    lowest, highest = (list(islice(pauses(lambda end=end: end), 40))[-1] for end in (0.0, 1.0))
    assert (lowest, highest) == (pytest.approx(2.0), pytest.approx(3.0))


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_wait_returns_at_any_ending_without_a_pause_after_it(status: str) -> None:
    time = Time()
    found = waiter(iter(["RUNNING", status]), time).wait(ARN)
    assert found["status"] == status
    assert time.slept == [pytest.approx(0.05)]


def test_wait_goes_on_while_a_redrive_is_pending() -> None:
    time = Time()
    assert waiter(iter(["PENDING_REDRIVE", "SUCCEEDED"]), time).wait(ARN)["status"] == "SUCCEEDED"


def test_wait_ends_on_time_and_after_a_last_look() -> None:
    time = Time()
    with pytest.raises(WaitTimeout, match=r"'one' of 'orders' is still RUNNING after 7 s"):
        waiter(lambda: "RUNNING", time).wait(ARN, timeout=7)
    assert time.now == pytest.approx(1007)


def test_wait_of_no_time_looks_once_and_does_not_pause() -> None:
    time = Time()
    assert waiter(iter(["SUCCEEDED"]), time).wait(ARN, timeout=0)["status"] == "SUCCEEDED"
    with pytest.raises(WaitTimeout):
        waiter(iter(["RUNNING"]), time).wait(ARN, timeout=0)
    assert time.slept == []


def test_wait_timeout_is_what_both_python_and_sfini_call_it() -> None:
    assert issubclass(WaitTimeout, TimeoutError)
    assert issubclass(WaitTimeout, RuntimeError)


@pytest.mark.parametrize(
    "blip",
    [
        Unreachable("DescribeExecution", "http://127.0.0.1:1", "refused", sent=False),
        Throttled("DescribeExecution", "ThrottlingException"),
        NotFound("DescribeExecution", "InternalError", status=500),
    ],
)
def test_waiting_for_hours_survives_an_endpoint_that_fails_for_a_moment(blip: SfiniError) -> None:
    time = Time()
    assert waiter(iter(["RUNNING", blip, blip, "SUCCEEDED"]), time).wait(ARN)["status"] == "SUCCEEDED"


def test_wrong_endpoint_shows_at_the_first_look() -> None:
    time = Time()
    with pytest.raises(Unreachable):
        waiter(lambda: Unreachable("DescribeExecution", "http://127.0.0.1:1", "refused"), time).wait(ARN)
    assert time.slept == []


def test_endpoint_that_stays_away_is_given_up_after_a_minute() -> None:
    time = Time()
    gone = Unreachable("DescribeExecution", "http://127.0.0.1:1", "refused")
    answers = iter(["RUNNING", *[gone] * 1000])
    with pytest.raises(Unreachable):
        waiter(answers, time).wait(ARN)
    assert 60 < time.now - 1000 < 70


def test_refusal_is_not_waited_away() -> None:
    time = Time()
    with pytest.raises(NotFound):
        waiter(iter(["RUNNING", NotFound("DescribeExecution", "ExecutionDoesNotExist")]), time).wait(ARN)


def test_many_waits_together_stay_below_what_an_account_may_ask() -> None:
    many = 100
    together = threading.Barrier(many)
    looks = Counter[int]()
    slept: list[float] = []
    lock = threading.Lock()

    def describe(arn: str) -> dict[str, Any]:
        with lock:
            looks[threading.get_ident()] += 1
            first = looks[threading.get_ident()] == 1
        if first:
            together.wait(30)  # all are waiting before any pauses
        return {"status": "RUNNING" if first else "SUCCEEDED"}

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        together.wait(30)  # none leaves before all have paused

    patient = Waiter(describe, sleep=sleep)
    with ThreadPoolExecutor(many) as pool:
        list(pool.map(lambda _: patient.wait(ARN), range(many)))
    assert len(slept) == many
    assert sum(1 / pause for pause in slept) <= 10.0 + 1e-6  # looks a second, all together


def test_ctrl_c_ends_the_waiting_at_once_and_is_not_counted_any_more() -> None:
    time = Time()

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    patient = Waiter(lambda arn: {"status": "RUNNING"}, sleep=interrupted, now=lambda: time.now)
    with pytest.raises(KeyboardInterrupt):
        patient.wait(ARN)
    assert patient._waiting == 0
