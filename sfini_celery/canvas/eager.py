"""Canvases run here and now, primitives included: the meaning that a compiled machine is held against.

Celery's own calls are left to Celery's ``apply()``, once ``prev`` among their arguments is replaced by what it stands
for. Callbacks run too, their results and failures dropped; delays do not.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from celery.canvas import Signature, _chain, _chord, chunks, group, maybe_signature
from celery.result import allow_join_result
from kombu.utils import json as kombu_json

from sfini_celery.canvas.prev import Expression
from sfini_celery.canvas.primitives import Primitive
from sfini_celery.errors import ConfigurationError, Ending, ExecutionFailed, LoopExhausted

__all__ = ["run_eagerly"]

_NOTHING = object()
_NOT_CALLED_HERE = ("countdown", "eta", "sfn_name", "link")
_THROUGH = ("sfini.choice", "sfini.catch", "sfini.wait", "celery.chain", "celery.chord")
"""Constructs that are no state of their own: what failed is in them."""


def run_eagerly(canvas: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
    """The value of a canvas, each result passed on as JSON as between states.

    Parameters:
        canvas: a signature or a dict of one
        args, kwargs: Celery's partial arguments

    Raises:
        LoopExhausted: a loop ran as often as it may
        ExecutionFailed: ``asl(Fail)``
        Exception: what a task raises
        LookupError: ``prev`` names a member that is not there

    Example:
        >>> run_eagerly(list_packages.s() | each(count_lines.s()) | total.s())
    """
    with allow_join_result():
        return _Run().value(maybe_signature(canvas), tuple(args), dict(kwargs or {}))


class _Run:
    """One run.

    Attributes:
        named: results of the named steps that can be seen from here
        started: whether there is a result already
        failed: what the step had that failed last
    """

    def __init__(self) -> None:
        self.named: dict[str, Any] = {}
        self.started = False
        self.failed: Any = None

    def value(self, canvas: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        canvas = maybe_signature(canvas)
        first = not self.started
        try:
            result = _through_json(self._run(canvas)(canvas, args, kwargs))
        except Exception:
            if not _passes_through(canvas):
                self.failed = {"args": list(args), "kwargs": kwargs} if first else _first(args)
            raise
        if not (isinstance(canvas, Primitive) and canvas.NAME == "wait"):
            self.started = True
        if (name := canvas.options.get("sfn_name")) is not None:
            self.named[name] = result
        return result

    def _run(self, canvas: Any) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]:
        if isinstance(canvas, Primitive):
            found: Callable[[Any, tuple[Any, ...], dict[str, Any]], Any] = getattr(self, f"_{canvas.NAME}")
            return found
        if isinstance(canvas, _chain):
            return self._chain
        if isinstance(canvas, _chord):
            return self._chord
        if isinstance(canvas, group):
            return self._group
        return self._chunks if canvas.task == "celery.chunks" else self._task

    # -- Celery's

    def _chain(self, chain: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        last: Any = _NOTHING
        steps = [step for step in map(maybe_signature, chain.tasks) if not _is_empty(step)]
        for step in steps:
            if isinstance(step, Primitive) and step.NAME == "wait":
                continue  # what came before passes on, the start included
            last = self.value(step, args if last is _NOTHING else (last,), kwargs if last is _NOTHING else {})
        if last is not _NOTHING:
            return last
        return _first(args) if steps else []

    def _chord(self, chord: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        header = chord.tasks if isinstance(chord.tasks, group) else group(chord.tasks, app=chord.app)
        return self.value(chord.body, (self.value(header, args, kwargs),), {})

    def _group(self, canvas: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        results = []
        for member in map(maybe_signature, list(canvas.tasks)):
            if isinstance(member, group):
                results.extend(self._group(member, args, kwargs))
            elif not (isinstance(member, _chain) and _is_empty(member)):
                results.append(self._apart(partial(self.value, member, args, kwargs)))
        return results

    def _chunks(self, canvas: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        parts = chunks(*(canvas.kwargs[name] for name in ("task", "it", "n")), app=canvas._app)
        return self._group(parts.group(), args, kwargs)

    def _task(self, signature: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = _first(args)
        signature = signature.clone()
        if not signature.task.startswith("celery."):  # a map's items are no place for prev, and may be many
            signature["args"] = tuple(self._resolved(value, result) for value in signature.args)
            signature["kwargs"] = {key: self._resolved(value, result) for key, value in signature.kwargs.items()}
        options = {name: signature.options.pop(name, None) for name in _NOT_CALLED_HERE}
        value = signature.apply(args, kwargs).get()
        for link in _listed(options["link"]):
            with suppress(Exception):
                self._apart(partial(self.value, link, (_through_json(value),), {}), started=True)
        return value

    def _resolved(self, value: Any, result: Any) -> Any:
        if isinstance(value, Expression):
            return value.value(result, self.named)
        if isinstance(value, Mapping) and not isinstance(value, Signature):
            return {key: self._resolved(member, result) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [self._resolved(member, result) for member in value]
        return value

    def _apart(self, run: Callable[[], Any], *, started: bool | None = None) -> Any:
        """Run something whose names cannot be seen from outside."""
        outer = self.named, self.started
        self.named = dict(self.named)
        if started is not None:
            self.started = started
        try:
            return run()
        finally:
            self.named, self.started = outer

    # -- ours

    def _each(self, canvas: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        body, tolerate = canvas["kwargs"]["body"], canvas["kwargs"]["tolerate"]
        results: list[Any] = []
        for item in _first(args):
            try:
                results.append(self._apart(partial(self.value, body, (item,), {}), started=True))
            except Exception as exc:
                if not tolerate:
                    raise
                results.append(_told(exc))
        return results

    def _choice(self, canvas: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outer = dict(self.named)
        try:
            for branch in canvas["kwargs"]["branches"]:
                if branch["when"].holds(_plain(_first(args)), _plain(self.named)):
                    return self.value(branch["then"], args, kwargs)
            if (otherwise := canvas["kwargs"]["otherwise"]) is not None:
                return self.value(otherwise, args, kwargs)
            return _first(args)
        finally:
            self.named = outer

    def _loop(self, canvas: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        body, until, at_most = (canvas["kwargs"][name] for name in ("body", "until", "at_most"))
        rounds = 0
        while True:
            result = self.value(body, args, kwargs)
            rounds += 1
            if until.holds(_plain(result), _plain(self.named)):
                return result
            if at_most is not None and rounds >= at_most:
                raise LoopExhausted(rounds)
            args, kwargs = (result,), {}

    def _wait(self, canvas: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _first(args)

    def _catch(self, canvas: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        outer = dict(self.named)
        try:
            return self.value(canvas["kwargs"]["body"], args, kwargs)
        except Exception as exc:
            self.named, self.started = dict(outer), True
            names = {base.__name__ for base in type(exc).__mro__} | {"States.TaskFailed", "States.ALL"}
            names.add(_name(exc))
            for entry in canvas["kwargs"]["handlers"]:
                if names & set(entry["errors"]):
                    return self.value(entry["handler"], ({**_told(exc), "input": self.failed},), {})
            raise
        finally:
            self.named = outer

    def _asl(self, canvas: Primitive, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        state = canvas["kwargs"]["state"]
        if state["Type"] == "Fail":
            raise ExecutionFailed("eager", "FAILED", state.get("Error"), state.get("Cause"))
        if "eager" not in canvas["kwargs"]:
            raise ConfigurationError("asl(...) has no meaning here: give it eager=..., what to return in tests")
        return canvas["kwargs"]["eager"]


def _passes_through(canvas: Any) -> bool:
    if canvas["task"] == "sfini.loop":
        return canvas["kwargs"]["at_most"] is None  # with a limit it is a state around its body, where a catch needs it
    return canvas["task"] in _THROUGH


def _first(args: tuple[Any, ...]) -> Any:
    return args[0] if args else None


def _listed(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _is_empty(signature: Any) -> bool:
    return isinstance(signature, group | _chain) and not list(signature.tasks)


def _told(exc: Exception) -> dict[str, Any]:
    if isinstance(exc, LoopExhausted | ExecutionFailed):  # no worker tells of these
        return {"error": _name(exc), "message": getattr(exc, "cause", None) or str(exc), "traceback": ""}
    trace = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    return {"error": _name(exc), "message": str(exc), "traceback": trace}


def _name(exc: Exception) -> str:
    """An error's name in a state machine."""
    if isinstance(exc, LoopExhausted):
        return str(Ending.LOOP_EXHAUSTED)
    return exc.error or "" if isinstance(exc, ExecutionFailed) else type(exc).__name__


def _through_json(value: Any) -> Any:
    return kombu_json.loads(kombu_json.dumps(value, allow_nan=False))


def _plain(value: Any) -> Any:
    """A value as the states language sees it: a datetime is an object there, as Celery's serializer writes it."""
    return json.loads(kombu_json.dumps(value))
