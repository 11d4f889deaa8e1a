"""``register`` and ``deregister``: the app's activities and state machines, as AWS has them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sfini_celery.cli.app_option import NOTHING_DECLARED, Invocation, aws_options, json_option
from sfini_celery.cli.errors import ExitCode
from sfini_celery.cli.output import echo_json
from sfini_celery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sfini_celery.app import StepFunctions
    from sfini_celery.deploy import Item, Plan

__all__ = ["deregister", "register"]

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.command()
@click.option(
    "--plan", "only_plan", is_flag=True, help="Only show what would be done; exit with 2 if that is anything."
)
@yes_option
@click.option("--role-arn", metavar="ARN", help="IAM role of the state machines; the setting sfn_role_arn without it.")
@json_option
@aws_options
def register(asked: Invocation, only_plan: bool, yes: bool, role_arn: str | None, as_json: bool) -> None:
    """Create or update the app's activities and state machines, after showing the plan.

    \b
    Example:
      sfini-celery -A proj register --plan
      sfini-celery -A proj register --yes --role-arn arn:aws:iam::123456789012:role/orders
    """
    from sfini_celery.deploy import apply

    plan = plan_of(asked.sfn, role_arn)
    if as_json:
        echo_json([_told(item) for item in plan.items])
    else:
        click.echo(str(plan))
    if only_plan:
        raise click.exceptions.Exit(ExitCode.CHANGES if plan.changes else ExitCode.OK)
    if not plan.changes or not _agreed("Apply this plan?", yes=yes):
        return
    apply(plan, asked.control, progress=lambda item: click.echo(f"done: {item}", err=as_json))


def plan_of(sfn: StepFunctions, role_arn: str | None) -> Plan:
    """What registering everything that the app declares would do.

    Raises:
        ConfigurationError: it declares nothing, or a state machine has no role
    """
    from sfini_celery.deploy import Machine, make_plan

    if not len(sfn.activities) and not sfn.workflows:
        raise ConfigurationError(NOTHING_DECLARED.format(sfn.celery.main))
    machines = [Machine(workflow.full_name, workflow.definition()) for workflow in sfn.workflows.values()]
    role_arn = role_arn or sfn.settings.role_arn
    return make_plan(sfn.control, activities=sfn.activities.names(), machines=machines, role_arn=role_arn)


@click.command()
@yes_option
@click.option("--keep-activities", is_flag=True, help="Delete the state machines only.")
@json_option
@aws_options
def deregister(asked: Invocation, yes: bool, keep_activities: bool, as_json: bool) -> None:
    """Delete the app's state machines and activities.

    Refuses while executions run: a task of a deleted activity is never handed out, so they would wait for ever.

    \b
    Example:
      sfini-celery -A proj deregister --yes
    """
    from sfini_celery.deploy import deregister as delete

    sfn = asked.sfn
    activities = [] if keep_activities else sfn.activities.names()
    machines = [workflow.full_name for workflow in sfn.workflows.values()]
    if not activities and not machines:
        raise ConfigurationError(NOTHING_DECLARED.format(sfn.celery.main))
    if activities:
        _refuse_while_running(sfn)
    if not as_json:
        for kind, names in (("state machine", machines), ("activity", activities)):
            for name in names:
                click.echo(f"- {kind} {name}")
    if not _agreed("Delete these?", yes=yes):
        return
    progress = None if as_json else lambda item: click.echo(f"done: {item}")
    done = delete(asked.control, activities=activities, machines=machines, progress=progress)
    if as_json:
        echo_json([_told(item) for item in done])


def _refuse_while_running(sfn: StepFunctions) -> None:
    from sfini_celery.errors import NotFound

    for workflow in sfn.workflows.values():
        try:
            running: Iterable[Any] = list(sfn.control.list_executions(workflow.arn, status="RUNNING", limit=1))
        except NotFound:
            continue
        for execution in running:
            raise click.ClickException(
                f"execution {execution['name']!r} of {workflow.name!r} still runs and needs the activities; "
                "wait for it, stop it, or delete only the state machines with --keep-activities"
            )


def _agreed(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("stdin is not a terminal to ask at: add --yes")
    if click.confirm(question):
        return True
    click.echo("nothing was changed")
    return False


def _told(item: Item) -> dict[str, Any]:
    return {
        "action": str(item.action),
        "kind": item.kind,
        "name": item.name,
        "arn": item.arn,
        "changed": list(item.changed),
    }
