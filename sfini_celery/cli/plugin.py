"""The commands, as ``celery -A proj sfn ...`` and as ``sfini-celery ...``.

Celery loads this module on every ``celery`` command, whatever it is: nothing but click may be imported at its top. A
command's own module is imported when the command is asked for.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator
from typing import Any

import click

from sfini_celery.cli.errors import reported

__all__ = ["COMMANDS", "CommandTable", "sfn", "traceback_option"]

#: Every command and where it lives, in the order that ``--help`` shows them.
COMMANDS = {
    "worker": "sfini_celery.cli.worker:worker",
    "local": "sfini_celery.cli.local:local",
    "register": "sfini_celery.cli.deploy:register",
    "deregister": "sfini_celery.cli.deploy:deregister",
    "versions": "sfini_celery.cli.versions:versions",
    "rollback": "sfini_celery.cli.versions:rollback",
    "start": "sfini_celery.cli.executions:start",
    "executions": "sfini_celery.cli.executions:executions",
    "activities": "sfini_celery.cli.inventory:activities",
    "workflows": "sfini_celery.cli.inventory:workflows",
    "graph": "sfini_celery.cli.graph:graph",
    "lint": "sfini_celery.cli.lint:lint",
    "export": "sfini_celery.cli.export:export",
    "iam": "sfini_celery.cli.iam:iam",
    "doctor": "sfini_celery.cli.doctor:doctor",
}


class CommandTable(click.Group):
    """A group that imports a command when it is asked for, and ends every mistake in one line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the table's order."""
        return [*COMMANDS, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; None when there is none of this name."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near:
                raise
            raise click.UsageError(f"there is no command {args[0]!r}; did you mean {near[0]!r}?", ctx) from error

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Accept this group's own options after the command as well, as in ``worker -A proj``."""
        if not args:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, hoist(args, self.params))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the group's own options."""
        with reported(show_traceback="--traceback" in args):
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with reported(show_traceback=bool(ctx.params.get("traceback"))):
            return super().invoke(ctx)


def hoist(args: Iterable[str], params: Iterable[click.Parameter]) -> list[str]:
    """Move the named options to the front, where click wants a group's options.

    What comes after ``--`` stays where it is.

    Example:
        >>> hoist(["worker", "-A", "proj", "-c", "2"], [click.Option(["-A", "--app"])])
        ['-A', 'proj', 'worker', '-c', '2']
    """
    hoisted = [param for param in params if isinstance(param, click.Option) and param.name in {"app", "traceback"}]
    flags = {name for param in hoisted if param.is_flag for name in param.opts}
    valued = {name for param in hoisted if not param.is_flag for name in param.opts}
    front: list[str] = []
    rest: list[str] = []
    tokens: Iterator[str] = iter(args)
    for token in tokens:
        if token == "--":
            rest += [token, *tokens]
        elif token in flags or token.partition("=")[0] in {name for name in valued if name.startswith("--")}:
            front.append(token)
            if token in valued:
                front += _next(tokens)
        elif token in valued:
            front += [token, *_next(tokens)]
        elif any(token.startswith(name) for name in valued if not name.startswith("--")):
            front.append(token)  # -Aproj
        else:
            rest.append(token)
    return front + rest


def _next(tokens: Iterator[str]) -> list[str]:
    value = next(tokens, None)
    return [] if value is None else [value]


traceback_option = click.option(
    "--traceback", is_flag=True, help="Show where an error comes from, not only what it is."
)


@click.group(name="sfn", cls=CommandTable)
@traceback_option
def sfn(traceback: bool, **_preload: Any) -> None:
    """AWS Step Functions: serve activities, deploy workflows, run and watch executions.

    \b
    Example:
      celery -A proj sfn worker --concurrency 4
    """
