"""What docs/canvas.md shows means what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from celery import current_app

DOCS = Path(__file__).resolve().parents[2] / "docs" / "canvas.md"


def test_the_example_runs() -> None:
    before = current_app._get_current_object()
    (code,) = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"__name__": "shop"}
    exec(code, names)
    try:
        assert names["orders"].apply((40,)).get() == 91
        assert names["fan"].apply(([1, 2],)).get() == 5
        assert names["billed"].apply((39,)).get() == 182
    finally:
        names["app"].close()
        before.set_current()
