"""What AWS allows an account. Source: 'Quotas' in the developer guide of Step Functions."""

from __future__ import annotations

__all__ = ["POLL_SECONDS", "poll_calls_allowed"]

POLL_SECONDS = 60
"""GetActivityTask is held for so long."""

_LARGE_REGIONS = ("us-east-1", "us-west-2", "eu-west-1")


def poll_calls_allowed(region: str) -> int:
    """GetActivityTask calls a second that an account has in a region, all its workers together."""
    return 500 if region in _LARGE_REGIONS else 300
