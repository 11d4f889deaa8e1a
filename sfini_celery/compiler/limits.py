"""What AWS would refuse, or break over, refused when compiling: with the figure and the remedy.

Source: 'Service quotas' in the developer guide.
"""

from __future__ import annotations

from sfini_celery.compiler.literals import Shapes, literals_of, size_of, to_json
from sfini_celery.compiler.nodes import Branching, Caught, Each, Group, Node, Sequence, Step, walk
from sfini_celery.errors import CompileError

__all__ = [
    "LONGEST_DEFINITION",
    "LONGEST_PAYLOAD",
    "LONGEST_WAIT",
    "MOST_EVENTS",
    "MOST_INLINE_AT_ONCE",
    "MOST_INLINE_ITEMS",
    "check_call",
    "check_definition",
    "check_events",
    "check_input",
    "events_of",
    "runs_distributed",
]

LONGEST_DEFINITION = 1024 * 1024
"""Bytes."""
LONGEST_PAYLOAD = 262_144
"""Bytes."""
LONGEST_WAIT = 99_999_999
"""Seconds."""
MOST_EVENTS = 25_000
MOST_INLINE_AT_ONCE = 40
"""An inline Map runs so many at once; more asks for a distributed one."""
MOST_INLINE_ITEMS = 1000
"""An ad-hoc group of more members is a distributed map: an inline one's events all count in one history."""
MOST_INLINE_EVENTS = 10_000
"""So is one whose members write more events than this together."""

_ROOM = 1024  # what an envelope holds besides the call's own: names, where in the execution it is
_EVENTS_OF_A_TASK = 5  # entered, scheduled, started, succeeded, exited
_EVENTS_OF_A_STATE = 2  # entered, exited
_EVENTS_OF_A_GROUP = 4  # entered, started, succeeded, exited
_EVENTS_OF_AN_ITEM = 2  # iteration started, succeeded
_EVENTS_OF_A_RUN = 6  # of a distributed map: entered, started, run started, run succeeded, succeeded, exited

_ARGUMENTS_REMEDY = "keep large data elsewhere, such as in S3, and pass its key"


def check_definition(text: str) -> None:
    """Refuse a definition over 1 MiB."""
    size = len(text.encode())
    if size > LONGEST_DEFINITION:
        raise CompileError(
            "canvas",
            f"the definition would be {size:,} bytes, AWS allows {LONGEST_DEFINITION:,}",
            "run it ad hoc (app.sfn.delay), where a group of like members takes the room of one; use each(...) over "
            "a list; or split it into workflows that call each other",
        )


def check_call(path: str, task: str, size: int) -> None:
    """Refuse a call whose literals alone would fill what AWS allows as a state's data.

    Parameters:
        path: where the call stands
        task: its name
        size: bytes of its literals
    """
    if size > LONGEST_PAYLOAD - _ROOM:
        raise CompileError(
            path or "canvas",
            f"the arguments of {task} are {size:,} bytes of JSON, AWS allows {LONGEST_PAYLOAD:,} for a state's data",
            _ARGUMENTS_REMEDY,
        )


def check_input(node: Node, size: int) -> None:
    """Refuse an ad-hoc canvas whose literals do not fit into an execution's input.

    Parameters:
        node: the canvas, in which a call that alone is too large is looked for
        size: bytes of the input
    """
    if size <= LONGEST_PAYLOAD:
        return
    for part in walk(node):
        if isinstance(part, Step):
            check_call(
                part.path, part.task, size_of(to_json(literals_of(part), part.path, f"arguments of {part.task}"))
            )
    raise CompileError(
        "canvas",
        f"the arguments of all calls are {size:,} bytes, AWS allows {LONGEST_PAYLOAD:,} for an execution's input",
        f"{_ARGUMENTS_REMEDY}; or let a task return the list and go through it with each(...)",
    )


def check_events(node: Node, shapes: Shapes | None) -> None:
    """Refuse a canvas that even without a single retry writes more than 25,000 events.

    Parameters:
        node: the canvas
        shapes: of an ad-hoc canvas, whose like members are the items of a map; None for a named one
    """
    events = 2 + events_of(node, shapes)
    if events > MOST_EVENTS:
        ad_hoc = "" if shapes else "run it ad hoc (app.sfn.delay), where a large group of like members is distributed; "
        raise CompileError(
            node.place,
            f"an execution would write {events:,} history events or more, AWS ends it at {MOST_EVENTS:,}",
            f"{ad_hoc}use each(..., distributed=True) over a list; or split it into workflows that call each other",
        )
    if shapes is None:
        return
    for part in walk(node):
        if isinstance(part, Group) and runs_distributed(part, shapes):
            check_events(part.members[0], shapes)  # a history of its own


def runs_distributed(group: Group, shapes: Shapes) -> bool:
    """Whether an ad-hoc group is a distributed map."""
    if not shapes.alike(group):
        return False
    return len(group.members) > MOST_INLINE_ITEMS or _of_items(group, shapes) > MOST_INLINE_EVENTS


def _of_items(group: Group, shapes: Shapes) -> int:
    return len(group.members) * (_EVENTS_OF_AN_ITEM + events_of(group.members[0], shapes))


def events_of(node: Node, shapes: Shapes | None) -> int:
    """History events at least: retries, and items of lists that are not known yet, left out."""
    if isinstance(node, Group):
        delay = _EVENTS_OF_A_STATE if node.delay else 0
        if shapes is not None and shapes.alike(node):
            inner = _of_items(node, shapes)
            if len(node.members) > MOST_INLINE_ITEMS or inner > MOST_INLINE_EVENTS:
                return delay + _EVENTS_OF_A_RUN
            return delay + _EVENTS_OF_A_GROUP + inner
        return delay + _EVENTS_OF_A_GROUP + sum(events_of(member, shapes) for member in node.members)
    if isinstance(node, Each):
        return _EVENTS_OF_A_GROUP
    parts = [events_of(child, shapes) for child in node.children]
    if isinstance(node, Step):
        return _EVENTS_OF_A_TASK + (_EVENTS_OF_A_STATE if node.delay else 0) + sum(parts)
    if isinstance(node, Branching):
        return _EVENTS_OF_A_STATE + min(parts if node.otherwise else [*parts, 0])
    if isinstance(node, Caught):
        return parts[0]
    return sum(parts) if isinstance(node, Sequence) else _EVENTS_OF_A_STATE + sum(parts)
