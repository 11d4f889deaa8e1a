"""Pages of lists that may grow while they are read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, TypeVar

from sfini_celery.local.service.errors import ApiError

__all__ = ["page"]

T = TypeVar("T")
_DEFAULT = 100


def page(
    items: Iterable[T],
    request: Mapping[str, Any],
    *,
    operation: str,
    key: Callable[[T], int],
    same: Iterable[str] = (),
) -> tuple[list[T], dict[str, str]]:
    """The page of a list that a request asks for.

    Parameters:
        items: in order
        request: has ``maxResults`` and ``nextToken``, if it likes
        operation: what is asked; a token is good for that alone
        key: numbers that rise or fall along the list, so that what is added in between neither repeats nor hides items
        same: members of the request that must not change from page to page

    Returns:
        The items, and ``{"nextToken": ...}`` or nothing.
    """
    about = [operation, *(request.get(name) for name in same)]
    rest = iter(items)
    token = request.get("nextToken")
    if token is not None:
        after, falling = _read(token, about)
        rest = (item for item in rest if (key(item) < after if falling else key(item) > after))
    size = request.get("maxResults") or _DEFAULT
    taken = list(islice(rest, size + 1))
    if len(taken) <= size:
        return taken, {}
    last = key(taken[size - 1])
    return taken[:size], {"nextToken": _write(last, key(taken[size]) < last, about)}


def _write(after: int, falling: bool, about: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([after, falling, about]).encode()).decode()


def _read(token: str, about: list[Any]) -> tuple[int, bool]:
    try:
        after, falling, asked = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError):
        raise ApiError("InvalidToken", "Invalid token") from None
    if asked != about or not isinstance(after, int):
        raise ApiError("InvalidToken", "Invalid token")
    return after, bool(falling)
