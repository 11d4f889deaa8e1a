"""Jobs that wait for a slot, the most urgent first and otherwise in the order in which they came."""

from __future__ import annotations

import heapq
import itertools

from sfini_celery.worker.inject import Held

__all__ = ["Backlog"]


class Backlog:
    """A queue of what one worker holds; belongs to the consumer's thread.

    Parameters:
        ascending: whether 0 is the most urgent priority, as with Redis; with RabbitMQ the largest number is

    Example:
        >>> backlog = Backlog()
        >>> backlog.push(slow), backlog.push(urgent)
        >>> backlog.pop() is urgent
        True
    """

    def __init__(self, *, ascending: bool = False) -> None:
        self.ascending = ascending
        self._heap: list[tuple[int, int, Held]] = []
        self._order = itertools.count()

    def push(self, held: Held) -> None:
        """Put a job in its place."""
        priority = held.priority or 0
        heapq.heappush(self._heap, (priority if self.ascending else -priority, next(self._order), held))

    def pop(self) -> Held:
        """Take the next job; raises IndexError when there is none."""
        return heapq.heappop(self._heap)[2]

    def clear(self) -> None:
        """Forget them all."""
        self._heap.clear()

    def __len__(self) -> int:
        return len(self._heap)
