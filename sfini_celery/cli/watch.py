"""``executions watch``: the states of an execution while it runs, until it ends."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from sfini_celery.cli.app_option import Invocation, aws_options, json_option
from sfini_celery.cli.execution_option import execution_named, workflow_option
from sfini_celery.cli.output import echo_json, use_colours

if TYPE_CHECKING:
    from sfini_celery.aws import ControlPlane
    from sfini_celery.execution import Execution
    from sfini_celery.history import StateVisit

__all__ = ["watch"]

# Moves to the beginning of the line n lines up, and erases all from there on.
_UP, _ERASE = "\x1b[{}F", "\x1b[J"
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_FRAME_LINES = 4


@click.command()
@click.argument("execution")
@workflow_option
@click.option(
    "--interval",
    type=click.FloatRange(min=0.2),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look; AWS allows an account 15 looks a second.",
)
@json_option
@aws_options
def watch(asked: Invocation, execution: str, workflow: str | None, interval: float, as_json: bool) -> None:
    """Watch EXECUTION until it ends: its states with status, attempts and duration.

    On a terminal the table is drawn anew in place; elsewhere, and with --json, a line is printed whenever a state
    changes. The exit code says how the execution ended. Ctrl-C ends the watching, not the execution.

    \b
    Example:
      sfini-celery -A proj executions watch orders_2024-05-13T19-07_0354d790
    """
    found = execution_named(asked, execution, workflow)
    looks = _looks(found, interval)
    if as_json:
        _follow(looks, lambda visit: echo_json(_told(visit), indent=None))
    elif sys.stdout.isatty():
        with _drawing() as draw:
            for visits in looks:
                draw(_frame(found, visits, colours=use_colours(asked)))
    else:
        _follow(looks, lambda visit: click.echo(_line(visit)))
    if as_json:
        echo_json({"execution": found.name, "status": found.status}, indent=None)
    elif not sys.stdout.isatty():
        click.echo(f"{found.name} {found.status}")
    found.wait(raise_on_failure=True)


def _looks(execution: Execution, interval: float) -> Iterator[list[StateVisit]]:
    """Its visits as they stand, look by look; the last one after its end."""
    from sfini_celery.deploy import patiently
    from sfini_celery.history import Timeline

    line, seen = Timeline(data=False), 0
    while True:
        ended = patiently(execution.refresh).has_ended  # before the history is read, which then is whole
        for event in patiently(partial(_since, execution.control, str(execution.arn), seen)):
            line.add(event)
            seen = event.id
        yield line.visits()
        if ended:
            return
        time.sleep(interval)


def _since(control: ControlPlane, arn: str, seen: int) -> list[Any]:
    """The events after one, oldest first: read backwards, so that a long history is read once and not at each look."""
    from sfini_celery.history import read_events

    if not seen:
        return list(read_events(control.history(arn)))
    new = []
    for event in read_events(control.history(arn, reverse=True)):
        if event.id <= seen:
            break
        new.append(event)
    return new[::-1]


def _follow(looks: Iterator[list[StateVisit]], tell: Callable[[StateVisit], None]) -> None:
    """Tell of each visit when it is entered, tried again, and left."""
    known: dict[int, tuple[Any, ...]] = {}
    for visits in looks:
        for visit in visits:
            state = visit.status, visit.attempts, visit.error
            if known.get(visit.number) != state:
                known[visit.number] = state
                tell(visit)


def _line(visit: StateVisit) -> str:
    from sfini_celery.render import duration, printable

    when = visit.exited or visit.started or visit.entered
    parts = [
        "" if when is None else when.astimezone().strftime("%H:%M:%S"),
        f"{visit.status:9}",
        "  " * visit.depth + _label(visit),
        f"({visit.type})",
        f"attempt {visit.attempts}" if visit.attempts > 1 else "",
        duration(visit.seconds),
        visit.error or "",
    ]
    return printable(" ".join(filter(None, parts)))


def _label(visit: StateVisit) -> str:
    return f"{visit.name}[{visit.map[-1]}]" if visit.map else visit.name


def _told(visit: StateVisit) -> dict[str, Any]:
    return {
        "state": visit.name,
        "type": visit.type,
        "status": str(visit.status),
        "attempts": visit.attempts,
        "entered": visit.entered,
        "exited": visit.exited,
        "seconds": visit.seconds,
        "map": list(visit.map),
        "branch": visit.branch,
        "worker": visit.worker,
        "error": visit.error,
    }


def _frame(execution: Execution, visits: list[StateVisit], *, colours: bool) -> list[str]:
    """What to draw: no more lines than the terminal has, the newest states."""
    from sfini_celery.render import duration, progress_line, timeline_table

    now = datetime.now(timezone.utc)
    until = execution.stop_date if execution.has_ended else now
    took = duration((until - execution.start_date).total_seconds())
    head = f"{execution.name}  {execution.status}  {took}  {progress_line(visits)}"
    rows = timeline_table(visits, now=now, colours=colours).splitlines()
    room = max(1, shutil.get_terminal_size().lines - _FRAME_LINES)
    hidden = len(rows) - 1 - room
    if hidden > 0:
        rows = [rows[0], f"... {hidden} before ...", *rows[-room:]]
    return [head, *rows]


@contextmanager
def _drawing() -> Iterator[Callable[[list[str]], None]]:
    """Draws lines where the last ones were. Long lines are cut by the terminal, which wraps again afterwards."""
    drawn = 0

    def draw(lines: list[str]) -> None:
        nonlocal drawn
        back = (_UP.format(drawn) if drawn else "") + _ERASE
        sys.stdout.write(back + _NO_WRAP + "\n".join(lines) + "\n" + _WRAP)
        sys.stdout.flush()
        drawn = len(lines)

    try:
        yield draw
    finally:
        sys.stdout.write(_WRAP)
        sys.stdout.flush()
