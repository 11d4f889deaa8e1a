"""How many more activity tasks a worker may take, in numbers only.

An open poll is not a slot: counting polls as slots starved fifteen activities on eight slots for whole poll periods.
So polls are opened while a slot is free, and what arrives in excess waits, its heartbeats sent, in a short backlog.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Load", "free_slots", "may_start"]


@dataclass(frozen=True)
class Load:
    """What a worker is doing.

    Attributes:
        slots: tasks it can run at once
        reserved: requests that have a slot or stand in line for one, broker messages and activity tasks together
        ours: activity tasks among them
        waiting: activity tasks taken that nobody has reserved yet
        parked: activity tasks that wait for a time: a countdown, a rate limit
        parked_limit: so many of these need no slot
        share: part of the slots that broker messages cannot take from activities, 0 to 1
    """

    slots: int
    reserved: int
    ours: int
    waiting: int = 0
    parked: int = 0
    parked_limit: int = 1000
    share: float = 0.5

    @property
    def guaranteed(self) -> int:
        """Slots that are the activities' however many broker messages were prefetched."""
        return math.ceil(self.slots * min(self.share, 1.0))


def free_slots(load: Load) -> int:
    """How many activity tasks may be taken now.

    Example:
        >>> free_slots(Load(slots=8, reserved=3, ours=2, waiting=1))
        4
    """
    wanted = load.waiting + max(load.parked - load.parked_limit, 0)
    return max(load.slots - load.reserved - wanted, load.guaranteed - load.ours - wanted, 0)


def may_start(load: Load) -> bool:
    """Whether a task that waits may be given to the pool now: never more than can start soon.

    A request in a pool's own queue can no longer be revoked on the threads pool, and blocks the consumer on others.
    """
    return load.reserved < load.slots or load.ours < load.guaranteed
