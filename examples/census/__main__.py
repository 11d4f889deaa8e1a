"""Run the census: ``python examples/census [FOLDER]``.

Starts an embedded Step Functions server in this process and a Celery worker as another, registers the state machine,
starts an execution and shows how it goes. Needs no AWS account, no broker, no configuration; leaves nothing behind.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import IO, Any

from sfini_celery.errors import ExecutionError
from sfini_celery.execution import Execution
from sfini_celery.history import read_events
from sfini_celery.local import LocalServer
from sfini_celery.render import Column, duration, printable, table

HERE = Path(__file__).resolve().parent
ROLE = "arn:aws:iam::123456789012:role/census"  # the embedded server asks for one and trusts any
PAUSE = 0.2
PATIENCE = 5.0  # seconds for the worker to finish; there is nobody left to miss what it was doing
SETTINGS_OF_OTHERS = ("AWS_", "CELERY_", "SFN_")


class WorkerDied(Exception):
    """The worker ended before the execution did."""


class Progress:
    """How far an execution is, from its history; reads only what is new since the last time."""

    def __init__(self) -> None:
        self.events = self.states = self.tasks = self.packages = self.analysed = 0

    def read(self, newest_first: Iterator[Mapping[str, Any]]) -> None:
        """Take in the events that were not there before."""
        fresh = list(takewhile(lambda event: event.id > self.events, read_events(newest_first)))
        if fresh:
            self.events = fresh[0].id
        for event in fresh:
            self.states += event.type.endswith("StateEntered")
            self.tasks += event.type == "ActivitySucceeded"
            self.analysed += event.type == "MapIterationSucceeded"
            if event.type == "MapStateStarted":
                self.packages = event.details["length"]

    def __str__(self) -> str:
        return f"{self.analysed} of {self.packages} packages analysed" if self.packages else "listing packages"


class Line:
    """One line that changes, on a terminal; a new one every tenth of the way, elsewhere."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream, self._live, self._shown = stream, stream.isatty(), ""

    def show(self, progress: Progress) -> None:
        """Draw the line again if there is something new."""
        text = str(progress)
        tenth = progress.analysed * 10 // progress.packages if progress.packages else -1
        shown = text if self._live else str(tenth)
        if shown != self._shown:
            self._shown = shown
            self._stream.write(f"\r{text}\x1b[K" if self._live else f"{text}\n")
            self._stream.flush()

    def end(self) -> None:
        """Leave the line as it is and go to the next."""
        if self._live and self._shown:
            self._stream.write("\n")
            self._stream.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the census and return the exit code."""
    options = parser().parse_args(argv)
    folder = options.folder.resolve()
    if not folder.is_dir():
        print(f"Error: {folder} is not a folder", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(folder, options)
    except KeyboardInterrupt:
        print("\nInterrupted; the worker and the server are stopped.", file=sys.stderr)
        return 130
    except (ExecutionError, WorkerDied) as error:
        print(f"Error: {printable(error)}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parsed = argparse.ArgumentParser(
        prog="python examples/census",
        description="Count the Python source below a folder: a state machine, its tasks run by a Celery worker.",
        epilog="Example: python examples/census ~/project --tests --top 20",
    )
    parsed.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(sysconfig.get_path("stdlib")),
        help="where to look; this Python's standard library without it",
    )
    parsed.add_argument("--top", type=int, default=10, metavar="N", help="packages in the table (default: 10)")
    parsed.add_argument(
        "--concurrency", type=at_least_one, default=2, metavar="N", help="worker processes (default: 2)"
    )
    parsed.add_argument("--tests", action="store_true", help="count folders of tests as well")
    return parsed


def at_least_one(text: str) -> int:
    """A number of processes."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def run(folder: Path, options: argparse.Namespace) -> int:
    """Serve, work, start, watch, show."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="census-") as scratch, LocalServer() as server:
        print(f"Step Functions: {server.url} (embedded)")
        for name in [name for name in os.environ if name.startswith(SETTINGS_OF_OTHERS)]:
            del os.environ[name]
        os.environ.update(server.environment())
        # without a broker Celery's own messages go through a folder; one that is removed, whatever happens
        os.environ["XDG_RUNTIME_DIR"] = os.environ["TMPDIR"] = scratch
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"{os.environ.get('NO_PROXY', '')},127.0.0.1".lstrip(",")

        from tasks import census  # only now: it is to know nothing but this environment

        with celery_worker(options.concurrency) as worker:
            print(f"worker: process {worker.pid}, concurrency {options.concurrency}")
            census.register(role_arn=ROLE)
            execution = census.start({"folder": str(folder), "tests": options.tests, "top": options.top})
            print(f"execution: {execution.name} of state machine {census.full_name}, over {folder}")
            progress = watch(execution, worker)
            result = execution.output
    print()
    print(report(result))
    print()
    print(
        f"{execution.name} {execution.status}: {progress.tasks} activity tasks by {result['processes']} worker "
        f"processes, {progress.states} states entered, {duration(time.monotonic() - begun)} in all"
    )
    return 0


def watch(execution: Execution, worker: subprocess.Popen[bytes]) -> Progress:
    """Show how far it is, until it has ended."""
    progress, line = Progress(), Line(sys.stdout)
    try:
        running = True
        while running:
            running = execution.status == "RUNNING"
            progress.read(execution.control.history(str(execution.arn), reverse=True))
            line.show(progress)
            if running and worker.poll() is not None:
                raise WorkerDied(f"the worker ended with exit code {worker.returncode}")
            if running:
                time.sleep(PAUSE)
    finally:
        line.end()
    return progress


def report(result: Mapping[str, Any]) -> str:
    """The table: the largest packages, and everything together."""
    heads = ("files", "lines", "functions", "classes", "unparsed")
    numbers = [Column(head, right=True) for head in heads]
    columns = [Column("package", widest=40), *numbers, Column("longest function")]
    rows = [*result["top"], {**result["total"], "name": f"all {result['packages']} packages"}]
    return table(columns, [cells(row) for row in rows])


def cells(row: Mapping[str, Any]) -> list[object]:
    """A row of the table."""
    counts = [f"{row[key]:,}" for key in ("files", "lines", "functions", "classes", "broken")]
    longest = row["longest"]
    named = f"{longest['name']}, {longest['lines']} lines ({longest['where']})" if longest and longest["lines"] else ""
    return ["(top level)" if row["name"] == "." else row["name"], *counts, named]


@contextmanager
def celery_worker(concurrency: int) -> Iterator[subprocess.Popen[bytes]]:
    """A worker for the activities, stopped at the end; what it had to say is shown if it ended by itself."""
    command = shutil.which("sfini-celery", path=sysconfig.get_path("scripts")) or "sfini-celery"
    options = ["--concurrency", str(concurrency), "--hostname", f"census-{os.getpid()}@%h"]
    quiet = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    with tempfile.TemporaryFile() as log:
        worker = subprocess.Popen(
            [command, "--workdir", str(HERE), "-A", "tasks", "worker", *options, *quiet],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process, which then stops the worker in order
        )
        try:
            yield worker
        except WorkerDied:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            stop(worker)


def stop(worker: subprocess.Popen[bytes]) -> None:
    """Ask the worker to finish; insist when it does not, and with the processes of its pool where it died."""
    worker.terminate()
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        worker.wait(PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


if __name__ == "__main__":
    sys.exit(main())
