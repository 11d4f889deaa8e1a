"""The loop's sockets, in processes of their own: forks and limits are not for the test's process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")

WORKER = """
import asyncio, os, sys, time
from sfini_celery.worker import sockets

async def main():
    reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    child = os.fork()
    if not child:
        opened = open(os.devnull)       # must not get the number of a socket that somebody still thinks to own
        time.sleep(60)
        os._exit(0)
    writer.write(b"still mine\\n")
    await writer.drain()
    assert await reader.readline() == b"welcome\\n"
    print(child, flush=True)
    await asyncio.sleep(60)

loop = sockets.new_event_loop() if sys.argv[1] == "ours" else asyncio.SelectorEventLoop()
loop.run_until_complete(main())
"""


@pytest.mark.parametrize(("kind", "let_go"), [("ours", True), ("asyncio's", False)])
def test_the_polls_of_a_killed_worker_end_though_its_pool_children_live_on(kind: str, let_go: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        command = [sys.executable, "-c", WORKER, kind, str(server.getsockname()[1])]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert worker.stdout is not None
        child = 0
        try:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                assert connection.recv(100) == b"still mine\n"
                connection.sendall(b"welcome\n")
                child = int(worker.stdout.readline())
                worker.kill()
                worker.wait(10)
                os.kill(child, 0)
                # The second case is why the first one matters: plain asyncio leaves the connection with the child.
                connection.settimeout(5 if let_go else 0.3)
                try:
                    ended = connection.recv(100) == b""
                except TimeoutError:
                    ended = False
                assert ended is let_go
        finally:
            worker.kill()
            worker.wait(10)
            worker.stdout.close()
            if child:
                os.kill(child, signal.SIGKILL)


LIMITS = """
import logging, resource, sys
logging.basicConfig(format="%(message)s")
from sfini_celery.worker import sockets
hard = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
sockets.allow(500)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("hard", "soft", "warned"), [(1000, "500", False), (200, "200", True)])
def test_a_low_limit_of_open_files_is_raised_as_far_as_allowed_and_else_named(hard, soft, warned) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITS, str(hard)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == soft
    assert ("sfini_too_few_files" in done.stderr) is warned
