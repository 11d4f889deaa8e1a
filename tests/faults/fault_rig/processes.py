"""The processes under attack: a broker of their own, workers with a supervisor, and what is done to them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from fault_rig.proxy import Proxy
from fault_rig.schedule import Event

__all__ = ["Broker", "Chaos", "Worker"]

HERE = Path(__file__).resolve().parent


class Broker:
    """A Redis that nobody else uses, on a free port, keeping nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port = taken.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            if time.monotonic() > deadline:
                raise RuntimeError("redis-server does not listen")
            time.sleep(0.05)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(5)


class Worker:
    """A worker that is started again whenever it ends, until told to stop.

    Attributes:
        starts: how often it was started
        ended: exit codes of the processes that ended by themselves or were killed
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        pool: str,
        environment: Mapping[str, str],
        conf: Mapping[str, object],
        app: str = "fault_rig.project",
        concurrency: int = 3,
        level: str = "INFO",
        args: tuple[str, ...] = (),
    ) -> None:
        self.name, self.pool = name, pool
        self.nodename = f"{name}@faults"
        self.log_path = folder / f"{name}.log"
        self.starts, self.ended = 0, list[int]()
        self._groups: list[int] = []
        self._folder = folder
        own = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "SFN_", "CELERY_"))}
        self._environment = {
            **own,
            "PROJECT_CONF": json.dumps(conf),
            "PYTHONPATH": os.pathsep.join([str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYTHONWARNINGS": "ignore",
            **environment,
        }
        self._command = [sys.executable, "-m", "celery", "-A", app, "worker", "-P", pool]
        self._command += ["-n", self.nodename, "-c", str(concurrency), "-l", level]
        self._command += ["--without-gossip", "--without-mingle", *args]
        self._stopping = threading.Event()
        self._lock = threading.Lock()  # no signal between the end of one process and the start of the next
        self._start()
        # Owned by this object; starts the worker again, from the constructor to stop().
        self._supervisor = threading.Thread(target=self._supervise, name=f"supervisor-{name}", daemon=True)
        self._supervisor.start()

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        """Process ids of the pool's children."""
        with contextlib.suppress(OSError):
            return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to the worker, or to it and its children."""
        with self._lock, contextlib.suppress(ProcessLookupError, PermissionError):
            (os.killpg if group else os.kill)(self.pid, number)

    def orphans(self) -> int:
        """How many earlier processes of this worker have left children behind."""
        left = 0
        for group in self._groups[:-1]:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, 0)
                left += 1
        return left

    def stop(self, seconds: float) -> int | None:
        """Ask for a warm shutdown; the exit code, None when it had to be killed."""
        self._stopping.set()
        self.signal(signal.SIGCONT, group=True)
        self.signal(signal.SIGTERM)
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.process.wait(seconds)
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        self.process.wait(5)
        self._supervisor.join(5)
        return code

    def _start(self) -> None:
        with self._lock, self.log_path.open("a") as log:
            self.starts += 1
            self.process = subprocess.Popen(
                self._command, env=self._environment, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
            self._groups.append(self.process.pid)

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            code = self.process.poll()
            if code is None:
                self._stopping.wait(0.05)
            elif not self._stopping.is_set():
                self.ended.append(code)
                self._start()


class Chaos:
    """Does to processes what a schedule says.

    Parameters:
        workers: to whom
        broker: None when there is none to kill
        proxy: in front of the server
        busy: process ids that run a task now
        say: gets a line for everything that is done
    """

    def __init__(
        self,
        workers: list[Worker],
        broker: Broker | None,
        proxy: Proxy,
        *,
        busy: Callable[[], set[int]],
        say: Callable[[str], object],
    ) -> None:
        self.workers, self.broker, self.proxy, self._busy, self._say = workers, broker, proxy, busy, say
        self.done: Counter[str] = Counter()
        self._broker_down = threading.Lock()  # one death at a time

    def run(self, events: list[Event]) -> None:
        """Returns when the last event is over."""
        begun = time.monotonic()
        lasting: list[threading.Thread] = []
        for event in events:
            time.sleep(max(0.0, begun + event.at - time.monotonic()))
            # In a thread of its own: what lasts does not keep the next one waiting.
            lasting.append(threading.Thread(target=self._do, args=(event,), name=str(event), daemon=True))
            lasting[-1].start()
        for thread in lasting:
            thread.join(60)

    def _do(self, event: Event) -> None:
        of = [worker for worker in self.workers if event.kind != "kill_child" or worker.pool == "prefork"]
        worker = of[event.whom % len(of)]
        self._say(f"{event}  {worker.name}")
        self.done[event.kind] += 1
        getattr(self, f"_{event.kind}")(event, worker)

    def _kill_child(self, event: Event, worker: Worker) -> None:
        # One that runs something, if there comes one: the death of an idle child is nothing to anybody.
        deadline = time.monotonic() + 2
        while not (children := self._busy() & set(worker.children())) and time.monotonic() < deadline:
            time.sleep(0.01)
        if children := children or set(worker.children()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(sorted(children)[event.whom % len(children)], signal.SIGKILL)

    def _kill_worker(self, event: Event, worker: Worker) -> None:
        worker.signal(signal.SIGKILL)

    def _kill_group(self, event: Event, worker: Worker) -> None:
        worker.signal(signal.SIGKILL, group=True)

    def _restart(self, event: Event, worker: Worker) -> None:
        worker.signal(signal.SIGTERM)

    def _stop_briefly(self, event: Event, worker: Worker) -> None:
        group = bool(event.whom // 2 % 2)
        process = worker.process
        worker.signal(signal.SIGSTOP, group=group)
        time.sleep(event.seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.killpg if group else os.kill)(process.pid, signal.SIGCONT)

    _stop_long = _stop_briefly

    def _kill_broker(self, event: Event, worker: Worker) -> None:
        if self.broker is not None:
            with self._broker_down:
                self.broker.kill()
                time.sleep(event.seconds)
                self.broker.start()

    def _outage(self, event: Event, worker: Worker) -> None:
        self.proxy.outage(True)
        time.sleep(event.seconds)
        self.proxy.outage(False)
