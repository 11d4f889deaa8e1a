"""Which faults come when: a function of one number, so that a run that found a bug can be had again."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["PROCESS_FAULTS", "WIRE_FAULTS", "Event", "Schedule", "WireFault"]

WIRE_FAULTS = {
    "delay": "the request waits before it is passed on",
    "drop": "the request is swallowed, and the connection closed after a silence",
    "reset": "the connection is reset before the request is passed on",
    "reset_after": "the request is passed on, the connection reset in place of the answer",
    "throttle": "ThrottlingException",
    "error": "HTTP 500, the request not passed on",
    "error_after": "the request is passed on, and HTTP 500 answered",
    "duplicate": "the request is passed on twice, the first answer lost",
    "cut": "the answer ends in its middle",
}
"""What the proxy does to a request."""

TASK_LOSING = frozenset({"reset_after", "error_after", "duplicate", "cut"})
"""Those that swallow a task when they hit the poll that brings it: it waits for its heartbeat time-out."""

PROCESS_FAULTS = {
    "kill_child": "kill -9 of a pool's child process",
    "kill_worker": "kill -9 of the worker, its children left to find out",
    "kill_group": "kill -9 of the worker with its children",
    "restart": "SIGTERM, as when a new version is rolled out",
    "stop_briefly": "SIGSTOP for less than the heartbeat",
    "stop_long": "SIGSTOP for longer than the heartbeat",
    "kill_broker": "kill -9 of the broker, started again after a while",
    "outage": "every connection to Step Functions is reset for a while",
}
"""What is done to processes."""


@dataclass(frozen=True)
class WireFault:
    """What happens to one request.

    Attributes:
        kind: one of :data:`WIRE_FAULTS`
        seconds: how long it is delayed, or silent
    """

    kind: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Event:
    """What is done to a process.

    Attributes:
        at: seconds since the load began
        kind: one of :data:`PROCESS_FAULTS`
        seconds: how long it lasts
        whom: chooses among those it can be done to
    """

    at: float
    kind: str
    seconds: float
    whom: int

    def __str__(self) -> str:
        return f"{self.at:6.1f} s  {self.kind:<12} {self.seconds:4.1f} s  whom={self.whom}"


class Schedule:
    """Faults by a seed. What happens to the n-th request of an operation does not depend on any other request.

    Parameters:
        seed: any number
        heartbeat: HeartbeatSeconds of the tasks, which says what a long stop is
        share: of the requests that something happens to, 0 to 1
        losing: of the polls, the share whose answer is lost with the task that may be in it. Small, since a state
            may lose its task three times and not once more
    """

    def __init__(self, seed: int, *, heartbeat: float, share: float = 0.25, losing: float = 0.015) -> None:
        self.seed, self._heartbeat, self._share, self._losing = seed, heartbeat, share, losing

    def on_wire(self, operation: str, number: int) -> WireFault | None:
        """What happens to the ``number``-th request of an operation; None for most."""
        rng = random.Random(f"{self.seed}/{operation}/{number}")
        lot = rng.random()
        if operation == "GetActivityTask":
            if lot < self._losing:
                return WireFault(rng.choice(sorted(TASK_LOSING)))
            if lot >= self._share:
                return None
            kind = rng.choice(sorted(WIRE_FAULTS.keys() - TASK_LOSING))
        elif lot < self._share:
            kind = rng.choice(sorted(WIRE_FAULTS))
        else:
            return None
        return WireFault(kind, round(rng.uniform(0.05, 1.5), 2) if kind in ("delay", "drop") else 0.0)

    def on_processes(self, seconds: float, *, every: float, weights: Mapping[str, float] | None = None) -> list[Event]:
        """What happens to processes, and when: each kind once, the others at random, evenly over the time.

        Parameters:
            seconds: how long
            every: seconds between two events, on average
            weights: how often each kind comes; all alike without it
        """
        rng = random.Random(f"{self.seed}/processes")
        number = max(1, int(seconds / every))
        kinds = sorted(weights or PROCESS_FAULTS)
        chosen = rng.sample(kinds, len(kinds))[:number]
        while len(chosen) < number:
            chosen += rng.choices(kinds, [(weights or {}).get(kind, 1.0) for kind in kinds])
        return [
            Event(round((index + rng.uniform(0.2, 0.8)) * seconds / number, 2), kind, self._lasts(kind, rng), whom)
            for index, (kind, whom) in enumerate((kind, rng.randrange(1000)) for kind in chosen)
        ]

    def starts(self, number: int, seconds: float) -> Sequence[float]:
        """When each of ``number`` executions begins: one by one and in bursts."""
        rng = random.Random(f"{self.seed}/starts")
        moments: list[float] = []
        while len(moments) < number:
            moment = rng.uniform(0, seconds)
            moments += [moment] * min(rng.choice([1, 1, 1, 2, 5, 10]), number - len(moments))
        return sorted(moments)

    def _lasts(self, kind: str, rng: random.Random) -> float:
        low, high = {
            "stop_briefly": (0.5, self._heartbeat / 2),
            "stop_long": (self._heartbeat + 1, self._heartbeat + 3),
            "kill_broker": (0.5, 4.0),
            "outage": (0.5, self._heartbeat / 2),
        }.get(kind, (0.0, 0.0))
        return round(rng.uniform(low, high), 1)
