"""``iam``: the policies that an app needs in its account."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from sfini_celery.cli.app_option import NOTHING_DECLARED, Invocation, aws_options, json_option
from sfini_celery.cli.output import echo_json
from sfini_celery.errors import ConfigurationError, NoCredentials

if TYPE_CHECKING:
    from sfini_celery.app import StepFunctions
    from sfini_celery.config import Settings
    from sfini_celery.iam import Place, Policy

__all__ = ["account_option", "hinting_at_account", "iam", "place_of", "watching"]

ROLES = {
    "state-machine": "what the state machines call; their role, with the trust policy below",
    "trust": "who may use that role: the trust policy",
    "worker": "workers: poll, report, and create what is missing",
    "deployer": "register and deregister",
    "operator": "start, list, show, stop and redrive executions",
    "client": "processes that start workflows and wait for them",
}


def checked_account(_ctx: click.Context, _param: click.Parameter, account: str | None) -> str | None:
    """The account's number, if it is one."""
    if account is not None and not re.fullmatch(r"[0-9]{12}", account):
        raise click.BadParameter("must be 12 digits")
    return account


account_option = click.option(
    "--account",
    metavar="ID",
    callback=checked_account,
    help="Number of the AWS account, so that AWS is not asked for it and no credentials are needed.",
)


@click.command()
@click.argument("role", type=click.Choice([*ROLES, "all"]), default="all")
@click.option("--role-arn", metavar="ARN", help="IAM role of the state machines; the setting sfn_role_arn without it.")
@click.option("--ad-hoc", is_flag=True, help="Let clients run canvases without a name too.")
@account_option
@json_option
@aws_options
def iam(asked: Invocation, role: str, role_arn: str | None, ad_hoc: bool, account: str | None, as_json: bool) -> None:
    """Print least-privilege policies for ROLE, or for all of them, computed from what the app declares.

    With one ROLE only the policy goes to stdout, and what to look at to stderr.

    \b
    Example:
      sfini-celery -A proj iam
      sfini-celery -A proj iam state-machine --account 123456789012 > policy.json
      sfini-celery -A proj iam trust --account 123456789012 > trust.json
      aws iam create-role --role-name orders --assume-role-policy-document file://trust.json
    """
    if account:
        asked.use_account(account)
    sfn = asked.sfn
    if not len(sfn.activities) and not sfn.workflows:
        raise ConfigurationError(NOTHING_DECLARED.format(sfn.celery.main))
    makers = _makers(sfn, role_arn or sfn.settings.role_arn or "", ad_hoc=ad_hoc)
    told = {name: makers[name]() for name in (makers if role == "all" else [role])}
    if as_json:
        echo_json(told if role == "all" else told[role])
    else:
        _echo(told, alone=role != "all")


def _echo(told: dict[str, dict[str, Any]], *, alone: bool) -> None:
    from sfini_celery.render import printable

    for name, each in told.items():
        if not alone:
            click.echo(f"# {name}: {ROLES[name]}")
        if each["policy"] is None:
            click.echo(f"# {name} needs no permission", err=alone)
        else:
            click.echo(json.dumps(each["policy"], indent=2))
        for remark in each.get("remarks", ()):
            click.echo(printable(f"# look at {remark}"), err=True)


@contextmanager
def hinting_at_account() -> Iterator[None]:
    """Say of missing credentials that ``--account`` does without them."""
    try:
        yield
    except NoCredentials as error:
        raise NoCredentials("or give --account, and nothing is asked of AWS") from error


def place_of(sfn: StepFunctions) -> Place:
    """Where the app's things are; asks AWS for the account where no setting names it."""
    from sfini_celery.iam import Place

    with hinting_at_account():
        return Place.of_arn(sfn.control.arn("activity", "any"))


def watching(settings: Settings) -> dict[str, bool]:
    """Whether state machines are to log and to be traced, as the settings say."""
    return {"logging": bool(settings.log_group), "tracing": bool(settings.tracing)}


def _makers(sfn: StepFunctions, role_arn: str, *, ad_hoc: bool) -> dict[str, Callable[[], dict[str, Any]]]:
    from sfini_celery import iam as policies
    from sfini_celery.deploy.ownership import APP_TAG

    place = place_of(sfn)
    activities = sfn.activities.names()
    machines = [workflow.full_name for workflow in sfn.workflows.values()]
    create, app = sfn.settings.create_missing_activities, sfn.owner.tags[APP_TAG]
    adhoc = f"{sfn.settings.prefix}adhoc-" if ad_hoc else None
    of: dict[str, Callable[[], Policy]] = {
        "state-machine": lambda: policies.state_machine_policy(
            {each.full_name: each.definition() for each in sfn.workflows.values()}, place, **watching(sfn.settings)
        ),
        "worker": lambda: policies.worker_policy(activities, place, create=create, queues=_sqs_queues(sfn.celery)),
        "deployer": lambda: policies.deployer_policy(activities, machines, place, role_arn=role_arn, app=app),
        "operator": lambda: policies.operator_policy(activities, machines, place),
        "client": lambda: policies.client_policy(
            machines, place, adhoc=adhoc, activities=activities if create else (), role_arn=role_arn
        ),
    }

    def told(name: str) -> dict[str, Any]:
        if name == "trust":
            return {"for": ROLES[name], "policy": policies.state_machine_trust(place), "remarks": []}
        policy = of[name]()
        return {"for": ROLES[name], "policy": policy.to_dict(), "remarks": [str(each) for each in policy.remarks]}

    return {name: lambda name=name: told(name) for name in ROLES}  # type: ignore[misc]


def _sqs_queues(app: Any) -> list[str]:
    """The names in AWS of the queues of an app whose broker is SQS, as kombu makes them."""
    if not str(app.conf.broker_url or "").startswith("sqs"):
        return []
    prefix = (app.conf.broker_transport_options or {}).get("queue_name_prefix", "")
    return [re.sub(r"[^\w-](?!fifo$)", "_", prefix + name) for name in app.amqp.queues]
