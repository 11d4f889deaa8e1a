from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.aws import execution_name, is_loopback, local_role_arn, name_in
from sfini_celery.aws.naming import account_in, without_secrets
from sfini_celery.names import LONGEST_NAME, is_valid_name


def test_execution_name_has_the_form_of_sfinis() -> None:
    name = execution_name("testAdding", now=datetime(2019, 5, 13, 19, 7, 26))
    assert re.fullmatch(r"testAdding_2019-05-13T19-07-26_[0-9a-f]{8}", name)


def test_execution_name_without_a_time_is_of_now_in_local_time() -> None:
    before = datetime.now().replace(microsecond=0)
    moment = datetime.strptime(execution_name("x").split("_")[1], "%Y-%m-%dT%H-%M-%S")
    assert before <= moment <= datetime.now()


@given(st.text())
def test_execution_name_of_any_prefix_is_one_that_aws_takes(prefix: str) -> None:
    name = execution_name(prefix)
    assert is_valid_name(name)
    if is_valid_name(prefix) and len(prefix) <= LONGEST_NAME - 29:
        assert name.startswith(f"{prefix}_")


def test_two_execution_names_in_one_second_differ() -> None:
    moment = datetime(2019, 5, 13)
    assert len({execution_name("x", now=moment) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws:states:us-east-1:123456789012:stateMachine:orders", "orders"),
        ("arn:aws:states:us-east-1:123456789012:stateMachine:orders:live", "orders"),
        ("arn:aws:states:us-east-1:123456789012:stateMachine:orders:12", "orders"),
        ("arn:aws:states:us-east-1:123456789012:execution:orders:one", "orders"),
        ("orders", "orders"),
    ],
)
def test_name_in_an_arn_leaves_out_version_alias_and_execution(arn: str, name: str) -> None:
    assert name_in(arn) == name


def test_account_is_read_only_from_what_is_an_arn() -> None:
    assert account_in("arn:aws:states:us-east-1:123456789012:activity:add") == "123456789012"
    for other in (None, 7, "", "a:b:c:d:e:f:g", "arn:aws:s3:::bucket:x"):
        assert account_in(other) is None


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8083", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:4566/path", True),
        ("http://localhost:4566", True),
        ("http://states.localhost:4566", True),
        ("https://states.us-east-1.amazonaws.com", False),
        ("http://10.0.0.1", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("nonsense", False),
    ],
)
def test_only_this_machine_counts_as_loopback(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_password_in_an_endpoint_is_left_out_of_messages() -> None:
    assert without_secrets("https://user:hunter2@proxy.example:8443/x?token=abc") == "https://proxy.example:8443/x"


def test_local_role_is_an_arn_of_the_account() -> None:
    assert local_role_arn("123456789012") == "arn:aws:iam::123456789012:role/sfini-local"
