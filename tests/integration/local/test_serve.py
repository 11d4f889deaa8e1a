"""The server in the foreground of a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = (
    "from sfini_celery.local import serve\n"
    "serve(account='111122223333', region='eu-west-1', on_ready=lambda url: print(url, flush=True))\n"
)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    errors = (tmp_path / "stderr").open("w+")
    running = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.wait()
        assert running.stdout is not None
        running.stdout.close()
        errors.close()


def call(url: str, operation: str, body: dict[str, str]) -> dict[str, str]:
    headers = {"X-Amz-Target": f"AWSStepFunctions.{operation}", "Content-Type": "application/x-amz-json-1.0"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        answered: dict[str, str] = json.load(answer)
        return answered


def health(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        answered: dict[str, int] = json.load(answer)
        return answered


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_a_poll_open(
    process: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    arn = call(url, "CreateActivity", {"name": "a"})["activityArn"]
    assert arn == "arn:aws:states:eu-west-1:111122223333:activity:a"
    answers = []
    poller = threading.Thread(target=lambda: answers.append(call(url, "GetActivityTask", {"activityArn": arn})))
    poller.start()
    deadline = time.monotonic() + 20
    while not health(url)["openPolls"]:
        assert time.monotonic() < deadline, "the poll never opened"
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(20) == 0
    poller.join(20)
    assert answers == [{"taskToken": None}]
    assert (tmp_path / "stderr").read_text() == ""
