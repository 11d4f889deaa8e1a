"""``iam``: the real command, with an account that is given and with one that AWS is asked for."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sfini_celery.cli.errors import ExitCode

Run = Callable[..., "subprocess.CompletedProcess[str]"]

PROJECT = """
from sfini_celery import SfiniCelery, asl
app = SfiniCelery("calling", broker="sqs://")
app.conf.sfn_prefix = "test-"
app.conf.broker_transport_options = {"queue_name_prefix": "my."}

@app.activity
def add(x, y):
    return x + y

child = app.workflow("child", asl.construct_state_machine("child", asl.Task("add", add)))
call = asl.Task("call", asl.service("states", "startExecution", sync=2),
                parameters={"StateMachineArn": "arn:aws:states:eu-west-1:222233334444:stateMachine:test-child"})
call.goes_to(asl.Task("ask", asl.service("http", "invoke")))
app.workflow("parent", asl.construct_state_machine("parent", call))
"""


@pytest.fixture
def calling(project: Path, run: Run) -> Run:
    """``sfini-celery -A calling``, with no AWS configured at all."""
    (project / "calling.py").write_text(PROJECT)
    return lambda *args, **more: run("sfini-celery", "-A", "calling", *args, "--region", "eu-west-1", **more)


@pytest.mark.parametrize("entry", [["sfini-celery", "-A", "proj"], ["celery", "-A", "proj", "sfn"]], ids=" ".join)
def test_all_policies_come_as_one_document(run: Run, aws: dict[str, str], entry: list[str]) -> None:
    done = run(*entry, "iam", "--json", env=aws)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == {"state-machine", "trust", "worker", "deployer", "operator", "client"}
    assert told["state-machine"]["policy"] is None
    (poll,) = [each for each in told["worker"]["policy"]["Statement"] if each["Sid"] == "Poll"]
    assert poll["Resource"] == ["arn:aws:states:us-east-1:123456789012:activity:proj.add"]


def test_a_single_policy_is_all_that_goes_to_stdout_and_needs_no_credentials(calling: Run) -> None:
    done = calling("iam", "state-machine", "--account", "222233334444")
    assert done.returncode == 0, done.stderr
    statements = {each["Sid"]: each["Resource"] for each in json.loads(done.stdout)["Statement"]}
    child = "arn:aws:states:eu-west-1:222233334444:stateMachine:test-child"
    assert statements["Nested"] == [child]
    assert done.stderr == (
        "# look at test-parent/ask: what arn:aws:states:::http:invoke needs is not known here; "
        "add it to the policy by hand\n"
    )
    trust = json.loads(calling("iam", "trust", "--account", "222233334444").stdout)
    assert trust["Statement"][0]["Principal"] == {"Service": "states.amazonaws.com"}


def test_a_worker_whose_broker_is_sqs_gets_its_queues_by_their_names_in_aws(calling: Run) -> None:
    done = calling("iam", "worker", "--account", "222233334444", "--json")
    (broker,) = [each for each in json.loads(done.stdout)["policy"]["Statement"] if each["Sid"] == "Broker"]
    assert broker["Resource"] == ["arn:aws:sqs:eu-west-1:222233334444:my_celery"]


def test_the_role_that_is_passed_is_the_one_that_is_named_and_clients_make_machines_only_when_asked(
    calling: Run,
) -> None:
    role = "arn:aws:iam::222233334444:role/orders"
    given = ["--account", "222233334444", "--role-arn", role]
    deployer = calling("iam", "deployer", *given)
    assert (role in deployer.stdout, deployer.stderr) == (True, "")
    assert "CreateStateMachine" not in calling("iam", "client", *given).stdout
    assert "stateMachine:test-adhoc-*" in calling("iam", "client", "--ad-hoc", *given).stdout


def test_for_people_every_policy_has_a_heading(calling: Run) -> None:
    done = calling("iam", "--account", "222233334444")
    headings = [line for line in done.stdout.splitlines() if line.startswith("# ")]
    assert [line.split(":")[0] for line in headings] == [
        f"# {role}" for role in ("state-machine", "trust", "worker", "deployer", "operator", "client")
    ]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ([], ExitCode.CONFIGURATION, "or give --account"),
        (["--account", "12"], ExitCode.USAGE, "12 digits"),
        (["everybody"], ExitCode.USAGE, "everybody"),
    ],
)
def test_what_is_missing_or_wrong_is_said(calling: Run, more: list[str], code: ExitCode, said: str) -> None:
    done = calling("iam", *more)
    assert (done.returncode, done.stdout, said in done.stderr) == (code, "", True), done.stderr
