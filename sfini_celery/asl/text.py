"""Definitions as text: JSON as strictly as AWS reads it."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, NoReturn

__all__ = ["Document", "read_json"]


@dataclass(frozen=True)
class Document:
    """What a text holds.

    Attributes:
        value: the JSON value, ``None`` where there is none
        problem: why the text is not JSON, empty when it is
        duplicates: keys that one object has twice
    """

    value: Any
    problem: str = ""
    duplicates: tuple[str, ...] = ()


def read_json(text: str) -> Document:
    """Read a text; never raises.

    Unlike Python's reader it takes neither ``NaN`` nor ``Infinity``, and notes keys that are there twice, of which all
    but the last one would be lost without a word.
    """
    duplicates: list[Hashable] = []

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read = dict(pairs)
        if len(read) < len(pairs):
            keys = [key for key, _ in pairs]
            duplicates.extend(key for key in read if keys.count(key) > 1)
        return read

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    try:
        value = json.loads(text, object_pairs_hook=as_object, parse_constant=refuse)
    except RecursionError:
        return Document(None, "it is nested too deeply")
    except (TypeError, ValueError) as error:
        return Document(None, str(error))
    return Document(value, duplicates=tuple(dict.fromkeys(str(key) for key in duplicates)))
