"""The options of signatures: what they mean to a state machine, and how those of a construct reach its parts.

As Celery's workers do: a group's options go to every member and win over its own; a chain's go to its first task, but a
link to the last one and errbacks to all; a chord's go to header and body, countdown and ETA to the header only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from celery.canvas import Signature
from celery.utils.time import maybe_iso8601

from sfini_celery.compiler.limits import LONGEST_WAIT
from sfini_celery.compiler.nodes import Delay, Group, Node, Sequence, Step, Waiting
from sfini_celery.compiler.reading.reader import Reader, joined, listed
from sfini_celery.errors import CompileError

__all__ = ["Options", "chord_under", "names", "options_of", "under"]

# What Celery's own machinery writes into a signature's options: it belongs to one run.
_OF_ONE_RUN = frozenset({"root_id", "parent_id", "group_id", "group_index", "reply_to", "chord", "origin"})
# How a message is published; here nothing is.
_OF_PUBLISHING = frozenset(
    {"serializer", "compression", "connection", "producer", "publisher", "retry", "retry_policy", "delivery_mode",
     "mandatory", "immediate", "add_to_parent", "ignore_result", "shadow", "replaced_task_nesting", "argsrepr",
     "kwargsrepr", "declare", "expiration", "delivery_info", "app", "result_cls", "router", "route_name", "use_link",
     "chain", "utc", "ignored", "interval", "propagate"}
)  # fmt: skip
_ROUTING = ("queue", "routing_key", "exchange")
_MEANT = frozenset({"sfn_name", "link", "link_error", "countdown", "eta", "task_id", "stamped_headers", *_ROUTING})
_CARRIED = frozenset({"priority", "headers", "soft_time_limit", "time_limit", "expires"})


@dataclass(frozen=True)
class Options:
    """What a signature's options mean to a state machine.

    Attributes:
        name: of the state
        carried: what the envelope carries
        queue: where it is routed on purpose
        delay: countdown or eta
        links: callbacks, as signatures or their dicts
        errbacks: what the worker runs on the final failure, as the envelope carries it
    """

    name: str | None = None
    carried: Mapping[str, Any] = field(default_factory=dict)
    queue: str | None = None
    delay: Delay | None = None
    links: tuple[Any, ...] = ()
    errbacks: tuple[Mapping[str, Any], ...] = ()


def options_of(reader: Reader, signature: Signature, path: str) -> Options:
    """A signature's options; what means nothing here is told to the reader.

    Raises:
        CompileError: an option has a value it cannot have, or fixes the task's id
    """
    given = {
        key: value
        for key, value in (signature["options"] or {}).items()
        if value is not None and key not in _OF_ONE_RUN and key not in _OF_PUBLISHING
    }
    if not given:
        return _NONE
    place = path or "canvas"
    if "task_id" in given and not _is_frozen(signature):
        raise CompileError(
            place,
            f"a fixed task_id ({given['task_id']!r}) cannot be kept: ids derive from the execution",
            "name the execution instead, with task_id= where it is started",
        )
    stamps = {name: given.get(name) for name in listed(given.get("stamped_headers"))}
    unknown = sorted(given.keys() - _CARRIED - _MEANT - stamps.keys())
    if unknown:
        reader.ignored(place, unknown)
    carried = {key: _checked(place, key, given[key]) for key in given if key in _CARRIED}
    return Options(
        name=given.get("sfn_name"),
        carried={**carried, **({"stamps": stamps} if stamps else {})},
        queue=_queue(reader, given),
        delay=_delay(given, place),
        links=tuple(listed(given.get("link"))),
        errbacks=tuple(_errback(reader, errback, place) for errback in listed(given.get("link_error"))),
    )


_NONE = Options()


def _is_frozen(signature: Mapping[str, Any]) -> bool:
    """Whether an id is what ``freeze()`` left: it also leaves where the result goes, on every call."""
    if "reply_to" in (signature.get("options") or {}):
        return True
    kwargs = signature.get("kwargs") or {}
    parts = kwargs.get("tasks") if "tasks" in kwargs else kwargs.get("header")
    if isinstance(parts, Mapping):
        return _is_frozen(parts)
    members = list(parts or ())
    return not members if "tasks" in kwargs else any(_is_frozen(member) for member in members[:1])


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "priority": (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
    "headers": (lambda value: isinstance(value, Mapping), "a dict"),
    "soft_time_limit": (_number, "a number of seconds"),
    "time_limit": (_number, "a number of seconds"),
    "expires": (lambda value: _number(value) or isinstance(value, datetime | str), "a number of seconds or a time"),
}


def _checked(place: str, name: str, value: Any) -> Any:
    check, wanted = _CHECKS[name]
    if not check(value):
        raise CompileError(place, f"{name} must be {wanted}, not {value!r}")
    return value


def _queue(reader: Reader, given: Mapping[str, Any]) -> str | None:
    """The queue of a signature: by its own name, or the declared one that a routing key leads to."""
    queue, key, exchange = (given.get(name) for name in _ROUTING)
    if queue is not None:
        return str(getattr(queue, "name", queue))
    if key is None and exchange is None:
        return None
    name = getattr(exchange, "name", exchange)
    for declared in reader.app.amqp.queues.values():
        bound = declared.exchange.name if declared.exchange is not None else ""
        if (key is None or declared.routing_key == key) and (name is None or bound == name):
            return str(declared.name)
    return str(key if key is not None else name)


def _delay(given: Mapping[str, Any], place: str) -> Delay | None:
    if (countdown := given.get("countdown")) is not None:
        if not _number(countdown):
            raise CompileError(place, f"countdown must be a number of seconds, not {countdown!r}")
        if countdown > LONGEST_WAIT:
            raise CompileError(place, f"countdown is {countdown:,} seconds, AWS waits at most {LONGEST_WAIT:,}")
        return Delay(seconds=math.ceil(countdown)) if countdown > 0 else None
    if (eta := given.get("eta")) is None:
        return None
    if isinstance(eta, str):
        try:
            eta = maybe_iso8601(eta)
        except ValueError:
            raise CompileError(place, f"eta {eta!r} is no ISO 8601 time") from None
    if not isinstance(eta, datetime):
        raise CompileError(place, f"eta must be a time, not {eta!r}")
    return Delay(until=eta if eta.tzinfo else eta.replace(tzinfo=timezone.utc))  # Celery takes naive times as UTC


def _errback(reader: Reader, errback: Any, place: str) -> dict[str, Any]:
    """An errback as the worker gets it: the task by name, its arguments, nothing of one run."""
    if not isinstance(errback, Mapping) or not isinstance(errback.get("task"), str):
        raise CompileError(place, f"link_error must be a signature, not {errback!r}")
    name = errback["task"]
    if errback.get("subtask_type") or name.startswith("celery."):
        raise CompileError(
            place,
            f"link_error is a {errback.get('subtask_type') or name}, and the worker calls single tasks only",
            "let one task start the rest, or use catch(canvas, {Exception: handler})",
        )
    if name not in reader.app.tasks:
        raise CompileError(place, f"link_error {name!r} is not a task of this app, and the worker calls no other")
    routing = {key: errback["options"][key] for key in ("queue", "priority") if (errback.get("options") or {}).get(key)}
    return {
        "task": name,
        "args": list(errback.get("args") or ()),
        "kwargs": dict(errback.get("kwargs") or {}),
        **({"immutable": True} if errback.get("immutable") else {}),
        **({"options": routing} if routing else {}),
    }


def under(reader: Reader, node: Node, options: Options) -> Node:
    """A node under the options of its own signature, or of the construct around it, which win."""
    if options is _NONE or options == _NONE:
        return node
    if isinstance(node, Step):
        return _step_under(reader, node, options)
    if isinstance(node, Group):
        inner = replace(options, name=None, delay=None)
        members = tuple(under(reader, member, inner) for member in node.members)
        node = replace(node, name=options.name or node.name, members=members)
        if options.delay is not None:
            members = tuple(map(_undelayed, members))
            node = replace(node, members=members, delay=options.delay)
        return node
    if isinstance(node, Sequence):
        return _sequence_under(reader, node, options)
    return node if options.name is None else replace(node, name=options.name)


def _step_under(reader: Reader, node: Step, options: Options) -> Step:
    first = len(node.links)
    links = tuple(
        reader.read(link, joined(node.path, f"link[{first + index}]")) for index, link in enumerate(options.links)
    )
    carried = {**node.options, **options.carried}
    if stamps := node.options.get("stamps"):  # the inner ones are final
        carried["stamps"] = stamps
    if options.errbacks:
        carried["link_error"] = [*node.options.get("link_error", ()), *options.errbacks]
    return replace(
        node,
        name=options.name or node.name,
        options=carried,
        queue=options.queue or node.queue,
        delay=options.delay or node.delay,
        links=(*node.links, *links),
    )


def _sequence_under(reader: Reader, node: Sequence, options: Options) -> Sequence:
    steps = list(node.steps)
    first = next((place for place, step in enumerate(steps) if not isinstance(step, Waiting)), 0)
    leading = replace(options, name=None, links=(), errbacks=())
    steps[first] = under(reader, steps[first], leading)
    steps[-1] = under(reader, steps[-1], Options(name=options.name, links=options.links))
    if options.errbacks:
        steps = [under(reader, step, Options(errbacks=options.errbacks)) for step in steps]
    return replace(node, steps=tuple(steps))


def _undelayed(node: Node) -> Node:
    """A node without the delay that it begins with."""
    if isinstance(node, Step):
        return replace(node, delay=None)
    if isinstance(node, Group):
        return replace(node, delay=None, members=tuple(map(_undelayed, node.members)))
    if isinstance(node, Sequence):
        return replace(node, steps=(_undelayed(node.steps[0]), *node.steps[1:]))
    return node


def chord_under(reader: Reader, header: Node, body: Node, options: Options) -> tuple[Node, Node]:
    """Header and body of a chord under the options of the chord."""
    ahead = replace(options, name=None, links=(), errbacks=())
    behind = replace(options, delay=None)
    return under(reader, header, ahead), under(reader, body, behind)


def names(options: Options) -> list[str]:
    """Which options, besides a name, were given: for steps that are no tasks."""
    given = {
        "queue": options.queue,
        "countdown": options.delay,
        "link": options.links,
        "link_error": options.errbacks,
        **options.carried,
    }
    return sorted(name for name, value in given.items() if value)
