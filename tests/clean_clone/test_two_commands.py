"""The README's two commands, in a fresh clone with nothing of this machine's user: no caches, no ~/.aws.

Opt-in, since each makes a virtual environment from the network: ``SFINI_CLEAN_CLONE=main`` for the main job, ``all``
for the tests as well (which do not come back here).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
WANTED = os.environ.get("SFINI_CLEAN_CLONE", "")
CHOICES = ("", "main", "all")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What is committed, and shared/ beside it where there is one."""
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        pytest.skip("needs git, and a repository to clone")
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(folder)], check=True)
    shared = REPOSITORY.parent / "shared"
    if shared.is_dir():
        (tmp_path / "shared").symlink_to(shared)
    return folder


@pytest.fixture
def newcomer(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has just cloned: no home, no cache, no AWS, no virtual environment."""
    home = tmp_path / "home"
    home.mkdir()
    dropped = ("AWS_", "CELERY_", "SFN_", "SFINI_", "XDG_", "VIRTUAL_ENV", "PYTHONPATH", "PYTEST_", "COVERAGE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    path = [each for each in kept["PATH"].split(os.pathsep) if not (Path(each).parent / "pyvenv.cfg").exists()]
    return {**kept, "PATH": os.pathsep.join(path), "HOME": str(home), "PIP_NO_CACHE_DIR": "1"}


def command(number: int) -> str:
    lines = re.findall(r"^python3 -m venv \.venv && .*$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert len(lines) == 2
    return str(lines[number])


def run(line: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euc", line],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_switch_is_one_of_the_documented_words() -> None:
    assert WANTED in CHOICES


@pytest.mark.skipif(WANTED not in ("main", "all"), reason="SFINI_CLEAN_CLONE is not set to main or all")
def test_the_main_job_in_a_fresh_clone(clone: Path, newcomer: dict[str, str]) -> None:
    done = run(command(0), clone, newcomer)
    print(done.stdout)
    assert done.returncode == 0
    assert re.search(r"^all \d+ packages ", done.stdout, re.MULTILINE)
    assert re.search(r"SUCCEEDED: \d+ activity tasks by 2 worker processes", done.stdout)
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
    assert changed.stdout == ""


@pytest.mark.skipif(WANTED != "all", reason="SFINI_CLEAN_CLONE is not set to all")
def test_the_tests_in_a_fresh_clone(clone: Path, newcomer: dict[str, str]) -> None:
    done = run(command(1), clone, newcomer)
    print(done.stdout)
    assert done.returncode == 0
    assert re.search(r"\d+ passed", done.stdout.splitlines()[-1])
