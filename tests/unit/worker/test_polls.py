"""Which polls are open, what they bring, and what becomes of their failures; in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections import deque

import pytest

from sfini_celery.errors import NoCredentials, service_error
from sfini_celery.worker.polls import ActivityPoll, Line, choose


def activity(name: str, polls: int = 4) -> ActivityPoll:
    return ActivityPoll(name, f"arn:{name}", polls=polls, heartbeat=60)


def line(name: str, *, polls: int = 4, opened: tuple[float, ...] = (), hit: float | None = None, **state) -> Line:
    made = Line(activity(name, polls), random.Random(0))
    if hit is not None:
        made.hit(hit)
    made.open = {object(): when for when in opened}
    for attribute, value in state.items():
        setattr(made, attribute, value)
    return made


def opened(lines: list[Line], *, free: int, now: float = 100.0) -> dict[str, int]:
    """Open all that may be opened."""
    while (chosen := choose(lines, free=free, now=now)) is not None:
        chosen.open[object()] = now
    return {each.activity.name: len(each.open) for each in lines}


# -- the decision


def test_no_poll_is_opened_while_no_slot_is_free() -> None:
    assert choose([line("a")], free=0, now=100) is None
    assert choose([line("a")], free=-3, now=100) is None


def test_fifteen_quiet_activities_on_eight_slots_all_have_a_poll() -> None:
    lines = [line(f"a{number}") for number in range(15)]
    assert set(opened(lines, free=8).values()) == {1}
    assert set(opened([line(f"a{number}") for number in range(15)], free=1).values()) == {1}


def test_spare_slots_give_more_polls_up_to_the_setting() -> None:
    assert opened([line("a")], free=2) == {"a": 2}
    assert opened([line("a")], free=100) == {"a": 4}
    assert opened([line("a"), line("b")], free=6) == {"a": 3, "b": 3}


def test_a_busy_activity_gets_no_more_polls_than_there_are_free_slots() -> None:
    assert opened([line("busy", polls=50, hit=99.9)], free=3) == {"busy": 3}


def test_many_busy_activities_do_not_take_more_than_can_start() -> None:
    lines = [line(f"a{number}", hit=99.0 + number / 100) for number in range(50)]
    assert sum(opened(lines, free=2).values()) == 2


def test_of_busy_activities_the_one_served_longest_ago_is_next() -> None:
    lines = [line("a", hit=99.9), line("b", hit=99.1), line("c", hit=99.5)]
    assert choose(lines, free=1, now=100).activity.name == "b"


def test_quiet_activities_keep_their_poll_beside_a_busy_one() -> None:
    lines = [line("busy", polls=10, hit=99.9, opened=(99.95,) * 1), line("quiet")]
    assert opened(lines, free=1) == {"busy": 1, "quiet": 1}


def test_a_poll_that_waits_does_not_count_as_a_task_that_comes() -> None:
    # Both busy a moment ago; a's queue is empty by now, its poll waits. b must not wait with it.
    lines = [line("a", hit=98.0, opened=(98.0,)), line("b", hit=98.0)]
    assert choose(lines, free=1, now=100.0).activity.name == "b"


def test_spare_polls_go_where_tasks_came_lately() -> None:
    frequent, rare = line("frequent", hit=95.0), line("rare", hit=95.0)
    for _ in range(9):
        frequent.hit(95.0)
    frequent.empty(), rare.empty()
    shares = opened([rare, frequent], free=5)
    assert shares["frequent"] > shares["rare"] >= 1


def test_a_task_that_a_poll_had_waited_for_says_nothing_of_a_next_one() -> None:
    rare = line("rare")
    rare.hit(99.9, at_once=False)
    lines = [rare, line("busy", hit=99.0)]
    assert opened(lines, free=1) == {"rare": 1, "busy": 1}


def test_paused_and_failing_activities_are_left_out() -> None:
    lines = [line("paused", paused=True), line("failing", not_before=101.0), line("well")]
    assert opened(lines, free=9) == {"paused": 0, "failing": 0, "well": 4}


def test_a_cut_limit_is_raised_again_one_by_one() -> None:
    cut = line("a", polls=8)
    cut.cut(100.0)
    assert cut.allowed(101.0) == 4
    assert cut.allowed(399.0) == 4
    assert cut.allowed(400.0) == 5 == cut.allowed(401.0)
    assert cut.allowed(701.0) == 6
    for _ in range(9):
        cut.cut(800.0)
    assert cut.allowed(801.0) == 1


# -- polls at work


def test_every_task_is_entered_in_the_ledger_before_it_is_handed_on(run, plane, parts) -> None:
    async def test() -> None:
        seen = []
        world = parts([activity("a")], taken=lambda job, late: seen.append((world.ledger.get(job.id), late)))
        token = plane.offer("arn:a")
        world.polls.kick()
        await asyncio.sleep(0.1)
        [(job, late)] = seen
        assert (job.token.reveal(), job.activity, job.heartbeat, late) == (token, "a", 60, False)
        assert job.taken_at == pytest.approx(1000, abs=0.1)

    run(test)


def test_an_idle_worker_polls_once_a_minute_and_not_more(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([activity("a", polls=2), activity("b", polls=2)], slots=4)
        world.polls.kick()
        await asyncio.sleep(601)
        assert plane.most_open == {"arn:a": 2, "arn:b": 2, "all": 4}
        assert len(plane.times("poll")) in range(40, 45)
        assert plane.cancelled == 0

    run(test)


def test_a_hot_activity_does_not_starve_a_quiet_one(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([activity("hot", polls=20), activity("quiet", polls=1)], slots=2, seconds=1.0)
        for _ in range(400):
            plane.offer("arn:hot")
        world.polls.kick()
        waits = []
        for _ in range(10):
            await asyncio.sleep(10)
            offered = asyncio.get_running_loop().time()
            token = plane.offer("arn:quiet")
            await asyncio.sleep(5)
            waits.extend(when - offered for when, job in world.started if job.token.reveal() == token)
        assert len(waits) == 10
        # Two slots of a second each: a fair turn comes within two of them.
        assert max(waits) < 3.0
        hot = sum(job.activity == "hot" for _, job in world.started)
        # Nor does a slot stand idle for the quiet one: two slots for 150 s, less ten tasks of its own.
        assert hot > 280

    run(test)


def test_busy_activities_share_the_slots_evenly(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([activity("a", polls=30), activity("b", polls=1), activity("c", polls=4)], slots=3)
        for name in "abc":
            for _ in range(500):
                plane.offer(f"arn:{name}")
        world.polls.kick()
        await asyncio.sleep(100)
        shares = {name: sum(job.activity == name for _, job in world.started) for name in "abc"}
        assert sum(shares.values()) > 270
        assert min(shares.values()) > 0.25 * sum(shares.values())

    run(test)


def test_a_task_is_not_taken_that_cannot_start_soon(run, plane, parts) -> None:
    async def test() -> None:
        names = [f"a{number}" for number in range(20)]
        world = parts([activity(name, polls=8) for name in names], slots=2, seconds=30.0)
        for name in names:
            for _ in range(20):
                plane.offer(f"arn:{name}")
        world.polls.kick()
        await asyncio.sleep(1)
        # None was known to be busy: one poll each, and every one brought a task.
        assert len(world.taken) == 20
        await asyncio.sleep(600)
        assert world.most_waiting <= 20
        await asyncio.sleep(600)
        # From then on never more than the slots that were free, and the backlog is gone.
        assert len(world.backlog) == 0
        assert len(world.ledger) <= 2

    run(test)


def test_slots_do_not_idle_while_a_single_activity_has_tasks(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([activity("a", polls=2)], slots=8, seconds=1.0)
        for _ in range(2000):
            plane.offer("arn:a")
        world.polls.kick()
        await asyncio.sleep(101)
        assert len(world.started) > 0.9 * 800

    run(test)


def test_the_first_polls_of_workers_started_together_are_spread(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([activity(f"a{number}") for number in range(20)], slots=1, start_jitter=2.0)
        world.polls.kick()
        await asyncio.sleep(3)
        times = plane.times("poll")
        assert len(times) == 20 and max(times) - min(times) > 1.0 and len(set(times)) > 10

    run(test)


def test_paused_activities_are_not_polled_but_what_comes_is_kept(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([activity("a", polls=1), activity("b", polls=1)])
        world.polls.kick()
        await asyncio.sleep(1)
        world.polls.pause("a", paused=True)
        plane.offer("arn:a")
        await asyncio.sleep(1)
        assert [job.activity for _, job in world.taken] == ["a"]
        before = len(plane.times("poll", "arn:a"))
        await asyncio.sleep(200)
        assert len(plane.times("poll", "arn:a")) == before
        assert len(plane.times("poll", "arn:b")) >= 4
        world.polls.pause(None, paused=False)
        await asyncio.sleep(1)
        assert len(plane.times("poll", "arn:a")) == before + 1

    run(test)


def test_a_stop_leaves_open_polls_alone_and_their_task_comes_late(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([activity("a", polls=2)])
        world.polls.kick()
        await asyncio.sleep(1)
        world.polls.stop()
        world.polls.stop()
        assert world.polls.open == 2
        await asyncio.sleep(10)
        plane.offer("arn:a")
        await asyncio.sleep(60)
        assert (len(world.late), len(world.taken), world.polls.open, plane.cancelled) == (1, 0, 0, 0)
        await asyncio.sleep(600)
        assert len(plane.times("poll")) == 2

    run(test)


# -- pace


def test_the_pace_of_polls_is_no_limit_to_tasks(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([activity("a"), activity("b")], rate=2.0, seconds=0.02)
        for _ in range(200):
            plane.offer("arn:a")
        world.polls.kick()
        begun = asyncio.get_running_loop().time()
        while len(world.taken) < 200:
            await asyncio.sleep(0.1)
        # Four slots, 20 ms each, one poll for each task: a second. At two polls a second it would be a hundred.
        assert asyncio.get_running_loop().time() - begun < 4

    run(test)


def test_polls_that_bring_nothing_are_paced(run, plane, parts) -> None:
    async def test() -> None:
        plane.faults["poll"] = lambda arn: asyncio.get_running_loop().call_soon(
            lambda: [waiter.done() or waiter.set_result("released") for waiter in plane.waiters[arn]]
        )
        world = parts([activity("a")], rate=5.0)
        world.polls.kick()
        await asyncio.sleep(60)
        assert 290 <= len(plane.times("poll")) <= 5 + 60 * 5

    run(test)


def test_workers_that_share_a_throttled_account_use_it_up_with_few_calls_turned_down(run, plane, parts) -> None:
    async def test() -> None:
        quota, tokens, then, refused = 100.0, 100.0, asyncio.get_running_loop().time(), []

        def account(arn: str) -> None:
            nonlocal tokens, then
            now = asyncio.get_running_loop().time()
            tokens, then = min(quota, tokens + (now - then) * quota), now
            if tokens < 1:
                refused.append(now)
                raise service_error("GetActivityTask", "ThrottlingException", "Rate exceeded")
            tokens -= 1

        plane.faults["poll"] = account
        worlds = [parts([activity("a", polls=8)], slots=8, seconds=0.01, rate=50.0) for _ in range(4)]
        for _ in range(10_000):
            plane.offer("arn:a")
        for world in worlds:
            world.polls.kick()
        await asyncio.sleep(60)
        shares = [len(world.taken) for world in worlds]
        assert sum(shares) >= 0.9 * quota * 60
        assert len(refused) <= 0.15 * sum(shares)
        assert min(shares) >= max(shares) / 2

    run(test)


# -- failures


def test_a_throttled_activity_backs_off_alone_and_all_slow_down(run, plane, parts, caplog) -> None:
    caplog.set_level(logging.INFO, "sfini_celery")

    async def test() -> None:
        throttled = service_error("GetActivityTask", "ThrottlingException", "Rate exceeded")

        def fault(arn: str) -> None:
            if arn == "arn:a":
                raise throttled

        plane.faults["poll"] = fault
        world = parts([activity("a"), activity("b")], rate=100.0)
        world.polls.kick()
        await asyncio.sleep(120)
        tries = plane.times("poll", "arn:a")
        # Full jitter up to 30 s: few tries, and their distances grow.
        assert 5 <= len(tries) <= 60
        assert max(b - a for a, b in itertools.pairwise(tries)) > 5
        bucket = world.polls._bucket
        assert bucket.rate(tries[0] + 0.5) < 100.0
        assert world.polls.lines["b"].last_error is None
        assert world.polls.lines["a"].last_error == "ThrottlingException"
        plane.faults.clear()
        await asyncio.sleep(100)
        assert world.polls.lines["a"].last_error is None

    run(test)
    said = [record.getMessage().split()[0] for record in caplog.records]
    assert said.count("sfini_poll_throttled") == 1
    assert said.count("sfini_poll_recovered") == 1


def test_an_outage_is_said_once_tried_with_backoff_and_its_end_said_once(
    run, plane, parts, unreachable, caplog
) -> None:
    caplog.set_level(logging.INFO, "sfini_celery")

    async def test() -> None:
        plane.faults["poll"] = unreachable()
        world = parts([activity("a"), activity("b"), activity("c")])
        world.polls.kick()
        await asyncio.sleep(240)
        assert len(plane.times("poll")) < 200
        plane.faults.clear()
        plane.offer("arn:b")
        await asyncio.sleep(40)
        assert len(world.taken) == 1

    run(test)
    said = [record.getMessage().split()[0] for record in caplog.records]
    assert said == ["sfini_endpoint_unreachable", "sfini_endpoint_back"]


def test_an_outage_that_lasts_is_said_again(run, plane, parts, caplog) -> None:
    async def test() -> None:
        plane.faults["poll"] = service_error("GetActivityTask", "HTTP503", status=503)
        parts([activity("a")]).polls.kick()
        await asyncio.sleep(1000)

    run(test)
    assert [record.getMessage().split()[0] for record in caplog.records] == ["sfini_endpoint_unreachable"] * 4


def test_a_single_reset_is_not_called_an_outage(run, plane, parts, unreachable, caplog) -> None:
    async def test() -> None:
        plane.faults["poll"] = deque([unreachable(sent=True)])
        world = parts([activity("a", polls=1)])
        plane.offer("arn:a")
        world.polls.kick()
        await asyncio.sleep(1)
        assert len(world.taken) == 1

    run(test)
    assert not caplog.records


def test_a_missing_activity_is_asked_for_once_at_a_time_and_polled_when_it_exists(run, plane, parts, caplog) -> None:
    async def test() -> None:
        asked: list[str] = []
        plane.faults["poll"] = service_error("GetActivityTask", "ActivityDoesNotExist", "Activity does not exist")

        def create(name: str) -> bool:
            asked.append(name)
            plane.faults.clear()
            return True

        world = parts([activity("a", polls=3)], missing=create)
        plane.offer("arn:a")
        world.polls.kick()
        for _ in range(500):
            if world.taken:
                break
            await asyncio.sleep(0.1)
        assert asked == ["a"]
        assert len(world.taken) == 1

    run(test)
    assert [record.getMessage().split()[0] for record in caplog.records] == ["sfini_activity_missing"]


def test_an_activity_that_cannot_be_created_is_tried_slowly_and_stops_nothing(run, plane, parts, caplog) -> None:
    async def test() -> None:
        missing = service_error("GetActivityTask", "ActivityDoesNotExist")

        def fault(arn: str) -> None:
            if arn == "arn:a":
                raise missing

        def create(name: str) -> bool:
            raise service_error("CreateActivity", "AccessDeniedException")

        plane.faults["poll"] = fault
        world = parts([activity("a"), activity("b")], missing=create)
        plane.offer("arn:b")
        world.polls.kick()
        await asyncio.sleep(300)
        assert len(world.taken) == 1
        assert len(plane.times("poll", "arn:a")) < 30
        assert not world.crashed

    run(test)
    assert "sfini_activity_not_created" in caplog.text


def test_too_many_workers_halve_the_polls_of_that_activity(run, plane, parts, caplog) -> None:
    async def test() -> None:
        def fault(arn: str) -> None:
            if plane.open[arn] > 2:
                raise service_error("GetActivityTask", "ActivityWorkerLimitExceeded")

        plane.faults["poll"] = fault
        world = parts([activity("a", polls=8)], slots=8)
        world.polls.kick()
        await asyncio.sleep(120)
        assert world.polls.lines["a"].limit in (1, 2, 4)
        assert 1 <= plane.open["arn:a"] <= 2

    run(test)
    assert [record.getMessage().split()[0] for record in caplog.records] == ["sfini_worker_limit"]


@pytest.mark.parametrize(
    "error",
    [
        service_error("GetActivityTask", "AccessDeniedException", "not authorized"),
        service_error("GetActivityTask", "ExpiredTokenException", "expired"),
        NoCredentials("the metadata service is silent"),
    ],
    ids=["denied", "expired", "none"],
)
def test_refused_credentials_are_an_error_in_the_log_and_tried_slowly(run, plane, parts, caplog, error) -> None:
    refused: list[tuple[str, Exception]] = []

    async def test() -> None:
        plane.faults["poll"] = error
        world = parts([activity("a")], refused=lambda name, exc: refused.append((name, exc)))
        world.polls.kick()
        await asyncio.sleep(299)
        assert 4 <= len(plane.times("poll")) <= 100

    run(test)
    assert [(record.levelname, record.getMessage().split()[0]) for record in caplog.records] == [
        ("ERROR", "sfini_poll_refused")
    ]
    assert refused and refused[0] == ("a", error)


def test_an_error_nobody_thought_of_does_not_end_polling(run, plane, parts, caplog) -> None:
    async def test() -> None:
        plane.faults["poll"] = deque([KeyError("surprise"), service_error("GetActivityTask", "Teapot", status=418)])
        world = parts([activity("a", polls=1)])
        plane.offer("arn:a")
        world.polls.kick()
        await asyncio.sleep(120)
        assert len(world.taken) == 1 and not world.crashed

    run(test)
    assert "sfini_poll_failed" in caplog.text


def test_a_capacity_that_cannot_be_asked_is_a_crash(run, plane, parts) -> None:
    async def test() -> None:
        def capacity() -> int:
            raise ZeroDivisionError

        world = parts([activity("a")], capacity=capacity)
        world.polls.kick()
        await asyncio.sleep(0.1)
        assert [type(error) for error in world.crashed] == [ZeroDivisionError]

    run(test)


def test_a_token_that_comes_twice_is_one_job(run, plane, parts, caplog) -> None:
    async def test() -> None:
        world = parts([activity("a", polls=1)], seconds=100)
        plane.offer("arn:a")
        plane.queues["arn:a"].append(plane.queues["arn:a"][0])
        world.polls.kick()
        await asyncio.sleep(1)
        assert len(world.ledger) == len(world.taken) == 1

    run(test)
    assert "sfini_task_twice" in caplog.text and "SECRET" not in caplog.text
