"""``doctor``: what is wrong, before something fails because of it."""

from __future__ import annotations

import click

from sfini_celery.cli.app_option import Invocation, aws_options, json_option
from sfini_celery.cli.errors import ExitCode
from sfini_celery.cli.output import echo_json, use_colours

__all__ = ["doctor"]

STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="How many workers there will be."
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for running workers to answer.",
)
@json_option
@aws_options
def doctor(asked: Invocation, workers: int, patience: float, as_json: bool) -> None:
    """Check what a worker and the workflows need, and say what to fix; exits with 7 where something does not work.

    Looks at versions, settings, region, endpoint, clock, credentials, what is registered, the broker, the workers and
    what they poll, open files, and the calls that polling costs. Changes nothing. Without -A only what needs no app.

    \b
    Example:
      sfini-celery -A proj doctor --workers 20
    """
    from sfini_celery.doctor import Check, examine
    from sfini_celery.render import colour, printable

    sfn = asked.unchecked_sfn if asked.names_app else None
    found: list[Check] = []
    for check in examine(sfn, sfn.control if sfn else asked.control, workers=workers, patience=patience):
        found.append(check)
        if not as_json:
            verdict = f"{check.verdict:4}"
            shown = colour(verdict, STYLES[check.verdict]) if use_colours(asked) else verdict
            click.echo(f"{shown}  {check.name:12}  {printable(check.found)}")
            if check.advice:
                click.echo(f"{'':4}  {'':12}  -> {printable(check.advice)}")
    if as_json:
        echo_json(
            [
                {"name": each.name, "verdict": str(each.verdict), "found": each.found, "advice": each.advice}
                for each in found
            ]
        )
    if any(check.verdict == "fail" for check in found):
        raise click.exceptions.Exit(ExitCode.FINDINGS)
