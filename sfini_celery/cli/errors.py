"""How a command ends: one exit code and one line on stderr for every way it can go wrong.

``docs/exit-codes.md`` holds :func:`docs_table`, and a test compares the two.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import click

from sfini_celery.errors import (
    ExecutionError,
    NothingToRollBack,
    ServiceError,
    SfiniError,
    Unreachable,
    WaitTimeout,
)

__all__ = ["ExitCode", "code_for", "docs_table", "explain", "python_cause", "reported"]


class ExitCode(IntEnum):
    """What a command's exit status means.

    Usage errors are 64, as in ``sysexits.h`` and Celery, so that ``register --plan`` can say 2 for "there is something
    to do" and a CI job can tell the two apart.
    """

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        """A member is its number; ``meaning`` is what the docs' table says of it."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "Done."
    EXECUTION = 1, "An execution that was waited for failed, timed out or was stopped."
    CHANGES = 2, "`register --plan` found something to do."
    CONFIGURATION = (
        3,
        "Settings, app, activities, credentials or region are missing or wrong; nothing was asked of AWS.",
    )
    REFUSED = 4, "AWS answered with an error: not found, not allowed, a limit."
    UNREACHABLE = 5, "The endpoint did not answer."
    TIMEOUT = 6, "Waiting took longer than `--timeout`; the execution goes on."
    FINDINGS = 7, "`lint` found errors, or `doctor` something that does not work."
    USAGE = 64, "The command line is wrong."
    INTERNAL = 70, "A bug, here or in the app; `--traceback` shows where."
    INTERRUPTED = 130, "Ctrl-C."


_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (KeyboardInterrupt, ExitCode.INTERRUPTED),
    (click.Abort, ExitCode.INTERRUPTED),
    (click.ClickException, ExitCode.USAGE),
    (ExecutionError, ExitCode.EXECUTION),
    (WaitTimeout, ExitCode.TIMEOUT),
    (Unreachable, ExitCode.UNREACHABLE),
    (ServiceError, ExitCode.REFUSED),
    (NothingToRollBack, ExitCode.REFUSED),
    (SfiniError, ExitCode.CONFIGURATION),
)


def docs_table() -> str:
    """The exit codes as a Markdown table."""
    rows = ["| exit code | name | meaning |", "|---|---|---|"]
    rows += [f"| {code.value} | {code.name} | {code.meaning} |" for code in ExitCode]
    return "\n".join(rows) + "\n"


def one_line(text: str) -> str:
    """``text`` on one line, without characters that could drive a terminal."""
    from sfini_celery.render import printable

    return printable("; ".join(line.strip() for line in text.splitlines() if line.strip()))


def python_cause(cause: str | None) -> tuple[str, str] | None:
    """Message and traceback of a Python task's failure; None for a cause that no worker wrote."""
    try:
        told = json.loads(cause or "")
        message, trace = told["errorMessage"], told.get("stackTrace") or ""
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return (
        (message, trace if isinstance(trace, str) else "".join(map(str, trace))) if isinstance(message, str) else None
    )


def code_for(kind: type[BaseException]) -> ExitCode:
    """The exit code that a kind of error ends a command with."""
    return next((code for each, code in _CODES if issubclass(kind, each)), ExitCode.INTERNAL)


def explain(error: BaseException) -> tuple[ExitCode, str]:
    """The exit code for an error, and the sentence that says what happened and what to do."""
    code = code_for(type(error))
    match error:
        case KeyboardInterrupt() | click.Abort():
            return code, "Interrupted."
        case click.UsageError():
            where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
            return code, f"Error: {one_line(error.format_message()).rstrip('.')}{where}"
        case click.ClickException():
            return code, f"Error: {one_line(error.format_message())}"
        case ExecutionError():
            name = error.execution.rpartition(":")[2]
            told = python_cause(error.cause)
            parts = [f"execution {name!r} {error.status}", error.error, told[0] if told else error.cause]
            return code, f"Error: {one_line(': '.join(part for part in parts if part))}"
        case Unreachable():
            hint = "check --endpoint-url and AWS_ENDPOINT_URL, or start `sfini-celery local` there"
            return code, f"Error: {one_line(str(error))} ({hint})"
        case SfiniError():
            return code, f"Error: {one_line(chr(10).join([str(error), *getattr(error, '__notes__', [])]))}"
    what = one_line(f"{type(error).__name__}: {error}")
    return code, f"Error: unexpected {what} (--traceback shows where)"


@contextmanager
def reported(*, show_traceback: bool = False) -> Iterator[None]:
    """Turn what goes wrong inside into one line on stderr and an exit code.

    Parameters:
        show_traceback: print the traceback before the line

    Raises:
        click.exceptions.Exit: with the :class:`ExitCode`
    """
    try:
        yield
    except (click.exceptions.Exit, BrokenPipeError):  # click itself ends quietly when a pipe is closed
        raise
    except (Exception, KeyboardInterrupt) as error:
        code, sentence = explain(error)
        if show_traceback:
            traceback.print_exc(file=sys.stderr)
        click.echo(sentence, err=True)
        raise click.exceptions.Exit(code) from None
