"""``register`` and ``deregister``: the app's activities and state machines, as AWS has them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import click

from sfini_celery.cli.app_option import NOTHING_DECLARED, Invocation, aws_options, json_option
from sfini_celery.cli.errors import ExitCode
from sfini_celery.cli.output import agreed, echo_json, use_colours
from sfini_celery.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

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
@click.option("--publish", is_flag=True, help="Publish a version of every state machine that has changed.")
@click.option(
    "--alias", metavar="NAME", help="Let this alias of every state machine lead to the version; implies --publish."
)
@click.option(
    "--prune", is_flag=True, help="Also remove what this app has registered earlier and does not declare any more."
)
@json_option
@aws_options
def register(
    asked: Invocation,
    only_plan: bool,
    yes: bool,
    role_arn: str | None,
    publish: bool,
    alias: str | None,
    prune: bool,
    as_json: bool,
) -> None:
    """Create or update the app's activities and state machines, after showing the plan.

    What is created is tagged as this app's. --prune removes nothing else, and nothing that a running execution may
    still need.

    \b
    Example:
      sfini-celery -A proj register --plan
      sfini-celery -A proj register --yes --role-arn arn:aws:iam::123456789012:role/orders
      sfini-celery -A proj register --yes --publish --alias live --prune
    """
    from sfini_celery.deploy import apply

    plan = plan_of(asked.sfn, role_arn, publish=publish, alias=alias, prune=prune)
    if as_json:
        echo_json([_told(item) for item in plan.items])
    else:
        click.echo(plan.show(colours=use_colours(asked)))
    if only_plan:
        raise click.exceptions.Exit(ExitCode.CHANGES if plan.changes else ExitCode.OK)
    if not plan.changes or not agreed("Apply this plan?", yes=yes):
        return
    apply(plan, asked.control, progress=_progress(len(plan.changes), err=as_json))


def _progress(total: int, *, err: bool) -> Callable[[Item], None]:
    numbers = count(1)
    return lambda item: click.echo(f"done: {item} [{next(numbers)} of {total}]", err=err)


def plan_of(
    sfn: StepFunctions,
    role_arn: str | None,
    *,
    publish: bool = False,
    alias: str | None = None,
    prune: bool = False,
) -> Plan:
    """What registering everything that the app declares would do.

    Raises:
        ConfigurationError: it declares nothing, or a state machine has no role
    """
    from sfini_celery.deploy import Machine, make_plan

    if not len(sfn.activities) and not sfn.workflows:
        raise ConfigurationError(NOTHING_DECLARED.format(sfn.celery.main))
    settings = sfn.settings
    machines = [
        Machine.of(workflow.full_name, workflow.definition(), settings, role_arn=role_arn)
        for workflow in sfn.workflows.values()
    ]
    return make_plan(
        sfn.control,
        activities=sfn.activities.names(),
        machines=machines,
        owner=sfn.owner,
        publish=publish,
        alias=alias,
        prune=prune,
    )


@click.command()
@yes_option
@click.option("--keep-activities", is_flag=True, help="Delete the state machines only.")
@click.option(
    "--even-running",
    is_flag=True,
    help="Also what running executions need; AWS ends them at their next state, or they wait for ever.",
)
@click.option("--ad-hoc", is_flag=True, help="Instead, the idle state machines of canvases that have no name.")
@click.option(
    "--idle-days",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="What no execution used for so long is idle; 14 if not given: so long a failed one can be redriven.",
)
@json_option
@aws_options
def deregister(
    asked: Invocation,
    yes: bool,
    keep_activities: bool,
    even_running: bool,
    ad_hoc: bool,
    idle_days: float | None,
    as_json: bool,
) -> None:
    """Delete the app's state machines and activities.

    Only what has this app's tags is deleted. Refuses while executions run that need any of it.

    \b
    Example:
      sfini-celery -A proj deregister --yes
      sfini-celery -A proj deregister --ad-hoc --yes
    """
    if not ad_hoc and idle_days is not None:
        raise click.UsageError("--idle-days says which --ad-hoc machines are meant: give both")
    if ad_hoc and (keep_activities or even_running):
        raise click.UsageError("--ad-hoc deletes no activities, and nothing that runs")
    if ad_hoc:
        plan, nothing = _idle(asked.sfn, idle_days), "no ad-hoc state machine of this app is idle"
    else:
        plan = _everything(asked.sfn, keep_activities=keep_activities, even_running=even_running)
        nothing = "nothing of this app is registered"
    _remove(asked, plan, nothing, yes=yes, as_json=as_json)


def _idle(sfn: StepFunctions, days: float | None) -> Plan:
    from sfini_celery.adhoc import REDRIVE_DAYS, plan_idle_removal

    return plan_idle_removal(sfn, idle_days=REDRIVE_DAYS if days is None else days)


def _everything(sfn: StepFunctions, *, keep_activities: bool, even_running: bool) -> Plan:
    from sfini_celery.deploy import plan_removal

    activities = [] if keep_activities else sfn.activities.names()
    machines = [workflow.full_name for workflow in sfn.workflows.values()]
    if not activities and not machines:
        raise ConfigurationError(NOTHING_DECLARED.format(sfn.celery.main))
    return plan_removal(sfn.control, sfn.owner, activities=activities, machines=machines, even_running=even_running)


def _remove(asked: Invocation, plan: Plan, nothing: str, *, yes: bool, as_json: bool) -> None:
    from sfini_celery.deploy import apply

    if not as_json:
        click.echo(plan.show(colours=use_colours(asked)) if plan.items else nothing)
    for item in plan.items:
        if item.is_needed:
            raise click.ClickException(
                f"{item.kind} {item.name!r}: {item.note} and needs it; wait for it or stop it "
                "(--even-running deletes all the same)"
            )
    if plan.changes and not agreed("Delete these?", yes=yes):
        return
    progress = None if as_json else _progress(len(plan.changes), err=False)
    done = apply(plan, asked.control, progress=progress)
    if as_json:
        echo_json([_told(item) for item in done])


def _told(item: Item) -> dict[str, Any]:
    from dataclasses import asdict

    told: dict[str, Any] = {
        "action": str(item.action),
        "kind": item.kind,
        "name": item.name,
        "arn": item.arn,
        "changed": list(item.changed),
    }
    if item.note:
        told["note"] = item.note
    if item.version:
        told["version"] = item.version
    if "definition" in item.changed and item.old_definition is not None and item.definition is not None:
        from sfini_celery.render import definition_changes

        told["definition"] = [asdict(each) for each in definition_changes(item.old_definition, item.definition)]
    return told
