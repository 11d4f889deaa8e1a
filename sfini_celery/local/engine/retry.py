"""How long a Retry waits."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

__all__ = ["MAX_ATTEMPTS", "delay"]

MAX_ATTEMPTS = 3
"""MaxAttempts of a retrier that names none."""


def delay(retrier: Mapping[str, Any], tries: int, randomness: random.Random) -> float:
    """Seconds to wait before a retry.

    Parameters:
        retrier: a member of a state's ``Retry``
        tries: how often this retrier has been used before
        randomness: where jitter comes from

    Example:
        >>> delay({"IntervalSeconds": 3, "BackoffRate": 2.0}, 2, random.Random())
        12.0
    """
    longest = float(retrier.get("MaxDelaySeconds", 31_622_400))
    try:
        seconds = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** tries
    except OverflowError:
        seconds = longest
    seconds = min(seconds, longest)
    return randomness.uniform(0, seconds) if retrier.get("JitterStrategy") == "FULL" else seconds
