"""``executions redrive``: failed executions go on where they failed, one or many."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from sfini_celery.cli.app_option import Invocation, aws_options, json_option
from sfini_celery.cli.errors import ExitCode, explain
from sfini_celery.cli.execution_option import execution_named, executions_of, time
from sfini_celery.cli.output import agreed, echo_json

if TYPE_CHECKING:
    from sfini_celery.execution import Execution

__all__ = ["redrive"]


@click.command()
@click.argument("executions", nargs=-1, metavar="[EXECUTION]...")
@click.option("--workflow", help="The workflow they belong to; every one of the app with --failed-since.")
@click.option(
    "--failed-since",
    type=time,
    metavar="TIME",
    help="All that have failed or timed out since then: 30m, 2h, 7d ago, or 2024-05-13T19:07.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@aws_options
def redrive(
    asked: Invocation,
    executions: tuple[str, ...],
    workflow: str | None,
    failed_since: datetime | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Let failed executions go on where they failed. What has succeeded in them is not run again.

    AWS allows it for 14 days after their end. One that cannot be redriven is told, and the others are redriven.

    \b
    Example:
      sfini-celery -A proj executions redrive orders_2024-05-13T19-07_0354d790
      sfini-celery -A proj executions redrive --workflow orders --failed-since 2h --yes
    """
    if bool(executions) == (failed_since is not None):
        raise click.UsageError("say which: either executions, or --failed-since")
    if failed_since is None:
        found = [execution_named(asked, name, workflow) for name in executions]
    else:
        found = _failed(asked, workflow, failed_since)
        if found and not as_json:
            click.echo("\n".join(str(execution) for execution in found))
        if found and not agreed(f"Redrive these {len(found)}?", yes=yes):
            return
    told = [_redriven(execution, as_json=as_json) for execution in found]
    if as_json:
        echo_json(told)
    elif not found:
        click.echo("no executions")
    if any("error" in each for each in told):
        raise click.exceptions.Exit(ExitCode.REFUSED)


def _failed(asked: Invocation, workflow: str | None, since: datetime) -> list[Execution]:
    """Oldest first. They are listed by their start: one that failed just now may have started long ago."""
    from sfini_celery.execution import Execution

    items = [
        item
        for status in ("FAILED", "TIMED_OUT")
        for item in executions_of(asked, workflow, status=status)
        if item["stopDate"] >= since
    ]
    items.sort(key=lambda item: item["stopDate"])
    return [Execution.from_list_item(item, control=asked.control) for item in items]


def _redriven(execution: Execution, *, as_json: bool) -> dict[str, Any]:
    from sfini_celery.errors import ServiceError

    told: dict[str, Any] = {"name": execution.name, "arn": execution.arn}
    try:
        execution.redrive()
    except ServiceError as error:
        if not as_json:
            click.echo(f"{execution.name}: {explain(error)[1]}", err=True)
        return {**told, "error": str(error)}
    if not as_json:
        click.echo(f"{execution.name} redriven")
    return {**told, "status": execution.status}
