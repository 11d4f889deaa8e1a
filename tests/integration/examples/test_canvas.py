"""The canvas that both Celery and Step Functions run, as its docstring says to start it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def test_celery_and_step_functions_return_the_same_from_one_module(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CELERY_", "SFN_"))}
    done = subprocess.run(
        [sys.executable, "-m", "examples.canvas"],
        cwd=REPOSITORY,
        env={**kept, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    lines = done.stdout.splitlines()
    said = "A tale: 18 words, most often 'it', longest 'wisdom'"
    assert lines[0].startswith(f"Celery:         {said} (")
    assert lines[1].startswith(f"Step Functions: {said} (")
    assert lines[-1] == "The results are the same."
