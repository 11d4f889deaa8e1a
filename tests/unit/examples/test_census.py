from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sfini_celery import asl

LIMIT = 262_144
"""Bytes that Step Functions hands from one state to the next."""


def names(packages: list[dict[str, Any]]) -> list[str]:
    return [package["name"] for package in packages]


def test_folders_of_source_are_packages_and_caches_tests_and_foreign_ones_are_not(
    tasks: ModuleType, source: Path
) -> None:
    assert names(tasks.list_packages(str(source))) == [".", "pkg", "pkg.deep"]
    assert names(tasks.list_packages(str(source), tests=True)) == [".", "pkg", "pkg.deep", "pkg.tests"]


def test_a_folder_that_is_not_there_is_a_failure_that_names_it(tasks: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="nowhere"):
        tasks.list_packages(str(tmp_path / "nowhere"))


def test_a_file_that_does_not_parse_is_counted_and_stops_nothing(tasks: ModuleType, source: Path) -> None:
    package = tasks.analyse(str(source), "pkg")
    assert package == {
        "name": "pkg",
        "files": 5,
        "broken": 2,
        "lines": 6 + 1 + 1 + 2,
        "functions": 3,
        "classes": 1,
        "longest": {"lines": 3, "name": "m", "where": "pkg/a.py:2"},
        "process": os.getpid(),
    }


def test_a_file_that_cannot_be_read_is_counted_and_stops_nothing(tasks: ModuleType, source: Path) -> None:
    (source / "pkg" / "gone.py").symlink_to(source / "nowhere.py")
    assert tasks.analyse(str(source), "pkg")["broken"] == 3


def test_a_package_is_counted_without_those_below_it_unless_they_were_folded_in(
    tasks: ModuleType, source: Path
) -> None:
    alone, whole = (tasks.analyse(str(source), "pkg", whole=whole) for whole in (False, True))
    assert whole["files"] == alone["files"] + 1
    assert whole["longest"]["name"] == "long"
    assert tasks.analyse(str(source), ".")["files"] == 1


def test_every_file_is_counted_once_however_many_packages_are_folded(
    tasks: ModuleType, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files() -> int:
        return sum(tasks.analyse(str(source), **each)["files"] for each in tasks.list_packages(str(source)))

    (source / "pkg" / "deep" / "er").mkdir()
    (source / "pkg" / "deep" / "er" / "c.py").write_text("")
    counted = files()
    for most in (3, 2, 1):
        monkeypatch.setattr(tasks, "MOST_PACKAGES", most)
        assert files() == counted
    assert names(tasks.list_packages(str(source))) == [".", "pkg"]


def test_the_results_of_as_many_packages_as_there_may_be_fit_what_step_functions_hands_on(tasks: ModuleType) -> None:
    longest = {"lines": 99_999, "name": "n" * tasks.LONGEST_TEXT, "where": "w" * tasks.LONGEST_TEXT}
    counts = dict.fromkeys(("files", "broken", "lines", "functions", "classes"), 999_999)
    package = {"name": "a.long.name.of.a.package" * 2, **counts, "longest": longest, "process": 4_194_304}
    assert len(json.dumps([package] * tasks.MOST_PACKAGES)) < LIMIT


def test_the_summary_adds_up_and_keeps_the_largest(tasks: ModuleType, source: Path) -> None:
    packages = [tasks.analyse(str(source), **each) for each in tasks.list_packages(str(source))]
    summary = tasks.summarise(packages, top=2)
    assert names(summary["top"]) == ["pkg", "pkg.deep"]
    assert summary["total"]["lines"] == sum(package["lines"] for package in packages)
    assert summary["total"]["longest"]["name"] == "long"
    assert (summary["packages"], summary["processes"]) == (3, 1)


def test_nothing_at_all_is_summarised_to_nothing(tasks: ModuleType) -> None:
    assert tasks.summarise([]) == {
        "top": [],
        "total": {"name": "total", "files": 0, "broken": 0, "lines": 0, "functions": 0, "classes": 0, "longest": None},
        "packages": 0,
        "processes": 0,
    }


def test_the_machine_is_one_that_aws_accepts(tasks: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(tasks.app.sfn), "control", property(lambda _: _Arns()), raising=True)
    assert asl.lint(tasks.census.definition()) == []


class _Arns:
    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:states:us-east-1:123456789012:{kind}:{name}"
