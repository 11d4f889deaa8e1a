"""Celery's signatures -> nodes. One function per construct, registered by type; a dict is a signature too.

The meaning is what ``sig.apply()`` does. Ids, and what freezing leaves behind, are dropped: they belong to one run. The
canvas itself is neither changed nor used up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, TypeVar

from celery import Celery
from celery.canvas import Signature, _chain, _chord, chunks, group, maybe_signature, xmap, xstarmap

from sfini_celery.canvas import primitives
from sfini_celery.compiler.nodes import (
    Branching,
    Caught,
    Constant,
    Delay,
    Each,
    Group,
    Loop,
    Node,
    Raw,
    Sequence,
    Step,
    Waiting,
)
from sfini_celery.errors import CompileError

__all__ = ["Reader", "reads"]

Reading = Callable[["Reader", Any, str], Node]
_READINGS: dict[type, Reading] = {}
AnyReading = TypeVar("AnyReading", bound=Reading)

# What Celery's own machinery writes into a signature's options: it belongs to one run.
_OF_ONE_RUN = frozenset({"root_id", "parent_id", "group_id", "group_index", "reply_to", "chord", "origin"})
# How a message is published; here nothing is.
_OF_PUBLISHING = frozenset(
    {"serializer", "compression", "connection", "producer", "publisher", "retry", "retry_policy", "delivery_mode",
     "mandatory", "immediate", "add_to_parent", "ignore_result", "shadow", "replaced_task_nesting", "argsrepr",
     "kwargsrepr", "declare", "expiration", "delivery_info", "app", "result_cls", "router", "route_name", "use_link"}
)  # fmt: skip
MOST_INLINE_AT_ONCE = 40
"""An inline Map runs so many at once; more asks for a distributed one."""
_OWN = frozenset({"sfn_name", "link", "link_error", "countdown", "eta", "queue", "routing_key", "exchange", "task_id"})
CARRIED = frozenset({"priority", "headers", "stamps", "stamped_headers", "soft_time_limit", "time_limit", "expires"})


def reads(*kinds: type) -> Callable[[AnyReading], AnyReading]:
    """Register the function that reads signatures of these types."""

    def register(reading: AnyReading) -> AnyReading:
        _READINGS.update(dict.fromkeys(kinds, reading))
        return reading

    return register


def joined(path: str, part: str) -> str:
    """A path one step further down."""
    return f"{path}.{part}" if path else part


class Reader:
    """Reads canvases of one app.

    Parameters:
        app: the Celery app whose tasks the canvas names
        ignored: called with a path and the names of options that are not carried; they are logged once
    """

    def __init__(self, app: Celery, ignored: Callable[[str, list[str]], object] = lambda path, names: None) -> None:
        self.app = app
        self.ignored = ignored

    def read(self, canvas: Any, path: str = "") -> Node:
        """The node of a canvas, or of a part of it.

        Raises:
            CompileError: it is no canvas, or holds what cannot be expressed
        """
        if not isinstance(canvas, Mapping) or "task" not in canvas:
            raise CompileError(
                path or "canvas", f"{type(canvas).__name__} is no signature", "write task.s(...), a chain, a group ..."
            )
        signature = canvas if isinstance(canvas, Signature) else maybe_signature(dict(canvas), app=self.app)
        for kind in type(signature).__mro__:
            if kind in _READINGS:
                return _READINGS[kind](self, signature, path)
        raise CompileError(path or "canvas", f"a {type(signature).__name__} cannot be compiled")

    def all(self, canvases: Iterable[Any], path: str, what: str) -> list[Node]:
        """The nodes of the members of a construct."""
        return [self.read(canvas, joined(path, f"{what}[{index}]")) for index, canvas in enumerate(canvases)]

    def options(self, signature: Signature, path: str) -> dict[str, Any]:
        """A signature's options without what belongs to one run; what is not carried is told."""
        options = {
            key: value
            for key, value in signature.options.items()
            if key not in _OF_ONE_RUN and key not in _OF_PUBLISHING and value is not None
        }
        if "task_id" in options:
            raise CompileError(
                path or "canvas", "a fixed task_id cannot be kept: ids derive from the execution",
                "name the execution instead: apply_async(task_id=...) on the workflow",
            )  # fmt: skip
        stamps = frozenset(options.get("stamped_headers") or ())
        unknown = sorted(options.keys() - CARRIED - _OWN - stamps)
        if unknown:
            self.ignored(path or "canvas", unknown)
        return {key: value for key, value in options.items() if key not in unknown}


def _carried(options: Mapping[str, Any]) -> dict[str, Any]:
    stamps = frozenset(options.get("stamped_headers") or ())
    return {key: value for key, value in options.items() if key in CARRIED or key in stamps}


