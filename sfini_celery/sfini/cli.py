"""A command line for one state machine and its activities, to be called from a project's ``__main__`` module."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sfini_celery.errors import ConfigurationError, ExecutionError, ServiceError, SfiniError, Unreachable
from sfini_celery.sfini.activities import CallableActivity
from sfini_celery.sfini.worker import Worker

if TYPE_CHECKING:
    from sfini_celery.sfini.activities import ActivityRegistration
    from sfini_celery.sfini.machine import StateMachine

__all__ = ["CLI", "ExitCode"]

STATUSES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class ExitCode(IntEnum):
    """What the exit status means; the numbers are those of ``sfini-celery``."""

    OK = 0
    EXECUTION = 1
    USAGE = 2
    CONFIGURATION = 3
    REFUSED = 4
    UNREACHABLE = 5
    INTERRUPTED = 130


_CODES: tuple[tuple[type[BaseException], ExitCode], ...] = (
    (ExecutionError, ExitCode.EXECUTION),
    (Unreachable, ExitCode.UNREACHABLE),
    (ServiceError, ExitCode.REFUSED),
    (SfiniError, ExitCode.CONFIGURATION),
)


class CLI:
    """Register, deregister, start, work and look on, for one state machine and one group of activities.

    The commands are ``register``, ``deregister``, ``start [-w] PATH``, ``worker NAME`` and
    ``executions [-s STATUS]``; those that need what was not given are not there.

    Parameters:
        state_machine: what is registered, started and listed
        activities: what is registered and worked on
        role_arn: IAM role that the state machine runs under
        version: shown by ``--version``, which is there if this is given
        prog: the program's name in messages; that of the script without it

    Raises:
        ConfigurationError: neither a state machine nor activities

    Example:
        >>> if __name__ == "__main__":
        ...     CLI(sm, activities, role_arn="arn:aws:iam::123456789012:role/orders", version="1.0").parse_args()
    """

    def __init__(
        self,
        state_machine: StateMachine | None = None,
        activities: ActivityRegistration | None = None,
        role_arn: str | None = None,
        version: str | None = None,
        prog: str | None = None,
    ) -> None:
        if state_machine is None and activities is None:
            raise ConfigurationError("a CLI needs a state machine, activities, or both")
        self.state_machine = state_machine
        self.activities = activities
        self.role_arn = role_arn
        self.version = version
        self.prog = prog

    def parse_args(self, args: list[str] | None = None) -> None:
        """Read the command line and do what it says.

        Parameters:
            args: instead of the process's own arguments

        Raises:
            SystemExit: with an :class:`ExitCode` other than 0, after one line on stderr
        """
        parser = self._parser()
        given = parser.parse_args(args)
        level = max(logging.WARNING - 10 * (given.verbose - given.quiet), logging.DEBUG)
        logging.basicConfig(format="%(asctime)s [%(levelname)8s] %(name)s: %(message)s")
        logging.getLogger().setLevel(level)
        try:
            given.command(given)
        except KeyboardInterrupt:
            parser.exit(ExitCode.INTERRUPTED, f"{parser.prog}: interrupted\n")
        except SfiniError as error:
            code = next(code for kind, code in _CODES if isinstance(error, kind))
            parser.exit(code, f"{parser.prog}: error: {_one_line(str(error))}\n")

    # -- what there is

    def _parser(self) -> argparse.ArgumentParser:
        what = " and ".join(str(thing) for thing in (self.state_machine, self.activities) if thing is not None)
        parser = argparse.ArgumentParser(prog=self.prog, description=f"Control {what}")
        if self.version:
            parser.add_argument("-V", "--version", action="version", version=self.version)
        parser.add_argument("-v", "--verbose", default=0, action="count", help="log more")
        parser.add_argument("-q", "--quiet", default=0, action="count", help="log less")
        commands = parser.add_subparsers(metavar="COMMAND", required=True)

        def command(name: str, run: Callable[[argparse.Namespace], None], words: str) -> argparse.ArgumentParser:
            added = commands.add_parser(name, help=words, description=words)
            added.set_defaults(command=run)
            return added

        both = {(True, True): "state machine and activities", (True, False): "state machine"}
        whole = both.get((self.state_machine is not None, self.activities is not None), "activities")
        register = command("register", self._register, f"create the {whole} in AWS")
        if self.state_machine is not None:
            register.add_argument(
                "-u", "--allow-update", action="store_true", help="update a state machine that exists"
            )
        self._add_choice(register)
        self._add_choice(command("deregister", self._deregister, f"delete the {whole} from AWS"))
        if self.state_machine is not None:
            start = command("start", self._start, "start an execution and print its name")
            start.add_argument("input", metavar="PATH", help="file with the execution's input, JSON; - for stdin")
            start.add_argument(
                "-w", "--wait", action="store_true", help="wait for its end and print the output instead"
            )
            executions = command("executions", self._executions, "list executions and their histories")
            executions.add_argument(
                "-s", "--status", choices=STATUSES, metavar="STATUS", help="only those with this one"
            )
        if self.activities is not None:
            worker = command("worker", self._worker, "run a worker for an activity")
            worker.add_argument("name", metavar="NAME", choices=list(self._served), help="one of: %(choices)s")
        return parser

    def _add_choice(self, parser: argparse.ArgumentParser) -> None:
        if self.state_machine is None or self.activities is None:
            parser.set_defaults(state_machine_only=False, activities_only=False)
            return
        group = parser.add_mutually_exclusive_group()
        group.add_argument("-s", "--state-machine-only", action="store_true", help="leave the activities alone")
        group.add_argument("-a", "--activities-only", action="store_true", help="leave the state machine alone")

    @property
    def _served(self) -> dict[str, CallableActivity]:
        activities = self.activities.activities if self.activities is not None else {}
        return {name: found for name, found in activities.items() if isinstance(found, CallableActivity)}

    # -- what it does

    def _register(self, args: argparse.Namespace) -> None:
        if self.activities is not None and not args.state_machine_only:
            self.activities.register()
        if self.state_machine is not None and not args.activities_only:
            self.state_machine.register(self.role_arn, allow_update=args.allow_update)

    def _deregister(self, args: argparse.Namespace) -> None:
        if self.state_machine is not None and not args.activities_only:
            self.state_machine.deregister()
        if self.activities is not None and not args.state_machine_only:
            self.activities.deregister()

    def _start(self, args: argparse.Namespace) -> None:
        assert self.state_machine is not None
        execution = self.state_machine.start_execution(_read(args.input))
        if not args.wait:
            print(execution.name)
            return
        execution.wait(raise_on_failure=True)
        print(json.dumps(execution.output))

    def _executions(self, args: argparse.Namespace) -> None:
        assert self.state_machine is not None
        for execution in self.state_machine.list_executions(status=args.status):
            print(f"\nExecution '{execution}':")
            print(execution.format_history())

    def _worker(self, args: argparse.Namespace) -> None:
        worker = Worker(self._served[args.name])
        # A process manager's stop is to end it as Ctrl-C does: with its task finished and its poll answered.
        signal.signal(signal.SIGTERM, lambda *_: worker.end())
        worker.run()


def _read(path: str) -> Any:
    where = "stdin" if path == "-" else path
    try:
        return json.loads(sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {where}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{where} is not JSON: {error}") from error


def _one_line(text: str) -> str:
    joined = "; ".join(line.strip() for line in text.splitlines() if line.strip())
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in joined)
