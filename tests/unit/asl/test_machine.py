"""Machines: how they are made, what they are written as, and how they are read."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from sfini_celery.asl import (
    Choice,
    Fail,
    Map,
    NumericLessThan,
    Parallel,
    Pass,
    StateMachine,
    Succeed,
    Task,
    construct_state_machine,
    lint,
)
from sfini_celery.errors import DefinitionError, DuplicateName, WrongType

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


# The ways to make one


def test_older_and_newer_sfini_make_the_same_machine() -> None:
    older = StateMachine("machine", comment="c", timeout=60)
    older.start_at(older.task("add", ADD))
    newer = StateMachine("machine", {"add": Task("add", ADD)}, "add", "c", 60)
    constructed = construct_state_machine("machine", Task("add", ADD), "c", 60)
    assert older.to_dict() == newer.to_dict() == constructed.to_dict()
    assert list(newer.to_dict()) == ["Comment", "TimeoutSeconds", "StartAt", "States"]


def test_everything_that_can_be_reached_is_in_a_constructed_machine_in_reading_order() -> None:
    start, choice, small = Pass("start"), Choice("choice"), Pass("small")
    rest, task, failed = Parallel("rest"), Task("task", ADD), Fail("failed")
    start.goes_to(choice)
    choice.add(NumericLessThan("$.n", 1, small))
    choice.set_default(rest)
    small.goes_to(start)
    rest.goes_to(task)
    task.catch("ALL", failed)
    machine = construct_state_machine("machine", start)
    assert list(machine.states) == ["start", "choice", "small", "rest", "task", "failed"]
    assert machine.start_state == "start"


def test_a_chain_longer_than_the_recursion_limit_can_be_constructed_written_and_read() -> None:
    states = [Pass(f"state {number}") for number in range(3000)]
    for state, after in itertools.pairwise(states):
        state.goes_to(after)
    definition = construct_state_machine("long", states[0]).to_dict()
    assert len(definition["States"]) == 3000
    assert StateMachine.from_dict("long", definition).to_dict() == definition
    assert lint(definition) == []


class Registered(StateMachine):
    """As sfini's: with a session of its own."""

    def __init__(self, *args: Any, session: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.session = session


def test_every_way_to_make_a_machine_makes_a_subclass_with_its_own_parameters() -> None:
    constructed = construct_state_machine("machine", Pass("one"), cls=Registered, session="s")
    read = Registered.from_dict("machine", constructed.to_dict(), session="s")
    from_text = Registered.from_json("machine", constructed.to_json(), session="s")
    for machine in (constructed, read, from_text, Registered.construct("machine", Pass("one"), session="s")):
        assert (type(machine), machine.session) == (Registered, "s")


def test_machines_inside_one_that_is_read_are_plain_ones() -> None:
    read = Registered.from_dict("outer", parallel_of_two_logs(), session="s")
    branches = read.states["printAndLog"].branches  # type: ignore[attr-defined]
    assert [(type(branch), branch.name) for branch in branches] == [
        (StateMachine, "printAndLog 1"),
        (StateMachine, "printAndLog 2"),
    ]


@pytest.mark.parametrize(
    ("method", "arguments", "kind"),
    [
        ("task", (ADD,), "Task"),
        ("pass_", (), "Pass"),
        ("wait", (3,), "Wait"),
        ("choice", (), "Choice"),
        ("parallel", (), "Parallel"),
        ("map", (), "Map"),
        ("succeed", (), "Succeed"),
        ("fail", (), "Fail"),
    ],
)
def test_each_method_adds_a_state_of_its_kind_and_returns_it(
    method: str, arguments: tuple[Any, ...], kind: str
) -> None:
    machine = StateMachine("machine")
    state = getattr(machine, method)("state", *arguments, comment="c")
    assert (state.TYPE, state.comment) == (kind, "c")
    assert machine.states == {"state": state}
    assert "comment" in getattr(machine, method).__signature__.parameters


def test_start_at_adds_a_state_that_is_not_there_yet() -> None:
    machine = StateMachine("machine")
    machine.start_at(Succeed("end"))
    assert machine.to_dict() == {"StartAt": "end", "States": {"end": {"Type": "Succeed"}}}


def test_another_start_is_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    machine = StateMachine("machine")
    machine.start_at(Succeed("one"))
    machine.start_at(Succeed("two"))
    assert "start of machine machine changes from one to two" in caplog.text
    assert machine.start_state == "two"


def test_a_second_state_of_a_name_is_refused_naming_both() -> None:
    machine = StateMachine("machine")
    machine.task("add", ADD)
    with pytest.raises(DuplicateName, match=r"add \[Task\] of machine 'machine', so add \[Pass\]"):
        machine.pass_("add")
    assert machine.states["add"].TYPE == "Task"


def test_what_is_no_mapping_of_states_is_refused() -> None:
    with pytest.raises(WrongType, match="mapping of names to states"):
        StateMachine("machine", "a comment, as the second parameter was once")  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="the state under 'one' is named 'two'"):
        StateMachine("machine", {"one": Succeed("two")}, "one")


