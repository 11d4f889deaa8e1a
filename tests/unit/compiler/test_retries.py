"""``sfn_retries = "states"``: what ``autoretry_for`` says becomes the state's Retry, with Celery's delays."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Task
from celery.utils.time import get_exponential_backoff_interval

from sfini_celery.canvas import catch
from sfini_celery.compiler.emission.retries import policy_of
from sfini_celery.local.engine.retry import delay

INFRASTRUCTURE = [
    {"ErrorEquals": ["sfini.WorkerLost", "States.HeartbeatTimeout"], "IntervalSeconds": 1, "MaxAttempts": 3,
     "BackoffRate": 2.0, "MaxDelaySeconds": 30, "JitterStrategy": "FULL"},
    {"ErrorEquals": ["sfini.WorkerShutdown", "sfini.NotStarted"], "IntervalSeconds": 1, "MaxAttempts": 10,
     "BackoffRate": 2.0, "MaxDelaySeconds": 30, "JitterStrategy": "FULL"},
]  # fmt: skip


class Shop(Exception):
    """A base class of the user's."""


class Closed(Shop): ...


class SoldOut(Shop): ...


class OnHoliday(Closed): ...


@pytest.fixture
def states(oracle: Any) -> Iterator[Any]:
    """The oracle, its app set to retry in states."""
    oracle.retries = "states"
    yield oracle
    oracle.retries = "worker"


_made: dict[str, Any] = {}


def made(oracle: Any, name: str, **options: Any) -> Any:
    """A task that raises, in turn, what it is told to, and then returns how often it was called."""
    if name not in _made:

        def body(*plan: str) -> Any:
            body.calls += 1  # type: ignore[attr-defined]
            if body.calls <= len(plan):  # type: ignore[attr-defined]
                known = {kind.__name__: kind for kind in (Shop, Closed, SoldOut, OnHoliday, ValueError, KeyError)}
                raise known[plan[body.calls - 1]]("no")  # type: ignore[attr-defined]
            return body.calls  # type: ignore[attr-defined]

        _made[name] = oracle.app.activity(body, name=f"retried.{re.sub(r'[^a-z]+', '-', name)}", **options), body
    task, body = _made[name]
    body.calls = 0  # type: ignore[attr-defined]
    return task


def retry_of(oracle: Any, canvas: Any) -> list[dict[str, Any]]:
    (state,) = oracle.compile(canvas).definition()["States"].values()
    assert state["Retry"][:2] == INFRASTRUCTURE
    return state["Retry"][2:]


