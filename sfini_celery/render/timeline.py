"""Visits to states: as a table, and as one line while an execution runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from sfini_celery.history import StateVisit, VisitStatus
from sfini_celery.render.tables import Column, printable, table

__all__ = ["duration", "progress_line", "timeline_table"]

_STYLES = {"RUNNING": "cyan", "SUCCEEDED": "green", "CAUGHT": "yellow", "FAILED": "red", "ABORTED": "dim"}
_NAMED = 3


def duration(seconds: float | None) -> str:
    """A length of time for people; empty for None.

    Example:
        >>> [duration(each) for each in (0.0421, 3.14159, 75, 3 * 3600 + 62)]
        ['42 ms', '3.1 s', '1 min 15 s', '3 h 1 min']
    """
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if round(seconds * 1000) < 1000:
        return f"{seconds * 1000:.0f} ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def timeline_table(visits: Iterable[StateVisit], *, now: datetime | None = None, colours: bool = False) -> str:
    """A row per visit to a state, what is inside a Parallel or Map indented below it.

    Parameters:
        visits: from :func:`sfini_celery.history.timeline`
        now: timezone-aware; what still runs shows how long it has been running, nothing without it
        colours: colour the status
    """
    columns = [
        Column("state"),
        Column("type"),
        Column("status", styles=_STYLES),
        Column("attempts", right=True),
        Column("entered"),
        Column("took", right=True),
        Column("worker", widest=40),
        Column("error", widest=60),
    ]
    rows = [
        (
            "  " * visit.depth + _label(visit),
            visit.type,
            visit.status,
            visit.attempts,
            None if visit.entered is None else visit.entered.isoformat(" ", "milliseconds"),
            duration(_seconds(visit, now)),
            visit.worker,
            visit.error,
        )
        for visit in _nested(list(visits))
    ]
    return table(columns, rows, colours=colours)


def _nested(visits: Sequence[StateVisit]) -> Iterable[StateVisit]:
    """What is inside follows what it is in, lane by lane (an iteration, a branch), as AWS ran them side by side."""
    lanes: dict[tuple[int | None, tuple[int, ...], str], int] = {}
    keys: dict[int | None, tuple[int, ...]] = {None: ()}
    for visit in visits:
        lane = lanes.setdefault((visit.parent, visit.map, visit.branch), visit.number)
        keys[visit.number] = (*keys.get(visit.parent, ()), lane, visit.number)
    return sorted(visits, key=lambda visit: keys[visit.number])


def _label(visit: StateVisit) -> str:
    return f"{visit.name}[{visit.map[-1]}]" if visit.map else visit.name


def _seconds(visit: StateVisit, now: datetime | None) -> float | None:
    if visit.status is VisitStatus.RUNNING and now is not None and visit.entered is not None:
        return (now - visit.entered).total_seconds()
    return visit.seconds


def progress_line(visits: Iterable[StateVisit]) -> str:
    """One line on how an execution stands, to be drawn over and over.

    Example:
        >>> running = StateVisit(0, "resize", "Task", VisitStatus.RUNNING)
        >>> progress_line([running])
        '0 done, 1 running: resize'
    """
    counts: Counter[str] = Counter()
    running: Counter[str] = Counter()
    for visit in visits:
        status = visit.status
        counts["done" if status in (VisitStatus.SUCCEEDED, VisitStatus.CAUGHT) else status.value.lower()] += 1
        if status is VisitStatus.RUNNING and visit.type not in ("Map", "Parallel"):
            running[visit.name] += 1
    parts = [f"{counts['done']} done"]
    parts += [f"{counts[each]} {each}" for each in ("failed", "aborted") if counts[each]]
    if counts["running"]:
        names = [printable(name) + (f" x{many}" if many > 1 else "") for name, many in running.most_common()]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        parts.append(f"{counts['running']} running" + (f": {', '.join(names[:_NAMED])}{more}" if names else ""))
    return ", ".join(parts)
