"""What the tests of the embedded server share: AWS's recordings, and the score table at the end of a run."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"sfini_tests_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_recordings = _load("recordings")
_scores = pytest.StashKey[dict[str, Counter[str]]]()
_COLUMNS = ("as AWS recorded it", "not yet", "wrong")


@pytest.fixture(scope="session")
def recordings() -> ModuleType:
    """The module that reads, replays and compares AWS's recordings."""
    return _recordings


@pytest.fixture
def score(request: pytest.FixtureRequest, recorded_case: dict[str, Any]) -> Any:
    """Call it with a column of the score table to count this case there; a case that is not counted is wrong."""
    scores = request.config.stash.setdefault(_scores, {})
    columns = ["wrong"]
    yield lambda column: columns.__setitem__(0, column)
    for feature in [recorded_case["query_language"], *recorded_case["features"], "all cases"]:
        scores.setdefault(feature, Counter())[columns[0]] += 1


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per recorded execution; skipped, with the reason, where there are no recordings."""
    if "recorded_case" in metafunc.fixturenames:
        skip = pytest.mark.skip(reason=_recordings.ABSENT)
        cases = [pytest.param(case, id=short(case["id"])) for case in _recordings.read("cases.json")]
        metafunc.parametrize("recorded_case", cases or [pytest.param(None, marks=skip)])


def short(case: str) -> str:
    """A case's id without the file and class of the test that recorded it."""
    return case.rpartition("::")[2].removesuffix("#get_execution_history")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The score of the recordings, by feature."""
    scores = config.stash.get(_scores, None)
    if not scores:
        return
    terminalreporter.section("AWS's recordings, replayed on the embedded server")
    terminalreporter.write_line(f"{'feature':<24}{'cases':>8}" + "".join(f"{column:>20}" for column in _COLUMNS))
    for feature, counts in sorted(scores.items(), key=lambda score: (-score[1].total(), score[0])):
        cells = "".join(f"{counts[column] or '-':>20}" for column in _COLUMNS)
        terminalreporter.write_line(f"{feature:<24}{counts.total():>8}{cells}")
