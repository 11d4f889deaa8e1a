"""Ten processes that all run a canvas of the same shape for the first time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack

import boto3

from sfini_celery.local import LocalServer

PROCESSES = 10

RACER = """
import sys
from canvas_project import add, app

calls = []
app.sfn.control.client.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
print("ready", flush=True)
sys.stdin.readline()
outcome = app.sfn.delay(add.s(1) | add.s(int(sys.argv[1])), 5)
print(outcome.execution.state_machine_arn, outcome.state, *calls)
"""


def test_ten_processes_at_once_end_with_one_machine(
    canvas_server: LocalServer, canvas_environment: dict[str, str]
) -> None:
    environment = {**canvas_environment, "SFN_PREFIX": "race-"}
    with ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", RACER, str(number)],
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for number in range(PROCESSES)
        ]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n", racer.communicate()[1]
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        told = [racer.communicate(timeout=60) for racer in racers]
    assert [err for _, err in told] == [""] * PROCESSES
    lines = [out.split() for out, _ in told]
    assert {state for _, state, *_ in lines} == {"STARTED"}
    client = boto3.client(
        "stepfunctions", endpoint_url=canvas_server.url, region_name="us-east-1",
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    machines = [each for each in client.list_state_machines()["stateMachines"] if each["name"].startswith("race-")]
    (machine,) = machines
    assert {arn for arn, *_ in lines} == {machine["stateMachineArn"]}
    executions = client.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
    inputs = [
        json.loads(client.describe_execution(executionArn=each["executionArn"])["input"])["lit"] for each in executions
    ]
    assert sorted(inputs) == [[[1], [number]] for number in range(PROCESSES)]
    calls = Counter(call for _, _, *made in lines for call in made)
    print(f"{calls['CreateStateMachine']} of {PROCESSES} processes tried to create it")
    assert 1 <= calls["CreateStateMachine"] <= PROCESSES
    activities = [each["name"] for each in client.list_activities()["activities"]]
    assert activities.count("race-canvas_project.add") == 1
