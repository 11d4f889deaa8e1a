"""What is right and what is not, judged from what was found. Pure: nothing here asks anybody anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sfini_celery.inventory import ActivityEntry, Standing, WorkflowEntry
from sfini_celery.quotas import POLL_SECONDS, poll_calls_allowed

__all__ = [
    "Check",
    "Verdict",
    "check_activities",
    "check_budget",
    "check_clock",
    "check_files",
    "check_pollers",
    "check_versions",
    "check_workflows",
]


class Verdict(str, Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: of the thing
        verdict: ok, warn or fail
        found: what was found
        advice: what to do; empty where nothing is to be done
    """

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Check:
    """Nothing is to be done."""
    return Check(name, Verdict.OK, found)


def warn(name: str, found: str, advice: str) -> Check:
    """It works, and could be better."""
    return Check(name, Verdict.WARN, found, advice)


def fail(name: str, found: str, advice: str) -> Check:
    """It does not work."""
    return Check(name, Verdict.FAIL, found, advice)


# -- versions


def check_versions(installed: Mapping[str, str | None], floors: Mapping[str, str]) -> Iterator[Check]:
    """Python and the packages this one needs.

    Parameters:
        installed: versions by name, None for what is not there
        floors: the lowest versions that do, by name
    """
    told = []
    for name, floor in floors.items():
        version = installed.get(name)
        if version is None:
            yield fail("versions", f"{name} is not installed", f"pip install '{name}>={floor}'")
        elif _numbers(version) < _numbers(floor):
            how = "use a newer one" if name == "python" else f"pip install --upgrade '{name}>={floor}'"
            yield fail("versions", f"{name} is {version}, {floor} is the lowest that does", how)
        else:
            told.append(f"{name} {version}")
    if told:
        yield ok("versions", ", ".join(told))


def _numbers(version: str) -> tuple[int, ...]:
    """The release, as far as it is numbers: 5.7.0rc1 counts as 5.7.0."""
    parts = []
    for part in version.split("."):
        number = re.match(r"\d+", part)
        if number is None:
            break
        parts.append(int(number[0]))
        if number[0] != part:
            break
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


# -- the endpoint

_NOTED, _REFUSED = 60.0, 300.0
"""Seconds: AWS refuses signatures that are five minutes off."""


def check_clock(ahead: float | None) -> Check:
    """This machine's clock against the endpoint's.

    Parameters:
        ahead: seconds it is ahead, None where the endpoint tells no time
    """
    if ahead is None:
        return warn("clock", "the endpoint does not tell its time", "see that this machine's clock is synchronised")
    off, way = abs(ahead), "ahead of" if ahead > 0 else "behind"
    # the header tells whole seconds
    found = "as the endpoint's, to a second or two" if off < 2 else f"{off:.0f} s {way} the endpoint's"
    if off < _NOTED:
        return ok("clock", found)
    judge = fail if off >= _REFUSED else warn
    return judge("clock", found, "synchronise it (NTP): AWS refuses signatures that are five minutes off")


# -- what is registered


def check_activities(entries: Iterable[ActivityEntry], *, created_by_workers: bool) -> Check:
    """The app's activities.

    Parameters:
        entries: of all of them
        created_by_workers: whether workers create what is missing
    """
    entries = list(entries)
    missing = [entry.name for entry in entries if entry.standing is Standing.MISSING]
    if not entries:
        return warn("activities", "the app has none", "decorate a task with @app.activity")
    if not missing:
        return ok("activities", f"{len(entries)} declared, all registered")
    found = f"{len(missing)} of {len(entries)} not registered: {_some(missing)}"
    if created_by_workers:
        return warn("activities", found, "a worker creates them when it starts; or run `sfini-celery register`")
    return fail("activities", found, "run `sfini-celery register`")


