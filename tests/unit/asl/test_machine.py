"""Machines: how they are made, what they are written as, and how they are read."""

from __future__ import annotations

from typing import Any

import pytest

from sfini_celery.asl import NumericLessThan, Pass, StateMachine, Succeed, construct_state_machine
from sfini_celery.errors import DefinitionError, DuplicateName

ADD = "arn:aws:states:us-east-1:123456789012:activity:add"


def test_sfini_loop_example_is_written_as_sfini_wrote_it() -> None:
    machine = StateMachine("myStateMachine")
    initialise = machine.pass_("initialise", result=0, result_path="$.counter")
    machine.start_at(initialise)
    increment = machine.task("increment", ADD, result_path="$.counter")
    initialise.goes_to(increment)
    check = machine.choice("checkCounter")
    increment.goes_to(check)
    check.add(NumericLessThan("$.counter", 10, increment))
    check.set_default(machine.succeed("end", output_path="$.counter"))

    assert machine.to_dict() == {
        "StartAt": "initialise",
        "States": {
            "initialise": {"Type": "Pass", "Result": 0, "ResultPath": "$.counter", "Next": "increment"},
            "increment": {"Type": "Task", "Resource": ADD, "ResultPath": "$.counter", "Next": "checkCounter"},
            "checkCounter": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.counter", "NumericLessThan": 10, "Next": "increment"}],
                "Default": "end",
            },
            "end": {"Type": "Succeed", "OutputPath": "$.counter"},
        },
    }


def test_two_states_of_one_name_are_refused_when_a_machine_is_constructed() -> None:
    start, other, end = Pass("start"), Pass("same"), Succeed("same")
    start.goes_to(other).goes_to(end)
    with pytest.raises(DuplicateName) as caught:
        construct_state_machine("machine", start)
    assert "same [Pass] (after start [Pass])" in str(caught.value)
    assert "same [Succeed] (after same [Pass])" in str(caught.value)


def parallel_of_two_logs() -> dict[str, Any]:
    machine = StateMachine("outer")
    both = machine.parallel("printAndLog")
    machine.start_at(both)
    log_machine, print_machine = StateMachine("logSM"), StateMachine("printSM")
    both.add(log_machine)
    both.add(print_machine)
    log_machine.start_at(log_machine.task("log", ADD))
    log = print_machine.task("log", ADD)
    print_machine.start_at(log)
    log.goes_to(print_machine.wait("wait", "$.until"))
    return machine.to_dict()


def test_states_of_one_name_in_two_branches_get_names_of_their_own() -> None:
    first, second = parallel_of_two_logs()["States"]["printAndLog"]["Branches"]
    assert (first["StartAt"], list(first["States"])) == ("log", ["log"])
    assert (second["StartAt"], list(second["States"])) == ("log (printSM)", ["log (printSM)", "wait"])


def test_names_made_unique_do_not_change_when_the_machine_is_written_again() -> None:
    assert StateMachine.from_dict("outer", parallel_of_two_logs()).to_dict() == parallel_of_two_logs()


def test_next_to_a_state_of_another_machine_is_refused() -> None:
    machine = StateMachine("machine")
    start = machine.pass_("start")
    machine.start_at(start)
    start.goes_to(Pass("elsewhere"))
    with pytest.raises(DefinitionError, match=r"elsewhere .* is not a state of this machine"):
        machine.to_dict()
