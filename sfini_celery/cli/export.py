"""``export``: definitions for those who deploy by other means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from sfini_celery.cli.app_option import NOTHING_DECLARED, Invocation, aws_options, workflow_named
from sfini_celery.cli.iam import account_option, hinting_at_account, place_of, watching
from sfini_celery.cli.output import echo_json
from sfini_celery.cli.targets import without_aws
from sfini_celery.errors import ConfigurationError

if TYPE_CHECKING:
    from sfini_celery.app import StepFunctions
    from sfini_celery.workflow import Workflow

__all__ = ["export"]

INLINE_UP_TO = 51_200
"""Bytes of a template that CloudFormation takes with the call; a larger one has to lie in S3."""


@click.command()
@click.argument("workflows", nargs=-1, metavar="[WORKFLOW]...")
@click.option(
    "--format",
    "language",
    type=click.Choice(["asl", "cloudformation"]),
    default="asl",
    show_default=True,
    help="One definition in the states language, or a template with all that it needs.",
)
@click.option("--role-arn", metavar="ARN", help="In the template, a role that is there; one is made without it.")
@click.option(
    "--schedule", metavar="EXPRESSION", help='In the template, when to start it: "rate(1 hour)", "cron(...)".'
)
@click.option("--schedule-input", metavar="JSON|@FILE|-", help="What each of these executions gets; {} without it.")
@click.option("--schedule-timezone", metavar="ZONE", help="Of the schedule, such as Europe/Berlin; UTC without it.")
@account_option
@aws_options
def export(
    asked: Invocation,
    workflows: tuple[str, ...],
    language: str,
    role_arn: str | None,
    schedule: str | None,
    schedule_input: str | None,
    schedule_timezone: str | None,
    account: str | None,
) -> None:
    """Print a workflow's definition, or a CloudFormation template of the app's workflows.

    A definition names activities in one account and region: that of the credentials, or --account. A template fits all
    of them and needs no credentials: it holds the activities, the state machines, the role with the least they need,
    and maybe an EventBridge schedule; of all workflows, or of those that are named.

    \b
    Example:
      sfini-celery -A proj export orders > orders.asl.json
      sfini-celery -A proj export --format cloudformation > template.json
      sfini-celery -A proj export orders --format cloudformation --schedule "rate(1 hour)" > template.json
      aws cloudformation deploy --stack-name proj --template-file template.json --capabilities CAPABILITY_IAM
    """
    only_in_templates = {
        "--role-arn": role_arn,
        "--schedule": schedule,
        "--schedule-input": schedule_input,
        "--schedule-timezone": schedule_timezone,
    }
    if language == "asl" and (given := [name for name, value in only_in_templates.items() if value is not None]):
        raise click.UsageError(f"{', '.join(given)}: only with --format cloudformation")
    if schedule is None and (schedule_input is not None or schedule_timezone is not None):
        raise click.UsageError("--schedule-input and --schedule-timezone belong to a --schedule")
    if account:
        asked.use_account(account)
    if language == "asl":
        echo_json(_definition(asked, workflows))
        return
    with without_aws():
        chosen = _chosen(asked.sfn, workflows)
        _echo_template(_template(asked.sfn, chosen, workflows, role_arn, _schedules(chosen, only_in_templates)))


def _definition(asked: Invocation, names: tuple[str, ...]) -> Any:
    sfn = asked.sfn
    chosen = _chosen(sfn, names)
    if len(chosen) != 1:
        raise click.UsageError(f"which workflow? There are {', '.join(sorted(sfn.workflows))}")
    with hinting_at_account():
        return chosen[0].definition()


def _chosen(sfn: StepFunctions, names: tuple[str, ...]) -> list[Workflow]:
    if names:
        return [workflow_named(sfn, name) for name in dict.fromkeys(names)]
    if not sfn.workflows and not len(sfn.activities):
        raise ConfigurationError(NOTHING_DECLARED.format(sfn.celery.main))
    return list(sfn.workflows.values())


def _schedules(chosen: list[Workflow], options: dict[str, str | None]) -> list[Any]:
    from sfini_celery.cli.executions import read_input
    from sfini_celery.cloudformation import Schedule

    expression = options["--schedule"]
    if expression is None:
        return []
    if len(chosen) != 1:
        raise click.UsageError("--schedule starts one workflow: name it")
    value = read_input(options["--schedule-input"], None)
    return [Schedule(chosen[0].full_name, expression, value, options["--schedule-timezone"])]


def _template(
    sfn: StepFunctions, chosen: list[Workflow], names: tuple[str, ...], role_arn: str | None, schedules: list[Any]
) -> dict[str, Any]:
    from sfini_celery.cloudformation import template
    from sfini_celery.deploy import Machine
    from sfini_celery.deploy.ownership import APP_TAG
    from sfini_celery.iam import state_machine_policy, state_machine_trust

    place = place_of(sfn)
    declared = [Machine.of(each.full_name, each.definition(), sfn.settings) for each in chosen]
    machines = {machine.name: machine.definition for machine in declared}
    policy = state_machine_policy(machines, place, **watching(sfn.settings))
    for remark in policy.remarks if role_arn is None else ():
        click.echo(f"# look at {remark}", err=True)
    app = sfn.owner.tags[APP_TAG]
    return template(
        machines,
        activities=_used(sfn, machines) if names else sfn.activities.names(),
        made_for=sfn.control.arn("activity", "any"),
        policy=policy.to_dict(),
        trust=state_machine_trust(place),
        role_arn=role_arn,
        logging=declared[0].logging if declared else None,
        tracing=declared[0].tracing if declared else None,
        tags={APP_TAG: app},  # and not as registered for it: `register --prune` leaves what a stack owns alone
        schedules=schedules,
        description=f"Activities and state machines of {app}",
    )


def _used(sfn: StepFunctions, machines: Mapping[str, Any]) -> list[str]:
    """The app's activities that these definitions name."""
    text = json.dumps(machines)
    return [name for name in sfn.activities.names() if json.dumps(sfn.control.arn("activity", name)) in text]


def _echo_template(made: dict[str, Any]) -> None:
    echo_json(made)
    size = len(json.dumps(made, indent=2))
    if size > INLINE_UP_TO:
        click.echo(
            f"# the template is {size:,} bytes, more than the {INLINE_UP_TO:,} that go with the call: give --s3-bucket",
            err=True,
        )
