"""Reads a canvas: one function per construct, registered by the signature's type; a dict is a signature too.

The meaning is what ``sig.apply()`` does. Ids, and what freezing leaves behind, are dropped: they belong to one run. The
canvas itself is neither changed nor used up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from celery import Celery, Task
from celery.canvas import Signature, maybe_signature
from celery.local import Proxy

from sfini_celery.compiler.nodes import Node
from sfini_celery.errors import CompileError

__all__ = ["Reader", "joined", "listed", "reads"]

Reading = Callable[["Reader", Any, str], Node]
_READINGS: dict[type, Reading] = {}
AnyReading = TypeVar("AnyReading", bound=Reading)


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
        ignored: called with a path and the names of options that mean nothing to a state machine
    """

    def __init__(self, app: Celery, ignored: Callable[[str, list[str]], object] = lambda path, names: None) -> None:
        self.app = app
        self.ignored = ignored

    def read(self, canvas: Any, path: str = "") -> Node:
        """The node of a canvas, or of a part of it.

        Raises:
            CompileError: it is no canvas, or holds what cannot be expressed
        """
        signature = canvas if isinstance(canvas, Signature) else self._signature(canvas, path)
        for kind in type(signature).__mro__:
            if kind in _READINGS:
                return _READINGS[kind](self, signature, path)
        raise CompileError(path or "canvas", f"a {type(signature).__name__} cannot be compiled")

    def all(self, canvases: Iterable[Any], path: str, what: str) -> list[Node]:
        """The nodes of the members of a construct."""
        return [self.read(canvas, joined(path, f"{what}[{index}]")) for index, canvas in enumerate(canvases)]

    def _signature(self, canvas: Any, path: str) -> Signature:
        if isinstance(canvas, Task | Proxy):
            raise CompileError(path or "canvas", f"{canvas!r} is a task, not a call of one", "write task.s(...)")
        if not isinstance(canvas, Mapping) or not isinstance(canvas.get("task"), str):
            kind = "a dict without a task" if isinstance(canvas, Mapping) else f"a {type(canvas).__name__}"
            raise CompileError(path or "canvas", f"{kind} is no signature", "write task.s(...), a chain, a group ...")
        try:
            return maybe_signature(_copied(canvas), app=self.app)
        except (LookupError, TypeError, AttributeError) as exc:
            raise CompileError(
                path or "canvas",
                f"this dict is no signature that Celery can read: {type(exc).__name__}: {exc}",
                "make it with dict(task.s(...)), or send a signature through JSON",
            ) from exc


def listed(value: Any) -> list[Any]:
    """An option that holds one thing or several, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


_PARTS = ("tasks", "header", "body")


def _copied(canvas: Mapping[str, Any]) -> dict[str, Any]:
    """A dict of a signature with dicts of its own: Celery puts signatures into those that it is given."""
    copy = {"args": (), "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False, **canvas}
    kwargs = dict(copy["kwargs"] or {})
    for name in _PARTS:
        if isinstance(part := kwargs.get(name), list | tuple):
            kwargs[name] = [_copied(member) if type(member) is dict else member for member in part]
        elif type(part) is dict:
            kwargs[name] = _copied(part)
    copy["kwargs"], copy["options"] = kwargs, dict(copy["options"] or {})
    return copy
