"""JSONPath: reading values out of a state's data, and putting results back in.

Almost every path of a state machine is a chain of names and indexes (a *reference path*). Those are walked here, with
the sentences of Jayway's JsonPath, which AWS shows its users. Every other path (wildcards, slices, filters, descent) is
compiled by ``python-jsonpath`` and answers with the list of what it found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

import jsonpath

from .errors import DataError, PathNotFound
from .jsontext import dumps, java_text


class Missing:
    """The type of :data:`MISSING`: a field that a state does not have, where None would be a value."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing()
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Scope:
    """What an expression can see.

    Attributes:
        data: ``$``
        context: ``$$``, the context object
        variables: ``$name``, outer and inner ones together (a ChainMap will do)
        text: the JSON text ``data`` came as, where it is known: causes quote it
    """

    data: Any
    context: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    variables: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    text: str | None = None

    def input_text(self) -> str:
        """``data`` as a cause quotes it."""
        return dumps(self.data) if self.text is None else self.text


def get_path(path: str, scope: Scope) -> Any:
    """What a path finds: one value for a reference path, else the list of all values found.

    Args:
        path: ``$.a.b[0]``, ``$$.Execution.Id``, ``$variable.a``, ``$.a[*]``, ``$..b``, ``$.a[?(@.b > 1)]``
        scope: what the path is applied to

    Raises:
        PathNotFound: a reference path found nothing
        DataError: not a path

    Example:
        >>> get_path("$.order.lines[0]", Scope({"order": {"lines": ["a", "b"]}}))
        'a'
    """
    return compile_path(path).find(scope)


def is_present(path: str, scope: Scope) -> bool:
    """Whether a path finds anything; null is something, an empty list of matches is not."""
    compiled = compile_path(path)
    try:
        found = compiled.find(scope)
    except PathNotFound:
        return False
    return compiled.steps is not None or compiled.length or bool(found)


def apply_input_path(path: str | Missing | None, scope: Scope) -> Any:
    """A state's effective input: all data without the field, ``{}`` for null, else what the path finds.

    Raises:
        DataError: as :func:`get_path`
    """
    if path == "$" or isinstance(path, Missing):
        return scope.data
    return {} if path is None else get_path(path, scope)


def apply_output_path(path: str | Missing | None, scope: Scope) -> Any:
    """A state's output out of what ResultPath left: as :func:`apply_input_path`."""
    return apply_input_path(path, scope)


def put_path(path: str | Missing | None, data: Any, value: Any) -> Any:
    """Put a state's result into its input, as ResultPath says; neither is changed, what is common is shared.

    Args:
        path: a reference path; ``"$"`` (and MISSING) replaces all data, None drops the result
        data: the state's raw input
        value: the result

    Raises:
        DataError: ``States.ResultPathMatchFailure``: a step of the path goes into something that cannot take it

    Example:
        >>> put_path("$.a.b", {"a": {"c": 1}}, 2)
        {'a': {'c': 1, 'b': 2}}
    """
    if path is None:
        return data
    if path == "$" or isinstance(path, Missing):
        return value
    compiled = compile_path(path)
    if compiled.root != "$" or compiled.steps is None:
        raise DataError("States.Runtime", f"Invalid path '{path}' : The value must be a Reference Path")
    try:
        return _put(compiled.steps, 0, data, value)
    except LookupError:
        cause = f"Unable to apply ReferencePath {path} to input {dumps(data)}"
        raise DataError("States.ResultPathMatchFailure", cause) from None


def _put(steps: tuple[str | int, ...], at: int, data: Any, value: Any) -> Any:
    if at == len(steps):
        return value
    step = steps[at]
    if isinstance(step, str):
        if not isinstance(data, dict):
            raise LookupError(step)
        return {**data, step: _put(steps, at + 1, data.get(step, {}), value)}
    if not isinstance(data, list) or not -len(data) <= step < len(data):
        raise LookupError(step)
    changed = list(data)
    changed[step] = _put(steps, at + 1, data[step], value)
    return changed


