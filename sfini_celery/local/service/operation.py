"""The table of operations: each is a function of the service and a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfini_celery.local.service.service import Service

__all__ = ["OPERATIONS", "Answer", "Handler", "Request", "operation"]


def _always() -> bool:
    return True


class Request(dict[str, Any]):
    """What a caller sent.

    Parameters:
        members: of the operation's input
        is_alive: whether the caller still waits for the answer
    """

    __slots__ = ("is_alive",)

    def __init__(self, members: Mapping[str, Any], *, is_alive: Callable[[], bool] = _always) -> None:
        super().__init__(members)
        self.is_alive = is_alive


Answer = dict[str, Any]
Handler = Callable[["Service", Request], Answer | Awaitable[Answer]]

OPERATIONS: dict[str, Handler] = {}
"""By name, as in ``StartExecution``."""


def operation(name: str) -> Callable[[Handler], Handler]:
    """Register a function as an operation."""

    def register(handler: Handler) -> Handler:
        OPERATIONS[name] = handler
        return handler

    return register
