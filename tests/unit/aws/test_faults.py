from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from botocore.stub import Stubber

from sfini_celery.aws import ControlPlane, translated
from sfini_celery.errors import (
    AccessDenied,
    AlreadyExists,
    ConfigurationError,
    LimitExceeded,
    NoCredentials,
    NoRegion,
    NotFound,
    ServiceError,
    SfiniError,
    Throttled,
    TokenClosed,
    Unreachable,
)

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:orders:one"
SECRET = "the-secret-access-key"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ExecutionDoesNotExist", NotFound),
        ("StateMachineDoesNotExist", NotFound),
        ("ExecutionAlreadyExists", AlreadyExists),
        ("AccessDeniedException", AccessDenied),
        ("KmsAccessDeniedException", AccessDenied),
        ("ExpiredTokenException", AccessDenied),
        ("UnrecognizedClientException", AccessDenied),
        ("ThrottlingException", Throttled),
        ("KmsThrottlingException", Throttled),
        ("ExecutionLimitExceeded", LimitExceeded),
        ("InvalidArn", ServiceError),
    ],
)
def test_refusal_of_aws_is_the_error_of_our_tree(shared_control: ControlPlane, code: str, kind: type) -> None:
    with Stubber(shared_control.client) as stub:
        stub.add_client_error("describe_execution", code, "because", 403)
        with pytest.raises(ServiceError) as caught:
            shared_control.describe_execution(EXECUTION)
    error = caught.value
    assert type(error) is kind
    assert (error.operation, error.code, error.detail, error.status) == ("DescribeExecution", code, "because", 403)
    assert isinstance(error.__cause__, botocore.exceptions.ClientError)


def test_stale_page_is_not_taken_for_a_closed_task(shared_control: ControlPlane) -> None:
    with Stubber(shared_control.client) as stub:
        stub.add_client_error("list_executions", "InvalidToken", "the page has expired")
        with pytest.raises(ServiceError) as caught:
            list(shared_control.list_executions("arn:aws:states:us-east-1:123456789012:stateMachine:orders"))
    assert not isinstance(caught.value, TokenClosed)


@pytest.mark.usefixtures("credentials")
def test_endpoint_where_nobody_listens_is_named_without_its_password(free_port: int) -> None:
    control = ControlPlane(endpoint_url=f"http://user:hunter2@127.0.0.1:{free_port}")
    began = time.monotonic()
    with pytest.raises(Unreachable) as caught:
        list(control.list_activities())
    assert time.monotonic() - began < 5
    assert f"127.0.0.1:{free_port}" in str(caught.value)
    assert "hunter2" not in f"{caught.value} {caught.value.endpoint} {control!r}"
    assert caught.value.sent is False


@pytest.mark.parametrize(
    "answer", [(200, "<html>hello</html>"), (404, "<html>nope</html>"), (502, "bad gateway"), (200, ""), (200, "[1]")]
)
def test_something_else_that_listens_there_is_not_taken_for_step_functions(
    control: ControlPlane, endpoint: Any, answer: tuple[int, str]
) -> None:
    endpoint.answers = lambda asked: answer
    with pytest.raises(Unreachable, match="is the endpoint right") as caught:
        control.describe_execution(EXECUTION)
    assert endpoint.url in str(caught.value)
    assert caught.value.sent is True


def test_connection_that_breaks_may_have_been_applied(control: ControlPlane, endpoint: Any) -> None:
    def hang_up(asked: Any) -> Any:
        raise ConnectionAbortedError

    endpoint.answers = hang_up
    endpoint._server.handle_error = lambda *_: None
    with pytest.raises(Unreachable) as caught:
        control.start_execution("arn:aws:states:us-east-1:123456789012:stateMachine:orders", input="{}")
    assert caught.value.sent is True


def test_no_region_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoRegion):
        _ = ControlPlane().region
    with pytest.raises(NoRegion) as caught:
        list(ControlPlane().list_activities())
    assert "AWS_DEFAULT_REGION" in str(caught.value)
    assert isinstance(caught.value.__cause__, botocore.exceptions.NoRegionError)


def test_no_credentials_is_said_so() -> None:
    with pytest.raises(NoCredentials, match="AWS_PROFILE"):
        list(ControlPlane(region="us-east-1", endpoint_url="http://127.0.0.1:1").list_activities())


def test_half_of_the_credentials_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    with pytest.raises(NoCredentials, match="missing: AWS_SECRET_ACCESS_KEY"):
        list(ControlPlane(region="us-east-1").list_activities())


def test_profile_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"\(nope\).*--profile"):
        list(ControlPlane(profile="nope").list_activities())


def test_config_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text("this is no configuration")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(ConfigurationError, match="config"):
        list(ControlPlane(region="us-east-1").list_activities())


@pytest.mark.usefixtures("credentials")
def test_endpoint_that_is_no_url_says_what_one_looks_like() -> None:
    with pytest.raises(ConfigurationError, match=r"nonsense.*http://127\.0\.0\.1"):
        list(ControlPlane(endpoint_url="nonsense").list_activities())


@pytest.mark.usefixtures("credentials")
def test_region_that_cannot_be_one_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no region here"):
        list(ControlPlane(region="no region here").list_activities())


def test_wrong_parameter_is_named_and_its_value_is_not_shown(control: ControlPlane, endpoint: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        control.start_execution("", input={"password": "hunter2, type: x"})  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith("StartExecution: ")
    assert "parameter stateMachineArn" in message
    assert "parameter input" in message
    assert "<class 'str'>" in message
    assert "hunter2" not in message
    assert endpoint.asked == []


def test_no_message_holds_the_secret_key(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (403, {"__type": "SignatureDoesNotMatch", "message": "check your key"})
    with pytest.raises(SfiniError) as caught:
        control.describe_execution(EXECUTION)
    assert SECRET not in f"{caught.value!r} {caught.value} {control!r}"


def test_errors_of_ours_and_of_nobody_pass_unchanged() -> None:
    for error in (NoRegion(), KeyError("x"), ValueError("other")):
        with pytest.raises(type(error)) as caught, translated("Call", lambda: "http://127.0.0.1"):
            raise error
        assert caught.value is error


def test_kind_of_credentials_error_that_a_later_botocore_adds_is_known_by_its_base() -> None:
    class BrandNew(botocore.exceptions.SSOError):
        fmt = "sign in again"

    with pytest.raises(NoCredentials, match="sign in again"), translated("Call", lambda: "http://127.0.0.1"):
        raise BrandNew
