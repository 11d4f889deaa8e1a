"""Whose turn it is: deterministic, on a clock that jumps from look to look."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.aws.rounds import BURST, CALLS_PER_SECOND, FINISHED, Pace, Rounds, pause_after
from sfini_celery.errors import NotFound, ServiceError, Throttled, Unreachable

MOST_A_SECOND = 15  # DescribeExecution's refill in the largest regions


def arn(number: int) -> str:
    return f"arn:aws:states:us-east-1:123456789012:execution:orders:{number}"


class Run:
    """Rounds over executions that end at given times.

    Attributes:
        looks: when, and at what
        served: when each was told
    """

    def __init__(self, **options: Any) -> None:
        self.rounds = Rounds(lambda: 0.5, **options)
        self.now = 1000.0
        self.looks: list[tuple[float, str]] = []
        self.served: dict[str, float] = {}

    def join(self, name: str, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.rounds.join(name, future, self.now, **options)
        return future

    def go(self, ends: Mapping[str, float], *, until: float = float("inf"), each: Any = None) -> Run:
        while self.now < until:
            found, pause = self.rounds.next(self.now)
            if pause is None:
                break
            if found is None:
                assert pause > 0, "it would spin"
                self.now = min(self.now + pause, until)
                continue
            self.looks.append((self.now, found))
            answer: Any = {"status": "SUCCEEDED" if ends.get(found, float("inf")) <= self.now else "RUNNING"}
            if each is not None:
                answer = each(found, self.now)
            if self.rounds.looked(found, answer, self.now):
                self.served[found] = self.now
        return self

    @property
    def most_a_second(self) -> int:
        times = [time for time, _ in self.looks]
        return max(sum(start <= time < start + 1 for time in times) for start in times)


def test_pauses_grow_with_age_from_a_twentieth_of_a_second_to_a_few_seconds() -> None:
    steady = [pause_after(age, lambda: 0.5) for age in (0, 0.05, 0.1, 0.2, 1, 4, 5, 10, 86400)]
    assert steady == pytest.approx([0.05, 0.05, 0.05, 0.1, 0.5, 2, 2.5, 2.5, 2.5])
    assert (pause_after(3600, lambda: 0.0), pause_after(3600, lambda: 1.0)) == (pytest.approx(2.0), pytest.approx(3.0))


def test_one_wait_looks_at_once_and_notices_a_quick_end_within_a_tenth_of_a_second() -> None:
    run = Run()
    run.join(arn(1))
    run.go({arn(1): 1000.3})
    assert run.looks[0] == (1000.0, arn(1))
    assert run.served[arn(1)] - 1000.3 < 0.15
    assert len(run.looks) <= 7


def test_a_thousand_waits_stay_below_what_an_account_may_ask_and_all_are_served() -> None:
    run = Run()
    ends = {arn(number): 1000.0 + number / 20 for number in range(1000)}
    for name in ends:
        run.join(name)
    run.go(ends)
    assert run.most_a_second <= MOST_A_SECOND
    assert run.served.keys() == ends.keys()
    late = [run.served[name] - ends[name] for name in ends]
    assert max(late) < 130  # a thousand answers alone take 100 s
    assert len(run.rounds) == 0


def test_what_has_just_begun_is_not_kept_waiting_by_a_thousand_old_waits() -> None:
    run = Run()
    for number in range(1000):
        run.join(arn(number))
    run.go({}, until=1300.0)
    run.join(arn(5000))
    run.go({arn(5000): 1300.2}, until=1400.0)
    assert run.served[arn(5000)] - 1300.2 < 5


def test_old_waits_are_looked_at_though_new_ones_keep_coming() -> None:
    run = Run()
    run.join(arn(0))
    run.go({}, until=1060.0)
    seen = len(run.looks)
    number = 1
    while run.now < 1160.0:  # 20 new waits a second, twice what can be looked at once
        run.join(arn(number))
        number += 1
        run.go({}, until=run.now + 0.05)
    looks = [time for time, name in run.looks[seen:] if name == arn(0)]
    assert looks, "the old one starved"
    assert max(later - earlier for earlier, later in zip([1060.0, *looks], looks, strict=False)) < 100


def test_many_waits_for_one_execution_cost_one_look() -> None:
    run = Run()
    futures = [run.join(arn(1)) for _ in range(100)]
    told = run.rounds.looked(arn(1), {"status": "SUCCEEDED"}, run.now)
    assert told == futures
    assert len(run.rounds) == 0


def test_whoever_leaves_takes_only_himself_out_of_the_rounds() -> None:
    run = Run()
    first, second = run.join(arn(1)), run.join(arn(1))
    run.rounds.leave(arn(1), first)
    assert len(run.rounds) == 1
    run.rounds.leave(arn(1), first)
    run.rounds.leave(arn(1), second)
    assert len(run.rounds) == 0
    assert run.rounds.next(run.now) == (None, None)
    assert run.rounds.looked(arn(1), {"status": "SUCCEEDED"}, run.now) == []


def test_an_interval_takes_the_place_of_the_pauses_and_the_shortest_counts() -> None:
    run = Run()
    run.join(arn(1), interval=3.0)
    run.go({}, until=1010.0)
    assert [time - 1000 for time, _ in run.looks] == pytest.approx([0, 3, 6, 9])
    run.join(arn(1), interval=0.5)
    run.looks.clear()
    run.go({}, until=1012.0)
    assert [later - earlier for (earlier, _), (later, _) in zip(run.looks, run.looks[1:], strict=False)] == (
        pytest.approx([0.5] * (len(run.looks) - 1))
    )
    assert len(run.looks) >= 4


def test_an_interval_of_nothing_does_not_break_the_pace() -> None:
    run = Run()
    run.join(arn(1), interval=0.0)
    run.go({}, until=1005.0)
    assert run.most_a_second <= MOST_A_SECOND


@pytest.mark.parametrize("status", sorted(FINISHED))
def test_any_ending_is_told(status: str) -> None:
    run = Run()
    run.join(arn(1))
    assert run.rounds.next(run.now) == (arn(1), 0.0)
    assert run.rounds.looked(arn(1), {"status": status}, run.now) != []


@pytest.mark.parametrize(
    "blip",
    [
        Unreachable("DescribeExecution", "http://127.0.0.1:1", "refused", sent=False),
        Throttled("DescribeExecution", "ThrottlingException"),
        NotFound("DescribeExecution", "InternalError", status=500),
    ],
)
def test_a_blip_is_forgiven_for_a_minute_after_the_last_answer(blip: Exception) -> None:
    run = Run()
    run.join(arn(1))
    run.go({}, each=lambda name, now: {"status": "RUNNING"} if now < 1030 else blip)
    assert 1030 + 55 < run.served[arn(1)] < 1030 + 70


def test_throttling_is_forgiven_at_the_first_look_too_and_slows_everything_down() -> None:
    run = Run()
    for number in range(20):
        run.join(arn(number))
    throttled = Throttled("DescribeExecution", "ThrottlingException")
    run.go({}, each=lambda name, now: throttled if now < 1010 else {"status": "SUCCEEDED"})
    assert len(run.served) == 20
    before = [time for time, _ in run.looks if time < 1010]
    assert len(before) <= 11  # one a second


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("DescribeExecution", "http://127.0.0.1:1", "refused"),
        NotFound("DescribeExecution", "ExecutionDoesNotExist"),
        ServiceError("DescribeExecution", "InternalFailure", status=500),
        KeyError("a mistake of ours"),
    ],
)
def test_anything_else_is_told_at_the_first_look(error: Exception) -> None:
    run = Run()
    run.join(arn(1))
    run.go({}, each=lambda name, now: error)
    assert run.served == {arn(1): 1000.0}


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.sampled_from(["join", "leave", "end"]), st.integers(0, 30)),
        max_size=200,
    )
)
def test_whatever_comes_and_goes_no_second_sees_more_calls_than_an_account_may_make(
    steps: list[tuple[float, str, int]],
) -> None:
    run, ends, futures = Run(), dict[str, float](), dict[str, Future[Any]]()
    for after, what, number in steps:
        run.go(ends, until=run.now + after)
        name = arn(number)
        if what == "join" and name not in futures:
            futures[name] = run.join(name)
        elif what == "leave" and name in futures:
            run.rounds.leave(name, futures.pop(name))
        elif what == "end":
            ends[name] = run.now
        for served in [served for served in futures if served in run.served]:
            del futures[served]
            ends.pop(served, None)
            run.served.pop(served)
    if run.looks:
        assert run.most_a_second <= MOST_A_SECOND
    assert len(run.rounds) == len(futures)


def test_the_pace_fills_up_after_a_rest_and_never_beyond() -> None:
    pace = Pace()
    assert [pace.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert pace.delay(0.0) == pytest.approx(0.1)
    assert pace.take(0.1)
    assert not pace.take(0.1)
    assert [pace.take(1000.0) for _ in range(6)] == [True] * 5 + [False]
    assert BURST + CALLS_PER_SECOND <= MOST_A_SECOND
