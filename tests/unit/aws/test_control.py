from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import boto3
import pytest

from sfini_celery.aws import ControlPlane
from sfini_celery.errors import AlreadyExists, ConfigurationError, Unreachable
from sfini_celery.names import is_valid_name

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:orders"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:orders:one"


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_is_imported_or_read_before_the_first_call() -> None:
    code = """
import sys
from sfini_celery.aws import ControlPlane
control = ControlPlane(profile="does-not-exist", region="eu-west-1")
print(repr(control), control.region, sorted({"boto3", "botocore"} & set(sys.modules)))
"""
    assert python(code) == "ControlPlane(region='eu-west-1', profile='does-not-exist') eu-west-1 []"


def test_forked_child_neither_shares_connections_nor_hangs_on_a_lock_of_its_parent() -> None:
    code = """
import os, threading, warnings
warnings.simplefilter("ignore")
from sfini_celery.aws import ControlPlane
control = ControlPlane(region="us-east-1", endpoint_url="http://127.0.0.1:1")
parents = control.client
held = threading.Event()
def hold():
    with control._lock:
        held.set()
        threading.Event().wait(30)
threading.Thread(target=hold, daemon=True).start()
held.wait()
child = os.fork()
if not child:
    os._exit(0 if control.client is not parents and control.client is control.client else 3)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), control.endpoint_url, flush=True)
os._exit(0)
"""
    assert python(code.replace("control.endpoint_url, flush", "parents.meta.endpoint_url, flush")) == (
        "0 http://127.0.0.1:1"
    )


