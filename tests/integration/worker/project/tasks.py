"""The app and its activities. ``PROJECT_CONF`` holds the Celery configuration as JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from sfini_celery.app import SfiniCelery

app = SfiniCelery("project")
app.conf.update(json.loads(os.environ.get("PROJECT_CONF", "{}")))


class Base(Exception):
    """What a state may catch in place of what is raised."""


class Derived(Base):
    """What is raised."""


class Unpicklable(Exception):
    """An exception that no pool can carry."""

    def __init__(self, message, lock):
        super().__init__(message)
        self.lock = lock


@app.activity
def add(x, y):
    return x + y


@app.activity
def fail(message):
    raise Derived(message, 7)


@app.activity
def unpicklable():
    raise Unpicklable("no way", threading.Lock())


@app.activity(bind=True, max_retries=3)
def flaky(self, times):
    if self.request.retries < times:
        raise self.retry(countdown=0.3, exc=Derived("again"))
    return self.request.retries


@app.activity(autoretry_for=(Derived,), max_retries=5, default_retry_delay=0)
def automatic(path, times):
    with Path(path).open("a") as file:
        file.write("x")
    if Path(path).stat().st_size < times:
        raise Derived("again")
    return Path(path).stat().st_size


@app.activity(bind=True, max_retries=2, default_retry_delay=0)
def exhausted(self):
    raise self.retry(exc=Derived("never"))


@app.activity(bind=True)
def changed(self, n):
    if n:
        raise self.retry(kwargs={"n": n - 1}, countdown=0)
    return "done"


@app.activity(bind=True, max_retries=None, heartbeat=3)
def patient(self, countdown):
    raise self.retry(countdown=countdown)


@app.activity(bind=True)
def late_retry(self, seconds):
    time.sleep(seconds)
    raise self.retry(countdown=0)


@app.activity
def bare_retry():
    raise Retry("by hand")


@app.activity(heartbeat=3)
def long(seconds):
    time.sleep(seconds)
    return "rested"


@app.activity
def not_json():
    return {1, 2}


@app.activity
def nan():
    return float("nan")


@app.activity
def when():
    return datetime(2024, 2, 29, 12, 0)


@app.activity
def ignore():
    raise Ignore


@app.activity
def reject():
    raise Reject("not mine")


@app.activity(acks_late=True)
def requeue(path):
    first = not Path(path).exists()
    Path(path).touch()
    if first:
        raise Reject("later", requeue=True)
    return "second time"


@app.activity(time_limit=1)
def hard():
    time.sleep(30)


@app.activity(time_limit=1, acks_late=True, acks_on_failure_or_timeout=False)
def hard_requeued(path):
    first = not Path(path).exists()
    Path(path).touch()
    time.sleep(30 if first else 0)
    return "in time"


@app.activity(soft_time_limit=1)
def soft():
    time.sleep(30)


@app.activity(soft_time_limit=1)
def soft_caught():
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        return "tidied up"


@app.activity
def killed():
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(30)


@app.activity
def exits():
    sys.exit(3)


@app.activity
def out_of_memory():
    raise MemoryError("too much")


@app.activity(bind=True)
def where(self):
    position = self.request.sfn
    return {
        "key": position.key,
        "state": position.state,
        "root": self.request.root_id,
        "header": (self.request.headers or {}).get("trace"),
        "modules": sorted({"boto3", "aiohttp", "sfini_celery.worker.loop"} & sys.modules.keys()),
    }


@app.activity(input="data")
def whole(data):
    return data


@app.activity(sensitive=True)
def secret(password):
    return f"hash of {password}"


@app.activity(heartbeat=3, acks_late=True)
def counted(path, seconds):
    with Path(path).open("a") as file:
        file.write("x")
    time.sleep(seconds)
    return "rested"


@app.activity(heartbeat=3, bind=True)
def counted_retry(self, path, countdown):
    with Path(path).open("a") as file:
        file.write("x")
    if not self.request.retries:
        raise self.retry(countdown=countdown)
    return "retried"


@app.activity(rate_limit="1/s", heartbeat=3)
def slowly(n):
    return n


@app.activity(sensitive=True)
def slow_secret(password):
    time.sleep(60)


@app.activity(rate_limit="10/s")
def limited(n):
    return n


@app.activity(bind=True, acks_late=True, reject_on_worker_lost=True)
def killed_once(self, path):
    first = not Path(path).exists()
    Path(path).touch()
    if first:
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


@app.activity(bind=True, retry_on_worker_lost=True, max_retries=2, default_retry_delay=0)
def killed_and_retried(self):
    if not self.request.retries:
        os.kill(os.getpid(), signal.SIGKILL)
    return self.request.retries


@app.activity(bind=True)
def retry_and_return(self, path):
    if self.request.retries == 0:
        self.retry(countdown=0, throw=False)
        return "not this"
    return "but this"


@app.task
def ordinary(x):
    return x * 2


@app.task
def leave_note(path):
    Path(path).write_text("failed")
