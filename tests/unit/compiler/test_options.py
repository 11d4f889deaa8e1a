"""What a signature's options become: members of the envelope, activities of queues, waits, time-outs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from celery import chain, chord, group
from kombu import Exchange, Queue

from sfini_celery.canvas import each, wait
from sfini_celery.errors import CompileError

MOMENT = datetime(2026, 1, 2, tzinfo=timezone.utc)
Canvas = Callable[[Any], Any]


def task_states(definition: dict[str, Any]) -> list[dict[str, Any]]:
    """The Task states of a definition, nested ones included, in the order they are written."""
    found: list[dict[str, Any]] = []
    for state in definition["States"].values():
        if state["Type"] == "Task":
            found.append(state)
        for inner in [*state.get("Branches", ()), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            found += task_states(inner)
    return found


CARRIED: dict[str, tuple[Canvas, list[dict[str, Any]]]] = {
    "priority": (lambda c: c.one.s().set(priority=3), [{"priority": 3}]),
    "headers": (lambda c: c.one.s().set(headers={"a": 1}), [{"headers": {"a": 1}}]),
    "headers that look like paths": (lambda c: c.one.s().set(headers={"a.$": "$.b"}), [{"headers": {"a.$": "$.b"}}]),
    "limits": (lambda c: c.one.s().set(time_limit=9, soft_time_limit=7.5), [{"time_limit": 9, "soft_time_limit": 7.5}]),
    "expires in seconds": (lambda c: c.one.s().set(expires=60), [{"expires": 60}]),
    "expires at a time": (lambda c: c.one.s().set(expires=MOMENT), [{"expires": MOMENT}]),
    "stamps": (
        lambda c: c.one.s().set(stamped_headers=["s", "t"], s="x", t=["y"]), [{"stamps": {"s": "x", "t": ["y"]}}],
    ),
    "stamps of the parts are final": (
        lambda c: group(c.one.s().set(stamped_headers=["s"], s="own"), c.one.s()).set(stamped_headers=["s"], s="outer"),
        [{"stamps": {"s": "own"}}, {"stamps": {"s": "outer"}}],
    ),
    "a group's options win over its members'": (
        lambda c: group(c.one.s().set(priority=1, expires=5), c.add.s(1)).set(priority=2),
        [{"priority": 2, "expires": 5}, {"priority": 2}],
    ),
    "a chain's options are its first task's": (
        lambda c: chain(c.one.s(), c.add.s(1)).set(priority=2), [{"priority": 2}, {}],
    ),
    "a chain's options pass by a wait": (lambda c: (wait(seconds=1) | c.one.s()).set(priority=2), [{"priority": 2}]),
    "a chord's options are its header's and its body's": (
        lambda c: chord([c.one.s(), c.add.s(1, 1)], c.total.s()).set(priority=2), [{"priority": 2}] * 3,
    ),
    "options of a map": (lambda c: c.total.map([[1]]).set(priority=2), [{"priority": 2}]),
    "options of chunks": (lambda c: c.add.chunks([(1, 1), (2, 2)], 1).set(priority=2), [{"priority": 2}] * 2),
    "options in each": (lambda c: c.same.s([1]) | each(c.add.s(1).set(priority=2)), [{}, {"priority": 2}]),
    "options of a run or of publishing are dropped": (
        lambda c: c.one.s().set(root_id="r", parent_id="p", group_id="g", serializer="json", retry=True, ignore_result=True), [{}],
    ),
    "link_error": (
        lambda c: c.one.s().on_error(c.pair.s(1, k=2)), [{"link_error": [{"task": "c.pair", "args": [1], "kwargs": {"k": 2}}]}],
    ),
    "link_error that takes no arguments, and goes to a queue": (
        lambda c: c.one.s().on_error(c.pair.si().set(queue="slow")),
        [{"link_error": [{"task": "c.pair", "args": [], "kwargs": {}, "immutable": True, "options": {"queue": "slow"}}]}],
    ),
    "link_error of a chain is every task's, after its own": (
        lambda c: chain(c.one.s().on_error(c.pair.s()), c.add.s(1)).on_error(c.same.s()),
        [{"link_error": [{"task": "c.pair", "args": [], "kwargs": {}}, {"task": "c.same", "args": [], "kwargs": {}}]},
         {"link_error": [{"task": "c.same", "args": [], "kwargs": {}}]}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("adhoc", [False, True], ids=["named", "adhoc"])
@pytest.mark.parametrize("name", CARRIED)
def test_worker_gets_the_options_that_celery_would_have_sent(oracle: Any, name: str, adhoc: bool) -> None:
    build, expected = CARRIED[name]
    oracle.output(build(oracle), adhoc=adhoc)
    assert [dict(call.options) for call in oracle.seen] == expected
    assert [call.ignored for call in oracle.seen] == [()] * len(expected)


WAITS: dict[str, tuple[Canvas, float]] = {
    "countdown, rounded up": (lambda c: c.one.s().set(countdown=0.1), 1),
    "countdown of nothing": (lambda c: c.one.s().set(countdown=0), 0),
    "countdown in the past": (lambda c: c.one.s().set(countdown=-5), 0),
    "eta": (lambda c: c.one.s().set(eta=datetime(2026, 1, 2, 0, 0, tzinfo=timezone.utc)), 600),
    "eta as text": (lambda c: c.one.s().set(eta="2026-01-02T01:00:00+01:00"), 600),
    "eta without a zone is in UTC": (lambda c: c.one.s().set(eta=datetime(2026, 1, 2)), 600),
    "eta in the past": (lambda c: c.one.s().set(eta=datetime(2020, 1, 2)), 0),
    "countdown wins over eta": (lambda c: c.one.s().set(eta=MOMENT, countdown=2), 2),
    "countdown of a chain is its first task's": (lambda c: chain(c.one.s(), c.add.s(1), c.add.s(1)).set(countdown=5), 5),
    "countdowns in a chain": (lambda c: c.one.s().set(countdown=5) | c.add.s(1).set(countdown=7), 12),
    "countdown of a group is that of all": (
        lambda c: group(c.one.s().set(countdown=50), c.one.s() | c.add.s(1).set(countdown=2)).set(countdown=5), 7,
    ),
    "countdown of a chord is its header's": (
        lambda c: chord([c.one.s().set(countdown=50), c.one.s()], c.total.s().set(countdown=2)).set(countdown=5), 7,
    ),
    "countdown in each": (lambda c: c.same.s([1, 2]) | each(c.add.s(1).set(countdown=9)), 9),
    "countdown of a map": (lambda c: c.total.map([[1]]).set(countdown=3), 3),
    "countdowns of like members": (lambda c: c.one.s() | group(c.add.s(i).set(countdown=i) for i in range(1, 5)), 4),
}  # fmt: skip


@pytest.mark.parametrize("adhoc", [False, True], ids=["named", "adhoc"])
@pytest.mark.parametrize("name", WAITS)
def test_countdown_and_eta_are_waited_in_the_machine_and_not_again_in_the_worker(
    oracle: Any, name: str, adhoc: bool
) -> None:
    build, seconds = WAITS[name]
    assert oracle.output(build(oracle), adhoc=adhoc) == oracle.eager(build(oracle))
    assert oracle.seconds == pytest.approx(seconds, abs=0.5)
    assert not any({"countdown", "eta"} & call.options.keys() for call in oracle.seen)


def test_queue_of_a_signature_is_an_activity_of_its_own(oracle: Any) -> None:
    compiled = oracle.compile(oracle.routed.s(1).set(queue="fast") | oracle.routed.s(2) | oracle.one.si())
    assert compiled.activities == {"c.routed@fast", "c.routed", "c.one"}
    assert oracle.output(oracle.routed.s(1).set(queue="fast")) == [1]


def test_a_tasks_own_queue_said_again_is_its_activity(oracle: Any) -> None:
    assert oracle.compile(oracle.one.s().set(queue="celery")).activities == {"c.one"}


def test_routing_key_and_exchange_lead_to_the_queue_that_is_bound_with_them(oracle: Any) -> None:
    queues = oracle.app.amqp.queues
    queues.add(Queue("fast", Exchange("media"), routing_key="media.fast"))
    try:
        for options in ({"routing_key": "media.fast"}, {"exchange": "media"}, {"queue": Queue("fast")}):
            assert oracle.compile(oracle.routed.s().set(**options)).activities == {"c.routed@fast"}
        assert oracle.compile(oracle.routed.s().set(routing_key="slow")).activities == {"c.routed@slow"}
    finally:
        del queues["fast"]


def test_undeclared_queue_is_refused_and_those_there_are_told(oracle: Any) -> None:
    with pytest.raises(CompileError) as caught:
        oracle.compile(oracle.one.s() | oracle.routed.s().set(queue="other"))
    assert caught.value.path == "chain[1]"
    assert "no activity is declared; declared are fast, slow" in caught.value.why
    assert "queues=['other', ...]" in caught.value.remedy


def test_option_that_means_nothing_is_told_once_with_its_place(oracle: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "sfini_celery.compiler"):
        oracle.compile(oracle.one.s() | oracle.add.s(1).set(flavour="x", priority=1))
    assert [record.getMessage() for record in caplog.records] == [
        "sfini_options_ignored chain[1]: flavour: these options mean nothing to a state machine"
    ]


def _timed(oracle: Any, canvas: Any) -> dict[str, Any]:
    state = task_states(oracle.compile(canvas).definition())[0]
    return {"timeout": state.get("TimeoutSeconds"), "heartbeat": state["HeartbeatSeconds"]}


def test_time_out_is_the_activitys_or_the_hard_limit_with_a_margin_and_above_the_heartbeat(oracle: Any) -> None:
    app = oracle.app

    def made(name: str, **options: Any) -> Any:
        def timed(*args: Any) -> None: ...

        return app.activity(timed, name=f"timed.{name}", **options)

    assert _timed(oracle, made("none").s()) == {"timeout": None, "heartbeat": 60}
    assert _timed(oracle, made("own", timeout=500, time_limit=20).s()) == {"timeout": 500, "heartbeat": 60}
    assert _timed(oracle, made("limit", time_limit=10.5).s()) == {"timeout": 11 + 60 + 30, "heartbeat": 60}
    assert _timed(oracle, made("call", time_limit=10).s().set(time_limit=100)) == {"timeout": 190, "heartbeat": 60}
    assert _timed(oracle, made("soft", soft_time_limit=10).s()) == {"timeout": None, "heartbeat": 60}
    # where the worker may retry, or hold the task back, one token covers more than one attempt
    assert _timed(oracle, made("bound", time_limit=10, bind=True).s())["timeout"] is None
    assert _timed(oracle, made("auto", time_limit=10, autoretry_for=(ValueError,)).s())["timeout"] is None
    assert _timed(oracle, made("rate", time_limit=10, rate_limit="1/m").s())["timeout"] is None
    assert _timed(oracle, made("never", time_limit=10, bind=True, max_retries=0).s())["timeout"] == 100
