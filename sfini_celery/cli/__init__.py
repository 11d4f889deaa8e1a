"""The command line: ``sfini-celery``. Commands parse, call one function of the library, and print.

Kept light: Celery imports this package on every ``celery`` command (see ``plugin``), and gevent has to patch before
anything that opens sockets is imported.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from sfini_celery.cli.plugin import CommandTable, traceback_option

__all__ = ["cli", "main"]


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        names = ("sfini_celery", "celery", "boto3")
        click.echo(", ".join(f"{name} {version(name)}" for name in names))
        ctx.exit()


@click.group(name="sfini-celery", cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-A", "--app", envvar="CELERY_APP", metavar="MODULE[:APP]", help="The Celery app. [env: CELERY_APP]")
@click.option("-b", "--broker", metavar="URL", help="Broker of the Celery app.")
@click.option("--result-backend", metavar="URL", help="Result backend of the Celery app.")
@click.option("--loader", metavar="CLASS", help="Loader of the Celery app.")
@click.option("--config", metavar="MODULE", help="Configuration module of the Celery app.")
@click.option(
    "--workdir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    callback=lambda _ctx, _param, folder: os.chdir(folder) if folder else None,
    is_eager=True,
    expose_value=False,
    help="Folder to change to before anything is imported.",
)
@click.option("-C", "--no-color", is_flag=True, envvar="NO_COLOR", help="No colours.")
@click.option("-q", "--quiet", is_flag=True, help="Print less.")
@click.option("--skip-checks", is_flag=True, help="Skip Django's checks at start.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the versions."
)
@traceback_option
@click.pass_context
def cli(
    ctx: click.Context,
    app: str | None,
    broker: str | None,
    result_backend: str | None,
    loader: str | None,
    config: str | None,
    no_color: bool,
    quiet: bool,
    skip_checks: bool,
    traceback: bool,
) -> None:
    """Celery tasks as AWS Step Functions activities: durable, visible, restartable workflows.

    Exit codes are listed in docs/exit-codes.md.

    \b
    Example:
      sfini-celery local --port 8083            # a Step Functions of your own, on this machine
      sfini-celery -A proj worker -c 4          # serve the activities of proj
      sfini-celery -A proj register --yes       # create its activities and state machines
      sfini-celery -A proj start orders --input '{"order": 7}' --wait
    """
    from sfini_celery.cli.app_option import Invocation

    told = {
        "CELERY_BROKER_URL": broker,
        "CELERY_RESULT_BACKEND": result_backend,
        "CELERY_LOADER": loader,
        "CELERY_CONFIG_MODULE": config,
        "CELERY_SKIP_CHECKS": "true" if skip_checks else None,
    }
    os.environ.update({name: value for name, value in told.items() if value})
    ctx.obj = Invocation(app_name=app, no_color=no_color, quiet=quiet)


def main() -> Any:
    """The console script. Returns through ``sys.exit`` with an :class:`~sfini_celery.cli.errors.ExitCode`."""
    from celery import maybe_patch_concurrency

    maybe_patch_concurrency(sys.argv)
    return cli(prog_name="sfini-celery")
