"""An endpoint on loopback that answers what a test tells it, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from sfini_celery.aws import ControlPlane

SECRET = "the-secret-access-key"


@dataclass(frozen=True)
class Asked:
    operation: str
    body: Any
    headers: dict[str, str]


class Endpoint:
    """``answers`` is called with the request and gives (status, body); a body that is no text is sent as JSON."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: Callable[[Asked], tuple[int, Any]] = lambda asked: (200, {})
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                target = self.headers.get("X-Amz-Target", "")
                body = json.loads(text) if target else text
                asked = Asked(target.rpartition(".")[2], body, dict(self.headers))
                endpoint.asked.append(asked)
                status, answer = endpoint.answers(asked)
                data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="test-endpoint")
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    served = Endpoint()
    yield served
    served.close()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials, and one attempt per call: botocore's pauses between attempts are not what is tested."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture
def control(endpoint: Endpoint, credentials: None) -> Iterator[ControlPlane]:
    plane = ControlPlane(endpoint_url=endpoint.url)
    yield plane
    plane.client.close()


@pytest.fixture(scope="session")
def shared_control() -> ControlPlane:
    """One client for tests that stub it: making one takes a tenth of a second."""
    session = boto3.session.Session("AKIDEXAMPLE", SECRET, region_name="us-east-1")
    return ControlPlane(session=session, endpoint_url="http://127.0.0.1:1")
