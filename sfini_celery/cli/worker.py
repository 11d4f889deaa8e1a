"""``worker``: Celery's own worker command, with the bridge's options added.

The bridge itself is a step of the app's worker blueprint (``StepFunctions`` puts it there), so that this command only
checks what can be checked before a worker starts, and hands over to Celery.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from celery.bin.base import CeleryCommand, CeleryOption, CLIContext
from celery.bin.worker import worker as celery_worker

from sfini_celery.cli.app_option import AWS_OPTIONS, NOTHING_DECLARED, Invocation, invocation
from sfini_celery.config import SETTINGS, Setting
from sfini_celery.errors import ConfigurationError, NoCredentials, ServiceError

if TYPE_CHECKING:
    from sfini_celery.app import StepFunctions

__all__ = ["worker"]

GROUP = "Step Functions Options"
ARGV = "sfini_celery.cli.worker.argv"
DONE_ONCE = ("--workdir", "--uid", "--gid")
"""Options that have had their effect when a worker detaches, and would have another in the process it becomes."""


class WorkerContext(CLIContext):
    """Celery's CLI context, its app imported when it is first asked for (``--help`` asks for none)."""

    def __init__(self, asked: Invocation) -> None:
        self._asked = asked
        self.no_color, self.quiet, self.workdir = asked.no_color, asked.quiet, None

    @cached_property
    def app(self) -> Any:
        return self._asked.app


class WorkerCommand(CeleryCommand):
    """Celery's worker command and our options; read late, so that options the user's app adds are there."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Keep the arguments as they were typed: ``--detach`` starts the command anew."""
        typed = list(args)
        ctx: click.Context = super().make_context(info_name, args, parent, **extra)
        ctx.meta[ARGV] = typed
        return ctx

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give Celery's options the context they expect."""
        asked = invocation(ctx)
        ctx.obj = WorkerContext(asked)
        rest: list[str] = super().parse_args(ctx, args)
        return rest

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Celery's options, those of the user's app, and ours."""
        known = [*celery_worker.params, *OPTIONS]
        asked = invocation(ctx)
        if asked.names_app:
            users = asked.app.user_options
            known += [option for option in (*users["worker"], *users["preload"]) if option not in known]
        self.params = known
        params: list[click.Parameter] = super().get_params(ctx)
        return params


def _setting_option(setting: Setting) -> click.Option:
    def read(_ctx: click.Context, _param: click.Parameter, value: Any) -> Any:
        try:
            return setting.read(value, setting.flag)
        except ConfigurationError as error:
            raise click.BadParameter(str(error)) from None

    default = f" Default: {setting.default}{f' {setting.unit}' if setting.unit else ''}."
    option: click.Option = CeleryOption(
        [setting.flag],
        metavar=setting.type.__name__.upper(),
        callback=read,
        help=setting.doc + default,
        help_group=GROUP,
    )
    return option


OPTIONS: list[click.Option] = [
    *(_setting_option(setting) for setting in SETTINGS.values() if setting.option),
    *(CeleryOption([flag], help_group=GROUP, **attributes) for flag, attributes in AWS_OPTIONS.items()),
]


@click.pass_context
def _work(ctx: click.Context, /, **options: Any) -> Any:
    asked = invocation(ctx)
    asked.use_aws(options)
    told = {setting.name: options.pop(setting.name) for setting in SETTINGS.values() if setting.option}
    _check(asked.sfn, options.get("include") or ())
    for name, value in told.items():
        if value is not None:
            setattr(asked.app.conf, name, value)
    if options.get("detach"):
        with _started_anew(ctx, asked):
            # Celery detaches to / unless told, from where the app could not be imported
            return celery_worker.callback(**options, workdir=str(Path.cwd()))
    return celery_worker.callback(**options)


def _check(sfn: StepFunctions, include: Iterable[str]) -> None:
    """Say before the worker starts what would keep it from working.

    A worker that runs waits for an endpoint that is away for a while; one that starts with a wrong one says so.

    Raises:
        ConfigurationError: no activities, no region or no credentials
        Unreachable: nobody answers at the endpoint
    """
    from sfini_celery.aws import translated

    for module in include:
        sfn.celery.loader.import_task_module(module)
    if not len(sfn.activities):
        raise ConfigurationError(NOTHING_DECLARED.format(sfn.celery.main))
    control = sfn.control
    _ = control.region
    with translated("Configuration", lambda: "AWS"):
        if control.session.get_credentials() is None:
            raise NoCredentials
    with suppress(ServiceError):  # any answer will do: a worker need not be allowed to list
        next(iter(control.list_activities()), None)


@contextmanager
def _started_anew(ctx: click.Context, asked: Invocation) -> Iterator[None]:
    """Let Celery's ``--detach``, which runs ``python -m celery`` with ``sys.argv``, find this command again."""
    before = sys.argv
    argv = before[1:]
    if isinstance(ctx.find_root().obj, Invocation):  # sfini-celery, whose line celery would not understand
        flags = (("--no-color", asked.no_color), ("--quiet", asked.quiet))
        told = [flag for flag, given in flags if given]
        argv = ["-A", str(asked.app_name), *told, "sfn", "worker", *ctx.meta[ARGV]]
    sys.argv = [before[0], *without(argv, DONE_ONCE)]
    try:
        yield
    finally:
        sys.argv = before


def without(argv: Iterable[str], options: Iterable[str]) -> list[str]:
    """A command line without some options and their values.

    Example:
        >>> without(["--uid", "7", "--gid=7", "worker"], ["--uid", "--gid"])
        ['worker']
    """
    tokens = iter(argv)
    kept = []
    for token in tokens:
        if token in options:
            next(tokens, None)
        elif token.partition("=")[0] not in options:
            kept.append(token)
    return kept


worker = WorkerCommand(
    "worker",
    callback=_work,
    params=[],
    context_settings={**celery_worker.context_settings, "auto_envvar_prefix": "CELERY_WORKER"},
    short_help="Serve the activities: a Celery worker.",
    help="""Serve the app's activities, and its Celery queues: `celery worker` with a bridge to Step Functions.

    Takes every option of `celery worker`. Creates the activities that are missing.

    \b
    Example:
      sfini-celery worker -A proj --concurrency 4 --loglevel INFO
    """,
)
