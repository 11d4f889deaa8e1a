"""The embedded Step Functions as a server: in a thread for tests and examples, or in the foreground for a command."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, TypeVar

from sfini_celery.local.clock import Clock, VirtualClock
from sfini_celery.local.endpoint import Endpoint
from sfini_celery.local.engine import Engine, Integration
from sfini_celery.local.service import Service

__all__ = ["ACCOUNT", "REGION", "LocalServer", "environment", "serve"]

log = logging.getLogger(__name__)

ACCOUNT = "123456789012"
REGION = "us-east-1"

T = TypeVar("T")


def environment(url: str, region: str = REGION) -> dict[str, str]:
    """The environment variables that point any AWS SDK at a server.

    Parameters:
        url: where it listens
        region: of its ARNs
    """
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class LocalServer:
    """Step Functions on loopback, in a thread of its own.

    Parameters:
        host: where to listen
        port: 0 takes a free one
        account, region: of the ARNs it makes
        clock: what time is, the machine's without it; a :class:`VirtualClock` is moved with :meth:`advance`
        integrations: what the resources of Task states lead to, other than activities; see
            :class:`~sfini_celery.local.engine.Integrations`

    Attributes:
        engine: what runs the executions; it belongs to the server's thread, see :meth:`run`

    Raises:
        OSError: from :meth:`start`, when it cannot listen there

    Example:
        >>> import boto3
        >>> keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        >>> with LocalServer() as server:
        ...     sfn = boto3.client("stepfunctions", endpoint_url=server.url, region_name="us-east-1", **keys)
        ...     sfn.create_activity(name="add")["activityArn"]
        'arn:aws:states:us-east-1:123456789012:activity:add'
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        account: str = ACCOUNT,
        region: str = REGION,
        clock: Clock | None = None,
        integrations: Mapping[str, Integration] | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.engine = Engine(clock=clock, account=account, region=region, integrations=integrations)
        self._endpoint = Endpoint(Service(self.engine))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._failure: BaseException | None = None
        self._is_up = threading.Event()
        self._stop_wanted = threading.Event()
        # Owned by this object; runs the event loop with everything on it, from start to stop.
        self._thread = threading.Thread(target=self._main, name="sfini-local", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens, as in ``http://127.0.0.1:8083``."""
        return f"http://{self.host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """The environment variables that point any AWS SDK at it."""
        return environment(self.url, self.engine.region)

    def start(self) -> LocalServer:
        """Return once it listens. A server is started once."""
        self._thread.start()
        self._is_up.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def stop(self) -> None:
        """Stop it, with all that runs on it; harmless before the start, twice, and from any thread."""
        self._stop_wanted.set()
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it was stopped before
                loop.call_soon_threadsafe(self._wake)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> LocalServer:
        return self.start()

    def __exit__(
        self, type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, coroutine: Coroutine[Any, Any, T], *, timeout: float = 60.0) -> T:
        """Run a coroutine on the server's event loop, from another thread, and return its result.

        Parameters:
            coroutine: what to run, such as ``server.engine.executions[arn].wait()``
            timeout: seconds to wait for it
        """
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("the server is not running")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout)

    def advance(self, seconds: float) -> None:
        """Move a server's :class:`VirtualClock`, and return once all that fell due has happened."""
        clock = self.engine.clock
        if not isinstance(clock, VirtualClock):
            raise TypeError("only a server with a VirtualClock can be moved in time")
        self.run(clock.advance(seconds))

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._is_up.is_set():
                log.exception("local.server_died url=%s", self.url)
            self._failure = error
        finally:
            self._is_up.set()

    async def _serve(self) -> None:
        self._wanted = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        try:
            await self._endpoint.open(self.host, self.port)
            self.port = self._endpoint.port
            self._is_up.set()
            if not self._stop_wanted.is_set():
                await self._wanted.wait()
        finally:
            self._loop = None
            await self._endpoint.close()

    def _wake(self) -> None:
        self._wanted.set()


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    account: str = ACCOUNT,
    region: str = REGION,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, in the main thread.

    Parameters:
        host: where to listen; anything but loopback lets others in, there are no credentials
        port: 0 takes a free one
        account, region: of the ARNs it makes
        on_ready: called with the URL once it listens

    Raises:
        OSError: it cannot listen there
    """
    _raise_file_limit()
    asyncio.run(_serve(host, port, account, region, on_ready))


async def _serve(host: str, port: int, account: str, region: str, on_ready: Callable[[str], object] | None) -> None:
    endpoint = Endpoint(Service(Engine(account=account, region=region)))
    wanted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, wanted.set)
    try:
        await endpoint.open(host, port)
        if on_ready is not None:
            on_ready(f"http://{host}:{endpoint.port}")
        await wanted.wait()
    finally:
        await endpoint.close()


def _raise_file_limit() -> None:
    """Every open poll is a file descriptor, and a thousand are too many for the usual limit."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
