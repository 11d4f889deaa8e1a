"""The retriers that every compiled Task state begins with: endings that are nobody's fault.

They come first, since a broad retrier of the user's before them would swallow them. ``States.Timeout`` is never retried
for infrastructure's sake: the task may have run all that time.
"""

from __future__ import annotations

from sfini_celery.asl import Task
from sfini_celery.errors import Ending

__all__ = ["add_infrastructure_retries"]


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
