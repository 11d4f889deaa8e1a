from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from sfini_celery.history import Attempt, StateVisit, VisitStatus
from sfini_celery.render import duration, progress_line, timeline_table

START = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
DONE, RUNNING, FAILED = VisitStatus.SUCCEEDED, VisitStatus.RUNNING, VisitStatus.FAILED


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


VISITS = [
    StateVisit(0, "each", "Map", RUNNING, at(0), length=2),
    StateVisit(1, "fetch", "Task", DONE, at(1), None, at(3.5), parent=0, depth=1, map=(0,)),
    StateVisit(2, "fetch", "Task", FAILED, at(1), None, at(2), error="OSError", parent=0, depth=1, map=(1,)),
    StateVisit(
        3, "store", "Task", RUNNING, at(4), parent=0, depth=1, map=(0,), tries=(Attempt(), Attempt(worker="w@host"))
    ),
]


def test_what_is_inside_is_below_what_it_is_in_lane_by_lane() -> None:
    assert timeline_table(VISITS, now=at(64)).splitlines() == [
        "state       type  status     attempts  entered                             took  worker  error",
        "each        Map   RUNNING           1  2026-03-01 12:00:00.000+00:00  1 min 4 s",
        "  fetch[0]  Task  SUCCEEDED         1  2026-03-01 12:00:01.000+00:00      2.5 s",
        "  store[0]  Task  RUNNING           2  2026-03-01 12:00:04.000+00:00  1 min 0 s  w@host",
        "  fetch[1]  Task  FAILED            1  2026-03-01 12:00:01.000+00:00      1.0 s          OSError",
    ]


def test_branches_of_a_parallel_are_not_mixed() -> None:
    visits = [StateVisit(0, "both", "Parallel", RUNNING)] + [
        StateVisit(number, name, "Pass", DONE, parent=0, depth=1, branch=branch)
        for number, (name, branch) in enumerate([("a1", "a1"), ("b1", "b1"), ("a2", "a1"), ("b2", "b1")], 1)
    ]
    names = [line.split()[0] for line in timeline_table(visits).splitlines()[1:]]
    assert names == ["both", "a1", "a2", "b1", "b2"]


def test_running_state_has_no_length_without_a_clock() -> None:
    assert timeline_table(VISITS[:1]).splitlines()[1].endswith("+00:00")


def test_status_is_coloured_only_when_asked_for() -> None:
    assert "\x1b" not in timeline_table(VISITS)
    assert "\x1b[31mFAILED" in timeline_table(VISITS, colours=True)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (-1, "0 ms"),
        (0.0004, "0 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 0 s"),
        (3599.7, "1 h 0 min"),
        (47 * 3600, "47 h 0 min"),
        (50 * 3600, "2 d 2 h"),
    ],
)
def test_duration_never_shows_sixty_of_what_makes_one(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_progress_counts_what_is_done_and_names_what_runs() -> None:
    assert progress_line(VISITS) == "1 done, 1 failed, 2 running: store"
    assert progress_line([]) == "0 done"


def test_progress_of_many_states_stays_one_line() -> None:
    visits = [StateVisit(n, f"state\n{n % 6}", "Task", RUNNING) for n in range(13)]
    line = progress_line(visits)
    assert line.startswith("0 done, 13 running: state\\n0 x3, ")
    assert line.endswith("and 3 more")
    assert "\n" not in line
