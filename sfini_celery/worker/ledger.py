"""What the bridge has taken and not yet reported: pure, thread-safe, the first outcome wins.

A job is one activity task. Its life is :data:`MOVES`, the one table of what may follow what; :func:`diagram` draws it.
Several endings of a task are seen twice, from different threads (``docs/endings.md``): whoever gets the job from
:meth:`Ledger.pop` reports it, everyone else gets None.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import NoReturn

from sfini_celery.errors import IllegalMove

__all__ = ["MOVES", "Job", "Ledger", "State", "Token", "diagram", "task_id"]

_NAMESPACE = uuid.UUID("5f1d1ce1-e7f0-5f1a-9c0a-5f1d1ce1e7f0")


class State(str, Enum):
    """Where a job is."""

    TAKEN = "taken"
    RESERVED = "reserved"
    RUNNING = "running"
    PARKED = "parked"
    ENDED = "ended"

    def __str__(self) -> str:
        return self.value


MOVES: Mapping[State, Mapping[State, str]] = {
    State.TAKEN: {
        State.RESERVED: "a slot is free: handed to the pool",
        State.RUNNING: "started at once",
        State.PARKED: "not before a time",
        State.ENDED: "handed back, or its token closed",
    },
    State.RESERVED: {
        State.RUNNING: "accepted by the pool",
        State.PARKED: "ETA or rate limit",
        State.TAKEN: "the pool or consumer lost it",
        State.ENDED: "revoked, expired, or its token closed",
    },
    State.RUNNING: {
        State.PARKED: "local retry with a countdown",
        State.RESERVED: "local retry at once",
        State.TAKEN: "requeued",
        State.ENDED: "an outcome, or its token closed",
    },
    State.PARKED: {
        State.RUNNING: "due, started at once",
        State.RESERVED: "due: handed to the pool",
        State.TAKEN: "due: waits for a slot",
        State.ENDED: "revoked, or its token closed",
    },
    State.ENDED: {},
}
"""From -> to -> when: the only moves there are."""


class Token:
    """A task token that cannot be printed, formatted or pickled by accident: it is a bearer secret.

    Example:
        >>> print(Token("AQCEAAAA"))
        <task token>
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The token itself, for the one call that sends it to AWS."""
        return self._text

    def __repr__(self) -> str:
        return "<task token>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a task token does not leave the process that took it")


@dataclass(frozen=True)
class Job:
    """One activity task, as it was when asked for: get it again after a move.

    Attributes:
        id: derived from the token, so it is the same wherever the task is seen; the Celery task id
        token: the task token, unprintable
        activity: the activity's name
        input: JSON text as AWS sent it, not in the repr
        heartbeat: HeartbeatSeconds; beats go at a third of it
        taken_at: when it was taken, seconds on the ledger's clock
        since: when it came into its present state, seconds on the ledger's clock
        state: where it is
        attempts: how often it began to run
    """

    id: str
    token: Token
    activity: str
    input: str = field(repr=False)
    heartbeat: float
    taken_at: float
    since: float
    state: State = State.TAKEN
    attempts: int = 0


def task_id(token: str) -> str:
    """The Celery task id of an activity task: stable, and nothing of the token can be read from it."""
    return str(uuid.uuid5(_NAMESPACE, token))


class Ledger:
    """The table of jobs. Every method may be called from any thread.

    Parameters:
        clock: seconds, monotonic

    Example:
        >>> ledger = Ledger()
        >>> job = ledger.take("AQCE", "resize", "{}", heartbeat=60)
        >>> ledger.move(job.id, State.RUNNING).attempts
        1
        >>> ledger.pop(job.id) is None, ledger.pop(job.id) is None
        (False, True)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._counts: Counter[tuple[str, State]] = Counter()

    def take(self, token: str, activity: str, input: str, *, heartbeat: float) -> Job:
        """Enter an activity task that was just taken.

        Parameters:
            token: its task token
            activity: the activity's name
            input: JSON text
            heartbeat: HeartbeatSeconds

        Raises:
            IllegalMove: this token is held already
        """
        now = self._clock()
        job = Job(task_id(token), Token(token), activity, input, heartbeat, now, now)
        with self._lock:
            held = self._jobs.get(job.id)
            if held is not None:
                raise IllegalMove(job.id, held.state, State.TAKEN)
            self._jobs[job.id] = job
            self._counts[activity, State.TAKEN] += 1
        return job

    def get(self, id: str) -> Job | None:
        """The job as it is now; None when it has ended or never was."""
        return self._jobs.get(id)

    def move(self, id: str, state: State) -> Job | None:
        """Say where a job is now. None when it has ended meanwhile: another thread had the outcome first.

        Raises:
            IllegalMove: the table has no such move (:meth:`pop` is the way to end); nothing was changed
        """
        now = self._clock()
        with self._lock:
            job = self._jobs.get(id)
            if job is None:
                return None
            if state is State.ENDED or state not in MOVES[job.state]:
                raise IllegalMove(id, job.state, state)
            moved = replace(job, state=state, since=now, attempts=job.attempts + (state is State.RUNNING))
            self._jobs[id] = moved
            self._leave(job)
            self._counts[job.activity, state] += 1
        return moved

    def pop(self, id: str) -> Job | None:
        """End a job. Who gets it, as it last was, owns its outcome; None says that someone else was first."""
        with self._lock:
            job = self._jobs.pop(id, None)
            if job is not None:
                self._leave(job)
        return job

    def _leave(self, job: Job) -> None:
        key = job.activity, job.state
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]

    def jobs(self, state: State | None = None, activity: str | None = None) -> list[Job]:
        """What is held now, the longest held first, if asked only of one state or activity."""
        with self._lock:
            jobs = list(self._jobs.values())
        return [
            job
            for job in jobs
            if (state is None or job.state is state) and (activity is None or job.activity == activity)
        ]

    def count(self, state: State | None = None, activity: str | None = None) -> int:
        """How many are held, if asked only of one state or activity."""
        with self._lock:
            return sum(
                number
                for (name, where), number in self._counts.items()
                if (state is None or where is state) and (activity is None or name == activity)
            )

    def counts(self) -> dict[State, int]:
        """How many are in each state; ENDED is not among them."""
        totals: dict[State, int] = {state: 0 for state in State if state is not State.ENDED}
        with self._lock:
            for (_, state), number in self._counts.items():
                totals[state] += number
        return totals

    def activities(self) -> dict[str, dict[State, int]]:
        """How many of each activity are in each state; only what is not zero."""
        table: dict[str, dict[State, int]] = {}
        with self._lock:
            for (activity, state), number in self._counts.items():
                table.setdefault(activity, {})[state] = number
        return table

    @property
    def waiting(self) -> int:
        """Jobs in the backlog: taken, and nobody has them yet."""
        return self.count(State.TAKEN)

    @property
    def parked(self) -> int:
        """Jobs that wait for a time: a local retry's countdown, an ETA, a rate limit. They need no slot meanwhile."""
        return self.count(State.PARKED)

    @property
    def busy(self) -> int:
        """Jobs that use a slot or need one as soon as there is one."""
        return self.count() - self.parked

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, id: object) -> bool:
        return id in self._jobs


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.TAKEN}: GetActivityTask"]
    for state, followers in MOVES.items():
        for follower, when in followers.items():
            # A colon would end the label early.
            label = when.replace(":", " -")
            lines.append(f"    {state} --> {'[*]' if follower is State.ENDED else follower}: {label}")
    return "\n".join(lines) + "\n"
