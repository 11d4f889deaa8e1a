"""The virtual clock: it stands still, moves when told to, and skips when nothing else can run."""

from __future__ import annotations

import asyncio
import time

import pytest

from sfini_celery.local.clock import RealClock, VirtualClock


def test_an_hour_of_sleep_takes_no_time_on_a_skipping_clock() -> None:
    async def main() -> float:
        clock = VirtualClock(start=0, auto=True)
        await asyncio.gather(clock.sleep(3600), clock.sleep(7200))
        return clock.now()

    begin = time.monotonic()
    assert asyncio.run(main()) == 7200
    assert time.monotonic() - begin < 2


def test_a_clock_without_auto_stands_still_until_it_is_moved() -> None:
    async def main() -> None:
        clock = VirtualClock(start=0)
        sleeper = asyncio.create_task(clock.sleep(10))
        await clock.advance(9.5)
        assert not sleeper.done()
        assert clock.now() == 9.5
        await clock.advance(0.5)
        assert sleeper.done()

    asyncio.run(main())


def test_advance_calls_in_the_order_of_time_and_sees_timers_that_earlier_ones_set() -> None:
    async def main() -> list[tuple[str, float]]:
        clock = VirtualClock(start=0)
        seen: list[tuple[str, float]] = []

        async def beat() -> None:
            for _ in range(3):
                await clock.sleep(2)
                seen.append(("beat", clock.now()))

        clock.call_later(5, lambda: seen.append(("late", clock.now())))
        clock.call_later(3, lambda: seen.append(("early", clock.now())))
        task = asyncio.create_task(beat())
        await clock.advance(6)
        assert task.done()
        return seen

    assert asyncio.run(main()) == [("beat", 2), ("early", 3), ("beat", 4), ("late", 5), ("beat", 6)]


def test_a_timer_that_was_taken_back_is_neither_called_nor_skipped_to() -> None:
    async def main() -> float:
        clock = VirtualClock(start=0, auto=True)
        clock.call_later(100, lambda: pytest.fail("it was taken back")).cancel()
        await clock.sleep(1)
        return clock.now()

    assert asyncio.run(main()) == 1


def test_background_timers_are_not_worth_skipping_time_for_but_fall_due() -> None:
    async def main() -> None:
        clock = VirtualClock(start=0, auto=True)
        due: list[float] = []
        clock.call_later(60, lambda: due.append(clock.now()), background=True)
        await asyncio.sleep(0.01)
        assert clock.now() == 0
        await clock.sleep(100)
        assert due == [60]
        assert clock.now() == 100

    asyncio.run(main())


def test_what_is_ready_to_run_runs_before_time_is_skipped() -> None:
    async def main() -> None:
        clock = VirtualClock(start=0, auto=True)
        sleeper = asyncio.create_task(clock.sleep(10))
        for _ in range(1000):
            await asyncio.sleep(0)
            assert clock.now() == 0
        await sleeper
        assert clock.now() == 10

    asyncio.run(main())


def test_a_cancelled_sleep_leaves_no_timer_behind() -> None:
    async def main() -> None:
        clock = VirtualClock(start=0)
        sleeper = asyncio.create_task(clock.sleep(10))
        await asyncio.sleep(0)
        sleeper.cancel()
        await clock.advance(20)
        assert sleeper.cancelled()

    asyncio.run(main())


def test_the_real_clock_is_the_machines() -> None:
    async def main() -> None:
        clock = RealClock()
        begin = clock.now()
        called = asyncio.Event()
        clock.call_later(0.01, called.set)
        await asyncio.wait_for(called.wait(), 5)
        await clock.sleep(0.01)
        assert 0.01 <= clock.now() - begin < 5
        assert abs(begin - time.time()) < 5

    asyncio.run(main())
