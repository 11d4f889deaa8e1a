"""What each intrinsic function does, with AWS's limits.

Source: "Intrinsic functions for JSONPath states in Step Functions" (AWS's developer guide) and AWS's recordings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import random
import re
import uuid
from collections.abc import Callable
from typing import Any, Final

from .jsontext import dumps, java_text, loads

MAX_CHARS: Final = 10_000
"""What Base64Encode, Base64Decode and Hash take at most, in characters."""
MAX_RANGE: Final = 1_000
"""What ArrayRange gives at most, in items."""
_LEAST_INT, _MOST_INT = -(2**31), 2**31 - 1
_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class FunctionError(Exception):
    """A function refuses its arguments; the text says why."""


_ESCAPE = re.compile(r"\\([\\'{}])")
_PLACE = re.compile(r"\\([\\'{}])|(\{\})")


def unescape(text: str) -> str:
    """What stands between the quotes of a string argument, without the backslashes that escape."""
    return _ESCAPE.sub(r"\1", text)


class _Function:
    """A function and how many arguments it takes (least, most; None for any number)."""

    def __init__(self, run: Callable[..., Any], least: int, most: int | None) -> None:
        self.run, self.takes = run, (least, most)

    def __call__(self, *arguments: Any) -> Any:
        return self.run(*arguments)


FUNCTIONS: Final[dict[str, _Function]] = {}


def _function(name: str, least: int, most: int | None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS[name] = _Function(run, least, most)
        return run

    return register


def _an_array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise FunctionError(f"An array was expected, but was: {dumps(value)}")
    return value


def _a_string(value: Any) -> str:
    if not isinstance(value, str):
        raise FunctionError(f"A string was expected, but was: {dumps(value)}")
    return value


def _an_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FunctionError(f"An object was expected, but was: {dumps(value)}")
    return value


def _a_short_string(value: Any) -> str:
    text = _a_string(value)
    if len(text) > MAX_CHARS:
        raise FunctionError(f"A string of at most {MAX_CHARS} characters was expected, but it has {len(text)}")
    return text


def _an_integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FunctionError(f"A number was expected, but was: {dumps(value)}")
    # Java's Math.round: halves go up, -1.5 to -1.
    number = value if isinstance(value, int) else math.floor(value + 0.5)
    if not _LEAST_INT <= number <= _MOST_INT:
        raise FunctionError(f"A number from {_LEAST_INT} to {_MOST_INT} was expected, but was: {dumps(value)}")
    return number


def _same(left: Any, right: Any) -> bool:
    return bool(_identity(left) == _identity(right))


def _identity(value: Any) -> Any:
    # 1, 1.0 and true are one to Python and three to JSON; the order of members is none to both.
    if isinstance(value, dict):
        return dict, frozenset((key, _identity(item)) for key, item in value.items())
    if isinstance(value, list):
        return list, tuple(map(_identity, value))
    return type(value), value


@_function("Format", 1, None)
def _format(template: Any, *values: Any) -> str:
    template = _a_string(template)
    places = sum(1 for found in _PLACE.finditer(template) if found[2])
    if places != len(values):
        raise FunctionError(f"The template has {places} places, but {len(values)} arguments were given")
    remaining = iter(values)
    return _PLACE.sub(lambda found: java_text(next(remaining)) if found[2] else found[1], template)


@_function("StringToJson", 1, 1)
def _string_to_json(text: Any) -> Any:
    text = _a_string(text)
    if not text.strip():
        return None
    try:
        return loads(text)
    except ValueError as error:
        raise FunctionError(f"The string is not JSON: {error}") from None


@_function("JsonToString", 1, 1)
def _json_to_string(value: Any) -> str:
    return dumps(value)


@_function("Array", 0, None)
def _array(*values: Any) -> list[Any]:
    return list(values)


@_function("ArrayPartition", 2, 2)
def _array_partition(values: Any, size: Any) -> list[Any]:
    values, size = _an_array(values), _an_integer(size)
    if size < 1:
        raise FunctionError(f"The chunk size must be a positive integer, but was: {size}")
    return [values[at : at + size] for at in range(0, len(values), size)]


@_function("ArrayContains", 2, 2)
def _array_contains(values: Any, sought: Any) -> bool:
    return any(_same(value, sought) for value in _an_array(values))


@_function("ArrayRange", 3, 3)
def _array_range(first: Any, last: Any, step: Any) -> list[int]:
    first, last, step = _an_integer(first), _an_integer(last), _an_integer(step)
    if not step:
        raise FunctionError("The increment must not be zero")
    found = range(first, last + (1 if step > 0 else -1), step)
    if len(found) > MAX_RANGE:
        raise FunctionError(f"The array would have {len(found)} items; at most {MAX_RANGE} are allowed")
    return list(found)


@_function("ArrayGetItem", 2, 2)
def _array_get_item(values: Any, index: Any) -> Any:
    values, index = _an_array(values), _an_integer(index)
    if not 0 <= index < len(values):
        raise FunctionError(f"The index {index} is out of range for an array of {len(values)} items")
    return values[index]


@_function("ArrayLength", 1, 1)
def _array_length(values: Any) -> int:
    return len(_an_array(values))


@_function("ArrayUnique", 1, 1)
def _array_unique(values: Any) -> list[Any]:
    unique: dict[Any, Any] = {}
    for value in _an_array(values):
        unique.setdefault(_identity(value), value)
    return list(unique.values())


@_function("Base64Encode", 1, 1)
def _base64_encode(text: Any) -> str:
    return base64.b64encode(_a_short_string(text).encode()).decode()


@_function("Base64Decode", 1, 1)
def _base64_decode(text: Any) -> str:
    try:
        return base64.b64decode(_a_short_string(text), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise FunctionError(f"The string is not Base64 of a text: {error}") from None


@_function("Hash", 2, 2)
def _hash(data: Any, algorithm: Any) -> str:
    text = data if isinstance(data, str) else dumps(data)
    name = _ALGORITHMS.get(_a_string(algorithm))
    if not name:
        raise FunctionError(f"The algorithm must be one of {', '.join(_ALGORITHMS)}, but was: {algorithm}")
    return hashlib.new(name, _a_short_string(text).encode(), usedforsecurity=False).hexdigest()


@_function("JsonMerge", 3, 3)
def _json_merge(first: Any, second: Any, deep: Any) -> dict[str, Any]:
    if deep is not False:
        raise FunctionError("Only shallow merging is supported: the third argument must be false")
    return {**_an_object(first), **_an_object(second)}


@_function("MathRandom", 2, 3)
def _math_random(start: Any, end: Any, seed: Any = None) -> int:
    start, end = _an_integer(start), _an_integer(end)
    if start >= end:
        raise FunctionError(f"The start {start} must be less than the end {end}")
    source = random.Random(None if seed is None else _an_integer(seed))
    return source.randrange(start, end)


@_function("MathAdd", 2, 2)
def _math_add(left: Any, right: Any) -> int:
    return _an_integer(_an_integer(left) + _an_integer(right))


@_function("StringSplit", 2, 2)
def _string_split(text: Any, separators: Any) -> list[str]:
    text, separators = _a_string(text), _a_string(separators)
    if not separators:
        return [text] if text else []
    return [part for part in re.split(f"[{re.escape(separators)}]", text) if part]


@_function("UUID", 0, 0)
def _uuid() -> str:
    return str(uuid.uuid4())
