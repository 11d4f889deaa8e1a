"""``versions`` and ``rollback``: the real commands against the embedded server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sfini_celery.cli.errors import ExitCode

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def published(sfini: Run, project: Path) -> Run:
    """The project with three versions of ``greeting``."""
    text = (project / "proj.py").read_text()
    for word in ("one", "two", "three"):
        (project / "proj.py").write_text(text.replace("hello", word))
        done = sfini("register", "--yes", "--publish", "--alias", "live")
        assert done.returncode == 0, done.stderr
    return sfini


def test_an_alias_is_rolled_back_and_forth_and_old_versions_are_deleted(published: Run) -> None:
    listed = published("versions", "list", "greeting").stdout.splitlines()
    assert listed[0].split() == ["version", "published", "aliases"]
    assert [(line.split()[0], line.split()[-1] == "live") for line in listed[1:]] == [
        ("3", True),
        ("2", False),
        ("1", False),
    ]
    assert published("rollback", "greeting", "--alias", "live").stdout == ("alias live of greeting: version 3 -> 2\n")
    told = json.loads(published("rollback", "greeting", "--alias", "live", "--to", "1", "--json").stdout)
    assert (told["before"], told["after"]) == ({"2": 100}, 1)
    none = published("rollback", "greeting", "--alias", "live")
    assert (none.returncode, none.stderr.count("\n")) == (ExitCode.REFUSED, 1)
    assert "there is no earlier one" in none.stderr
    used = published("versions", "delete", "greeting", "1", "--yes")
    assert (used.returncode, "live to version 1" in used.stderr) == (ExitCode.USAGE, True)
    assert json.loads(published("versions", "delete", "greeting", "--keep", "1", "--yes", "--json").stdout) == {
        "deleted": [2]
    }
    assert [each["version"] for each in json.loads(published("versions", "list", "greeting", "--json").stdout)] == [
        3,
        1,
    ]


def test_deleting_asks_and_needs_to_know_which(registered: Run) -> None:
    assert registered("versions", "delete", "greeting").returncode == ExitCode.USAGE
    assert registered("versions", "delete", "greeting", "1", "--keep", "1").returncode == ExitCode.USAGE
    assert registered("versions", "list", "greeting").stdout == "no versions\n"
    assert registered("versions", "delete", "greeting", "--keep", "0").stdout == "deleted: 0\n"
