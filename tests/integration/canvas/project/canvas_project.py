"""What the tests of canvases run: the tasks and workflows of one app, for the worker and for the tests alike."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery import group

from sfini_celery import SfiniCelery, catch, choice, each, prev, when

FOLDER = Path(os.environ["CANVAS_FOLDER"])

app = SfiniCelery("canvas_project", set_as_current=False, sfn_role_arn="arn:aws:iam::123456789012:role/canvas")
app.conf.update(
    broker_url=os.environ["CANVAS_BROKER"],
    broker_transport_options={"global_keyprefix": f"{FOLDER.parent.name}-{FOLDER.name}:"},
    result_backend=f"file://{FOLDER / 'results'}",
    sfn_heartbeat=5,
    sfn_revoke_terminate=True,
    sfn_drain_timeout=0.5,
)


class Refused(Exception):
    """A task's own exception, with more than one argument."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(name, code)
        self.name, self.code = name, code


@app.activity(heartbeat=60)
def add(x: Any, y: Any) -> Any:
    return x + y


@app.activity
def total(values: list[Any]) -> Any:
    return sum(values)


@app.activity
def same(value: Any) -> Any:
    return value


@app.activity
def refuse(*args: Any) -> Any:
    raise Refused("kiwi", 7)


@app.activity(bind=True, heartbeat=3)
def linger(self: Any, file: str) -> Any:
    """Write a line every tenth of a second, for a minute."""
    for _ in range(600):
        with (FOLDER / file).open("a") as out:
            out.write("here\n")
        time.sleep(0.1)


@app.activity(bind=True)
def where(self: Any) -> Any:
    return [self.request.sfn.name, self.request.sfn.key]


@app.activity
def pick(n: int) -> Any:
    return {"n": n, "items": list(range(n))}


orders = app.workflow("orders", add.s(2) | group(add.s(3), add.s(4)) | total.s(), timeout=3600)
failing = app.workflow("failing", add.s(1) | refuse.s())
outer = app.workflow("outer", add.s(1) | orders.s() | add.s(1000))
outer_failing = app.workflow("outer_failing", add.s(1) | failing.s())
chosen = app.workflow("chosen", pick.s() | choice(when(prev["n"] > 3, total.si([1, 2])), otherwise=total.si([5])))
caught = app.workflow("caught", catch(add.s(1) | refuse.s(), {Refused: same.s()}))
fan = app.workflow("fan", each(add.s(1)) | total.s(), input="result")