@dataclass(frozen=True)
class Path:
    """A path, compiled.

    Attributes:
        text: as written
        root: ``$`` for the data, ``$$`` for the context object, else a variable's name
        steps: names and indexes of a reference path, None for any other
        query: what answers a path that is no reference path
        length: whether ``.length()`` ends the path
    """

    text: str
    root: str
    steps: tuple[str | int, ...] | None
    query: jsonpath.JSONPath | jsonpath.CompoundJSONPath | None = None
    length: bool = False

    def find(self, scope: Scope) -> Any:
        """What the path finds in ``scope``."""
        value = self._start(scope)
        if self.steps is not None:
            value = self._walk(value, self.steps)
        elif self.query is not None:
            value = self.query.findall(value) if isinstance(value, (dict, list)) else []
        if not self.length:
            return value
        if not isinstance(value, (list, dict, str)):
            raise PathNotFound(self.text, f"No results for path: {self.text}")
        return len(value)

    def _start(self, scope: Scope) -> Any:
        if self.root == "$":
            return scope.data
        if self.root == "$$":
            return scope.context if type(scope.context) is dict else dict(scope.context)
        try:
            return scope.variables[self.root]
        except KeyError:
            raise PathNotFound(self.text, f"Variable '{self.root}' is not defined") from None

    def _walk(self, value: Any, steps: tuple[str | int, ...]) -> Any:
        for at, step in enumerate(steps):
            if isinstance(step, str):
                if not isinstance(value, dict):
                    raise PathNotFound(
                        self.text,
                        f"Expected to find an object with property ['{step}'] in path {_normal(steps[:at])} but found "
                        f"'{_java_class(value)}'. This is not a json object according to the JsonProvider: "
                        "'com.jayway.jsonpath.spi.json.JacksonJsonProvider'.",
                    )
                if step not in value:
                    what = "No results for path:" if at == len(steps) - 1 else "Missing property in path"
                    raise PathNotFound(self.text, f"{what} {_normal(steps[: at + 1])}")
            else:
                if value is None:
                    raise PathNotFound(self.text, f"The path {_normal(steps[:at])} is null")
                if not isinstance(value, list):
                    why = f"Filter: [{step}] can only be applied to arrays. Current context is: {java_text(value)}"
                    raise PathNotFound(self.text, why)
                if not -len(value) <= step < len(value):
                    raise PathNotFound(self.text, f"No results for path: {_normal(steps)}")
            value = value[step]
        return value


_ROOT = re.compile(r"\$\$|\$([^\W\d]\w*)?")
_STEP = re.compile(
    r"""\.(?P<name>[^.\[\]()*\s'"]+)           # .name
      | \[\s*(?P<index>-?\d+)\s*\]             # [0]
      | \[\s*'(?P<quoted>(?:[^'\\]|\\.)*)'\s*\]  # ['name']
      | \[\s*"(?P<double>(?:[^"\\]|\\.)*)"\s*\]  # ["name"]
    """,
    re.VERBOSE | re.DOTALL,
)
_LENGTH = ".length()"


@lru_cache(maxsize=4096)
def compile_path(text: str) -> Path:
    """Compile a path; the same text gives the same object.

    Raises:
        DataError: not a path
    """
    found = _ROOT.match(text)
    if not found:
        raise DataError("States.Runtime", f"Invalid path '{text}' : Path must start with '$'")
    root, rest = found[1] or found[0], text[found.end() :]
    length = rest.endswith(_LENGTH)
    if length:
        rest = rest[: -len(_LENGTH)]
    steps: list[str | int] = []
    at = 0
    while at < len(rest):
        step = _STEP.match(rest, at)
        if not step:
            return Path(text, root, None, _compile_query(text, rest), length)
        name = step["name"]
        for quote, group in (("'", "quoted"), ('"', "double")):
            if step[group] is not None:
                # A backslash before anything else stays, as AWS recorded it.
                name = re.sub(rf"\\([\\{quote}])", r"\1", step[group])
        steps.append(int(step["index"]) if name is None else name)
        at = step.end()
    return Path(text, root, tuple(steps), None, length)


def _compile_query(text: str, rest: str) -> jsonpath.JSONPath | jsonpath.CompoundJSONPath:
    try:
        return jsonpath.compile(f"${rest}")
    except jsonpath.JSONPathError as error:
        raise DataError("States.Runtime", f"Invalid path '{text}' : {error}") from None


def _normal(steps: tuple[str | int, ...]) -> str:
    return "$" + "".join(f"['{step}']" if isinstance(step, str) else f"[{step}]" for step in steps)


def _java_class(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        bits = value.bit_length()
        return "java.lang.Integer" if bits < 32 else "java.lang.Long" if bits < 64 else "java.math.BigInteger"
    return _JAVA_CLASSES.get(type(value), "null")


_JAVA_CLASSES: dict[type, str] = {
    bool: "java.lang.Boolean",
    float: "java.lang.Double",
    str: "java.lang.String",
    list: "java.util.ArrayList",
}
