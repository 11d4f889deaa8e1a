from __future__ import annotations

from typing import Any

import pytest

from sfini_celery.doctor import (
    Check,
    Verdict,
    check_activities,
    check_budget,
    check_clock,
    check_files,
    check_pollers,
    check_versions,
    check_workflows,
)
from sfini_celery.inventory import ActivityEntry, Standing, WorkflowEntry


def verdicts(checks: Any) -> list[str]:
    return [str(check.verdict) for check in checks]


def test_every_check_that_is_not_ok_says_what_to_do() -> None:
    found: list[Check] = [
        *check_versions({"python": "3.9", "boto3": None}, {"python": "3.10", "boto3": "1.34"}),
        check_clock(None),
        check_clock(400),
        check_activities([], created_by_workers=True),
        check_activities([activity("a", Standing.MISSING)], created_by_workers=False),
        *check_workflows([workflow(each.value, each) for each in Standing]),
        check_files(5000, soft=1024, hard=4096),
        check_budget(20, workers=9000, region="us-east-1", rate=50),
        *check_pollers(["a"], {}),
    ]
    assert [check for check in found if (check.advice == "") != (check.verdict is Verdict.OK)] == []


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        ("5.4", "ok"),
        ("5.4.0rc1", "ok"),
        ("5.10", "ok"),
        ("6", "ok"),
        ("5.3.9", "fail"),
        ("4.99", "fail"),
        (None, "fail"),
    ],
)
def test_a_version_below_its_floor_fails_and_ten_is_above_nine(version: str | None, verdict: str) -> None:
    assert verdicts(check_versions({"celery": version}, {"celery": "5.4"})) == [verdict]


@pytest.mark.parametrize(
    ("ahead", "verdict", "said"),
    [
        (0.3, "ok", "a second or two"),
        (-10, "ok", "10 s behind"),
        (61, "warn", "61 s ahead of"),
        (-299, "warn", "299 s behind"),
        (300, "fail", "300 s ahead of"),
        (None, "warn", "does not tell"),
    ],
)
def test_a_clock_that_is_off_is_noted_and_one_that_aws_would_refuse_fails(
    ahead: float | None, verdict: str, said: str
) -> None:
    check = check_clock(ahead)
    assert (check.verdict, said in check.found) == (verdict, True), check


def activity(name: str, standing: Standing) -> ActivityEntry:
    return ActivityEntry(name, f"arn:{name}", (name,), 60, None, standing)


def workflow(name: str, standing: Standing) -> WorkflowEntry:
    return WorkflowEntry(name, name, f"arn:{name}", standing, why="broken" if standing is Standing.INVALID else "")


@pytest.mark.parametrize(("created", "verdict"), [(True, "warn"), (False, "fail")])
def test_a_missing_activity_is_worse_where_no_worker_creates_it(created: bool, verdict: str) -> None:
    entries = [activity("a", Standing.MISSING), activity("b", Standing.IN_SYNC)]
    check = check_activities(entries, created_by_workers=created)
    assert (check.verdict, check.found) == (verdict, "1 of 2 not registered: a")


def test_workflows_are_told_by_how_they_stand() -> None:
    checks = list(check_workflows([workflow(each.value, each) for each in Standing]))
    assert [(str(check.verdict), check.found) for check in checks] == [
        ("fail", "invalid has no definition: broken"),
        ("fail", "missing: not registered"),
        ("warn", "changed: registered with another definition"),
        ("ok", "1 registered as declared"),
    ]


@pytest.mark.parametrize(
    ("soft", "hard", "verdict"),
    [(1000, 1000, "ok"), (256, 1000, "ok"), (256, 700, "fail"), (float("inf"),) * 2 + ("ok",)],
)
def test_open_files_fail_only_where_a_worker_cannot_raise_them_itself(soft: float, hard: float, verdict: str) -> None:
    assert check_files(500, soft=soft, hard=hard).verdict == verdict


@pytest.mark.parametrize(
    ("workers", "region", "verdict"),
    [
        (10, "us-east-1", "ok"),  # 10 x 300 / 60 = 50 of 500
        (50, "us-east-1", "ok"),  # exactly half
        (51, "us-east-1", "warn"),
        (100, "us-east-1", "warn"),
        (101, "us-east-1", "fail"),
        (60, "eu-central-1", "warn"),  # 300 of 300
        (61, "eu-central-1", "fail"),
    ],
)
def test_the_budget_of_polls_is_what_the_region_allows(workers: int, region: str, verdict: str) -> None:
    assert check_budget(300, workers=workers, region=region, rate=50).verdict == verdict


def test_a_worker_never_polls_faster_than_it_is_set_to() -> None:
    assert "= 50.0 GetActivityTask" in check_budget(30_000, workers=1, region="us-east-1", rate=50).found


def answer(*names: str, **more: Any) -> dict[str, Any]:
    return {"open_polls": 4 * len(names), "activities": {name: {"open_polls": 4} for name in names}, **more}


def test_an_activity_nobody_polls_is_named() -> None:
    checks = list(check_pollers(["a", "b", "c"], {"w1": answer("a"), "w2": answer("a", "c")}))
    assert [(str(check.verdict), check.found) for check in checks] == [
        ("warn", "nobody polls b"),
        ("ok", "2 with 12 open polls: w1, w2"),
    ]


def test_a_paused_activity_is_not_polled() -> None:
    told = answer("a")
    told["activities"]["a"]["paused"] = True
    assert "nobody polls a" in next(check_pollers(["a"], {"w": told})).found


def test_workers_without_activities_and_no_workers_are_told_apart() -> None:
    assert "no worker answered" in next(check_pollers(["a"], {})).found
    assert next(check_pollers(["a"], {"w": {"error": "this worker serves no activities"}})).found.startswith("w serves")
    assert "w1, w2 serve no" in next(check_pollers(["a"], {"w2": {"error": "x"}, "w1": {"error": "x"}})).found


def test_what_workers_have_trouble_with_is_told() -> None:
    told = answer("a", last_error="Throttled")
    told["activities"]["a"]["last_error"] = "AccessDeniedException"
    found = [check.found for check in check_pollers(["a"], {"w": told})]
    assert found[:2] == ["w had trouble with AWS: Throttled", "w cannot poll a: AccessDeniedException"]


def test_a_long_list_of_names_is_cut() -> None:
    entries = [activity(f"a{number}", Standing.MISSING) for number in range(8)]
    assert check_activities(entries, created_by_workers=True).found.endswith("a0, a1, a2, a3, a4 and 3 more")
