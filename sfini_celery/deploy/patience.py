"""Waiting where AWS asks for it: it creates one state machine a second once the first hundred are made."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sfini_celery.errors import ServiceError, Throttled

__all__ = ["patiently"]

_PATIENCE, _PAUSE = 90.0, 1.0
T = TypeVar("T")


def patiently(call: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """Make a call, again after a second where AWS is asked too often or is still deleting something of that name.

    Parameters:
        call: safe to repeat
        sleep: waits some seconds, for tests
    Raises:
        Throttled, NotFound: AWS says so still after 90 s
    """
    waited = 0.0
    while True:
        try:
            return call()
        except ServiceError as exc:
            if not (isinstance(exc, Throttled) or exc.code == "StateMachineDeleting") or waited >= _PATIENCE:
                raise
        sleep(_PAUSE)
        waited += _PAUSE
