from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.worker.capacity import Load, free_slots, may_start

loads = st.builds(
    Load,
    slots=st.integers(0, 50),
    reserved=st.integers(0, 200),
    ours=st.integers(0, 50),
    waiting=st.integers(0, 50),
    parked=st.integers(0, 50),
    parked_limit=st.integers(0, 50),
    share=st.floats(0, 1),
)


@pytest.mark.parametrize(
    ("load", "free"),
    [
        (Load(slots=8, reserved=0, ours=0), 8),
        (Load(slots=8, reserved=3, ours=3), 5),
        (Load(slots=8, reserved=3, ours=3, waiting=4), 1),
        (Load(slots=8, reserved=8, ours=8, waiting=3), 0),
        (Load(slots=0, reserved=0, ours=0), 0),
    ],
)
def test_backlog_uses_capacity_and_open_polls_do_not(load: Load, free: int) -> None:
    assert free_slots(load) == free


def test_countdowns_use_no_capacity_until_there_are_too_many() -> None:
    assert free_slots(Load(slots=4, reserved=0, ours=0, parked=10, parked_limit=10)) == 4
    assert free_slots(Load(slots=4, reserved=0, ours=0, parked=13, parked_limit=10)) == 1
    assert free_slots(Load(slots=4, reserved=0, ours=0, parked=99, parked_limit=10)) == 0


def test_prefetched_broker_messages_cannot_starve_the_activities() -> None:
    full_of_messages = Load(slots=4, reserved=16, ours=0, share=0.5)
    assert free_slots(full_of_messages) == 2
    assert may_start(full_of_messages)
    assert free_slots(Load(slots=4, reserved=18, ours=2, share=0.5)) == 0
    assert not may_start(Load(slots=4, reserved=18, ours=2, share=0.5))
    assert free_slots(Load(slots=4, reserved=16, ours=0, share=0.0)) == 0


def test_one_slot_is_still_shared() -> None:
    assert Load(slots=1, reserved=0, ours=0, share=0.1).guaranteed == 1


@given(loads)
def test_never_more_is_taken_than_there_are_slots(load: Load) -> None:
    assert 0 <= free_slots(load) <= max(load.slots, load.guaranteed)
    if free_slots(load) and not load.waiting:
        assert may_start(load)