def test_a_machine_is_shown_with_its_name_and_size() -> None:
    machine = construct_state_machine("machine", Succeed("one"))
    assert (str(machine), repr(machine)) == ("'machine' (1 states)", "StateMachine('machine')")


def test_text_cannot_be_made_of_a_machine_that_cannot_be_written() -> None:
    with pytest.raises(DefinitionError, match="has no start state"):
        StateMachine("machine").to_json()


def test_a_state_that_was_renamed_is_found_when_the_machine_is_written() -> None:
    machine = construct_state_machine("machine", Succeed("one"))
    machine.states["one"].name = "two"
    with pytest.raises(DefinitionError, match="the state under 'one' is named 'two'"):
        machine.to_dict()


def test_a_machine_that_starts_nowhere_is_refused() -> None:
    machine = StateMachine("machine")
    machine.succeed("end")
    with pytest.raises(DefinitionError, match="has no start state"):
        machine.to_dict()
    machine.start_state = "elsewhere"
    with pytest.raises(DefinitionError, match="starts at 'elsewhere', which is none of its states"):
        machine.to_dict()


def test_a_branch_that_goes_to_a_state_outside_is_refused() -> None:
    outer = StateMachine("outer")
    both, end = outer.parallel("both"), outer.succeed("end")
    outer.start_at(both)
    inner = StateMachine("inner")
    step = inner.pass_("step")
    inner.start_at(step)
    both.add(inner)
    step.goes_to(end)
    with pytest.raises(DefinitionError, match=r"machine 'inner': step \[Pass\] goes to end \[Succeed\]"):
        outer.to_dict()


def test_a_machine_inside_itself_is_refused_instead_of_being_written_for_ever() -> None:
    outer, inner = StateMachine("outer"), StateMachine("inner")
    both, each = outer.parallel("both"), inner.map("each")
    outer.start_at(both)
    inner.start_at(each)
    both.add(inner)
    each.processor = outer
    with pytest.raises(DefinitionError, match="machine 'outer' is inside itself"):
        outer.to_dict()


# Names


def nested(name: str, *machines: StateMachine) -> StateMachine:
    """A machine whose states are 'same' and a Parallel around these machines."""
    machine = StateMachine(name)
    same = machine.choice("same")
    same.add(NumericLessThan("$.n", 1, same))
    both = machine.parallel(f"both of {name}")
    same.set_default(both)
    both.catch("ALL", same)
    machine.start_at(same)
    for inner in machines:
        both.add(inner)
    return machine


