"""Which activities a worker polls: those whose task routes to a queue that it consumes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sfini_celery.activity import Activity, queue_of

__all__ = ["Polled", "polled_activities", "queue_of"]


@dataclass(frozen=True)
class Polled:
    """An activity in AWS that this worker polls.

    Attributes:
        name: its name there, with ``@queue`` where it is one of the declared queues
        serving: the activities behind the name; several when tasks share it
        queue: the Celery queue that stands for
        polls: open polls at most
        heartbeat: HeartbeatSeconds
    """

    name: str
    serving: tuple[Activity, ...]
    queue: str
    polls: int
    heartbeat: float


def polled_activities(app: Any, activities: Iterable[Activity], *, polls: int) -> list[Polled]:
    """What a worker of ``app`` polls, sorted by name.

    Without ``-Q`` that is all of them, save those routed to a queue that ``-X`` excludes.

    Parameters:
        app: the Celery app, its queues selected already
        activities: the app's activities
        polls: open polls per activity that names no number of its own
    """
    served: dict[str, list[tuple[Activity, str]]] = {}
    for activity in activities:
        served.setdefault(activity.name, []).append((activity, queue_of(app, activity.task)))
        for queue in activity.queues:
            served.setdefault(f"{activity.name}@{queue}", []).append((activity, queue))
    return [
        Polled(
            name,
            tuple(activity for activity, _ in serving),
            serving[0][1],
            serving[0][0].polls or polls,
            float(serving[0][0].heartbeat),
        )
        for name, serving in sorted(served.items())
        if any(_consumes(app, queue) for _, queue in serving)
    ]


def _consumes(app: Any, queue: str) -> bool:
    queues = app.amqp.queues
    if queue in queues.consume_from:
        return True
    return queues._consume_from is None and queue not in _declared(app)


def _declared(app: Any) -> set[str]:
    """Queues that the app itself names, so that one of them not being consumed was meant (``-X``)."""
    names = {getattr(queue, "name", queue) for queue in app.conf.task_queues or ()}
    return {str(name) for name in names} | {str(app.conf.task_default_queue)}
