"""The docs' tables are what the code says. ``SFINI_WRITE_DOCS=1 pytest tests/unit/cli/test_docs.py`` rewrites them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sfini_celery import config
from sfini_celery.cli import errors

DOCS = Path(__file__).resolve().parents[3] / "docs"
TABLE = re.compile(r"^\|.*\n(?:\|.*\n)+", re.MULTILINE)


@pytest.mark.parametrize(
    ("page", "table"), [("settings.md", config.docs_table()), ("exit-codes.md", errors.docs_table())]
)
def test_the_table_in_the_docs_is_the_one_in_the_code(page: str, table: str) -> None:
    text = (DOCS / page).read_text()
    if os.environ.get("SFINI_WRITE_DOCS"):
        text = TABLE.sub(lambda _: table, text)
        (DOCS / page).write_text(text)
    assert TABLE.findall(text) == [table], f"docs/{page} is old; run this file with SFINI_WRITE_DOCS=1"