def test_outer_machines_keep_their_names_and_references_follow_the_renamed_ones() -> None:
    inmost = nested("c", construct_state_machine("leaf", Succeed("leaf")))
    outer = nested("a", nested("b", inmost), nested("d", construct_state_machine("leaf", Succeed("leaf"))))
    definition = outer.to_dict()
    assert [finding for finding in lint(definition) if finding.severity == "error"] == []
    assert list(definition["States"]) == ["same", "both of a"]
    b, d = definition["States"]["both of a"]["Branches"]
    assert list(b["States"]) == ["same (b)", "both of b"]
    assert list(d["States"]) == ["same (d)", "both of d"]
    assert b["StartAt"] == "same (b)"
    assert b["States"]["same (b)"]["Choices"][0]["Next"] == "same (b)"
    assert b["States"]["both of b"]["Catch"][0]["Next"] == "same (b)"
    c = b["States"]["both of b"]["Branches"][0]
    assert list(c["States"]) == ["same (c)", "both of c"]
    leaves = [d["States"]["both of d"]["Branches"][0], c["States"]["both of c"]["Branches"][0]]
    assert [list(leaf["States"]) for leaf in leaves] == [["leaf"], ["leaf (leaf)"]]


def test_one_machine_can_be_run_in_several_branches() -> None:
    outer = StateMachine("outer")
    both = outer.parallel("both")
    outer.start_at(both)
    inner = construct_state_machine("inner", Succeed("end"))
    for _ in range(3):
        both.add(inner)
    assert [branch["StartAt"] for branch in outer.to_dict()["States"]["both"]["Branches"]] == [
        "end",
        "end (inner)",
        "end (inner 2)",
    ]


def test_a_name_made_unique_never_takes_one_that_a_state_has_by_itself() -> None:
    outer = StateMachine("outer")
    both = outer.parallel("both")
    outer.start_at(both)
    both.add(construct_state_machine("one", Succeed("log")))
    both.add(construct_state_machine("two", Succeed("log")))
    both.add(construct_state_machine("three", Succeed("log (two)")))
    branches = outer.to_dict()["States"]["both"]["Branches"]
    assert [branch["StartAt"] for branch in branches] == ["log", "log (two 2)", "log (two)"]


def test_names_made_unique_stay_within_what_aws_allows() -> None:
    outer = StateMachine("outer")
    each = outer.map("each" * 20)
    outer.start_at(each)
    each.processor = construct_state_machine("machine" * 30, Succeed("each" * 20))
    definition = outer.to_dict()
    assert lint(definition) == []
    assert definition["States"]["each" * 20]["ItemProcessor"]["StartAt"].startswith("eacheach")


def test_a_machine_is_not_changed_by_writing_it() -> None:
    outer = nested("a", nested("b", construct_state_machine("leaf", Succeed("leaf"))))
    assert outer.to_dict() == outer.to_dict()
    assert list(outer.states) == ["same", "both of a"]


# Text


