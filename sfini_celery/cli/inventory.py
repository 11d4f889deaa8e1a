"""``activities`` and ``workflows``: what the app declares, and what AWS has of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from sfini_celery.cli.app_option import Invocation, aws_options, json_option
from sfini_celery.cli.output import echo_json, moment, use_colours
from sfini_celery.errors import ConfigurationError

__all__ = ["activities", "workflows"]

STYLES = {"in sync": "green", "changed": "yellow", "missing": "red", "invalid": "red"}


@click.command()
@click.option("--pollers", is_flag=True, help="Ask the running workers too: who polls, and how many polls are open.")
@json_option
@aws_options
def activities(asked: Invocation, pollers: bool, as_json: bool) -> None:
    """List the app's activities: their tasks, whether they are registered, and with --pollers who polls them.

    \b
    Example:
      sfini-celery -A proj activities --pollers
    """
    from sfini_celery.inventory import activity_entries

    sfn = asked.sfn
    entries = activity_entries(sfn.activities, sfn.control)
    answers = _answers(sfn.celery) if pollers else {}
    if as_json:
        told = [asdict(entry) for entry in entries]
        for each in told:
            if pollers:
                each["polled_by"] = dict(_pollers(answers, each["name"]))
        echo_json(told)
        return
    from sfini_celery.render import Column, table

    columns: list[Column | str] = [
        "activity",
        Column("registered", styles=STYLES),
        "since",
        "tasks",
        Column("heartbeat", right=True),
    ]
    rows = [
        [
            entry.name,
            entry.standing,
            moment(entry.created),
            ", ".join(entry.tasks),
            f"{entry.heartbeat} s",
            *([", ".join(f"{name} ({polls})" for name, polls in _pollers(answers, entry.name))] if pollers else []),
        ]
        for entry in entries
    ]
    heads = [*columns, "polled by (open polls)"] if pollers else columns
    click.echo(table(heads, rows, colours=use_colours(asked)) if rows else "no activities")


def _answers(app: Any) -> Mapping[str, Any]:
    from sfini_celery.doctor import ask_workers, without_passwords

    try:
        return ask_workers(app)
    except Exception as error:  # whatever the broker's transport raises
        why = without_passwords(f"{type(error).__name__}: {error}", app.conf.broker_url)
        raise ConfigurationError(f"the workers cannot be asked through the broker: {why}") from error


def _pollers(answers: Mapping[str, Any], name: str) -> list[tuple[str, int]]:
    return [
        (worker, int(line.get("open_polls") or 0))
        for worker, each in sorted(answers.items())
        if (line := (each.get("activities") or {}).get(name)) is not None
    ]


@click.command()
@json_option
@aws_options
def workflows(asked: Invocation, as_json: bool) -> None:
    """List the app's workflows: whether they are registered, and as they are declared.

    \b
    Example:
      sfini-celery -A proj workflows
    """
    from sfini_celery.inventory import workflow_entries
    from sfini_celery.render import Column, table

    sfn = asked.sfn
    entries = list(workflow_entries(sfn.workflows.values(), sfn.control))
    if as_json:
        echo_json([asdict(entry) for entry in entries])
        return
    rows = [
        (entry.name, entry.machine, entry.standing, moment(entry.created), (entry.role_arn or "").rpartition("/")[2])
        for entry in entries
    ]
    columns: list[Column | str] = ["workflow", "state machine", Column("registered", styles=STYLES), "since", "role"]
    click.echo(table(columns, rows, colours=use_colours(asked)) if rows else "no workflows")
    for entry in entries:
        if entry.why:
            from sfini_celery.render import printable

            click.echo(printable(f"{entry.name}: {entry.why}"), err=True)
