"""A job that was taken becomes a message that Celery's own strategy turns into a request.

The message never leaves the process: its body is not encoded, so neither serializers nor ``accept_content`` apply, and
acknowledging it means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from celery.app.task import Context
from celery.utils.log import get_logger
from celery.utils.saferepr import saferepr
from celery.utils.time import maybe_iso8601

from sfini_celery.activity import Activity, Call
from sfini_celery.errors import InvalidInput
from sfini_celery.worker.trace import HIDDEN

logger = get_logger(__name__)

__all__ = ["Held", "Message", "Retry", "build_message", "hold"]


@dataclass(frozen=True)
class Retry:
    """What a task asked to be retried with.

    Attributes:
        args, kwargs: what to call it with
        retries: how often it will have been retried
        eta: not before this time; None for at once
        options: time limits, expiry and priority, where given
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    retries: int
    eta: datetime | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, asked: Mapping[str, Any], now: datetime) -> Retry:
        """From what :func:`~sfini_celery.worker.trace.keeping_retries` caught."""
        eta = _moment(asked.get("eta"), now) or _moment(asked.get("countdown") or None, now)
        options = {name: asked[name] for name in _LIMITS if asked.get(name) is not None}
        if (expires := _moment(asked.get("expires"), now)) is not None:
            options["expires"] = expires
        return cls(tuple(asked["args"]), dict(asked["kwargs"]), int(asked["retries"] or 0), eta, options)


_LIMITS = ("time_limit", "soft_time_limit", "priority")


@dataclass
class Held:
    """What the bridge knows of a job beyond the ledger; belongs to the consumer's thread.

    Attributes:
        id: the job's, and the Celery task's
        call: the input, read
        task: the Celery task that runs: the activity's own, or Celery's ``celery.map`` over it
        activity: the activity it came for
        queue: the Celery queue that stands for
        args, kwargs, retries, eta, options: of the next attempt
        redelivered: a worker had it before
        requeued: how often it was given back without an outcome
        request: the Celery request of the present attempt; an older one no longer speaks for the job
        in_pool: that request was given to the pool
        result: what the pool gave for it; held on to, since the pool may not
    """

    id: str
    call: Call = field(repr=False)
    task: str
    activity: Activity
    queue: str
    args: tuple[Any, ...] = field(repr=False)
    kwargs: Mapping[str, Any] = field(repr=False)
    retries: int = 0
    eta: datetime | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    redelivered: bool = False
    requeued: int = 0
    request: Any = field(default=None, repr=False)
    in_pool: bool = False
    result: Any = field(default=None, repr=False)

    def retry(self, retry: Retry) -> None:
        """Make this the next attempt."""
        self.args, self.kwargs, self.retries, self.eta = retry.args, retry.kwargs, retry.retries, retry.eta
        self.options = {**self.options, **retry.options}
        self.leave()

    def leave(self) -> None:
        """The present request is over or lost."""
        self.request, self.in_pool, self.result = None, False, None

    @property
    def priority(self) -> int | None:
        """As the envelope, or the task's retry, gives it."""
        value = self.options.get("priority")
        return value if isinstance(value, int) else None


def hold(id: str, call: Call, activity: Activity, queue: str, *, now: datetime | None = None) -> Held:
    """The first attempt of a job.

    Raises:
        InvalidInput: an option of the envelope has a value it cannot have
    """
    options = dict(call.options)
    for name, allowed in (("priority", int), ("time_limit", _NUMBER), ("soft_time_limit", _NUMBER)):
        value = options.get(name)
        if value is not None and (not isinstance(value, allowed) or isinstance(value, bool)):
            raise InvalidInput(f"activity {activity.name!r}: option {name!r} must be a number")
    for name in ("headers", "stamps"):
        if not isinstance(options.get(name) or {}, Mapping):
            raise InvalidInput(f"activity {activity.name!r}: option {name!r} must be an object")
    if options.get("expires") is not None:
        now = now or datetime.now(timezone.utc)
        # A message would have begun to age when it was published: here, when its state was entered.
        expires = _moment(options["expires"], _moment(call.at.entered or None, now) or now)
        if expires is None:
            raise InvalidInput(f"activity {activity.name!r}: option 'expires' must be a number of seconds or a time")
        options["expires"] = expires
    task, args, kwargs = call.run
    return Held(id, call, task, activity, queue, args, kwargs, options=options)


_NUMBER = (int, float)