POLICIES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "constant, Celery's default": (
        {"autoretry_for": (ValueError,)},
        [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 180, "MaxAttempts": 3, "BackoffRate": 1.0, "JitterStrategy": "NONE"}],
    ),
    "constant of its own": (
        {"autoretry_for": (ValueError,), "default_retry_delay": 2.5, "max_retries": 7},
        [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 3, "MaxAttempts": 7, "BackoffRate": 1.0, "JitterStrategy": "NONE"}],
    ),
    "by retry_kwargs": (
        {"autoretry_for": (ValueError,), "retry_kwargs": {"max_retries": 5, "countdown": 9}},
        [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 9, "MaxAttempts": 5, "BackoffRate": 1.0, "JitterStrategy": "NONE"}],
    ),
    "backoff": (
        {"autoretry_for": (ValueError, Closed), "retry_backoff": True},
        [{"ErrorEquals": ["ValueError", "Closed"], "IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 2.0,
          "MaxDelaySeconds": 600, "JitterStrategy": "FULL"}],
    ),
    "backoff without jitter": (
        {"autoretry_for": (ValueError,), "retry_backoff": 5, "retry_backoff_max": 70, "retry_jitter": False, "max_retries": 9},
        [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 5, "MaxAttempts": 9, "BackoffRate": 2.0, "MaxDelaySeconds": 70,
          "JitterStrategy": "NONE"}],
    ),
    "backoff that never grows": (
        {"autoretry_for": (ValueError,), "retry_backoff": 50, "retry_backoff_max": 20, "retry_jitter": False},
        [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 20, "MaxAttempts": 3, "BackoffRate": 1.0, "JitterStrategy": "NONE"}],
    ),
    "for ever": (
        {"autoretry_for": (ValueError,), "max_retries": None},
        [{"ErrorEquals": ["ValueError"], "IntervalSeconds": 180, "MaxAttempts": 99_999_999, "BackoffRate": 1.0,
          "JitterStrategy": "NONE"}],
    ),
    "never": ({"autoretry_for": (ValueError,), "max_retries": 0}, []),
    "nothing": ({}, []),
    "but for some": (
        {"autoretry_for": (Shop,), "dont_autoretry_for": (Closed,)},
        [{"ErrorEquals": ["Closed"], "MaxAttempts": 0},
         {"ErrorEquals": ["Shop"], "IntervalSeconds": 180, "MaxAttempts": 3, "BackoffRate": 1.0, "JitterStrategy": "NONE"}],
    ),
    "a base class after its subclass": (
        {"autoretry_for": (SoldOut, Shop), "dont_autoretry_for": (Closed, OnHoliday)},
        [{"ErrorEquals": ["Closed", "OnHoliday"], "MaxAttempts": 0},
         {"ErrorEquals": ["SoldOut", "Shop"], "IntervalSeconds": 180, "MaxAttempts": 3, "BackoffRate": 1.0, "JitterStrategy": "NONE"}],
    ),
    "every exception, not the bridge's endings": (
        {"autoretry_for": (Exception,), "dont_autoretry_for": (KeyError,)},
        [{"ErrorEquals": ["KeyError"], "MaxAttempts": 0},
         {"ErrorEquals": ["sfini.TaskRevoked", "sfini.TaskExpired", "sfini.TimeLimitExceeded", "sfini.Ignored", "sfini.Rejected",
                          "sfini.InvalidInput", "sfini.OutputNotSerializable", "sfini.LoopExhausted"], "MaxAttempts": 0},
         {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 180, "MaxAttempts": 3, "BackoffRate": 1.0,
          "JitterStrategy": "NONE"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POLICIES)
def test_policy_of_a_task_becomes_retriers_after_those_of_the_infrastructure(states: Any, name: str) -> None:
    options, expected = POLICIES[name]
    assert retry_of(states, made(states, name, **options).s()) == expected


@pytest.mark.parametrize("name", POLICIES)
def test_retries_stay_in_the_worker_unless_the_setting_says_states(oracle: Any, name: str) -> None:
    options, _ = POLICIES[name]
    assert retry_of(oracle, made(oracle, name, **options).s()) == []


@pytest.mark.parametrize("maximum", [1, 7, 600, 10_000])
@pytest.mark.parametrize("backoff", [True, 0.3, 1, 2, 13, 700])
def test_delays_are_those_that_celery_computes(backoff: Any, maximum: int) -> None:
    task = Task()
    task.autoretry_for, task.retry_backoff, task.retry_backoff_max = (ValueError,), backoff, maximum
    policy = policy_of(task)
    assert policy is not None
    retrier = {"IntervalSeconds": policy.interval, "BackoffRate": policy.rate}
    if policy.longest is not None:
        retrier["MaxDelaySeconds"] = policy.longest
    for attempt in range(12):
        wanted = get_exponential_backoff_interval(int(max(1.0, backoff)), attempt, maximum)
        assert delay(retrier, attempt, random.Random(0)) == wanted


def test_state_retries_until_the_task_returns_and_waits_as_celery_would(states: Any) -> None:
    task = made(states, "patient", autoretry_for=(Shop,), retry_backoff=2, retry_jitter=False)
    assert states.output(task.s("Closed", "SoldOut", "OnHoliday")) == 4
    assert states.seconds == pytest.approx(2 + 4 + 8, abs=0.5)


def test_state_gives_up_after_max_retries_with_the_last_exception(states: Any) -> None:
    task = made(states, "hasty", autoretry_for=(Shop,), max_retries=1, default_retry_delay=1)
    assert states.output(task.s("Closed", "SoldOut")) == (
        "failed",
        "Shop",
    )  # the name its Retry lists; the cause has SoldOut
    assert states.calls["retried.hasty"] == 2


@pytest.mark.parametrize(
    ("plan", "calls"),
    [(["ValueError"], 1), (["Closed"], 1), (["OnHoliday"], 1), (["SoldOut"], 2), (["SoldOut", "OnHoliday"], 2)],
)
def test_what_is_not_retried_fails_at_once_subclasses_included(states: Any, plan: list[str], calls: int) -> None:
    task = made(states, "choosy", autoretry_for=(Shop,), dont_autoretry_for=(Closed,), default_retry_delay=1)
    states.output(task.s(*plan))
    assert states.calls["retried.choosy"] == calls


def test_a_catch_of_a_base_class_sees_what_a_retry_lists_by_the_subclass(states: Any) -> None:
    task = made(states, "caught", autoretry_for=(SoldOut,), max_retries=1, default_retry_delay=1)
    canvas = catch(task.s("SoldOut", "SoldOut"), {Shop: states.pick.s("error")})
    assert states.output(canvas) == "SoldOut"


def test_envelope_tells_the_worker_what_the_state_retries_and_which_failure_is_the_last(states: Any) -> None:
    task = made(
        states, "told", autoretry_for=(Shop,), dont_autoretry_for=(Closed,), default_retry_delay=1, max_retries=1
    )
    states.output(task.s("SoldOut", "SoldOut"))
    first, second = states.seen
    assert first.matches == ("Closed", "Shop")
    assert (first.retries.times, first.retries.errors, first.retries.never) == (1, ("Shop",), ("Closed",))
    assert [call.at.attempt for call in (first, second)] == [0, 1]
    assert first.retries.again(SoldOut, 0) is True
    assert first.retries.again(SoldOut, 1) is False  # the last one: now link_error is called
    assert first.retries.again(OnHoliday, 0) is False
    assert first.retries.again(ValueError, 0) is False
    assert first.retries.again(SystemExit, 0) is False


def test_envelope_says_nothing_of_retries_where_the_worker_does_them(oracle: Any) -> None:
    oracle.output(made(oracle, "silent", autoretry_for=(Shop,)).s())
    assert oracle.seen[0].retries is None


def test_at_most_once_is_retried_only_for_what_never_started_and_for_its_own_exceptions(states: Any) -> None:
    task = made(states, "once", autoretry_for=(Exception,), default_retry_delay=1, at_most_once=True)
    (state,) = states.compile(task.s()).definition()["States"].values()
    assert state["Retry"][0]["ErrorEquals"] == ["sfini.NotStarted"]
    assert {"sfini.WorkerLost", "sfini.WorkerShutdown", "States.HeartbeatTimeout"} <= set(
        state["Retry"][1]["ErrorEquals"]
    )
    assert state["Retry"][1]["MaxAttempts"] == 0


def test_a_map_over_a_task_is_not_retried_by_the_tasks_policy(states: Any) -> None:
    assert retry_of(states, made(states, "mapped", autoretry_for=(Shop,)).map([1])) == []
