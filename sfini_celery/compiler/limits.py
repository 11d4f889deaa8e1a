"""What AWS would refuse, or break over, refused when compiling: with the figure and the remedy.

Source: 'Service quotas' in the developer guide; the figures are in :data:`LIMITS`.
"""

from __future__ import annotations

import json
from typing import Any

from sfini_celery.compiler.emit import MOST_INLINE_ITEMS
from sfini_celery.compiler.nodes import Branching, Caught, Each, Group, Node, Sequence, Step
from sfini_celery.errors import CompileError

__all__ = ["LONGEST_DEFINITION", "LONGEST_PAYLOAD", "MOST_EVENTS", "check_definition", "check_events", "check_payload"]

LONGEST_DEFINITION = 1024 * 1024
LONGEST_PAYLOAD = 262_144
MOST_EVENTS = 25_000

_EVENTS_OF_A_TASK = 5  # entered, scheduled, started, succeeded, exited
_EVENTS_OF_A_GROUP = 4  # entered, started, succeeded, exited
_EVENTS_OF_AN_ITEM = 2  # iteration started, succeeded


def check_definition(text: str) -> None:
    """Refuse a definition over 1 MiB."""
    size = len(text.encode())
    if size > LONGEST_DEFINITION:
        raise CompileError(
            "canvas",
            f"the definition would be {size:,} bytes, AWS allows {LONGEST_DEFINITION:,}",
            "run it ad hoc (app.sfn.delay), whose literals are not in the definition, or use each(...) over a list",
        )


def check_payload(value: Any, what: str, remedy: str) -> None:
    """Refuse data over 256 KiB."""
    size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    if size > LONGEST_PAYLOAD:
        raise CompileError("canvas", f"{what} would be {size:,} bytes, AWS allows {LONGEST_PAYLOAD:,}", remedy)


def check_events(node: Node, *, adhoc: bool) -> None:
    """Refuse a canvas that even without a single retry writes more than 25,000 events."""
    events = 2 + _events(node, adhoc=adhoc)
    if events > MOST_EVENTS:
        raise CompileError(
            node.place,
            f"an execution would write {events:,} history events, AWS ends it at {MOST_EVENTS:,}",
            "split it into workflows that call each other, or use each(..., distributed=True)",
        )


def _events(node: Node, *, adhoc: bool) -> int:
    """At least so many events, retries and items of lists that are not known yet left out."""
    inner = [_events(child, adhoc=adhoc) for child in node.children]
    if isinstance(node, Step):
        return _EVENTS_OF_A_TASK + (2 if node.delay else 0) + sum(inner)
    if isinstance(node, Group):
        if adhoc and len(inner) > MOST_INLINE_ITEMS:
            return _EVENTS_OF_A_GROUP + 2  # the children have histories of their own
        return _EVENTS_OF_A_GROUP + sum(_EVENTS_OF_AN_ITEM + events for events in inner)
    if isinstance(node, Each):
        return _EVENTS_OF_A_GROUP
    if isinstance(node, Branching):
        return 2 + min(inner if node.otherwise else [*inner, 0])
    if isinstance(node, Caught):
        return inner[0]
    return 2 + sum(inner) if not isinstance(node, Sequence) else sum(inner)
