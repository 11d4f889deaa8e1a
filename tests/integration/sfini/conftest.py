"""An embedded server for the module, and a control plane that reaches it."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from sfini_celery.aws import ControlPlane
from sfini_celery.local import LocalServer
from sfini_celery.sfini import AWSSession


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as running:
        yield running


@pytest.fixture
def configured(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> LocalServer:
    """The server, with the AWS environment of this process pointing at it."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def session(configured: LocalServer) -> AWSSession:
    return AWSSession(boto3.Session())


@pytest.fixture
def control(session: AWSSession) -> ControlPlane:
    return session.control
