"""Which executions a command works on, and since when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from heapq import merge
from typing import TYPE_CHECKING, Any

import click

from sfini_celery.cli.app_option import Invocation, machine_arn

if TYPE_CHECKING:
    from sfini_celery.execution import Execution

__all__ = ["execution_named", "executions_of", "time", "workflow_option"]

_AGE = re.compile(r"(\d+)\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def time(text: str) -> datetime:
    """A time: how long ago (``90s``, ``30m``, ``2h``, ``7d``), or as in ISO 8601, local where it names no zone.

    Raises:
        click.BadParameter: it is none
    """
    given = text.strip()
    try:
        if ago := _AGE.fullmatch(given):
            return datetime.now(timezone.utc) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(re.sub("[zZ]$", "+00:00", given)).astimezone()
    except (ValueError, OverflowError):
        raise click.BadParameter(f"{given!r} is no time: write 30m, 2h, 7d, or 2024-05-13T19:07") from None


workflow_option = click.option("--workflow", help="The workflow it belongs to, where its name alone does not say so.")


def execution_named(asked: Invocation, execution: str, workflow: str | None) -> Execution:
    """The execution of this ARN or name; a name's workflow is told, or can be told from it.

    Raises:
        click.UsageError: it cannot be told which workflow it belongs to
        NotFound: there is none
    """
    from sfini_celery.execution import Execution

    arn = execution
    if not execution.startswith("arn:"):
        machine = machine_arn(asked, workflow or _workflow_of(asked, execution))
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{execution}"
    return Execution.from_arn(arn, control=asked.control)


def _workflow_of(asked: Invocation, execution: str) -> str:
    known = [workflow.full_name for workflow in asked.sfn.workflows.values()]
    fitting = [name for name in known if execution.startswith(f"{name}_")] or known
    if len(fitting) == 1:
        return fitting[0]
    choice = f"it is one of {', '.join(fitting)}" if fitting else "this app has none; give the execution's ARN"
    raise click.UsageError(f"which workflow does {execution!r} belong to? Say it with --workflow: {choice}")


def executions_of(
    asked: Invocation,
    workflow: str | None,
    *,
    status: str | None = None,
    alias: str | None = None,
    limit: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Items of ListExecutions, newest first.

    Parameters:
        asked: the app and AWS
        workflow: a workflow or a state machine's ARN; every workflow of the app without it
        status: only those with it
        alias: only those that this alias has started; workflows without such an alias have none
        limit: how many are wanted of each workflow, at most
    """
    if workflow is None:
        machines = [each.arn for each in asked.sfn.workflows.values()]
    else:
        machines = [machine_arn(asked, workflow)]
    if alias is not None:
        machines = [f"{arn}:{alias}" for arn in machines]
    pages: Iterable[Iterator[dict[str, Any]]] = [
        asked.control.list_executions(arn, status=status, limit=limit) for arn in machines
    ]
    if alias is not None and workflow is None:
        pages = map(_if_any, pages)
    return merge(*pages, key=lambda item: item["startDate"], reverse=True)


def _if_any(found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    from sfini_celery.errors import NotFound

    with suppress(NotFound):
        yield from found
