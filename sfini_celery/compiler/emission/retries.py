"""What a compiled Task state retries.

First come the endings that are nobody's fault, since a broad retrier before them would swallow them. ``States.Timeout``
is never retried for infrastructure's sake: the task may have run all that time. Where the setting ``sfn_retries`` says
``"states"``, ``autoretry_for`` follows, with the delays that Celery computes; ``self.retry()`` stays in the worker.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sfini_celery.asl import MISSING, Retrier, Task
from sfini_celery.errors import Ending

__all__ = ["Policy", "add_infrastructure_retries", "add_retries", "ancestors_of", "policy_of"]

_WILDCARD = "States.TaskFailed"
_MOST_ATTEMPTS = 99_999_999
_LONGEST_DELAY = 31_622_400


def add_infrastructure_retries(state: Task, *, at_most_once: bool) -> None:
    """Retry what the infrastructure did to a task: lost workers three times, stopping workers ten times.

    Parameters:
        state: the Task state
        at_most_once: only what surely never started is retried
    """
    if at_most_once:
        state.retry_for([str(Ending.NOT_STARTED)], 1, 10, 2.0, max_delay=30, jitter="FULL")
        return
    state.retry_for([str(Ending.WORKER_LOST), "States.HeartbeatTimeout"], 1, 3, 2.0, max_delay=30, jitter="FULL")
    state.retry_for([str(Ending.WORKER_SHUTDOWN), str(Ending.NOT_STARTED)], 1, 10, 2.0, max_delay=30, jitter="FULL")


@dataclass(frozen=True)
class Policy:
    """How a task wants to be retried, as Celery's ``autoretry_for`` and its companions say.

    Attributes:
        classes: exceptions that are retried
        never: exceptions that are not, although a base class of theirs is
        attempts: retries at most
        interval: seconds before the first retry, 1 or more
        rate: what the interval is multiplied with after each
        longest: seconds that it does not grow beyond, None for no limit
        jitter: whether each delay is a random part of that
    """

    classes: tuple[type[BaseException], ...]
    never: tuple[type[BaseException], ...]
    attempts: int
    interval: int
    rate: float
    longest: int | None
    jitter: bool

    @property
    def wild(self) -> bool:
        """Whether every exception is retried."""
        return any(kind in (Exception, BaseException) for kind in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Error names that the state retries."""
        if self.wild:
            return (_WILDCARD,)
        return tuple(dict.fromkeys(kind.__name__ for kind in self.classes))

    @property
    def never_names(self) -> tuple[str, ...]:
        """Error names that it does not retry."""
        return tuple(dict.fromkeys(kind.__name__ for kind in self.never))

    @property
    def listed(self) -> tuple[str, ...]:
        """The names that a worker must know, to report an exception by the nearest of them."""
        return tuple(name for name in (*self.never_names, *self.names) if name != _WILDCARD)

    def told(self) -> dict[str, Any]:
        """What an envelope says of it, so that the worker does not retry, and knows which failure is the last."""
        never = {"never": list(self.never_names)} if self.never else {}
        errors = {} if self.wild else {"errors": list(self.names)}
        return {"times": self.attempts, **errors, **never}


def policy_of(task: Any) -> Policy | None:
    """The retry policy of a Celery task, None where it retries nothing of its own accord.

    Source: ``celery/app/autoretry.py`` and ``Task.retry``.
    """
    classes = tuple(getattr(task, "autoretry_for", ()) or ())
    given = dict(getattr(task, "retry_kwargs", None) or {})
    attempts = given.get("max_retries", task.max_retries)
    if not classes or attempts == 0:
        return None
    attempts = _MOST_ATTEMPTS if attempts is None else min(int(attempts), _MOST_ATTEMPTS)
    never = tuple(getattr(task, "dont_autoretry_for", ()) or ())
    backoff = float(getattr(task, "retry_backoff", False))
    if not backoff:
        countdown = given.get("countdown")
        seconds = _whole(task.default_retry_delay if countdown is None else countdown)
        return Policy(classes, never, attempts, seconds, 1.0, None, jitter=False)
    factor = int(max(1.0, backoff))
    longest = int(getattr(task, "retry_backoff_max", 600))
    jitter = bool(getattr(task, "retry_jitter", True))
    if longest <= factor:  # it never grows; and AWS wants the longest delay to be above the first
        return Policy(classes, never, attempts, _whole(longest), 1.0, None, jitter=jitter)
    return Policy(classes, never, attempts, factor, 2.0, min(longest, _LONGEST_DELAY), jitter=jitter)


def _whole(seconds: float) -> int:
    return min(max(1, math.ceil(seconds)), _MOST_ATTEMPTS)


def add_retries(state: Task, policy: Policy, never: Iterable[str], errors: Iterable[str]) -> None:
    """Retry a state as a policy says, after what it retries already.

    Parameters:
        state: the Task state
        policy: the task's
        never, errors: the policy's names, and those that mean a subclass of theirs
    """
    if spared := tuple(never):
        state.retriers.append(Retrier(spared, max_attempts=0))
    if policy.wild:  # the bridge's endings are no exceptions of the task's
        known = {name for retrier in state.retriers for name in retrier.errors}
        endings = [*(str(ending) for ending in Ending), "States.HeartbeatTimeout"]
        state.retriers.append(Retrier(tuple(name for name in endings if name not in known), max_attempts=0))
    longest = MISSING if policy.longest is None else policy.longest
    jitter = "FULL" if policy.jitter else "NONE"
    state.retriers.append(
        Retrier(tuple(errors), policy.interval, policy.attempts, policy.rate, max_delay=longest, jitter=jitter)
    )


def ancestors_of(kind: type[BaseException]) -> tuple[str, ...]:
    """Names of the base classes of an exception, those of every exception left out."""
    return tuple(base.__name__ for base in kind.__mro__[1:] if base not in (Exception, BaseException, object))
