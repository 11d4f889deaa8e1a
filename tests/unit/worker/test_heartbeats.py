"""Heartbeats in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque

import pytest

from sfini_celery.errors import NoCredentials, service_error
from sfini_celery.worker.ledger import State


@pytest.fixture(autouse=True)
def _everything_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sfini_celery")


def held(world, token: str = "SECRET-TOKEN-1", *, heartbeat: float = 60, state: State | None = None):
    job = world.ledger.take(token, "add", '"payload"', heartbeat=heartbeat)
    if state is not None:
        world.ledger.move(job.id, state)
    world.heartbeats.add(job)
    return job


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    assert "SECRET" not in caplog.text
    return [record.getMessage().split()[0] for record in caplog.records]


@pytest.mark.parametrize("heartbeat", [3, 10, 60, 3600])
def test_beats_go_at_a_third_of_the_interval(run, plane, parts, heartbeat) -> None:
    async def test() -> None:
        world = parts([])
        begun = asyncio.get_running_loop().time()
        held(world, heartbeat=heartbeat)
        await asyncio.sleep(heartbeat * 10)
        times = plane.times("heartbeat")
        gaps = [after - before for before, after in zip([begun, *times], times, strict=False)]
        third = heartbeat / 3
        assert max(gaps) <= third + 0.05
        assert min(gaps) >= third * 0.9 - 0.15
        assert world.heartbeats.counts["sent"] == pytest.approx(len(times), abs=1)

    run(test)


@pytest.mark.parametrize("state", [None, State.RESERVED, State.RUNNING, State.PARKED], ids=str)
def test_a_job_is_beaten_for_wherever_it_is(run, plane, parts, state) -> None:
    async def test() -> None:
        world = parts([])
        held(world, state=state)
        await asyncio.sleep(200)
        assert 9 <= len(plane.times("heartbeat")) <= 11

    run(test)


def test_a_job_that_has_ended_is_not_beaten_for(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([])
        job = held(world)
        await asyncio.sleep(30)
        world.ledger.pop(job.id)
        await asyncio.sleep(600)
        assert len(plane.times("heartbeat")) == 1

    run(test)


def test_a_closed_token_takes_the_job_from_the_ledger_before_anybody_is_told(run, plane, parts, caplog) -> None:
    async def test() -> None:
        world = parts([])
        told = []
        world.heartbeats._closed = lambda job: told.append((job, world.ledger.get(job.id)))
        job = held(world, state=State.RUNNING)
        plane.closed["SECRET-TOKEN-1"] = "TaskTimedOut"
        await asyncio.sleep(25)
        [(closed, in_ledger)] = told
        assert (closed.id, closed.state, in_ledger) == (job.id, State.RUNNING, None)
        await asyncio.sleep(600)
        assert len(told) == len(plane.times("heartbeat")) == 1

    run(test)
    assert said(caplog) == ["sfini_task_closed"]


def test_a_task_that_ends_while_its_beat_is_on_the_way_is_not_revoked(run, plane, parts, caplog) -> None:
    async def test() -> None:
        world = parts([])
        job = held(world)

        def reported_meanwhile(token: str) -> None:
            assert world.ledger.pop(job.id) is not None
            plane.closed[token] = "TaskTimedOut"

        plane.faults["heartbeat"] = reported_meanwhile
        await asyncio.sleep(600)
        assert world.closed == []
        assert len(plane.times("heartbeat")) == 1

    run(test)
    assert said(caplog) == []


def test_invalid_token_alone_does_not_revoke_a_running_task(run, plane, parts, caplog) -> None:
    async def test() -> None:
        world = parts([])
        job = held(world, state=State.RUNNING)
        plane.closed["SECRET-TOKEN-1"] = "InvalidToken"
        await asyncio.sleep(200)
        assert world.closed == [] and job.id in world.ledger
        assert len(plane.times("heartbeat")) >= 9
        plane.closed["SECRET-TOKEN-1"] = "TaskTimedOut"
        await asyncio.sleep(25)
        assert [job.id for job in world.closed] == [job.id]

    run(test)
    assert said(caplog) == ["sfini_heartbeat_not_wanted", "sfini_task_closed"]


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist"])
def test_both_ways_of_saying_that_nobody_waits_close_the_job(run, plane, parts, code) -> None:
    async def test() -> None:
        world = parts([])
        held(world)
        plane.closed["SECRET-TOKEN-1"] = code
        await asyncio.sleep(25)
        assert len(world.closed) == 1

    run(test)


def test_a_lost_beat_is_sent_again_well_before_the_task_times_out(run, plane, parts, unreachable) -> None:
    async def test() -> None:
        world = parts([])
        begun = asyncio.get_running_loop().time()
        held(world, heartbeat=30)
        plane.faults["heartbeat"] = deque([unreachable(sent=True)] * 3)
        await asyncio.sleep(30)
        accepted = [when - begun for when in plane.times("heartbeat")][3]
        assert accepted < 20

    run(test)


@pytest.mark.parametrize(
    "error",
    [
        service_error("SendTaskHeartbeat", "ThrottlingException"),
        service_error("SendTaskHeartbeat", "AccessDeniedException"),
        service_error("SendTaskHeartbeat", "HTTP503", status=503),
        NoCredentials("gone"),
        RuntimeError("a bug of ours"),
    ],
    ids=lambda error: getattr(error, "code", type(error).__name__),
)
def test_no_failure_of_a_beat_ends_the_beats_or_the_job(run, plane, parts, error) -> None:
    async def test() -> None:
        world = parts([])
        job = held(world)
        plane.faults["heartbeat"] = deque([error] * 8)
        await asyncio.sleep(600)
        assert job.id in world.ledger and world.closed == []
        assert len(plane.times("heartbeat")) >= 30
        assert world.heartbeats.counts["failed"] == 8

    run(test)


def test_a_beat_that_hangs_leaves_time_for_another(run, plane, parts) -> None:
    async def test() -> None:
        hanging = deque([lambda token: asyncio.sleep(10_000)])
        plane.faults["heartbeat"] = hanging
        world = parts([])
        begun = asyncio.get_running_loop().time()
        held(world, heartbeat=30)
        await asyncio.sleep(60)
        second = plane.times("heartbeat")[1] - begun
        assert second < 25

    run(test)


def test_a_thousand_jobs_beat_in_bounded_numbers_and_none_late(run, plane, parts) -> None:
    async def test() -> None:
        under_way, most = 0, 0

        async def busy(token: str) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.02)
            under_way -= 1

        plane.faults["heartbeat"] = busy
        world = parts([])
        for number in range(1000):
            held(world, f"SECRET-{number}", heartbeat=60)
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(100)
        assert most <= 16
        for number in range(0, 1000, 97):
            times = [begun, *plane.times("heartbeat", f"SECRET-{number}"), begun + 100]
            assert max(after - before for before, after in itertools.pairwise(times)) < 30

    run(test)


def test_an_idle_heart_does_not_wake(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([])
        assert world.heartbeats._timer is None
        job = held(world)
        world.ledger.pop(job.id)
        await asyncio.sleep(60)
        assert world.heartbeats._timer is None and not world.heartbeats._due

    run(test)


def test_a_stopped_heart_sends_nothing_more(run, plane, parts) -> None:
    async def test() -> None:
        world = parts([])
        held(world)
        await asyncio.sleep(30)
        world.heartbeats.stop()
        await asyncio.sleep(600)
        assert len(plane.times("heartbeat")) == 1

    run(test)
