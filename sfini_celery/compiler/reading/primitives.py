"""The steps that Celery lacks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sfini_celery.canvas import Expression, primitives
from sfini_celery.compiler.limits import MOST_INLINE_AT_ONCE
from sfini_celery.compiler.nodes import Branching, Caught, Delay, Each, Handler, Loop, Node, Raw, Waiting
from sfini_celery.compiler.reading.options import names, options_of
from sfini_celery.compiler.reading.reader import Reader, joined, reads
from sfini_celery.errors import CompileError


def _primitive(reader: Reader, signature: primitives.Primitive, path: str) -> tuple[dict[str, Any], str | None]:
    """A primitive's parameters and its name; other options mean nothing on a step that is no task."""
    place = path or "canvas"
    options = options_of(reader, signature, path)
    if given := names(options):
        raise CompileError(place, f"{', '.join(given)}: {signature.NAME}(...) is no task", "set it on the tasks in it")
    if signature["args"]:
        raise CompileError(
            place,
            f"partial arguments on {signature.NAME}(...)",
            "give them to its tasks, or where the canvas is started",
        )
    return signature["kwargs"], options.name


@reads(primitives.Primitive)
def _read_unknown(reader: Reader, signature: primitives.Primitive, path: str) -> Node:
    raise CompileError(
        path or "canvas",
        f"there is no step {signature['task']!r}",
        "use each, choice, loop, wait, catch or asl; another version of sfini_celery may know more",
    )


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
    seconds, until = given["seconds"], given["until"]
    delay: Any = seconds if until is None else until
    if isinstance(delay, datetime):
        delay = Delay(until=delay)
    elif not isinstance(delay, Expression):
        delay = Delay(seconds=delay)
    return Waiting(path=path, name=name, delay=delay, kind="seconds" if until is None else "until")


@reads(primitives.catch)
def _read_catch(reader: Reader, signature: Any, path: str) -> Node:
    given, name = _primitive(reader, signature, path)
    return Caught(
        path=path,
        name=name,
        body=reader.read(given["body"], joined(path, "catch")),
        handlers=tuple(
            Handler(
                errors=tuple(entry["errors"]),
                ancestors={name: tuple(bases) for name, bases in entry.get("ancestors", {}).items()},
                body=reader.read(entry["handler"], joined(path, f"handler[{index}]")),
            )
            for index, entry in enumerate(given["handlers"])
        ),
    )


@reads(primitives.asl)
def _read_asl(reader: Reader, signature: Any, path: str) -> Node:
    given, name = _primitive(reader, signature, path)
    return Raw(path=path, name=name, state=given["state"])
