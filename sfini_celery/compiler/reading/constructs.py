"""Celery's own constructs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from celery.canvas import Signature, _chain, _chord, chunks, group, xmap, xstarmap

from sfini_celery.compiler.nodes import Constant, Group, Nested, Node, Sequence, Step
from sfini_celery.compiler.reading.options import chord_under, options_of, under
from sfini_celery.compiler.reading.reader import Reader, joined, reads
from sfini_celery.errors import CompileError

WORKFLOW = "sfini.workflow."
"""How the Celery tasks are named that start workflows."""


@reads(Signature)
def _read_step(reader: Reader, signature: Signature, path: str) -> Node:
    task = str(signature["task"])
    if (reading := _BY_NAME.get(task)) is not None:  # a clone of these forgets its type
        return reading(reader, signature, path)
    kind = Nested if task.startswith(WORKFLOW) else Step
    step = kind(
        path=path,
        task=task,
        args=tuple(signature["args"] or ()),
        kwargs=dict(signature["kwargs"] or {}),
        immutable=bool(signature["immutable"]),
    )
    return under(reader, step, options_of(reader, signature, path))


@reads(_chain)
def _read_chain(reader: Reader, chain: Signature, path: str) -> Node:
    _refuse_arguments(chain, path, "chain")
    tasks = list(chain.tasks or ())
    steps = [
        reader.read(task, joined(path, f"chain[{index}]")) for index, task in enumerate(tasks) if not _is_no_chain(task)
    ]
    # As Celery: an empty group in a chain does nothing, unless there is nothing else.
    kept = [step for step in steps if not _is_empty(step)]
    if not kept:
        if steps:
            return Constant(path=path, value=[])
        raise CompileError(path or "canvas", "an empty chain has no result")
    return under(reader, Sequence(path=path, steps=tuple(kept)), options_of(reader, chain, path))


def _is_empty(node: Node) -> bool:
    return isinstance(node, Group) and not node.members


def _is_no_chain(signature: Any) -> bool:
    """Whether it is a chain of nothing, which Celery's workers leave out."""
    if not isinstance(signature, Mapping) or signature.get("subtask_type") != "chain":
        return False
    return not list(signature["kwargs"].get("tasks") or ())


def _refuse_arguments(signature: Signature, path: str, what: str) -> None:
    if signature.args or (what == "chord" and signature.kwargs.get("kwargs")):
        raise CompileError(
            path or "canvas",
            f"arguments on a {what} itself: Celery passes them on or drops them, depending on how it is run",
            "give them to the first task, or where the canvas is started",
        )


@reads(group)
def _read_group(reader: Reader, signature: Signature, path: str) -> Node:
    members: list[Node] = []
    for index, member in enumerate(_members(signature)):
        if _is_no_chain(member):
            continue
        node = reader.read(member, joined(path, f"group[{index}]"))
        unrolled = isinstance(node, Group) and isinstance(member, Mapping) and member.get("subtask_type") == "group"
        members.extend(_unrolled(node) if unrolled else [node])
    return under(reader, Group(path=path, members=tuple(members)), options_of(reader, signature, path))


def _unrolled(node: Node) -> Iterable[Node]:
    """The members of a group in a group, which Celery takes as the outer one's own."""
    assert isinstance(node, Group)
    return node.members


def _members(signature: Signature) -> list[Any]:
    tasks = signature.tasks
    if isinstance(tasks, Mapping):  # a chord's header that is a group itself
        tasks = tasks["kwargs"]["tasks"]
    if not isinstance(tasks, list | tuple) and not hasattr(tasks, "__length_hint__"):
        tasks = signature.tasks = list(tasks or ())
    return list(tasks)  # Celery keeps what a generator gave, so this uses nothing up


@reads(_chord)
def _read_chord(reader: Reader, chord: Signature, path: str) -> Node:
    _refuse_arguments(chord, path, "chord")
    header, body = chord.kwargs.get("header"), chord.kwargs.get("body")
    if body is None:
        raise CompileError(path or "canvas", "a chord without a body has no result", "give it a body, or write a group")
    if not (isinstance(header, Mapping) and header.get("subtask_type") == "group"):
        header = group(list(header or ()), app=reader.app)
    members, last = reader.read(header, joined(path, "header")), reader.read(body, joined(path, "body"))
    members, last = chord_under(reader, members, last, options_of(reader, chord, path))
    return Sequence(path=path, steps=(members, last))


@reads(xmap, xstarmap)
def _read_map(reader: Reader, signature: Signature, path: str) -> Node:
    over = "starmap" if signature.task == "celery.starmap" else "map"
    task, items = _task_and_items(signature, path, over)
    step = Step(path=path, task=task, args=tuple(items), immutable=True, over=over)
    return under(reader, step, options_of(reader, signature, path))


@reads(chunks)
def _read_chunks(reader: Reader, signature: Signature, path: str) -> Node:
    task, items = _task_and_items(signature, path, "chunks")
    size = int(signature.kwargs["n"])
    if size < 1:
        raise CompileError(path or "canvas", f"chunks of {size} items", "give it 1 or more")
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    members = tuple(
        Step(path=joined(path, f"chunk[{index}]"), task=task, args=tuple(part), immutable=True, over="starmap")
        for index, part in enumerate(parts)
    )
    return under(reader, Group(path=path, members=members), options_of(reader, signature, path))


def _task_and_items(signature: Signature, path: str, what: str) -> tuple[str, list[Any]]:
    """What a map applies to what. A plain generator is kept on the signature as the list it gave."""
    try:
        inner, items = signature.kwargs["task"], signature.kwargs["it"]
        name = inner["task"] if isinstance(inner, Mapping) else inner.name
    except (LookupError, AttributeError) as exc:
        raise CompileError(path or "canvas", f"{what} without a task or its items ({exc})") from exc
    if not isinstance(items, list | tuple) and not hasattr(items, "__length_hint__"):
        items = signature.kwargs["it"] = list(items)
    return str(name), list(items)


_BY_NAME = {"celery.map": _read_map, "celery.starmap": _read_map, "celery.chunks": _read_chunks}
