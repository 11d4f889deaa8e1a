"""Canvases run here and now, primitives included: the meaning that a compiled machine is held against.

Celery's own constructs are left to Celery's ``apply()``, except where ``prev`` stands among the arguments.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from celery.canvas import Signature, _chain, _chord, group, maybe_signature
from celery.result import allow_join_result
from kombu.utils import json as kombu_json

from sfini_celery.canvas.prev import Expression
from sfini_celery.canvas.primitives import Primitive
from sfini_celery.errors import ConfigurationError, LoopExhausted

__all__ = ["run_eagerly"]

_NOTHING = object()


def run_eagerly(canvas: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
    """The value of a canvas, each result passed on as JSON as between states.

    Parameters:
        canvas: a signature or a dict of one
        args, kwargs: Celery's partial arguments
    Raises:
        what a task raises; LoopExhausted
    """
    with allow_join_result():
        return _Run().value(maybe_signature(canvas), args, dict(kwargs or {}))


class _Run:
    def __init__(self) -> None:
        self.named: dict[str, Any] = {}

    def value(self, canvas: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not isinstance(canvas, Signature):
            canvas = maybe_signature(canvas)
        if isinstance(canvas, Primitive):
            result = _PRIMITIVES[canvas.NAME](self, canvas["kwargs"], args, kwargs)
        elif isinstance(canvas, _chain):
            result = self._chain(canvas, args, kwargs)
        elif isinstance(canvas, _chord):
            header = canvas.tasks if isinstance(canvas.tasks, group) else group(canvas.tasks, app=canvas.app)
            result = self.value(canvas.body, (self.value(header, args, kwargs),), {})
        elif isinstance(canvas, group):
            result = self._group(canvas, args, kwargs)
        else:
            result = self._task(canvas, args, kwargs)
        result = _through_json(result)
        if (name := canvas.options.get("sfn_name")) is not None:
            self.named[name] = result
        return result

    def _chain(self, chain: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        last: Any = _NOTHING
        steps = [step for step in map(maybe_signature, chain.tasks) if not _is_empty(step)]
        for step in steps:
            if isinstance(step, Primitive) and step.NAME == "wait":
                continue  # what came before passes on, the start included
            last = self.value(step, args if last is _NOTHING else (last,), kwargs if last is _NOTHING else {})
        return _first(args) if last is _NOTHING and steps else [] if last is _NOTHING else last

    def _group(self, canvas: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        outer = self.named
        results = []
        for member in list(canvas.tasks):
            self.named = dict(outer)  # a branch's names are its own
            member = maybe_signature(member)
            if isinstance(member, group):
                results.extend(self._group(member, args, kwargs))
            elif not _is_empty(member):
                results.append(self.value(member, args, kwargs))
        self.named = outer
        return results

    def _task(self, signature: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = _first(args)
        signature = signature.clone()
        signature["args"] = tuple(self._resolved(value, result) for value in signature.args)
        signature["kwargs"] = {key: self._resolved(value, result) for key, value in signature.kwargs.items()}
        for option in ("countdown", "eta", "sfn_name"):
            signature.options.pop(option, None)
        return signature.apply(args, kwargs).get()

    def _resolved(self, value: Any, result: Any) -> Any:
        if isinstance(value, Expression):
            return value.value(result, self.named)
        if isinstance(value, Mapping) and not isinstance(value, Signature):
            return {key: self._resolved(member, result) for key, member in value.items()}
        if isinstance(value, list | tuple):
            return [self._resolved(member, result) for member in value]
        return value

    # -- primitives

    def each(self, parameters: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        outer, results = self.named, []
        for item in _first(args):
            self.named = dict(outer)
            try:
                results.append(self.value(parameters["body"], (item,), {}))
            except Exception as exc:
                if not parameters["tolerate"]:
                    raise
                results.append(_told(exc))
        self.named = outer
        return results

    def choice(self, parameters: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for branch in parameters["branches"]:
            if branch["when"].holds(_plain(_first(args)), _plain(self.named)):
                return self.value(branch["then"], args, kwargs)
        if parameters["otherwise"] is not None:
            return self.value(parameters["otherwise"], args, kwargs)
        return _first(args)

    def loop(self, parameters: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        rounds = 0
        while True:
            result = self.value(parameters["body"], args, kwargs)
            rounds += 1
            if parameters["until"].holds(_plain(result), _plain(self.named)):
                return result
            if parameters["at_most"] is not None and rounds >= parameters["at_most"]:
                raise LoopExhausted(rounds)
            args, kwargs = (result,), {}

    def wait(self, parameters: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _first(args)

    def catch(self, parameters: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return self.value(parameters["body"], args, kwargs)
        except Exception as exc:
            names = {base.__name__ for base in type(exc).__mro__} | {"States.TaskFailed", "States.ALL"}
            for entry in parameters["handlers"]:
                if names & set(entry["errors"]):
                    return self.value(entry["handler"], ({**_told(exc), "input": _first(args)},), {})
            raise

    def asl(self, parameters: Mapping[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if "eager" not in parameters:
            raise ConfigurationError("asl(...) has no meaning here: give it eager=..., what to return in tests")
        return parameters["eager"]


_PRIMITIVES: dict[str, Callable[[_Run, Mapping[str, Any], tuple[Any, ...], dict[str, Any]], Any]] = {
    "each": _Run.each,
    "choice": _Run.choice,
    "loop": _Run.loop,
    "wait": _Run.wait,
    "catch": _Run.catch,
    "asl": _Run.asl,
}


def _first(args: tuple[Any, ...]) -> Any:
    return args[0] if args else None


def _is_empty(signature: Any) -> bool:
    return isinstance(signature, group | _chain) and not list(signature.tasks)


def _told(exc: Exception) -> dict[str, Any]:
    trace = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    return {"error": type(exc).__name__, "message": str(exc), "traceback": trace}


def _through_json(value: Any) -> Any:
    return kombu_json.loads(kombu_json.dumps(value, allow_nan=False))


def _plain(value: Any) -> Any:
    """A value as the states language sees it: a datetime is an object there, as Celery's serializer writes it."""
    return json.loads(kombu_json.dumps(value))
