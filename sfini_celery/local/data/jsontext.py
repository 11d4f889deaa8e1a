"""JSON text as AWS reads and writes it.

AWS hands text on untouched where a state does not look at it, and writes what it has looked at with Jackson: no white
space, members in their order, nothing but what must be escaped, and doubles as Java writes them (``1.0E10``).
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, NoReturn


def loads(text: str | bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: not JSON; NaN, Infinity and numbers beyond a double are not
    """
    return _decoder.decode(text if isinstance(text, str) else text.decode())


def dumps(value: Any) -> str:
    """Write JSON the way AWS does.

    Raises:
        ValueError: NaN or an infinity
        TypeError: not a JSON value
    """
    text = _encoder.encode(value)
    if _ODD_FLOAT.search(text):
        text = _MARKED.sub(lambda found: found[1], _encoder.encode(_mark(value)))
    if not text.isascii():
        text = _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04X}", text)
    if "\\u00" in text:
        text = _ESCAPE.sub(lambda found: f"\\u{found[1].upper()}" if found[1] else found[0], text)
    return text


def java_double(number: float) -> str:
    """A double as ``Double.toString`` writes it: plain between 1e-3 and 1e7, else with an ``E``."""
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        text = repr(number)
        if "e" not in text:
            return text
    digits, _, exponent = f"{number!r}".partition("e")
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    whole, _, fraction = digits.partition(".")
    power = int(exponent or 0) + len(whole) - 1
    figures = whole + fraction
    leading = len(figures) - len(figures.lstrip("0"))
    figures, power = figures[leading:].rstrip("0"), power - leading
    return f"{sign}{figures[:1]}.{figures[1:] or '0'}E{power}"


def java_text(value: Any) -> str:
    """A value as Java's ``toString`` writes it, which is what AWS puts into formatted strings and causes."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={java_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(java_text, value)) + "]"
    return dumps(value)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _parse_float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is beyond a double")
    return number


_decoder = json.JSONDecoder(parse_constant=_refuse, parse_float=_parse_float)
_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(?:u(00[0-9a-f]{2})|.)")
# What may be a double that Java writes otherwise. A false alarm (in a string, say) costs one more pass, nothing else.
# Each alternative begins with the rarer character and looks back from there: ten times as fast on a large payload.
_ODD_FLOAT = re.compile(r"\.(?<=\d{8}\.)\d|\.(?<=\b0\.)000|e(?<=\de)[-+]\d")
_MARK = secrets.token_hex(8)
_MARKED = re.compile(f'"{_MARK}([^"]*)"')


def _mark(value: Any) -> Any:
    if isinstance(value, float):
        return f"{_MARK}{java_double(value)}"
    if isinstance(value, dict):
        return {key: _mark(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mark(item) for item in value]
    return value
