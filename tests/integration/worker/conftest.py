"""Real workers against the embedded server: brokers, worker processes, machines."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import botocore.config
import celery
import kombu
import pytest

from sfini_celery.local import LocalServer

HERE = Path(__file__).parent
REDIS = "redis://127.0.0.1:6379/0"
RABBIT = "amqp://guest:guest@127.0.0.1:5672//"


def _until(condition: Callable[[], object], seconds: float, what: str | Callable[[], str]) -> object:
    """What ``condition`` returns once that is true, looked at until the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds} s still not: {what() if callable(what) else what}")
        time.sleep(0.03)


class Broker:
    """A broker that nobody else shares: by key prefix, by queue name, by folder."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.name = f"sfini-test-{uuid.uuid4().hex[:12]}"
        self.folder = folder
        self.conf: dict = {"task_default_queue": self.name}
        if kind == "redis":
            self.conf |= {"broker_url": REDIS, "broker_transport_options": {"global_keyprefix": f"{self.name}:"}}
        elif kind == "rabbitmq":
            self.conf |= {"broker_url": RABBIT, "control_exchange": self.name}

    def check(self) -> None:
        """Skip what is not running here; where everything should be (CI), that is a failure."""
        if self.kind == "none":
            return
        url = self.conf["broker_url"]
        try:
            with kombu.Connection(url, connect_timeout=2) as connection:
                connection.ensure_connection(max_retries=1, timeout=3)
        except Exception as exc:
            message = f"{self.kind} does not answer at {url}: {exc!r}"
            if os.environ.get("CI"):
                pytest.fail(message)
            pytest.skip(message)

    def environment(self) -> dict[str, str]:
        return {"XDG_RUNTIME_DIR": str(self.folder)}

    def app(self) -> celery.Celery:
        """An app that sends to the workers of this broker."""
        app = celery.Celery("project", set_as_current=False)
        app.conf.update(self.conf)
        if self.kind == "none":
            folder = self.folder / f"sfini-celery-{os.getuid()}" / "project"
            app.conf.update(
                broker_url="filesystem://",
                broker_transport_options={
                    "data_folder_in": str(folder / "messages"),
                    "data_folder_out": str(folder / "messages"),
                    "control_folder": str(folder / "control"),
                },
            )
        return app

    def clean(self) -> None:
        """Leave nothing behind in a broker that others use."""
        with contextlib.suppress(Exception):
            if self.kind == "redis":
                import redis

                client = redis.Redis.from_url(REDIS)
                for key in client.scan_iter(f"{self.name}:*"):
                    client.delete(key)
                client.close()
            elif self.kind == "rabbitmq":
                with kombu.Connection(RABBIT) as connection:
                    channel = connection.channel()
                    channel.queue_delete(self.name)
                    for exchange in (self.name, f"{self.name}.pidbox", f"reply.{self.name}.pidbox"):
                        channel.exchange_delete(exchange)


class Worker:
    """A worker in a process of its own, with its children in its process group."""

    def __init__(
        self,
        server: LocalServer,
        broker: Broker,
        folder: Path,
        *,
        pool: str = "prefork",
        prefix: str = "",
        concurrency: int = 4,
        conf: dict | None = None,
        args: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.pool, self.broker, self.prefix = pool, broker, prefix
        self.nodename = f"{pool}-{uuid.uuid4().hex[:6]}@test"
        self.log_path = folder / f"{self.nodename}.log"
        settings = {
            "sfn_prefix": prefix,
            "sfn_polls": 1,
            "worker_hijack_root_logger": True,
            "broker_connection_retry_on_startup": True,
            "worker_cancel_long_running_tasks_on_connection_loss": True,
            **broker.conf,
            **(conf or {}),
        }
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SFN_", "CELERY_"))},
            **server.environment(),
            **broker.environment(),
            "PROJECT_CONF": json.dumps(settings),
            "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "PYTHONWARNINGS": "ignore",
            **(environment or {}),
        }
        command = [sys.executable, "-m", "celery", "-A", "project.tasks", "worker", "-P", pool, "-n", self.nodename]
        command += ["-c", str(concurrency), "-l", "INFO", "--without-gossip", "--without-mingle", *args]
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                command, env=env, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = 30) -> None:
        def seen() -> bool:
            if self.process.poll() is not None and text not in self.log:
                pytest.fail(f"the worker exited with {self.process.returncode}:\n{self.log}")
            return text in self.log

        _until(seen, seconds, lambda: f"{text!r} in the log of {self.nodename}:\n{self.log[-3000:]}")

    def ready(self) -> Worker:
        """Return once it polls."""
        self.wait_for("sfini_serving")
        return self

    def ask(self, seconds: float = 20) -> None:
        """Ask for a warm shutdown and wait for its end."""
        self.process.send_signal(signal.SIGTERM)
        self.wait(seconds)

    def wait(self, seconds: float = 20) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the worker did not end in {seconds} s:\n{self.log[-3000:]}")

    def end(self) -> None:
        """For teardown: whatever state it is in, nothing of it is left."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(5)