@reads(Signature)
def _read_step(reader: Reader, signature: Signature, path: str) -> Node:
    if (reading := _BY_NAME.get(signature.task)) is not None:  # a clone of these forgets its type
        return reading(reader, signature, path)
    options = reader.options(signature, path)
    return _with_options(
        reader,
        Step(
            path=path,
            task=str(signature.task),
            args=tuple(signature.args or ()),
            kwargs=dict(signature.kwargs or {}),
            immutable=bool(signature.immutable),
        ),
        options,
    )


def _with_options(reader: Reader, node: Node, options: Mapping[str, Any]) -> Node:
    """A node under the options of what is around it: ``apply(**options)`` hands them down, and they win."""
    if not options:
        return node
    if isinstance(node, Step):
        links = [
            reader.read(link, joined(node.path, f"link[{index}]"))
            for index, link in enumerate(_listed(options.get("link")))
        ]
        carried = {**node.options, **_carried(options)}
        errbacks = [*node.options.get("link_error", ()), *map(_errback, _listed(options.get("link_error")))]
        if errbacks:
            carried["link_error"] = errbacks
        return replace(
            node,
            name=options.get("sfn_name", node.name),
            options=carried,
            queue=_queue(options, node.queue),
            delay=_delay(options, node.path) or node.delay,
            links=(*node.links, *links),
        )
    inner = {key: value for key, value in options.items() if key != "sfn_name"}
    if isinstance(node, Group):
        members = tuple(_with_options(reader, member, inner) for member in node.members)
        return replace(node, name=options.get("sfn_name", node.name), members=members)
    if isinstance(node, Sequence):
        link = {"link": inner.pop("link")} if "link" in inner else {}
        steps = [_with_options(reader, step, inner) for step in node.steps]
        if link and steps:
            steps[-1] = _with_options(reader, steps[-1], link)
        return replace(node, name=options.get("sfn_name", node.name), steps=tuple(steps))
    return node


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _errback(errback: Any) -> dict[str, Any]:
    """An errback as the worker gets it: the task by name, its arguments, nothing of one run."""
    return {
        "task": errback["task"],
        "args": list(errback.get("args") or ()),
        "kwargs": dict(errback.get("kwargs") or {}),
        "options": {},
        "subtask_type": None,
        "immutable": bool(errback.get("immutable")),
    }


def _queue(options: Mapping[str, Any], default: str | None) -> str | None:
    queue = options.get("queue") or options.get("routing_key")
    return default if queue is None else str(getattr(queue, "name", queue))


def _delay(options: Mapping[str, Any], path: str) -> Delay | None:
    if (countdown := options.get("countdown")) is not None:
        if isinstance(countdown, bool) or not isinstance(countdown, int | float) or not math.isfinite(countdown):
            raise CompileError(path or "canvas", f"countdown must be a number of seconds, not {countdown!r}")
        return Delay(seconds=math.ceil(countdown)) if countdown > 0 else None
    if (eta := options.get("eta")) is not None:
        if isinstance(eta, str):
            try:
                eta = datetime.fromisoformat(eta.replace("Z", "+00:00"))
            except ValueError:
                raise CompileError(path or "canvas", f"eta {eta!r} is no ISO 8601 time") from None
        if not isinstance(eta, datetime):
            raise CompileError(path or "canvas", f"eta must be a datetime, not {eta!r}")
        return Delay(until=eta if eta.tzinfo else eta.replace(tzinfo=timezone.utc))
    return None


@reads(_chain)
def _read_chain(reader: Reader, chain: Signature, path: str) -> Node:
    tasks = list(chain.tasks or ())
    steps = reader.all(tasks, path, "chain")
    # As Celery: an empty group or chain in a chain does nothing, unless there is nothing else.
    kept = [step for step in steps if not _is_empty(step)]
    if not kept:
        empty_groups = [step for step in steps if isinstance(step, Group)]
        if empty_groups:
            return Constant(path=path, value=[])
        raise CompileError(path or "canvas", "an empty chain has no result")
    return _with_options(reader, Sequence(path=path, steps=tuple(kept)), reader.options(chain, path))


def _is_empty(node: Node) -> bool:
    return (isinstance(node, Group) and not node.members) or (isinstance(node, Sequence) and not node.steps)


@reads(group)
def _read_group(reader: Reader, signature: Signature, path: str) -> Node:
    members: list[Node] = []
    for index, member in enumerate(_members(signature)):
        if isinstance(member, Mapping) and member.get("subtask_type") == "chain" and not _tasks(member):
            continue  # Celery drops empty chains from groups
        node = reader.read(member, joined(path, f"group[{index}]"))
        members.extend(node.members if isinstance(node, Group) else [node])  # groups in groups are unrolled
    return _with_options(reader, Group(path=path, members=tuple(members)), reader.options(signature, path))


def _tasks(signature: Mapping[str, Any]) -> list[Any]:
    return list(signature["kwargs"].get("tasks") or ())


def _members(signature: Signature) -> Iterable[Any]:
    tasks = signature.tasks
    if isinstance(tasks, Mapping):  # a chord's header that is a group itself
        tasks = tasks["kwargs"]["tasks"]
    return list(tasks)  # Celery keeps what a generator gave, so this uses nothing up


