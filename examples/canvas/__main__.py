"""Run one canvas twice, by Celery and by Step Functions: ``python -m examples.canvas``.

Starts an embedded Step Functions server in this process and a Celery worker as another, which serves both. Needs no AWS
account, no broker, no configuration; leaves nothing behind.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sfini_celery.local import LocalServer

HERE = Path(__file__).resolve().parent
PATIENCE = 90.0
SETTINGS_OF_OTHERS = ("AWS_", "CELERY_", "SFN_")


def main() -> int:
    """Run both and compare; 0 where they agree."""
    with tempfile.TemporaryDirectory(prefix="canvas-") as scratch, LocalServer() as server:
        for name in [name for name in os.environ if name.startswith(SETTINGS_OF_OTHERS)]:
            del os.environ[name]
        os.environ.update(server.environment())
        results = Path(scratch, "results")
        results.mkdir()
        os.environ["CANVAS_RESULTS"] = f"file://{results}"
        os.environ["XDG_RUNTIME_DIR"] = os.environ["TMPDIR"] = scratch
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"{os.environ.get('NO_PROXY', '')},127.0.0.1".lstrip(",")
        sys.path.insert(0, str(HERE))

        from tasks import TEXT, app, report  # only now: it is to know nothing but this environment

        with celery_worker():
            begun = time.monotonic()
            native = report.clone().delay(TEXT).get(timeout=PATIENCE)  # Celery writes ids into what it runs
            print(f"Celery:         {native['headline']} ({time.monotonic() - begun:.1f} s)")
            begun = time.monotonic()
            outcome = app.sfn.delay(report, TEXT)
            value = outcome.get(timeout=PATIENCE)
            print(f"Step Functions: {value['headline']} ({time.monotonic() - begun:.1f} s)")
            print(f"execution: {outcome.execution.name}, steps: {', '.join(part.name for part in outcome.children)}")
    agree = native == value
    print(json.dumps(value, indent=2))
    print("The results are the same." if agree else f"The results differ; Celery's is {json.dumps(native)}")
    return 0 if agree else 1


@contextmanager
def celery_worker() -> Iterator[None]:
    """A worker for Celery's messages and for the activities, stopped at the end."""
    command = shutil.which("sfini-celery", path=sysconfig.get_path("scripts")) or "sfini-celery"
    options = ["--concurrency", "2", "--hostname", f"canvas-{os.getpid()}@%h", "--loglevel", "WARNING"]
    worker = subprocess.Popen(
        [command, "--workdir", str(HERE), "-A", "tasks", "worker", *options, "--without-gossip", "--without-mingle"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        worker.terminate()
        with suppress(subprocess.TimeoutExpired):
            worker.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


if __name__ == "__main__":
    sys.exit(main())
