"""A JSON value that knows the text it came as.

AWS hands text on as it came where nothing looks into it, white space included, and so does the engine: a payload is
parsed when a state first looks at its value and written when a history, a worker or a caller first asks for its text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sfini_celery.local.data import dumps, loads

__all__ = ["LARGEST_PAYLOAD", "Payload", "is_too_large"]

LARGEST_PAYLOAD = 262_144
"""The largest payload between states, in bytes of UTF-8."""

_UNKNOWN: Any = object()


class Payload:
    """A JSON value, as text, as value, or both.

    Parameters:
        text: its JSON text
        value: the value; nobody may change it, many share it

    Give one of the two, or both where both are at hand; the missing one is made when asked for.
    """

    __slots__ = ("_text", "_value")

    def __init__(self, text: str | None = None, value: Any = _UNKNOWN) -> None:
        self._text, self._value = text, value

    @property
    def text(self) -> str:
        """The JSON text."""
        if self._text is None:
            self._text = dumps(self._value)
        return self._text

    @property
    def known_text(self) -> str | None:
        """The JSON text, if there is one yet."""
        return self._text

    @property
    def value(self) -> Any:
        """The value. Raises ValueError for a text that is not JSON."""
        if self._value is _UNKNOWN:
            self._value = loads(self.text)
        return self._value

    def forget_value(self) -> None:
        """Keep the text alone: a state may wait for days."""
        if self._text is not None:
            self._value = _UNKNOWN

    def __repr__(self) -> str:
        return f"Payload({self.text!r})"


def joined(payloads: Iterable[Payload]) -> Payload:
    """The list of some payloads, each with its own text."""
    return Payload(f"[{','.join(payload.text for payload in payloads)}]")


def is_too_large(text: str) -> bool:
    """Whether a text is longer than a payload may be, in bytes of UTF-8."""
    if len(text) > LARGEST_PAYLOAD:
        return True
    return len(text) * 4 > LARGEST_PAYLOAD and not text.isascii() and len(text.encode()) > LARGEST_PAYLOAD
