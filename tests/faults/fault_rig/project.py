"""The app under attack. ``PROJECT_CONF`` holds the Celery configuration as JSON, ``PROJECT_JOURNAL`` a file.

Each start and end of a task's body is a line of the journal, so that what ran twice is seen.
"""

from __future__ import annotations

import json
import os
import random
import time
from typing import Any

from sfini_celery.app import SfiniCelery

app = SfiniCelery("fault_rig.project")
app.conf.update(json.loads(os.environ.get("PROJECT_CONF", "{}")))

BEAT = int(os.environ.get("PROJECT_HEARTBEAT", "4"))


def note(what: str, request: Any) -> None:
    """One line, in one write: several processes have the journal open."""
    at = request.sfn
    entry = [what, request.id, at.key, at.attempt, request.retries, os.getpid(), round(time.time(), 3)]
    file = os.open(os.environ["PROJECT_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, json.dumps(entry).encode() + b"\n")
    finally:
        os.close(file)


def work() -> None:
    """As long as small tasks take, and now and then longer than the time between two beats."""
    time.sleep(random.choice([0, 0.01, 0.02, 0.05, 0.1, 0.3]) if random.random() < 0.97 else BEAT * 0.6)


@app.activity(bind=True, heartbeat=BEAT)
def triple(self: Any, number: int) -> int:
    """The first step."""
    note("start", self.request)
    work()
    note("end", self.request)
    return number * 3


@app.activity(bind=True, heartbeat=BEAT, max_retries=3)
def add(self: Any, number: int, more: int) -> int:
    """The second step, which often asks for a retry: the token is held meanwhile."""
    note("start", self.request)
    if number % 2 and not self.request.retries:
        raise self.retry(countdown=0.5)
    work()
    note("end", self.request)
    return number + more


@app.activity(bind=True, heartbeat=BEAT)
def wrap(self: Any, number: int, unit: str) -> dict[str, Any]:
    """The third step."""
    note("start", self.request)
    work()
    note("end", self.request)
    return {"number": number, "text": f"{number} {unit}"}


CANVAS = triple.s() | add.s(7) | wrap.s("pieces")


def expected(number: int) -> dict[str, Any]:
    """What an execution started with ``number`` returns."""
    return {"number": number * 3 + 7, "text": f"{number * 3 + 7} pieces"}
