"""JSONata in states: expressions in ``{% %}``, in templates and alone, with AWS's own functions.

Needs the extra ``jsonata``; without it a state that evaluates an expression fails and says so.

Sources: the developer guide's "Transforming data with JSONata in Step Functions" and AWS's recordings.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from .errors import DataError, QueryError
from .functions import FUNCTIONS, FunctionError
from .jsontext import dumps, loads

LONGEST: Final = 5.0
"""Seconds that an expression may take, on the machine's clock."""
_DEEPEST = 3_000  # Python frames, some twenty to a call in JSONata: more may not fit on a thread's stack
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class States:
    """What an expression can see.

    Attributes:
        states: ``$states``: ``input``, ``context``, and where there are any ``result`` and ``errorOutput``
        variables: ``$name``, outer and inner ones together
        now: what ``$now()`` and ``$millis()`` tell, in seconds since the epoch; the machine's time without it
    """

    states: Mapping[str, Any]
    variables: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    now: float | None = None


def has_jsonata() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("jsonata") is not None


def is_expression(value: Any) -> bool:
    """Whether a value of a template is an expression: a text in ``{% %}``, without anything around it."""
    return isinstance(value, str) and len(value) >= 4 and value.startswith("{%") and value.endswith("%}")


def evaluate_jsonata(value: str, seen: States, *, field: str, expected: str | None = None) -> Any:
    """Evaluate an expression.

    Args:
        value: the expression in its ``{% %}``
        seen: what it sees
        field: where it stands, as in ``Output/total``, for the cause
        expected: the JSON type that the result must have, as in ``array``

    Returns:
        a JSON value

    Raises:
        QueryError: it fails, finds nothing, or gives what is not JSON or not expected
        DataError: the extra is not installed

    Example:
        >>> evaluate_jsonata("{% $states.input.a + 1 %}", States({"input": {"a": 2}}), field="Output")
        3
    """
    text = value[2:-2].strip()
    result = _Expression(text, field).evaluate(seen)
    if expected and json_type(result) != expected:
        was = f"Expected '{expected}', but was '{json_type(result)}' for value: {dumps(result)}"
        raise _Expression(text, field).failed(f"returned an unexpected result type. {was}")
    return result


def render_jsonata(template: Any, seen: States, *, field: str) -> Any:
    """Fill in a template: every text in ``{% %}``, at any depth, becomes what it evaluates to; all else stays.

    Raises:
        QueryError, DataError: as :func:`evaluate_jsonata`
    """
    if isinstance(template, dict):
        return {key: render_jsonata(item, seen, field=f"{field}/{key}") for key, item in template.items()}
    if isinstance(template, list):
        return [render_jsonata(item, seen, field=f"{field}[{at}]") for at, item in enumerate(template)]
    return evaluate_jsonata(template, seen, field=field) if is_expression(template) else template


def json_type(value: Any) -> str:
    """The JSON type of a value, by the name AWS's causes use."""
    if value is None:
        return "null"
    return next((name for type, name in _TYPES if isinstance(value, type)), "number")


_TYPES: tuple[tuple[type, str], ...] = ((bool, "boolean"), (dict, "object"), (list, "array"), (str, "string"))


@dataclass(frozen=True)
class _Expression:
    text: str
    field: str

    def failed(self, why: str) -> QueryError:
        cause = f"The JSONata expression '{self.text}' specified for the field '{self.field}' {why}"
        return QueryError(cause, self.field)

    def evaluate(self, seen: States) -> Any:
        library = _library()
        if library is None:
            needed = "needs JSONata on this server: pip install 'sfini_celery[jsonata]'"
            raise DataError("States.Runtime", f"The expression specified for the field '{self.field}' {needed}")
        try:
            result = library.run(self.text, seen)
        except Exception as error:
            # The library raises its own errors, and Python's where it did not think of one: 1/0, endless recursion.
            raise self.failed(f"threw an error during evaluation. {_told(error)}") from None
        if result is None:
            raise self.failed("returned nothing (undefined).")
        try:
            return library.as_json(result)
        except TypeError:
            raise self.failed("returned an unsupported result type.") from None


def _told(error: Exception) -> str:
    code, message = getattr(error, "error", None), str(error)
    if isinstance(error, RecursionError):
        code, message = "D1011", "Stack overflow error: Check for non-terminating recursive function."
    elif isinstance(error, ZeroDivisionError):
        code, message = "D1001", "Number out of range: Infinity"
    elif not code and not isinstance(error, FunctionError):
        code = type(error).__name__
    return f"{code}: {message}" if code else message


