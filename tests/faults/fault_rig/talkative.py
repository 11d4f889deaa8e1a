"""An app whose tasks end in many ways, each of them with something to say. ``PROJECT_CONF`` as in ``project``."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from typing import Any

from celery.exceptions import Ignore, Reject

from sfini_celery.app import SfiniCelery

app = SfiniCelery("fault_rig.talkative")
app.conf.update(json.loads(os.environ.get("PROJECT_CONF", "{}")))

PASSWORD = "correct-horse-battery-staple"
log = logging.getLogger(__name__)


@app.activity(bind=True, heartbeat=3)
def tells(self: Any, value: Any) -> Any:
    """Logs and returns all that a task can know of its request."""
    log.warning("request %r; %r; %r", self.request, vars(self.request), self.request.sfn)
    return {"value": value, "request": repr(vars(self.request))}


@app.activity(bind=True, heartbeat=3, max_retries=1)
def fails(self: Any, value: Any) -> None:
    """Raises with its request in the message, after a retry."""
    if not self.request.retries:
        raise self.retry(countdown=1)
    raise ValueError(f"{value} {vars(self.request)!r}")


@app.activity(heartbeat=3)
def not_json() -> Any:
    return {1, 2}


@app.activity(heartbeat=3)
def unpicklable() -> None:
    error = RuntimeError("no way")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    raise error


@app.activity(heartbeat=3)
def ignores() -> None:
    raise Ignore


@app.activity(heartbeat=3)
def rejects() -> None:
    raise Reject("not mine")


@app.activity(heartbeat=3)
def exhausts() -> None:
    raise MemoryError("too much")


@app.activity(heartbeat=3)
def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.activity(heartbeat=3, soft_time_limit=1, time_limit=2)
def overruns() -> None:
    time.sleep(10)


@app.activity(heartbeat=3)
def sleeps(seconds: float) -> str:
    """Revoked, or its execution is stopped."""
    time.sleep(seconds)
    return "rested"


@app.activity(heartbeat=3, rate_limit="1/m")
def seldom(value: Any) -> Any:
    """Waits for its turn."""
    return value


@app.activity(heartbeat=3, sensitive=True)
def hashes(password: str) -> str:
    return f"hash of {password}"


@app.task
def note(*args: Any) -> str:
    """An error callback."""
    return f"noted {args!r}"