def test_text_keeps_its_characters_and_can_be_indented() -> None:
    machine = construct_state_machine("machine", Succeed("größer"))
    assert machine.to_json() == '{"StartAt": "größer", "States": {"größer": {"Type": "Succeed"}}}'
    assert machine.to_json(indent=1).count("\n") == 7
    assert StateMachine.from_json("machine", machine.to_json(indent=2)).to_dict() == machine.to_dict()


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
def test_a_value_that_is_not_json_is_refused_when_the_text_is_written(value: object) -> None:
    machine = construct_state_machine("machine", Pass("pass", result={"value": value}))
    with pytest.raises(DefinitionError, match="machine 'machine' holds a value that is not JSON"):
        machine.to_json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting property name"),
        ('{"StartAt": NaN}', "NaN is not JSON"),
        ('{"StartAt": "a", "States": {"a": {"Type": "Succeed"}, "a": {"Type": "Fail"}}}', "the key 'a' is there twice"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "a definition is an object"),
        ("{}", "StartAt must be the name of a state"),
    ],
)
def test_text_that_is_no_definition_is_refused(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        StateMachine.from_json("machine", text)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (3, "must be an object"),
        ({}, "the Type is one of"),
        ({"Type": ["Task"]}, "the Type is one of"),
        ({"Type": "Task", "End": True}, "needs a Resource"),
        ({"Type": "Pass"}, "needs a Next or an End"),
        ({"Type": "Pass", "Next": "nowhere"}, "Next is 'nowhere', which is no state beside it"),
        ({"Type": "Pass", "Next": ["a"]}, "which is no state beside it"),
        ({"Type": "Wait", "End": True}, "exactly one of"),
        ({"Type": "Choice"}, "Choices must be a list"),
        ({"Type": "Choice", "Choices": [{}]}, "one operator"),
        ({"Type": "Choice", "Choices": [], "Default": "nowhere"}, "Default is 'nowhere'"),
        ({"Type": "Parallel", "End": True}, "Branches must be a list"),
        ({"Type": "Parallel", "Branches": [3], "End": True}, "a definition is an object"),
        ({"Type": "Map", "End": True}, "Iterator must be an object"),
        ({"Type": "Task", "Resource": ADD, "End": True, "Retry": {"a": 1}}, "Retry must be a list"),
        ({"Type": "Task", "Resource": ADD, "End": True, "Retry": [{}]}, "ErrorEquals must be a list"),
        ({"Type": "Task", "Resource": ADD, "End": True, "Catch": [3]}, "a catcher must be an object"),
        ({"Type": "Task", "Resource": ADD, "End": True, "Catch": [{}]}, "Next is None"),
    ],
)
def test_what_is_no_state_cannot_be_read(state: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        StateMachine.from_dict("machine", {"StartAt": "a", "States": {"a": state}})


def test_a_definition_nested_too_deeply_is_refused_like_any_other() -> None:
    rule: dict[str, Any] = {"Variable": "$.x", "IsNull": True}
    for _ in range(5000):
        rule = {"Not": rule}
    with pytest.raises(DefinitionError, match="nested too deeply"):
        StateMachine.from_dict("machine", {"StartAt": "a", "States": {"a": {"Type": "Choice", "Choices": [rule]}}})


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Pass", "End": True, "InputPath": None},
        {"Type": "Pass", "End": True, "Result": None},
        {"Type": "Pass", "Next": "b", "End": False},
        {"Type": "Task", "Resource": ADD, "End": True, "Retry": [], "Catch": []},
        {"Type": "Task", "Resource": ADD, "End": True, "Novelty": {"x": [1]}},
        {"Type": "Wait", "Seconds": 0, "End": True},
        {"Type": "Succeed"},
    ],
)
def test_odd_but_accepted_shapes_are_written_as_they_were_read(state: dict[str, Any]) -> None:
    definition = {"StartAt": "a", "States": {"a": state, "b": {"Type": "Succeed"}}, "Novelty": 1}
    assert StateMachine.from_dict("machine", definition).to_dict() == definition


# What AWS would say


def test_check_raises_with_what_aws_would_refuse() -> None:
    machine = construct_state_machine("a name", Task("task", "no arn"))
    with pytest.raises(DefinitionError) as caught:
        machine.check()
    assert [finding.code for finding in caught.value.findings] == ["INVALID_MACHINE_NAME", "INVALID_RESOURCE"]
    assert "$.States.task.Resource" in str(caught.value)


def test_check_says_nothing_of_what_is_only_unwise() -> None:
    machine = construct_state_machine("machine", Pass("pass", parameters={"x": "$.x"}))
    machine.check()
    assert [finding.severity for finding in machine.lint()] == ["warning"]


def test_map_reads_and_writes_its_processor_and_its_config() -> None:
    inner = construct_state_machine("item", Succeed("end"))
    machine = construct_state_machine("machine", Map("each", inner, mode="DISTRIBUTED", label="run"))
    machine.check()
    assert StateMachine.from_dict("machine", machine.to_dict()).to_dict() == machine.to_dict()
