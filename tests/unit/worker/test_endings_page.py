"""docs/endings.md says what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfini_celery.errors import Ending
from sfini_celery.worker.ledger import diagram

PAGE = Path(__file__).resolve().parents[3] / "docs" / "endings.md"


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending is not Ending.LOOP_EXHAUSTED])
def test_every_ending_the_worker_reports_is_on_the_page(ending: Ending) -> None:
    assert f"`{ending}`" in PAGE.read_text()


def test_the_diagram_on_the_page_is_the_ledgers_own() -> None:
    assert diagram().strip() in PAGE.read_text()
