"""``start`` and ``executions list|show|history|stop|redrive|watch``: runs of a workflow, started and looked at."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from itertools import dropwhile, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sfini_celery.cli.app_option import Invocation, aws_options, json_option, machine_arn
from sfini_celery.cli.errors import python_cause
from sfini_celery.cli.execution_option import execution_named, executions_of, time, workflow_option
from sfini_celery.cli.output import echo_json, moment, use_colours
from sfini_celery.cli.redrive import redrive
from sfini_celery.cli.watch import watch

if TYPE_CHECKING:
    from sfini_celery.execution import Execution

__all__ = ["executions", "start"]

STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE")
STYLES = {"RUNNING": "cyan", "SUCCEEDED": "green", "FAILED": "red", "TIMED_OUT": "red", "ABORTED": "dim"}


@click.command()
@click.argument("workflow")
@click.option("-i", "--input", "given", metavar="JSON|@FILE|-", help="The input: JSON, a file of it, or - for stdin.")
@click.option("--input-file", type=click.Path(path_type=Path), metavar="FILE", help="A file that holds the input.")
@click.option("--name", help="Name of the execution; the same name and input start it only once.")
@click.option("--alias", metavar="NAME", help="Start the version that this alias leads to.")
@click.option("--version", type=click.IntRange(min=1), metavar="N", help="Start this published version.")
@click.option("--wait", is_flag=True, help="Wait for its end, and print its output.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="How long to wait; without end if not given."
)
@json_option
@aws_options
def start(
    asked: Invocation,
    workflow: str,
    given: str | None,
    input_file: Path | None,
    name: str | None,
    alias: str | None,
    version: int | None,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Start an execution of WORKFLOW: a workflow of the app, or the ARN of any state machine.

    With --wait only the output goes to stdout, and the exit code says how the execution ended.

    \b
    Example:
      sfini-celery -A proj start orders --input '{"order": 7}' --wait --timeout 60
      sfini-celery -A proj start orders --input @order.json
      sfini-celery -A proj start orders --alias live
      echo '{"order": 7}' | sfini-celery -A proj start orders --input -
    """
    if timeout is not None and not wait:
        raise click.UsageError("--timeout is how long to --wait: give both")
    if alias is not None and version is not None:
        raise click.UsageError("give either --alias or --version")
    value = read_input(given, input_file)
    execution = _start(asked, workflow, value, name, alias or version)
    if not wait:
        if as_json:
            echo_json({"name": execution.name, "arn": execution.arn})
        else:
            click.echo(f"{execution.name}\n{execution.arn}")
        return
    click.echo(f"{execution.name} started", err=True)
    execution.wait(timeout=timeout)
    if as_json:
        echo_json(described(execution))
    output = execution.output  # raises where it did not succeed
    if not as_json:
        echo_json(output)