@reads(_chord)
def _read_chord(reader: Reader, chord: Signature, path: str) -> Node:
    header, body = chord.kwargs.get("header"), chord.kwargs.get("body")
    if body is None:
        raise CompileError(path or "canvas", "a chord without a body", "give it one, or write a group")
    place = joined(path, "header")
    if not (isinstance(header, Mapping) and header.get("subtask_type") == "group"):
        header = group(list(header or ()), app=reader.app)
    members = reader.read(header, place)
    if _is_empty(members):
        members = Constant(path=place, value=[])
    options = reader.options(chord, path)
    callbacks: dict[str, Any] = {key: options.pop(key) for key in ("link", "link_error") if key in options}
    last = _with_options(reader, reader.read(body, joined(path, "body")), callbacks)
    return Sequence(path=path, name=options.get("sfn_name"), steps=(members, last))


@reads(xmap, xstarmap)
def _read_map(reader: Reader, signature: Signature, path: str) -> Node:
    inner, items = signature.kwargs["task"], list(signature.kwargs["it"])
    over = "starmap" if signature.task == "celery.starmap" else "map"
    step = Step(path=path, task=str(inner["task"]), args=tuple(items), immutable=True, over=over)
    return _with_options(reader, step, reader.options(signature, path))


@reads(chunks)
def _read_chunks(reader: Reader, signature: Signature, path: str) -> Node:
    inner, size = signature.kwargs["task"], int(signature.kwargs["n"])
    items = list(signature.kwargs["it"])
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    members = tuple(
        Step(path=joined(path, f"chunk[{index}]"), task=str(inner["task"]), args=tuple(part), immutable=True,
             over="starmap")
        for index, part in enumerate(parts)
    )  # fmt: skip
    return _with_options(reader, Group(path=path, members=members), reader.options(signature, path))


def _primitive(reader: Reader, signature: primitives.Primitive, path: str) -> tuple[dict[str, Any], str | None]:
    """A primitive's parameters and its name; other options mean nothing on a step that is no task."""
    options = reader.options(signature, path)
    name = options.pop("sfn_name", None)
    if options:
        place = path or "canvas"
        raise CompileError(
            place, f"{', '.join(sorted(options))}: {signature.NAME}(...) is no task", "set it on the tasks"
        )
    if signature["args"]:
        raise CompileError(path or "canvas", f"partial arguments on {signature.NAME}(...)", "set them on its tasks")
    return signature["kwargs"], name


@reads(primitives.each)
def _read_each(reader: Reader, signature: Any, path: str) -> Node:
    given, name = _primitive(reader, signature, path)
    return Each(
        path=path,
        name=name,
        body=reader.read(given["body"], joined(path, "each")),
        concurrency=given["concurrency"],
        tolerate=given["tolerate"],
        distributed=given["distributed"] or (given["concurrency"] or 0) > MOST_INLINE_AT_ONCE,
    )


@reads(primitives.choice)
def _read_choice(reader: Reader, signature: Any, path: str) -> Node:
    given, name = _primitive(reader, signature, path)
    branches = [
        reader.read(branch["then"], joined(path, f"choice[{index}]")) for index, branch in enumerate(given["branches"])
    ]
    otherwise = given["otherwise"]
    return Branching(
        path=path,
        name=name,
        conditions=tuple(branch["when"] for branch in given["branches"]),
        branches=tuple(branches),
        otherwise=None if otherwise is None else reader.read(otherwise, joined(path, "otherwise")),
    )


@reads(primitives.loop)
def _read_loop(reader: Reader, signature: Any, path: str) -> Node:
    given, name = _primitive(reader, signature, path)
    body = reader.read(given["body"], joined(path, "loop"))
    return Loop(path=path, name=name, body=body, until=given["until"], at_most=given["at_most"])


@reads(primitives.wait)
def _read_wait(reader: Reader, signature: Any, path: str) -> Node:
    given, name = _primitive(reader, signature, path)
    return Waiting(path=path, name=name, seconds=given["seconds"], until=given["until"])


@reads(primitives.catch)
def _read_catch(reader: Reader, signature: Any, path: str) -> Node:
    given, name = _primitive(reader, signature, path)
    return Caught(
        path=path,
        name=name,
        body=reader.read(given["body"], joined(path, "catch")),
        errors=tuple(tuple(entry["errors"]) for entry in given["handlers"]),
        handlers=tuple(
            reader.read(entry["handler"], joined(path, f"handler[{index}]"))
            for index, entry in enumerate(given["handlers"])
        ),
    )


@reads(primitives.asl)
def _read_asl(reader: Reader, signature: Any, path: str) -> Node:
    given, name = _primitive(reader, signature, path)
    return Raw(path=path, name=name, state=given["state"])


_BY_NAME = {"celery.map": _read_map, "celery.starmap": _read_map, "celery.chunks": _read_chunks}
