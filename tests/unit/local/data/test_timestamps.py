"""Timestamps: what AWS takes for one."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.local.data import parse_timestamp


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2016-03-14T01:59:00Z", datetime(2016, 3, 14, 1, 59, tzinfo=timezone.utc)),
        ("2016-03-14T01:59:00.123456789Z", datetime(2016, 3, 14, 1, 59, 0, 123456, tzinfo=timezone.utc)),
        ("2016-03-14T01:59:00.5+02:30", datetime(2016, 3, 13, 23, 29, 0, 500000, tzinfo=timezone.utc)),
        ("2016-03-14T01:59:00-01:00", datetime(2016, 3, 14, 2, 59, tzinfo=timezone.utc)),
        ("2016-03-14T01:59Z", datetime(2016, 3, 14, 1, 59, tzinfo=timezone.utc)),
    ],
)
def test_timestamps_with_an_offset_are_moments(text: str, moment: datetime) -> None:
    assert parse_timestamp(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "2016-12-05T21:29:29",
        "2016-12-05 21:29:29Z",
        "05-12-2016T21:29:29Z",
        "2016-13-05T21:29:29Z",
        "2016-12-05T25:29:29Z",
        "2016-12-05T24:00:00Z",
        "2016-12-05t21:29:29z",
        "2016-12-05",
        "2016-12-05T21:29:29+0100",
        "2016-12-05T21:29:29.Z",
        "2016-12-05T21:29:29Z ",
        "2016-12-05T21:29:29Z\n",
        "2016-12-05T21:29:29+25:00",
        "",
        "٢٠١٦-12-05T21:29:29Z",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_timestamp(text)


_offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=_offsets))
def test_what_python_writes_is_read_back(moment: datetime) -> None:
    assert parse_timestamp(moment.isoformat()) == moment
