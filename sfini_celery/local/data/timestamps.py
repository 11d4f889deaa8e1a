"""Timestamps: the profile of RFC 3339 that the states language takes."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:Z|([+-])(\d\d):(\d\d)(?::\d\d)?)", re.ASCII
)


def parse_timestamp(text: str) -> datetime:
    """Parse an ISO 8601 extended date and time with an offset, as in ``2016-03-14T01:59:00Z``.

    A capital ``T`` and a capital ``Z`` or a numeric offset are required; seconds may be absent, and what is below a
    microsecond is dropped.

    Raises:
        ValueError: anything else
    """
    found = _TIMESTAMP.fullmatch(text)
    if not found:
        raise ValueError(f"not an ISO-8601 extended offset date-time: {text}")
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = found.groups()
    zone = timezone.utc
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
    micro = int((fraction or "").ljust(6, "0")[:6])
    return datetime(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), micro, zone)