@pytest.mark.usefixtures("credentials")
def test_threads_that_ask_at_once_get_one_client() -> None:
    control = ControlPlane(endpoint_url="http://127.0.0.1:1")
    together = threading.Barrier(8)

    def ask(_: int) -> int:
        together.wait(10)
        return id(control.client)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_endpoint_region_and_credentials_come_from_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(
        "[profile work]\nregion = eu-north-1\nservices = mine\naws_access_key_id = A\naws_secret_access_key = B\n"
        "[services mine]\nsfn =\n  endpoint_url = http://127.0.0.1:4321\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    control = ControlPlane(profile="work")
    assert (control.endpoint_url, control.region, control.is_local) == ("http://127.0.0.1:4321", "eu-north-1", True)
    monkeypatch.setenv("AWS_PROFILE", "work")
    assert ControlPlane().region == "eu-north-1"
    assert ControlPlane(region="us-west-2").client.meta.region_name == "us-west-2"


@pytest.mark.usefixtures("credentials")
def test_endpoint_comes_from_the_variable_for_this_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1111")
    assert ControlPlane().endpoint_url == "http://127.0.0.1:1111"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SFN", "http://127.0.0.1:2222")
    assert ControlPlane().endpoint_url == "http://127.0.0.1:2222"
    assert ControlPlane(endpoint_url="http://127.0.0.1:3333").endpoint_url == "http://127.0.0.1:3333"
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.delenv("AWS_ENDPOINT_URL_SFN")
    assert ControlPlane().is_local is False


def test_role_of_a_profile_is_assumed_and_its_credentials_sign_the_call(
    endpoint: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(
        "[profile base]\naws_access_key_id = BASE\naws_secret_access_key = B\n[profile work]\nregion = us-east-1\n"
        f"role_arn = arn:aws:iam::123456789012:role/work\nsource_profile = base\nendpoint_url = {endpoint.url}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
    assumed = (
        '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
        "<AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken>"
        "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
    endpoint.answers = lambda asked: (200, {"activities": []} if asked.operation else assumed)
    assert list(ControlPlane(profile="work").list_activities()) == []
    first, last = endpoint.asked
    assert "Action=AssumeRole" in first.body
    assert "Credential=BASE/" in first.headers["Authorization"]
    assert "Credential=ASSUMED/" in last.headers["Authorization"]


@pytest.mark.usefixtures("credentials")
def test_given_session_is_used_and_has_its_own_profile() -> None:
    session = boto3.session.Session(region_name="ap-south-1")
    control = ControlPlane(session=session)
    assert control.session is session
    assert control.region == "ap-south-1"
    with pytest.raises(ConfigurationError, match="either a boto3 session or a profile"):
        ControlPlane(session=session, profile="work")


def test_calls_say_who_makes_them(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (200, {"activities": []})
    list(control.list_activities())
    assert "sfini-celery" in endpoint.asked[0].headers["User-Agent"]


def pages(asked: Any) -> tuple[int, Any]:
    start = int(asked.body.get("nextToken", 0))
    names = [f"activity-{number}" for number in range(start, min(start + 2, 5))]
    arn = "arn:aws:states:us-east-1:999999999999:activity:"
    found: dict[str, Any] = {"activities": [{"name": name, "activityArn": arn + name} for name in names]}
    if start + 2 < 5:
        found["nextToken"] = str(start + 2)
    return 200, found


def test_every_page_is_read_and_none_before_it_is_wanted(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = pages
    listed = control.list_activities()
    assert endpoint.asked == []
    assert [item["name"] for item in islice(listed, 2)] == ["activity-0", "activity-1"]
    assert len(endpoint.asked) == 1
    assert [item["name"] for item in listed] == ["activity-2", "activity-3", "activity-4"]
    assert len(endpoint.asked) == 3


def test_limit_is_asked_of_aws_and_kept_when_aws_gives_more(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (200, {"events": [{"id": 9}, {"id": 8}], "nextToken": "more"})
    assert [event["id"] for event in control.history(EXECUTION, reverse=True, limit=1)] == [9]
    (asked,) = endpoint.asked
    assert asked.body == {"executionArn": EXECUTION, "reverseOrder": True, "maxResults": 1}


def test_page_token_that_repeats_ends_the_list(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (200, {"executions": [], "nextToken": "again"})
    assert list(control.list_executions(MACHINE, status="FAILED")) == []
    assert len(endpoint.asked) == 2
    assert endpoint.asked[0].body == {"stateMachineArn": MACHINE, "statusFilter": "FAILED", "maxResults": 1000}


def identity(asked: Any) -> tuple[int, Any]:
    assert "Action=GetCallerIdentity" in asked.body
    return 200, (
        '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        "<Arn>arn:aws:iam::111122223333:user/x</Arn><UserId>U</UserId><Account>111122223333</Account>"
        "</GetCallerIdentityResult></GetCallerIdentityResponse>"
    )


def test_account_is_asked_of_sts_once(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = identity
    assert control.account == control.account == "111122223333"
    assert control.arn("activity", "add") == "arn:aws:states:us-east-1:111122223333:activity:add"
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize("answer", ["<html></html>", "", "hello", "{}"])
def test_endpoint_without_sts_is_said_so(control: ControlPlane, endpoint: Any, answer: str) -> None:
    endpoint.answers = lambda asked: (200, answer)
    with pytest.raises(Unreachable, match=r"GetCallerIdentity.*is the endpoint right"):
        _ = control.account


def test_an_account_that_is_given_is_asked_of_nobody_not_even_for_credentials(
    monkeypatch: pytest.MonkeyPatch, endpoint: Any
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
    plane = ControlPlane(account="222233334444", region="eu-west-1")
    assert plane.arn("activity", "add") == "arn:aws:states:eu-west-1:222233334444:activity:add"
    assert endpoint.asked == []


def test_account_is_learned_from_an_arn_that_aws_returned(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = pages
    next(control.list_activities())
    assert control.account == "999999999999"
    assert [asked.operation for asked in endpoint.asked] == ["ListActivities"]


def test_state_machine_is_created_with_role_tags_and_version(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (200, {"stateMachineArn": MACHINE, "creationDate": 1.5})
    answer = control.create_state_machine("orders", "{}", "role", tags={"owner": "me"}, publish=True)
    assert answer["stateMachineArn"] == MACHINE
    assert "ResponseMetadata" not in answer
    assert endpoint.asked[0].body == {
        "name": "orders",
        "definition": "{}",
        "roleArn": "role",
        "publish": True,
        "tags": [{"key": "owner", "value": "me"}],
    }


def test_update_leaves_alone_what_is_not_given(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (200, {"updateDate": 1.5})
    control.update_state_machine(MACHINE, definition="{}")
    assert endpoint.asked[0].body == {"stateMachineArn": MACHINE, "definition": "{}", "publish": False}


def test_tags_are_read_and_written_as_a_mapping(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (200, {"tags": [{"key": "a", "value": "b"}]} if "List" in asked.operation else {})
    assert control.tags(MACHINE) == {"a": "b"}
    control.tag(MACHINE, {"c": "d"})
    assert endpoint.asked[1].body["tags"] == [{"key": "c", "value": "d"}]


def test_execution_without_a_name_gets_a_legal_one_before_it_is_sent(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (200, {"executionArn": EXECUTION, "startDate": 1.5})
    control.start_execution(f"{MACHINE}:live", input="{}")
    name = endpoint.asked[0].body["name"]
    assert name.startswith("orders_2")
    assert is_valid_name(name)


def test_start_whose_answer_was_lost_finds_the_execution_it_started(control: ControlPlane, endpoint: Any) -> None:
    def answers(asked: Any) -> tuple[int, Any]:
        if asked.operation == "StartExecution":
            return 400, {"__type": "ExecutionAlreadyExists", "message": "it ran, and has ended"}
        return 200, {"executionArn": asked.body["executionArn"], "startDate": 7.0, "status": "SUCCEEDED"}

    endpoint.answers = answers
    answer = control.start_execution(f"{MACHINE}:3", input="{}")
    name = endpoint.asked[0].body["name"]
    assert answer["executionArn"] == f"arn:aws:states:us-east-1:123456789012:execution:orders:{name}"
    assert answer["startDate"].timestamp() == 7.0


def test_name_given_twice_is_an_error_and_not_somebody_elses_execution(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (400, {"__type": "ExecutionAlreadyExists", "message": "taken"})
    with pytest.raises(AlreadyExists, match="taken"):
        control.start_execution(MACHINE, input="{}", name="mine")
    assert len(endpoint.asked) == 1


def test_stop_sends_only_what_is_said(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (200, {"stopDate": 1.5})
    control.stop_execution(EXECUTION)
    control.stop_execution(EXECUTION, error="Enough", cause="it is late")
    assert [asked.body for asked in endpoint.asked] == [
        {"executionArn": EXECUTION},
        {"executionArn": EXECUTION, "error": "Enough", "cause": "it is late"},
    ]


@pytest.mark.usefixtures("credentials")
def test_sts_of_aws_is_not_asked_about_an_emulator_named_for_step_functions_alone(
    endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SFN", endpoint.url)
    endpoint.answers = identity
    assert ControlPlane().account == "111122223333"


def test_event_of_a_history_is_passed_on_as_it_came(control: ControlPlane, endpoint: Any) -> None:
    event = {"id": 1, "type": "ExecutionStarted", "timestamp": 1.5, "previousEventId": 0}
    endpoint.answers = lambda asked: (200, {"events": [event]})
    (read,) = control.history(EXECUTION)
    assert json.dumps({**read, "timestamp": read["timestamp"].timestamp()}, sort_keys=True) == json.dumps(
        event, sort_keys=True
    )


def test_a_definition_is_validated_by_aws(control: ControlPlane, endpoint: Any) -> None:
    endpoint.answers = lambda asked: (200, {"result": "FAIL", "diagnostics": []})
    assert control.validate_definition("{}")["result"] == "FAIL"
    assert endpoint.asked[0].body == {"definition": "{}"}


def test_a_boto3_that_cannot_validate_is_named_and_no_bug() -> None:
    plane = ControlPlane()
    plane._client = object()
    with pytest.raises(ConfigurationError, match="pip install --upgrade boto3"):
        plane.validate_definition("{}")
