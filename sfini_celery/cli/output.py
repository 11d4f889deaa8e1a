"""What commands print: text for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

import click

from sfini_celery.cli.app_option import Invocation

__all__ = ["agreed", "echo_json", "moment", "use_colours"]


def echo_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON; in ASCII, so that nothing in it can steer a terminal.

    Parameters:
        value: any JSON, and datetimes
        indent: None for one line, as in a stream of lines
    """
    click.echo(json.dumps(value, indent=indent, default=_text))


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def moment(value: datetime | None) -> str:
    """A time for people, to the second, with its zone."""
    return "" if value is None else value.astimezone().isoformat(" ", "seconds")


def use_colours(asked: Invocation) -> bool:
    """Whether stdout is a terminal whose owner wants colours."""
    return not asked.no_color and sys.stdout.isatty()


def agreed(question: str, *, yes: bool) -> bool:
    """Whether to go on: what ``--yes`` or the person at the terminal says.

    Raises:
        click.UsageError: nobody is there to ask
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("stdin is not a terminal to ask at: add --yes")
    if click.confirm(question):
        return True
    click.echo("nothing was changed")
    return False