def read_input(given: str | None, file: Path | None) -> Any:
    """The value that ``--input`` or ``--input-file`` stands for; ``{}`` for neither.

    Raises:
        click.UsageError: both were given, the file cannot be read, or it is not JSON
    """
    if given is not None and file is not None:
        raise click.UsageError("give either --input or --input-file")
    if given is not None and given.startswith("@"):
        file = Path(given[1:])
    if file is not None:
        where = str(file)
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"cannot read the input from {where}: {error}") from None
    elif given == "-":
        where, text = "stdin", sys.stdin.read()
    elif given is not None:
        where, text = "--input", given
    else:
        return {}
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        hint = "; for a file write @FILE" if where == "--input" else ""
        raise click.UsageError(f"the input from {where} is not JSON: {error or 'nested too deep'}{hint}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _start(asked: Invocation, workflow: str, value: Any, name: str | None, which: str | int | None) -> Execution:
    from sfini_celery.aws import execution_name, name_in
    from sfini_celery.execution import Execution

    machine = machine_arn(asked, workflow)
    if which is not None:
        machine = f"{machine}:{which}"
    return Execution(name or execution_name(name_in(machine)), machine, value, control=asked.control).start()


@click.group(invoke_without_command=True)
@click.pass_context
def executions(ctx: click.Context, /) -> None:
    """List executions, show one, its history, watch it, stop it or redrive it.

    \b
    Example:
      sfini-celery -A proj executions list orders --status FAILED
      sfini-celery -A proj executions show orders_2024-05-13T19-07_0354d790
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


executions.add_command(redrive)
executions.add_command(watch)


@executions.command("list")
@click.argument("workflow", required=False)
@click.option("--status", type=click.Choice(STATUSES, case_sensitive=False), help="Only those with this status.")
@click.option("--since", type=time, metavar="TIME", help="Only those started since: 30m, 2h, 7d, 2024-05-13T19:07.")
@click.option("--before", type=time, metavar="TIME", help="Only those started before; for the next page.")
@click.option("--alias", metavar="NAME", help="Only those that this alias of the workflow has started.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many at most.")
@click.option("--all", "every", is_flag=True, help="However many there are.")
@json_option
@aws_options
def list_(
    asked: Invocation,
    workflow: str | None,
    status: str | None,
    since: datetime | None,
    before: datetime | None,
    alias: str | None,
    limit: int,
    every: bool,
    as_json: bool,
) -> None:
    """List executions, newest first: of WORKFLOW, or of every workflow of the app.

    \b
    Example:
      sfini-celery -A proj executions list orders --status RUNNING --limit 5
      sfini-celery -A proj executions list --status FAILED --since 2h --all
    """
    size = None if every or since or before else limit + 1
    items = executions_of(asked, workflow, status=status, alias=alias, limit=size)
    if before is not None:
        items = dropwhile(lambda item: item["startDate"] >= before, items)
    if since is not None:
        items = takewhile(lambda item: item["startDate"] >= since, items)
    found = list(items if every else islice(items, limit))
    for item in items:
        if item["startDate"] != found[-1]["startDate"]:
            click.echo(f"there are more: --before {found[-1]['startDate'].isoformat()}, or --all", err=True)
            break
        found.append(item)  # --before would hide what started in the same millisecond
    if as_json:
        echo_json(found)
        return
    from sfini_celery.aws import name_in
    from sfini_celery.render import Column, duration, table

    now = datetime.now(timezone.utc)
    columns = [
        Column("execution"),
        Column("workflow"),
        Column("status", styles=STYLES),
        Column("started"),
        Column("took", right=True),
    ]
    rows = [
        (
            item["name"],
            name_in(item["stateMachineArn"]),
            item["status"],
            moment(item["startDate"]),
            duration(((item.get("stopDate") or now) - item["startDate"]).total_seconds()),
        )
        for item in found
    ]
    click.echo(table(columns, rows, colours=use_colours(asked)) if rows else "no executions")


@executions.command()
@click.argument("execution")
@workflow_option
@json_option
@aws_options
def show(asked: Invocation, execution: str, workflow: str | None, as_json: bool) -> None:
    """Show EXECUTION, by name or ARN: status, input, output, error, and the states it went through.

    \b
    Example:
      sfini-celery -A proj executions show orders_2024-05-13T19-07_0354d790
    """
    found = execution_named(asked, execution, workflow)
    told = described(found)
    if as_json:
        echo_json(told)
        return
    for name, value in told.items():
        text = moment(value) if isinstance(value, datetime) else str(value)
        _echo_member(name, json.dumps(value, ensure_ascii=False) if name in ("input", "output") else text)
    from sfini_celery.render import timeline_table

    click.echo()
    click.echo(timeline_table(found.timeline(), now=datetime.now(timezone.utc), colours=use_colours(asked)))


def _echo_member(name: str, text: str) -> None:
    from sfini_celery.render import printable

    cause = python_cause(text) if name == "cause" else None
    if cause is None:
        click.echo(f"{name:12}  {printable(text)}")
        return
    message, trace = cause
    click.echo(f"{name:12}  {printable(message)}")
    for line in trace.splitlines():
        click.echo(f"{'':12}  {printable(line)}")


@executions.command()
@click.argument("execution")
@workflow_option
@click.option("--events", is_flag=True, help="Every event, and not the states made of them.")
@json_option
@aws_options
def history(asked: Invocation, execution: str, workflow: str | None, events: bool, as_json: bool) -> None:
    """Show what happened in EXECUTION: the states it went through, or every event; --json is one event a line.

    \b
    Example:
      sfini-celery -A proj executions history orders_2024-05-13T19-07_0354d790 --events
    """
    found = execution_named(asked, execution, workflow)
    raw = asked.control.history(str(found.arn))
    if as_json:
        for event in raw:
            echo_json(event, indent=None)
        return
    from sfini_celery.history import read_events, timeline
    from sfini_celery.render import format_events, timeline_table

    if events:
        for lines in format_events(read_events(raw)):
            click.echo(lines)
        return
    visits = timeline(read_events(raw), data=False)
    click.echo(timeline_table(visits, now=datetime.now(timezone.utc), colours=use_colours(asked)))


@executions.command()
@click.argument("execution")
@workflow_option
@click.option("--error", help="A name for the reason.")
@click.option("--cause", help="The reason.")
@json_option
@aws_options
def stop(
    asked: Invocation, execution: str, workflow: str | None, error: str | None, cause: str | None, as_json: bool
) -> None:
    """Stop EXECUTION. What it is doing ends; nothing is undone.

    \b
    Example:
      sfini-celery -A proj executions stop orders_2024-05-13T19-07_0354d790 --cause "wrong input"
    """
    found = execution_named(asked, execution, workflow)
    ended = found.has_ended
    if not ended:
        found.stop(error, cause)
    if as_json:
        echo_json({"name": found.name, "arn": found.arn, "status": found.status})
    else:
        click.echo(f"{found.name} had ended: {found.status}" if ended else f"{found.name} stopped")


def described(execution: Execution) -> dict[str, Any]:
    """What is known of an execution; output, error and cause where it has them."""
    status = execution.status
    told: dict[str, Any] = {
        "name": execution.name,
        "arn": execution.arn,
        "stateMachine": execution.state_machine_arn,
        "status": status,
        "startDate": execution.start_date,
    }
    if execution.has_ended:
        told["stopDate"] = execution.stop_date
    told["input"] = execution.input
    if status == "SUCCEEDED":
        told["output"] = execution.output
    told |= {name: value for name, value in (("error", execution.error), ("cause", execution.cause)) if value}
    return told