def _moment(value: object, base: datetime) -> datetime | None:
    """A time, an ISO 8601 text, or seconds from ``base``, as an aware datetime; None for anything else."""
    if isinstance(value, str):
        try:
            value = maybe_iso8601(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, _NUMBER) and not isinstance(value, bool):
        try:
            return base + timedelta(seconds=value)
        except (OverflowError, ValueError):
            return None
    return None


class Message:
    """As much of a kombu message as Celery's strategy and request look at."""

    content_type = content_encoding = None

    def __init__(self, held: Held, headers: dict[str, Any], body: tuple[Any, Any, Any], priority: int | None) -> None:
        self.held = held
        self.headers = headers
        self.body = self.payload = body
        self.properties = {"correlation_id": held.id, "priority": priority}
        self.delivery_info = {"exchange": "", "routing_key": held.queue, "redelivered": held.redelivered}

    def __repr__(self) -> str:
        return f"<activity task {self.held.id}>"


def build_message(app: Any, held: Held, *, origin: str) -> Message:
    """The message of a job's next attempt.

    Parameters:
        app: the Celery app
        held: the job
        origin: the worker's node name
    """
    task, call, options = app.tasks[held.task], held.call, held.options
    sensitive = held.activity.sensitive
    stamps = dict(options.get("stamps") or {})
    expires = options.get("expires", task.expires)
    if not isinstance(expires, datetime | None):
        now = datetime.now(timezone.utc)
        expires = _moment(expires, _moment(call.at.entered or None, now) or now)
    made = app.amqp.as_task_v2(
        held.id,
        held.task,
        held.args,
        held.kwargs,
        eta=held.eta,
        expires=expires,
        retries=held.retries,
        errbacks=_errbacks(app, held) or None,
        time_limit=options.get("time_limit"),
        soft_time_limit=options.get("soft_time_limit"),
        root_id=call.at.root_id,
        origin=origin,
        shadow=None if sensitive else _shadow(task, held),
        ignore_result=bool(sensitive or task.ignore_result),
        argsrepr=HIDDEN if sensitive else _readable(held.args, app.amqp.argsrepr_maxsize),
        kwargsrepr=HIDDEN if sensitive else _readable(dict(held.kwargs), app.amqp.kwargsrepr_maxsize),
    )
    # What a request means by its own attributes is Celery's and the bridge's: an envelope's headers do not replace it.
    wanted = (options.get("headers") or {}).items()
    own = {name: value for name, value in wanted if name not in made.headers and not hasattr(Context, name)}
    headers = {**own, **made.headers, "headers": own, "sfn": call.at}
    if stamps:
        headers |= {"stamped_headers": list(stamps), "stamps": stamps}
    args, kwargs, embed = made.body
    priority = task.priority if held.priority is None else held.priority
    return Message(held, headers, (args, dict(kwargs), embed), priority)


def _readable(value: Any, longest: int) -> str:
    """A shortened repr without the control characters that Celery's leaves in: it ends on operators' terminals."""
    text: str = saferepr(value, longest)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _shadow(task: Any, held: Held) -> str | None:
    try:
        return task.shadow_name(held.args, dict(held.kwargs), {}) or None
    except Exception:  # the user's own function, for a name in a log
        return None


def _errbacks(app: Any, held: Held) -> list[Any]:
    """``link_error`` as signatures of this app's tasks; nothing is called because a message names it."""
    found = []
    wanted = held.options.get("link_error") or []
    for entry in wanted if isinstance(wanted, list) else [wanted]:
        entry = {"task": entry} if isinstance(entry, str) else entry
        name = entry.get("task") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or name not in app.tasks or name.startswith("celery."):
            logger.warning("sfini_link_error_unknown %s: %r is not a task of this app", held.id, name)
            continue
        final = entry.get("attempt")
        if isinstance(final, int) and held.call.at.attempt < final:
            continue  # the state machine will retry this failure: it is not the final one
        args, kwargs, options = (entry.get(member) or default for member, default in _ERRBACK.items())
        if not (isinstance(args, list | tuple) and isinstance(kwargs, Mapping) and isinstance(options, Mapping)):
            logger.warning("sfini_link_error_unknown %s: %r is linked with what cannot be a call", held.id, name)
            continue
        found.append(
            app.signature(
                name,
                args=args,
                kwargs=dict(kwargs),
                options={key: options[key] for key in ("queue", "priority") if options.get(key) is not None},
                immutable=entry.get("immutable") is True,
            )
        )
    return found


_ERRBACK: dict[str, Any] = {"args": (), "kwargs": {}, "options": {}}
