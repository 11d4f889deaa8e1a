"""A function, a task, a class, a task that is made later: what a decorator can be given, as a Celery task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import celery
from celery.local import PromiseProxy, Proxy

from sfini_celery.errors import ConfigurationError

__all__ = ["task_maker", "task_name"]


def task_name(app: celery.Celery, target: Any, options: Mapping[str, Any]) -> str:
    """The name that the Celery task of this function, task or class has, or will have."""
    pending = _pending(target)
    if pending is not None:  # a lazy task: evaluating it would read the app's configuration too early
        function, promised = pending
        return str(promised.get("name") or app.gen_task_name(function.__name__, function.__module__))
    if isinstance(target, Proxy):
        target = target._get_current_object()
    if isinstance(target, type) and issubclass(target, celery.Task):
        return str(getattr(target, "name", None) or app.gen_task_name(target.__name__, target.__module__))
    if isinstance(target, celery.Task):
        return str(target.name or app.gen_task_name(type(target).__name__, type(target).__module__))
    return str(options.get("name") or app.gen_task_name(target.__name__, target.__module__))


def task_maker(app: celery.Celery, target: Any, options: dict[str, Any]) -> Callable[[], Any]:
    """What turns the target into a Celery task; nothing is registered until it is called."""
    if _pending(target) is not None or isinstance(target, Proxy | celery.Task):
        if options:
            raise ConfigurationError(
                f"{', '.join(sorted(options))}: the task exists already; give Celery's options where it is made"
            )
        if type(target) in (PromiseProxy, Proxy) or target.name in app.tasks:
            return lambda: target
        return lambda: app.register_task(target)
    if isinstance(target, type) and issubclass(target, celery.Task):
        return lambda: app.register_task(target, **options)
    if not callable(target):
        raise ConfigurationError(f"an activity is made of a function or a Celery task, not {target!r}")
    return lambda: app.task(**options)(target)


def _pending(target: Any) -> tuple[Callable[..., Any], Mapping[str, Any]] | None:
    """The function and options of a lazily made Celery task that nobody has used yet."""
    if type(target) is not PromiseProxy or target.__evaluated__():
        return None
    arguments = object.__getattribute__(target, "_Proxy__args")
    return arguments[0], object.__getattribute__(target, "_Proxy__kwargs")
