from __future__ import annotations

import sys
from typing import Any

import boto3
import pytest

from sfini_celery.errors import NoCredentials, NoRegion
from sfini_celery.sfini import AWSSession

SECRET = "wJalrXUtnFEMIexample"


@pytest.fixture
def boto_session() -> Any:
    return boto3.Session(aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key=SECRET, region_name="eu-west-1")


def test_a_given_session_is_used_for_everything(boto_session: Any) -> None:
    session = AWSSession(boto_session)
    assert session.session is boto_session
    assert session.region == "eu-west-1"
    assert session.credentials.access_key == "AKIAEXAMPLE"
    assert session.sfn.meta.region_name == "eu-west-1"
    assert session.sfn is session.sfn
    assert session.control.session is boto_session
    assert session.data_plane().region == "eu-west-1"


def test_no_secret_is_in_a_repr(boto_session: Any) -> None:
    session = AWSSession(boto_session)
    assert session.sfn is not None
    shown = repr(session) + str(session) + repr(session.control)
    assert "eu-west-1" in shown
    assert SECRET not in shown
    assert "AKIA" not in shown


def test_a_repr_asks_nobody() -> None:
    session = AWSSession()
    assert repr(session) == "AWSSession()"
    assert "control" not in vars(session)


def test_what_is_not_configured_is_said_in_our_own_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoRegion):
        _ = AWSSession().region
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with pytest.raises(NoCredentials):
        _ = AWSSession().credentials
    with pytest.raises(NoCredentials):
        AWSSession().data_plane()
    with pytest.raises(NoCredentials):
        _ = AWSSession().account_id
    assert "boto3" in sys.modules
