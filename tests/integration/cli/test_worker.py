"""``worker``: Celery's own worker, through both entry points."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from celery.bin.worker import worker as celery_worker
from click.testing import CliRunner

from sfini_celery.cli import cli

Launch = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]

PATIENCE = 60.0

pytestmark = pytest.mark.timeout(300)  # real processes, on machines that may have other things to do


def eventually(what: Callable[[], object], *, why: str) -> None:
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.05)


@pytest.mark.parametrize(
    "entry",
    [
        ["sfini-celery", "-A", "proj", "worker"],
        ["sfini-celery", "worker", "-A", "proj"],
        ["celery", "-A", "proj", "sfn", "worker"],
    ],
    ids=" ".join,
)
def test_a_worker_runs_activity_tasks_and_stops_in_order(
    registered: Run, launch: Launch, aws: dict[str, str], entry: list[str]
) -> None:
    worker = launch(*entry, "-c", "1", "-l", "INFO", env=aws, stdout=subprocess.DEVNULL)
    added = registered("start", "adding", "--input", '{"x": 3, "y": 42}', "--wait", "--timeout", str(PATIENCE))
    assert (added.returncode, added.stdout) == (0, "45\n"), added.stderr
    worker.send_signal(signal.SIGTERM)
    _, log = worker.communicate(timeout=PATIENCE)
    assert worker.returncode == 0, log
    assert re.search(r"Task proj\.add\[.*\] succeeded", log)


def test_every_option_of_celerys_worker_is_taken() -> None:
    shown = CliRunner().invoke(cli, ["worker", "--help"], terminal_width=200).output
    missing = [option for param in celery_worker.params for option in param.opts if option not in shown]
    assert missing == []


@pytest.mark.parametrize("entry", [["sfini-celery", "-A", "opts"], ["celery", "-A", "opts", "sfn"]], ids=" ".join)
def test_options_that_the_users_app_adds_are_taken(
    launch: Launch, project: Path, aws: dict[str, str], entry: list[str]
) -> None:
    (project / "opts.py").write_text(
        "import click\n"
        "from celery import bootsteps\n"
        "from proj import app\n"
        "app.user_options['worker'].add(click.Option(['--mine']))\n"
        "app.user_options['preload'].add(click.Option(['--before']))\n"
        "class Keep(bootsteps.Step):\n"
        "    def __init__(self, parent, mine=None, before=None, **options):\n"
        "        open('seen', 'w').write(f'{mine} {before}.')\n"
        "app.steps['worker'].add(Keep)\n"
    )
    launch(*entry, "worker", "-c", "1", "--mine", "yes", "--before", "all", env=aws, stdout=None, stderr=None)
    seen = project / "seen"
    eventually(lambda: seen.exists() and seen.read_text().endswith("."), why="the worker never came so far")
    assert seen.read_text() == "yes all."


def test_options_reach_the_workers_settings(launch: Launch, project: Path, aws: dict[str, str]) -> None:
    (project / "shows.py").write_text(
        "from proj import app\n"
        "from celery.signals import worker_ready\n"
        "@worker_ready.connect\n"
        "def show(sender, **_):\n"
        "    conf, pool = sender.app.conf, sender.controller.pool.num_processes\n"
        "    open('seen', 'w').write(f'{conf.sfn_polls} {conf.sfn_drain_timeout} {conf.sfn_region} {pool}.')\n"
    )
    options = ["-c", "3", "-P", "threads", "--sfn-polls", "7", "--sfn-drain-timeout", "2.5", "--region", "eu-west-1"]
    launch("sfini-celery", "-A", "shows", "worker", *options, env=aws, stdout=None, stderr=None)
    seen = project / "seen"
    eventually(lambda: seen.exists() and seen.read_text().endswith("."), why="the worker was never ready")
    assert seen.read_text() == "7 2.5 eu-west-1 3."


def test_activities_of_included_modules_count(launch: Launch, project: Path, aws: dict[str, str]) -> None:
    (project / "bare.py").write_text("from sfini_celery import SfiniCelery\napp = SfiniCelery('bare')")
    (project / "late.py").write_text("from bare import app\n@app.activity\ndef found(x): return x")
    options = ["-c", "1", "-l", "INFO", "--include", "late"]
    worker = launch("sfini-celery", "-A", "bare", "worker", *options, env=aws, stderr=subprocess.DEVNULL)
    assert worker.stdout is not None
    assert any("late.found" in line for line in worker.stdout)


@pytest.mark.parametrize("entry", [["sfini-celery"], ["celery"], ["sfini-celery", "--workdir", "sub"]], ids=" ".join)
def test_detach_starts_the_same_worker_in_the_background(
    registered: Run, run: Run, project: Path, aws: dict[str, str], entry: list[str]
) -> None:
    (project / "sub").mkdir()
    shutil.copy(project / "proj.py", project / "sub")
    pidfile, logfile = project / "worker.pid", project / "worker.log"
    command = ["sfn", "worker"] if entry == ["celery"] else ["worker"]
    options = ["-D", "--pidfile", str(pidfile), "--logfile", str(logfile), "-c", "1", "-l", "INFO", "--sfn-polls", "2"]
    done = run(*entry, "-A", "proj", *command, *options, env=aws)
    assert done.returncode == 0, done.stderr
    eventually(pidfile.exists, why="the detached worker wrote no pid file")
    pid = int(pidfile.read_text())
    try:
        added = registered("start", "adding", "--input", '{"x": 1, "y": 2}', "--wait", "--timeout", str(PATIENCE))
        assert (added.returncode, added.stdout) == (0, "3\n"), added.stderr + logfile.read_text()
    finally:
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: not pidfile.exists(), why="the detached worker did not stop")
