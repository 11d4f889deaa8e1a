"""The modules of the census, which are no package: they lie beside each other as a user's project would."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

CENSUS = Path(__file__).resolve().parents[3] / "examples" / "census"


@pytest.fixture(scope="session")
def tasks() -> Iterator[ModuleType]:
    """``examples/census/tasks.py``."""
    sys.path.insert(0, str(CENSUS))
    try:
        yield importlib.import_module("tasks")
    finally:
        sys.path.remove(str(CENSUS))
        sys.modules.pop("tasks", None)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with source of every sort."""
    files = {
        "top.py": "def one():\n    return 1\n",
        "notes.txt": "def no(): pass\n",
        "pkg/__init__.py": "",
        "pkg/a.py": "class A:\n    def m(self):\n        def i(): ...\n        return i\n\n    async def n(): ...\n",
        "pkg/broken.py": "def f(:\n",
        "pkg/nul.py": "x = 1\0\n",
        "pkg/latin.py": "# -*- coding: latin-1 -*-\ns = '\xe9'\n",
        "pkg/deep/b.py": "def long():\n    x = 1\n    y = 2\n    z = 3\n    return x + y + z\n",
        "pkg/tests/t.py": "def test(): ...\n",
        "pkg/__pycache__/c.py": "def cached(): ...\n",
        "site-packages/other.py": "def others(): ...\n",
        "not-a-package/x.py": "def x(): ...\n",
        "empty/readme.md": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
    return tmp_path
