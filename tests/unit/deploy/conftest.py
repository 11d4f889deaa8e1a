"""A control plane on an embedded server, one server for a module of tests, names that no other test has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import boto3
import pytest

from sfini_celery.aws import ControlPlane
from sfini_celery.local import LocalServer

_numbers = count()


@pytest.fixture(scope="module")
def control() -> Iterator[ControlPlane]:
    with LocalServer() as server:
        session = boto3.session.Session("local", "local", region_name="us-east-1")
        plane = ControlPlane(session=session, endpoint_url=server.url)
        yield plane
        plane.client.close()


@pytest.fixture
def name() -> str:
    """Also the prefix of what the test registers, so that it prunes nothing of another test."""
    return f"thing-{next(_numbers)}-"
