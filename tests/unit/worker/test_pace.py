"""How fast to call, how long to wait."""

from __future__ import annotations

import random

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sfini_celery.worker.pace import Backoff, Bucket, Sayings


@given(st.floats(0.01, 10), st.floats(10, 100), st.floats(0, 1), st.integers(1, 1200), st.integers())
def test_a_backoff_never_waits_longer_than_its_cap_nor_less_than_its_floor(base, cap, floor, failures, seed) -> None:
    backoff = Backoff(base, cap, random.Random(seed), floor=floor)
    for number in range(failures):
        limit = min(cap, base * 2.0 ** min(number, 100))
        assert floor * limit <= backoff.next() <= limit
    backoff.reset()
    assert backoff.next() <= base


def test_backoffs_of_two_workers_do_not_march_in_step() -> None:
    waits = [[Backoff(1, 60, random.Random(seed)).next() for _ in range(5)] for seed in range(20)]
    assert len({tuple(row) for row in waits}) == 20


@given(st.floats(0.5, 500), st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_a_bucket_never_gives_more_than_its_rate_and_one_second_of_savings(rate, pauses) -> None:
    now, taken = 100.0, 0
    bucket = Bucket(rate, now)
    for pause in pauses:
        now += pause
        while bucket.take(now):
            taken += 1
        assert taken <= max(1.0, rate) + (now - 100.0) * rate + 1e-6


@given(st.floats(0.5, 500))
def test_a_bucket_says_truly_when_the_next_call_is_due(rate) -> None:
    now = 100.0
    bucket = Bucket(rate, now)
    while bucket.take(now):
        pass
    wait = bucket.wait(now)
    assert 0 < wait <= 1 / rate + 1e-9
    assert not bucket.take(now + wait * 0.99)
    assert bucket.take(now + wait * 1.001 + 1e-9)


def test_a_throttled_bucket_halves_once_per_burst_and_is_whole_again_after_a_minute() -> None:
    bucket = Bucket(100.0, 0.0)
    for _ in range(50):
        bucket.slow_down(10.0)
    assert bucket.rate(10.0) == 50.0
    assert not bucket.take(10.0)
    bucket.slow_down(11.5)
    assert 25.0 <= bucket.rate(11.5) <= 26.0
    assert bucket.rate(11.5) < bucket.rate(40.0) < bucket.rate(71.0) < 100.0
    assert bucket.rate(71.5) == 100.0


def test_what_is_given_back_can_be_taken_again_and_is_not_saved_up() -> None:
    bucket = Bucket(3.0, 0.0)
    for _ in range(50):
        assert bucket.take(0.0)
        bucket.give_back()
    bucket.give_back()
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]


def test_a_bucket_that_is_throttled_for_ever_still_gives_a_little() -> None:
    bucket = Bucket(64.0, 0.0)
    for second in range(200):
        bucket.slow_down(float(second * 2))
    assert bucket.rate(398.0) >= 1.0


def test_a_fault_that_lasts_is_said_again_and_its_end_only_if_it_was_said() -> None:
    sayings = Sayings(300)
    assert [sayings.due("x", now) for now in (0.0, 1.0, 299.0, 300.0, 301.0)] == [True, False, False, True, False]
    assert sayings.over("x") is True
    assert sayings.over("x") is False
    assert sayings.due("x", 302.0)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_a_rate_below_one_a_second_opens_its_first_poll_at_once(rate: float) -> None:
    bucket = Bucket(rate, 0.0)
    assert bucket.take(0.0) and not bucket.take(1 / rate - 0.01)
