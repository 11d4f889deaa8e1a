"""The app of the bridge's benchmarks. ``PROJECT_CONF`` holds the Celery configuration as JSON."""

from __future__ import annotations

import json
import os
import time

from sfini_celery.app import SfiniCelery

app = SfiniCelery("bridge_project")
app.conf.update(json.loads(os.environ.get("PROJECT_CONF", "{}")))


@app.activity
def nothing(moment):
    """Nanoseconds since ``moment``: from when the task was available to when its body starts."""
    return time.monotonic_ns() - moment


@app.activity
def other(moment):
    """Polled, never called."""
