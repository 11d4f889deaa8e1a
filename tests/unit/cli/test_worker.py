from __future__ import annotations

import pytest

from sfini_celery.cli.worker import DONE_ONCE, OPTIONS, without
from sfini_celery.config import SETTINGS


@pytest.mark.parametrize(
    ("typed", "left"),
    [
        ("-A proj worker -D", "-A proj worker -D"),
        ("--workdir here -A proj worker", "-A proj worker"),
        ("--workdir=here -A proj worker --uid 7 --gid=8 -c 2", "-A proj worker -c 2"),
        ("worker --uid", "worker"),
    ],
)
def test_a_detached_worker_does_not_change_folder_or_user_a_second_time(typed: str, left: str) -> None:
    assert without(typed.split(), DONE_ONCE) == left.split()


def test_every_setting_that_says_it_is_an_option_is_one() -> None:
    flags = [flag for option in OPTIONS for flag in option.opts]
    assert [flag for flag in flags if flag.startswith("--sfn-")] == [
        setting.flag for setting in SETTINGS.values() if setting.option
    ]
