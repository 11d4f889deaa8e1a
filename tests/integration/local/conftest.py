"""What the tests of the server share: one running in a thread, and boto3 pointed at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from sfini_celery.local import LocalServer

ROLE = "arn:aws:iam::123456789012:role/states"


@pytest.fixture
def server() -> Iterator[LocalServer]:
    """A server on a free port."""
    with LocalServer() as running:
        yield running


@pytest.fixture
def client(server: LocalServer) -> Any:
    """Make a boto3 client for a service on the server."""

    def make(service: str = "stepfunctions") -> Any:
        return boto3.client(
            service,
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(retries={"max_attempts": 0}, read_timeout=70),
        )

    return make


@pytest.fixture
def sfn(client: Any) -> Any:
    """A boto3 client for Step Functions on the server."""
    return client()


@pytest.fixture
def register(sfn: Any) -> Any:
    """Register a machine of one state and return its ARN."""

    def make(state: dict[str, Any], name: str = "machine") -> str:
        text = json.dumps({"StartAt": "S", "States": {"S": state}})
        return str(sfn.create_state_machine(name=name, definition=text, roleArn=ROLE)["stateMachineArn"])

    return make
