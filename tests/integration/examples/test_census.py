"""The census, as the README runs it: the real processes, no service of the machine."""

from __future__ import annotations

import ast
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, str(REPOSITORY / "examples" / "census")]
PATIENCE = 100.0

pytestmark = pytest.mark.timeout(300)  # real processes, on machines that may have other things to do


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve packages, each with a function of its own length, and a file that does not parse."""
    folder = tmp_path / "source"
    for number in range(12):
        package = folder / f"package_{number:02}"
        package.mkdir(parents=True)
        body = "    x = 1\n" * (number + 1)
        (package / "__init__.py").write_text(f"class C: ...\n\ndef f{number}():\n{body}")
    (folder / "package_03" / "bad.py").write_text("def (")
    return folder


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment whose home holds no ~/.aws and whose temporary folder is empty; nothing is left there."""
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    settings = ("AWS_", "CELERY_", "SFN_", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    yield {**kept, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    assert list((tmp_path / "tmp").iterdir()) == []
    assert list((tmp_path / "home").iterdir()) == []


def children_of(folder: Path) -> list[str]:
    """Command lines of the census's workers whose temporary folder is this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(folder) in (process / "environ").read_bytes().decode(errors="replace"):
                found.append(command)
        except OSError:
            continue
    return found


def test_it_counts_what_is_there_on_real_worker_processes_and_leaves_nothing_behind(
    source: Path, alone: dict[str, str]
) -> None:
    done = subprocess.run(
        [*COMMAND, str(source), "--top", "3"], env=alone, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    rows = [re.split(r"\s{2,}", line) for line in lines if line.startswith(("package_", "all "))]
    every = list(source.rglob("*.py"))
    total = str(sum(len(file.read_text().splitlines()) for file in every))
    assert rows == [
        ["package_11", "1", "15", "1", "1", "0", "f11, 13 lines (package_11/__init__.py:3)"],
        ["package_10", "1", "14", "1", "1", "0", "f10, 12 lines (package_10/__init__.py:3)"],
        ["package_09", "1", "13", "1", "1", "0", "f9, 11 lines (package_09/__init__.py:3)"],
        ["all 12 packages", "13", total, "12", "12", "1", "f11, 13 lines (package_11/__init__.py:3)"],
    ]
    assert "12 of 12 packages analysed" in lines
    assert re.fullmatch(
        r"census_\S+ SUCCEEDED: 14 activity tasks by [12] worker processes, 15 states entered, .* in all", lines[-1]
    )
    assert children_of(Path(alone["TMPDIR"])) == []


def test_it_needs_no_service_at_all(source: Path, alone: dict[str, str]) -> None:
    """In a network of its own, where nothing listens: no broker, no AWS, no internet."""
    unshare = shutil.which("unshare")
    apart = [unshare or "unshare", "--net", "--map-root-user"]
    if unshare is None or subprocess.run([*apart, "true"], capture_output=True).returncode != 0:
        pytest.skip("this machine lets no test make a network of its own (unshare --net)")
    script = f"ip link set lo up && exec {' '.join(COMMAND)} {source}"
    done = subprocess.run([*apart, "bash", "-euc", script], env=alone, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "all 12 packages" in done.stdout


def test_settings_of_the_user_do_not_get_in_the_way(source: Path, alone: dict[str, str]) -> None:
    theirs = {
        "AWS_PROFILE": "nobody",
        "AWS_ENDPOINT_URL_SFN": "http://127.0.0.1:1",
        "CELERY_BROKER_URL": "redis://127.0.0.1:1",
        "SFN_PREFIX": "x" * 80,
        "HTTP_PROXY": "http://127.0.0.1:1",
        "http_proxy": "http://127.0.0.1:1",
    }
    done = subprocess.run([*COMMAND, str(source)], env=alone | theirs, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr + done.stdout


def test_on_a_terminal_one_line_changes(source: Path, alone: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    running = subprocess.Popen([*COMMAND, str(source)], env=alone, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, err
    assert b"\r12 of 12 packages analysed\x1b[K\r\n" in shown
    assert b"analysed\r\n" not in shown


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_ctrl_c_stops_everything_that_was_started(alone: dict[str, str], end: signal.Signals) -> None:
    library = Path(ast.__file__).parent
    running = subprocess.Popen(
        [*COMMAND, str(library), "--tests"], env=alone, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert next((line for line in running.stdout if "packages analysed" in line), None)
    begun = time.monotonic()
    running.send_signal(end)
    out, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, err) == (130, "\nInterrupted; the worker and the server are stopped.\n")
    assert "SUCCEEDED" not in out
    assert time.monotonic() - begun < 40
    assert children_of(Path(alone["TMPDIR"])) == []


def test_a_worker_that_dies_is_said_and_everything_else_stops(alone: dict[str, str]) -> None:
    running = subprocess.Popen(
        [*COMMAND, str(Path(ast.__file__).parent)], env=alone, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    shown = [next(running.stdout) for _ in range(4)]
    worker = re.fullmatch(r"worker: process (\d+), concurrency 2\n", shown[1])
    assert worker is not None, shown
    os.kill(int(worker[1]), signal.SIGKILL)
    _, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert err.splitlines()[-1] == "Error: the worker ended with exit code -9"
    assert children_of(Path(alone["TMPDIR"])) == []


def test_a_worker_that_cannot_start_shows_what_it_had_to_say(source: Path, alone: dict[str, str]) -> None:
    nowhere = {"PYTHONPATH": str(source)}
    (source / "celery.py").write_text("raise ImportError('this is not the celery you are looking for')")
    done = subprocess.run(
        [*COMMAND, str(source)], env=alone | nowhere, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert "not the celery you are looking for" in done.stderr


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_no_worker_process_is_no_way_to_work(number: str) -> None:
    done = subprocess.run([*COMMAND, "--concurrency", number], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, "--concurrency" in done.stderr) == (2, True)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run([*COMMAND, str(tmp_path / "nowhere")], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (2, f"Error: {tmp_path / 'nowhere'} is not a folder\n")
