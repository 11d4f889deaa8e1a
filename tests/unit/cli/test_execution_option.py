"""Times as people type them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import click
import pytest

from sfini_celery.cli.execution_option import time


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        (" 2 h ", timedelta(hours=2)),
        ("7d", timedelta(7)),
    ],
)
def test_so_long_ago(text: str, ago: timedelta) -> None:
    assert abs(datetime.now(timezone.utc) - ago - time(text)) < timedelta(minutes=1)


@pytest.mark.parametrize("text", ["2024-05-13T19:07:00Z", "2024-05-13T21:07:00+02:00", "2024-05-13 19:07:00+00:00"])
def test_a_time_with_a_zone_is_that_time(text: str) -> None:
    assert time(text) == datetime(2024, 5, 13, 19, 7, tzinfo=timezone.utc)


def test_a_time_without_a_zone_is_local() -> None:
    assert time("2024-05-13T19:07") == datetime(2024, 5, 13, 19, 7).astimezone()


@pytest.mark.parametrize("text", ["", "yesterday", "2", "-1h", "999999999999w", "2024-13-01", "1.5h"])
def test_anything_else_is_told_with_what_to_write(text: str) -> None:
    with pytest.raises(click.BadParameter, match="write 30m, 2h, 7d"):
        time(text)