def check_workflows(entries: Iterable[WorkflowEntry]) -> Iterator[Check]:
    """The app's workflows."""
    entries = list(entries)
    by_standing = {each: [entry for entry in entries if entry.standing is each] for each in Standing}
    for entry in by_standing[Standing.INVALID]:
        yield fail("workflows", f"{entry.name} has no definition: {entry.why}", "see `sfini-celery lint`")
    wrong = {
        Standing.MISSING: ("not registered", fail),
        Standing.CHANGED: ("registered with another definition", warn),
    }
    for standing, (what, judge) in wrong.items():
        if names := [entry.name for entry in by_standing[standing]]:
            advice = "see `sfini-celery register --plan`, then run `sfini-celery register`"
            yield judge("workflows", f"{_some(names)}: {what}", advice)
    if good := by_standing[Standing.IN_SYNC]:
        yield ok("workflows", f"{len(good)} registered as declared")


# -- polls


def check_files(polls: int, *, soft: float, hard: float, others: int = 256) -> Check:
    """Whether a worker may open as many files as it has polls.

    Parameters:
        polls: open at once, at most, per worker
        soft, hard: limits of open files of this process
        others: files that a worker needs besides
    """
    wanted = polls + others
    if soft >= wanted:
        return ok("open files", f"{_figure(soft)} allowed, about {wanted} needed per worker")
    if hard >= wanted:
        return ok("open files", f"{_figure(soft)} allowed, a worker raises it to the {wanted} that it needs")
    advice = f"raise it (`ulimit -Hn {wanted}`, LimitNOFILE= in systemd) or lower sfn_polls"
    return fail("open files", f"at most {_figure(hard)} allowed, about {wanted} needed per worker", advice)


def _figure(limit: float) -> str:
    return "any number" if limit == float("inf") else f"{limit:.0f}"


_SHARE = 0.5


def check_budget(polls: int, *, workers: int, region: str, rate: float) -> Check:
    """The calls that waiting workers make, against what the account has for all that run in it.

    Parameters:
        polls: of one worker
        workers: how many there are or will be
        region: of the account
        rate: new polls a second that a worker opens at most (``sfn_poll_rate``)
    """
    calls, allowed = workers * min(polls / POLL_SECONDS, rate), poll_calls_allowed(region)
    many = f"{workers} worker{'' if workers == 1 else 's'}"
    share = f"{100 * calls / allowed:.1f} % of the account's {allowed} in {region}"
    found = (
        f"{many} x {polls} polls / {POLL_SECONDS} s = {calls:.1f} GetActivityTask calls a second while idle, {share}"
    )
    advice = "let activities share a name (activity=), lower sfn_polls, give workers queues (-Q), or ask AWS for more"
    if calls > allowed:
        return fail("poll budget", found, advice)
    if calls > _SHARE * allowed:
        return warn("poll budget", found, advice)
    return ok("poll budget", found)


def check_pollers(names: Iterable[str], answers: Mapping[str, Any]) -> Iterator[Check]:
    """Which activities somebody polls.

    Parameters:
        names: of the app's activities
        answers: of its workers to ``inspect sfn``, by worker
    """
    names = sorted(names)
    serving = {worker: each for worker, each in answers.items() if isinstance(each.get("activities"), Mapping)}
    if not serving:
        if answers:
            found = f"{_some(answers)} serve{'s' if len(answers) == 1 else ''} no activities"
        else:
            found = "no worker answered"
        yield warn("workers", found, "start one with `sfini-celery worker`; a task nobody polls for waits for ever")
        return
    polled = {name for each in serving.values() for name, line in each["activities"].items() if not line.get("paused")}
    if lonely := [name for name in names if name not in polled]:
        advice = "start a worker for its queue (-Q): a task nobody polls for waits until its machine times out"
        yield warn("workers", f"nobody polls {_some(lonely)}", advice)
    for worker, each in serving.items():
        if each.get("last_error"):
            yield warn("workers", f"{worker} had trouble with AWS: {each['last_error']}", "see its log")
        for name, line in each["activities"].items():
            if line.get("last_error"):
                yield warn("workers", f"{worker} cannot poll {name}: {line['last_error']}", "see its log")
    polls = sum(int(each.get("open_polls") or 0) for each in serving.values())
    yield ok("workers", f"{len(serving)} with {polls} open polls: {_some(serving)}")


_NAMED = 5


def _some(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
