"""Fault tests share ``fault_rig``, which their workers import too."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Any]:
    """A Redis of this test's own, that may be killed."""
    from fault_rig.processes import Broker

    if shutil.which("redis-server") is None:
        reason = "redis-server is not installed, so none can be killed"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and CI is set")
        pytest.skip(reason)
    made = Broker(tmp_path)
    made.start()
    yield made
    made.kill()