class Machines:
    """State machines of one task, started and awaited with boto3 alone."""

    def __init__(self, server: LocalServer) -> None:
        self.client = boto3.client(
            "stepfunctions",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=botocore.config.Config(retries={"max_attempts": 1}, read_timeout=70),
        )
        self._arns: dict[str, str] = {}

    def start(self, task: str, input: object = None, *, prefix: str = "", **state: object) -> str:
        """Start an execution whose one state has the task ``project.tasks.<task>`` run; its ARN."""
        activity = self.client.create_activity(name=f"{prefix}project.tasks.{task}")["activityArn"]
        state = {"Type": "Task", "Resource": activity, "HeartbeatSeconds": 60, "End": True, **state}
        definition = json.dumps({"StartAt": "Work", "States": {"Work": state}})
        if definition not in self._arns:
            self._arns[definition] = self.client.create_state_machine(
                name=f"machine-{uuid.uuid4().hex[:12]}",
                definition=definition,
                roleArn="arn:aws:iam::123456789012:role/test",
            )["stateMachineArn"]
        arn = self._arns[definition]
        return self.client.start_execution(stateMachineArn=arn, input=json.dumps({} if input is None else input))[
            "executionArn"
        ]

    def end(self, execution: str, seconds: float = 30) -> dict:
        """The execution once it has ended, output and cause read."""

        def ended() -> dict | None:
            found = self.client.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        found = dict(_until(ended, seconds, f"the end of {execution}"))
        for member in ("output", "cause"):
            with contextlib.suppress(ValueError, KeyError):
                found[member] = json.loads(found[member])
        return found

    def take(self, task: str, *, prefix: str) -> str:
        """Take an activity task, as another worker would; its token."""
        activity = self.client.create_activity(name=f"{prefix}project.tasks.{task}")["activityArn"]
        return self.client.get_activity_task(activityArn=activity, workerName="another")["taskToken"]

    def events(self, execution: str) -> list[str]:
        """The types of its events."""
        pages = self.client.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event["type"] for page in pages for event in page["events"]]

    def wait_for_event(self, execution: str, type: str, seconds: float = 20) -> None:
        _until(lambda: type in self.events(execution), seconds, f"{type} in {execution}")


@pytest.fixture
def until() -> Callable[..., object]:
    """Waits for a condition, with a deadline."""
    return _until


@pytest.fixture(scope="session")
def server() -> Iterator[LocalServer]:
    with LocalServer() as server:
        yield server


@pytest.fixture(scope="session")
def machines(server: LocalServer) -> Machines:
    return Machines(server)


@pytest.fixture
def start_broker(tmp_path: Path) -> Iterator[Callable[[str], Broker]]:
    """Makes private brokers, and cleans up after them."""
    made: list[Broker] = []

    def start(kind: str) -> Broker:
        folder = tmp_path / f"broker-{len(made)}"
        folder.mkdir(mode=0o700)
        made.append(Broker(kind, folder))
        made[-1].check()
        return made[-1]

    yield start
    for broker in made:
        broker.clean()


@pytest.fixture
def start_worker(
    server: LocalServer, start_broker: Callable[[str], Broker], tmp_path: Path
) -> Iterator[Callable[..., Worker]]:
    """Starts workers of this test alone, and ends them."""
    made: list[Worker] = []

    def start(*, broker: str | Broker = "redis", prefix: str | None = None, **options: object) -> Worker:
        if isinstance(broker, str):
            broker = start_broker(broker)
        prefix = f"{uuid.uuid4().hex[:8]}-" if prefix is None else prefix
        made.append(Worker(server, broker, tmp_path, prefix=prefix, **options))
        return made[-1]

    yield start
    for worker in made:
        worker.end()


@pytest.fixture(scope="module")
def crew(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Worker]]:
    """Starts workers that the module's tests share, and ends them."""
    made: list[Worker] = []
    brokers: list[Broker] = []

    def start(pool: str, broker: str | Broker, **options: object) -> Worker:
        folder = tmp_path_factory.mktemp(pool)
        folder.chmod(0o700)
        if isinstance(broker, str):
            broker = Broker(broker, folder)
            brokers.append(broker)
            broker.check()
        options = {"prefix": f"{uuid.uuid4().hex[:8]}-", **options}
        made.append(Worker(server, broker, folder, pool=pool, **options))
        return made[-1]

    try:
        yield start
    finally:
        for worker in made:
            if worker.process.poll() is None:
                worker.process.terminate()
        for worker in made:
            worker.end()
        for broker in brokers:
            broker.clean()


class Fleet:
    """One worker for each combination of pool and broker that the session's tests ask for, started all at once."""

    def __init__(self, workers: dict[str, Worker | str]) -> None:
        self._workers = workers

    @property
    def started(self) -> dict[str, Worker]:
        return {name: worker for name, worker in self._workers.items() if isinstance(worker, Worker)}

    def __getitem__(self, combination: str) -> Worker:
        worker = self._workers[combination]
        if isinstance(worker, str):
            pytest.skip(worker)
        return worker.ready()


@pytest.fixture(scope="session")
def fleet(
    request: pytest.FixtureRequest, server: LocalServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    wanted = {
        item.callspec.params["combination"]
        for item in request.session.items
        if "combination" in getattr(getattr(item, "callspec", None), "params", {})
    }
    workers: dict[str, Worker | str] = {}
    brokers: list[Broker] = []
    try:
        for combination in sorted(wanted):
            pool, kind = combination.split("-")
            folder = tmp_path_factory.mktemp(combination)
            folder.chmod(0o700)
            broker = Broker(kind, folder)
            brokers.append(broker)
            try:
                broker.check()
            except pytest.skip.Exception as skipped:
                workers[combination] = str(skipped)
                continue
            workers[combination] = Worker(server, broker, folder, pool=pool, prefix=f"{combination}-")
        yield Fleet(workers)
    finally:
        running = Fleet(workers).started.values()
        for worker in running:
            worker.process.terminate()
        for worker in running:
            worker.end()
        for broker in brokers:
            broker.clean()
