"""Where Celery sends a task: the compiler and the worker must agree on it."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["queue_of"]

logger = logging.getLogger(__name__)


def queue_of(app: Any, task_name: str) -> str:
    """The queue that a task goes to when it is called without saying where."""
    task = app.tasks[task_name]
    own = {name: getattr(task, name, None) for name in ("queue", "exchange", "routing_key")}
    options = {name: value for name, value in own.items() if value is not None}
    try:
        route = app.amqp.router.route(options, task_name, task_type=task)
    except Exception as exc:  # a router is the user's function, and may want arguments to look at
        logger.warning("sfini_route_unknown: the router failed for %s without arguments: %r", task_name, exc)
        route = {}
    exchange, key = route.get("exchange"), route.get("routing_key")
    if exchange and key:  # these are where a message goes, whatever queue the route names beside them
        for name, declared in app.amqp.queues.items():
            if declared.routing_key == key and declared.exchange.name == getattr(exchange, "name", exchange):
                return str(name)
    queue = route.get("queue") or app.conf.task_default_queue
    return str(getattr(queue, "name", queue))