class _Library:
    """What this module takes from ``jsonata-python``, which is imported for the first expression, not before."""

    def __init__(self) -> None:
        # Its import raises the recursion limit of the whole process to 10,000.
        limit = sys.getrecursionlimit()
        from jsonata import functions, jexception, jsonata, utils

        sys.setrecursionlimit(max(limit, _DEEPEST))

        class Expression(jsonata.Jsonata):
            def apply_inner(self, proc: Any, args: Any, input: Any, environment: Any) -> Any:
                # The library's own way of raising this prints to the standard output first.
                if not (self.is_function_like(proc) or isinstance(proc, jsonata.Jsonata.JFunctionCallable)):
                    raise jexception.JException("T1006", 0)
                return super().apply_inner(proc, args, input, environment)

        self._expression = Expression
        self._from_millis = functions.Functions.datetime_from_millis
        self.utils = utils.Utils

    def run(self, text: str, seen: States) -> Any:
        """What an expression gives, None for nothing, in the library's own classes."""
        # Compiled every time: an instance keeps its time-out and the time of day, and the last one made is the one that
        # the library's functions find.
        expression = self._expression(text, timeout=int(LONGEST * 1000))
        # Null stays apart from nothing at all.
        expression.set_output_convert_nulls(False)
        # The data is JSON already.
        expression.set_validate_input(False)
        for name, (function, least, most) in _EXTENSIONS.items():
            expression.register_lambda(name, self._extension(name, function, least, most))
        if seen.now is not None:
            millis = round(seen.now * 1000)
            expression.register_lambda("millis", lambda: millis)
            expression.register_lambda("now", lambda picture=None, zone=None: self._from_millis(millis, picture, zone))
        variables = {name: self.utils.NULL_VALUE if value is None else value for name, value in seen.variables.items()}
        return expression.evaluate(None, {**variables, "states": dict(seen.states)})

    def as_json(self, value: Any) -> Any:
        """A plain JSON value out of the library's classes for nulls and sequences; TypeError for functions."""
        if value is None or value is self.utils.NULL_VALUE:
            return None
        if isinstance(value, (bool, str, int, float)):
            return value
        if isinstance(value, dict):
            return {key: self.as_json(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.as_json(item) for item in value]
        raise TypeError(type(value).__name__)

    def _extension(self, name: str, function: Callable[..., Any], least: int, most: int) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            given = [self.as_json(argument) for argument in arguments if argument is not None]
            if not least <= len(given) <= most:
                what = f"takes {least} to {most} arguments" if least != most else f"takes {most} arguments"
                raise FunctionError(f"T0410: The function {name} {what}, but was given {len(given)}")
            result = function(*given)
            # A sequence, which JSONata unwraps when it has one item.
            return self.utils.create_sequence_from_iter(result) if isinstance(result, _Sequence) else result

        return call


@lru_cache(maxsize=1)
def _library() -> _Library | None:
    try:
        return _Library()
    except ImportError:
        return None


# --- the functions AWS adds to JSONata's own


class _Sequence(list[Any]):
    """A result that is several values, not one array."""


def _range(first: Any, last: Any, step: Any) -> _Sequence:
    return _Sequence(FUNCTIONS["ArrayRange"](first, last, step))


def _partition(values: Any, size: Any) -> list[Any]:
    values = values if isinstance(values, list) else [values]
    return list(FUNCTIONS["ArrayPartition"](values, size))


def _random(seed: Any = None) -> float:
    return random.Random(seed).random()


def _parse(text: Any) -> Any:
    try:
        return loads(text)
    except (ValueError, TypeError):
        raise FunctionError("The argument of $parse is not JSON") from None


def _no_eval(*_: Any) -> Any:
    raise FunctionError("The function $eval is not supported. Use $parse instead.")


_EXTENSIONS: Final[dict[str, tuple[Callable[..., Any], int, int]]] = {
    "eval": (_no_eval, 0, 2),
    "hash": (FUNCTIONS["Hash"], 2, 2),
    "parse": (_parse, 1, 1),
    "partition": (_partition, 2, 2),
    "random": (_random, 0, 1),
    "range": (_range, 3, 3),
    "uuid": (lambda: str(uuid.uuid4()), 0, 0),
}
