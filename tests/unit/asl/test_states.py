"""Each kind of state: what it is written as, and what it refuses."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from sfini_celery.asl import (
    Choice,
    Fail,
    Map,
    NumericLessThan,
    Parallel,
    Pass,
    State,
    StateMachine,
    StringEquals,
    Succeed,
    Task,
    Wait,
)
from sfini_celery.errors import DefinitionError, InvalidName, WrongType

ADD = "arn:aws:states:us-east-1:123456789012:activity:add"


def written(state: State) -> dict[str, Any]:
    """What the state is written as, without what every state has."""
    return {name: value for name, value in state.to_dict().items() if name not in ("Type", "End")}


def one_state(name: str) -> StateMachine:
    machine = StateMachine(name)
    machine.start_at(machine.succeed(f"end of {name}"))
    return machine


# What sfini passes by position


def test_task_takes_sfinis_positional_parameters_in_sfinis_order() -> None:
    task = Task("add", ADD, "adds", "$.in", "$.out", "$.result", 30)
    assert written(task) == {
        "Comment": "adds",
        "Resource": ADD,
        "InputPath": "$.in",
        "TimeoutSeconds": 30,
        "ResultPath": "$.result",
        "OutputPath": "$.out",
    }


def test_fail_takes_cause_before_error_as_sfini_does() -> None:
    assert written(Fail("fail", "c", cause="why", error="What")) == {"Comment": "c", "Error": "What", "Cause": "why"}
    assert written(Fail("fail", "c", "$.i", "$.o", "why", "What"))["Error"] == "What"


@pytest.mark.parametrize("kind", [Pass, Choice, Parallel, Succeed])
def test_comment_and_paths_come_right_after_the_name(kind: type[State]) -> None:
    state = kind("state", "comment", "$.i", "$.o")
    assert (state.comment, state.input_path, state.output_path) == ("comment", "$.i", "$.o")


def test_parameters_that_sfini_does_not_have_cannot_be_passed_by_position() -> None:
    with pytest.raises(TypeError):
        Task("add", ADD, "c", "$", "$", "$", 30, 20)  # type: ignore[misc]


def test_a_misspelt_parameter_is_refused() -> None:
    with pytest.raises(TypeError, match="timout"):
        Task("add", ADD, timout=3)


# Absent, null, and what is kept


def test_a_path_that_is_none_is_written_as_null_and_one_not_given_is_not_written() -> None:
    assert written(Pass("pass", input_path=None)) == {"InputPath": None}
    assert written(Pass("pass")) == {}


def test_a_result_of_none_is_written_as_null() -> None:
    assert written(Pass("pass", result=None)) == {"Result": None}


def test_unknown_fields_are_written_but_never_replace_known_ones() -> None:
    state = Pass("pass", comment="mine", extra={"Novelty": 1, "Comment": "theirs"})
    assert written(state) == {"Comment": "mine", "Novelty": 1}


@pytest.mark.parametrize("name", ["", "x" * 81, None, 3])
def test_state_names_that_aws_refuses_are_refused_at_once(name: Any) -> None:
    with pytest.raises(InvalidName):
        Pass(name)


# Where states go


def test_goes_to_returns_the_next_state_so_that_calls_chain() -> None:
    first, second, third = Pass("first"), Pass("second"), Succeed("third")
    assert first.goes_to(second).goes_to(third) is third
    assert (first.to_dict()["Next"], second.to_dict()["Next"]) == ("second", "third")


def test_another_next_state_is_taken_with_a_warning_and_the_same_one_without(caplog: pytest.LogCaptureFixture) -> None:
    first, second = Pass("first"), Pass("second")
    first.goes_to(second)
    first.goes_to(second)
    assert caplog.records == []
    first.goes_to(Pass("third"))
    assert "next state of first [Pass] changes from second [Pass] to third [Pass]" in caplog.text


def test_without_its_next_a_state_ends_the_execution() -> None:
    first = Pass("first")
    first.goes_to(Pass("second"))
    first.remove_next()
    assert first.to_dict() == {"Type": "Pass", "End": True}


def test_a_states_name_instead_of_the_state_is_refused_by_every_method_that_takes_one() -> None:
    task, choice = Task("task", ADD), Choice("choice")
    for method in (task.goes_to, choice.set_default, lambda state: task.catch("ALL", state)):
        with pytest.raises(WrongType, match="must be a state, not 'next'"):
            method("next")  # type: ignore[operator]


def test_a_state_is_shown_with_its_name_and_kind() -> None:
    assert (str(Pass("one")), repr(Pass("one"))) == ("one [Pass]", "Pass('one')")


# Retry and Catch


def test_retriers_are_written_with_what_was_given_only() -> None:
    task = Task("task", ADD)
    task.retry_for("Timeout", interval=3)
    task.retry_for([KeyError, "My.Error"], 1, 2, 1.5, max_delay=60, jitter="FULL")
    assert task.to_dict()["Retry"] == [
        {"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 3},
        {
            "ErrorEquals": ["KeyError", "My.Error"],
            "IntervalSeconds": 1,
            "MaxAttempts": 2,
            "BackoffRate": 1.5,
            "MaxDelaySeconds": 60,
            "JitterStrategy": "FULL",
        },
    ]


def test_catchers_name_the_next_state_and_keep_a_result_path_of_none() -> None:
    task, fail = Task("task", ADD), Fail("fail")
    task.catch(ValueError, fail, result_path="$.error-info")
    task.catch("*", fail, None)
    assert task.to_dict()["Catch"] == [
        {"ErrorEquals": ["ValueError"], "ResultPath": "$.error-info", "Next": "fail"},
        {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "fail"},
    ]


def test_states_all_stays_last_whatever_is_added_after_it() -> None:
    task, fail = Task("task", ADD), Fail("fail")
    for add in (task.retry_for, lambda errors: task.catch(errors, fail)):
        for errors in ("ALL", "Timeout", KeyError):
            add(errors)  # type: ignore[operator]
    order = [["States.Timeout"], ["KeyError"], ["States.ALL"]]
    assert [entry["ErrorEquals"] for entry in task.to_dict()["Retry"]] == order
    assert [entry["ErrorEquals"] for entry in task.to_dict()["Catch"]] == order


def test_states_all_twice_is_refused() -> None:
    task = Task("task", ADD)
    task.retry_for("ALL")
    with pytest.raises(DefinitionError, match="already retried"):
        task.retry_for("States.ALL", max_attempts=5)


def test_an_error_that_is_caught_already_is_added_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    task = Task("task", ADD)
    task.catch(["Timeout", KeyError], Fail("one"))
    with caplog.at_level(logging.WARNING):
        task.catch("Timeout", Fail("two"))
    assert "only the first counts: States.Timeout" in caplog.text
    assert len(task.to_dict()["Catch"]) == 2


# Task


@pytest.mark.parametrize(
    ("resource", "given", "seconds"),
    [
        ({"heartbeat": 20}, {}, 25),
        ({"heartbeat": 20.2}, {}, 26),
        ({"heartbeat": 20, "heartbeat_seconds": 60}, {}, 60),
        ({"heartbeat": 20, "heartbeat_seconds": 60}, {"heartbeat": 7}, 7),
        ({"heartbeat": 20}, {"heartbeat": None}, None),
        ({"heartbeat": 20}, {"timeout": 10}, None),
        ({"heartbeat": 20}, {"timeout": 25}, None),
        ({"heartbeat": 20}, {"timeout": 26}, 25),
        ({"heartbeat_seconds": 60}, {"timeout": 30}, None),
        ({"heartbeat_seconds": 60, "timeout_seconds": 90}, {}, 60),
        ({"heartbeat_seconds": 60, "timeout_seconds": 30}, {}, None),
        ({"heartbeat_seconds": 60, "timeout_seconds": 30}, {"timeout": 90}, 60),
        ({"heartbeat": 20}, {"timeout": 10, "heartbeat": 10}, 10),
        ({"heartbeat": 20}, {"heartbeat_path": "$.beat"}, None),
        ({"heartbeat": 20}, {"timeout_path": "$.timeout"}, 25),
        ({"heartbeat": None}, {}, None),
        ({"heartbeat": True}, {}, None),
        ({"heartbeat": len}, {}, None),
        ({}, {}, None),
    ],
)
def test_heartbeat_seconds(resource: dict[str, Any], given: dict[str, Any], seconds: int | None) -> None:
    task = Task("task", SimpleNamespace(arn=ADD, **resource), **given)
    assert task.to_dict().get("HeartbeatSeconds") == seconds


@pytest.mark.parametrize(("given", "seconds"), [({}, 90), ({"timeout": 30}, 30), ({"timeout_path": "$.timeout"}, None)])
def test_a_resources_own_timeout_holds_where_the_state_has_none(given: dict[str, Any], seconds: int | None) -> None:
    task = Task("task", SimpleNamespace(arn=ADD, timeout_seconds=90), **given)
    assert task.to_dict().get("TimeoutSeconds") == seconds


def test_a_celery_task_is_the_activity_that_its_app_knows() -> None:
    activity = SimpleNamespace(arn=ADD, heartbeat_seconds=60)
    celery_task = SimpleNamespace(app=SimpleNamespace(sfn=SimpleNamespace(resource=lambda task: activity)))
    definition = Task("task", celery_task).to_dict()
    assert (definition["Resource"], definition["HeartbeatSeconds"]) == (ADD, 60)


def test_a_resource_that_is_no_arn_and_has_none_is_refused_by_name() -> None:
    with pytest.raises(WrongType, match=r"state 'task': .* unlike 3"):
        Task("task", 3).to_dict()


def test_the_arn_of_a_resource_is_asked_for_only_when_the_state_is_written() -> None:
    class Unregistered:
        @property
        def arn(self) -> str:
            raise AssertionError("asked too early")

    task = Task("task", Unregistered())
    with pytest.raises(AssertionError, match="asked too early"):
        task.to_dict()


# Wait

NOON = datetime(2030, 1, 31, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"until": 5}, {"Seconds": 5}),
        ({"until": NOON}, {"Timestamp": "2030-01-31T12:00:00+00:00"}),
        ({"until": "$.until"}, {"TimestampPath": "$.until"}),
        ({"seconds": "{% $n %}"}, {"Seconds": "{% $n %}"}),
        ({"timestamp": "2030-01-31T12:00:00Z"}, {"Timestamp": "2030-01-31T12:00:00Z"}),
        ({"seconds_path": "$.n"}, {"SecondsPath": "$.n"}),
        ({"timestamp_path": "$.t"}, {"TimestampPath": "$.t"}),
    ],
)
def test_what_a_wait_waits_for(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert written(Wait("wait", **given)) == expected


def test_a_zone_with_seconds_is_written_in_utc_since_timestamps_have_none() -> None:
    odd = timezone(timedelta(minutes=19, seconds=32))
    assert written(Wait("wait", datetime(1930, 1, 1, tzinfo=odd))) == {"Timestamp": "1929-12-31T23:40:28+00:00"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, DefinitionError, "exactly one of until"),
        ({"until": 3, "seconds_path": "$.n"}, DefinitionError, "exactly one of until"),
        ({"until": NOON.replace(tzinfo=None)}, DefinitionError, "with a time zone"),
        ({"until": "2030-01-31T12:00:00Z"}, DefinitionError, "use timestamp="),
        ({"until": True}, WrongType, "not True"),
        ({"until": 2.5}, WrongType, "not 2.5"),
    ],
)
def test_what_a_wait_cannot_wait_for(given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Wait("wait", **given)


# Choice


def test_a_choice_is_written_with_its_rules_in_order_and_its_default() -> None:
    choice, small, rest = Choice("choice"), Pass("small"), Pass("rest")
    choice.add(NumericLessThan("$.n", 10, small))
    choice.add(StringEquals("$.s", "x", rest))
    choice.set_default(rest)
    assert choice.to_dict() == {
        "Type": "Choice",
        "Choices": [
            {"Variable": "$.n", "NumericLessThan": 10, "Next": "small"},
            {"Variable": "$.s", "StringEquals": "x", "Next": "rest"},
        ],
        "Default": "rest",
    }


def test_a_rule_can_be_removed_by_an_equal_one_and_not_twice() -> None:
    choice, small = Choice("choice"), Pass("small")
    choice.add(NumericLessThan("$.n", 10, small))
    choice.remove(NumericLessThan("$.n", 10, small))
    assert choice.choices == []
    with pytest.raises(DefinitionError, match="has no rule"):
        choice.remove(NumericLessThan("$.n", 10, small))


def test_a_rule_without_a_next_state_is_refused() -> None:
    with pytest.raises(DefinitionError, match="needs a next state"):
        Choice("choice").add(NumericLessThan("$.n", 10))


def test_a_choice_without_rules_is_refused_as_aws_would() -> None:
    choice = Choice("choice")
    choice.set_default(Pass("rest"))
    with pytest.raises(DefinitionError, match="at least one rule"):
        choice.to_dict()


def test_a_choice_takes_rules_only_and_warns_before_its_default_changes(caplog: pytest.LogCaptureFixture) -> None:
    choice = Choice("choice")
    with pytest.raises(WrongType, match="a choice is a rule, not 'rule'"):
        choice.add("rule")  # type: ignore[arg-type]
    choice.set_default(Pass("one"))
    assert caplog.records == []
    choice.set_default(Pass("two"))
    assert "default of choice [Choice] changes from one [Pass] to two [Pass]" in caplog.text


# Parallel and Map


def test_a_parallel_is_written_with_its_branches_in_the_order_of_adding() -> None:
    parallel = Parallel("both", result_path="$.both")
    parallel.add(one_state("a"))
    parallel.add(one_state("b"))
    assert [branch["StartAt"] for branch in parallel.to_dict()["Branches"]] == ["end of a", "end of b"]


@pytest.mark.parametrize(
    ("given", "config"),
    [
        ({}, None),
        ({"mode": "INLINE"}, {"Mode": "INLINE"}),
        ({"mode": "DISTRIBUTED"}, {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}),
        ({"mode": "DISTRIBUTED", "execution_type": "EXPRESS"}, {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}),
    ],
)
def test_how_a_map_runs_is_written_into_its_processor(given: dict[str, Any], config: dict[str, str] | None) -> None:
    each = Map("each", one_state("item"), items_path="$.items", max_concurrency=3, **given)
    definition = each.to_dict()
    assert definition["ItemProcessor"].pop("ProcessorConfig", None) == config
    assert definition["ItemProcessor"] == one_state("item").to_dict()
    assert (definition["ItemsPath"], definition["MaxConcurrency"]) == ("$.items", 3)


def test_an_old_map_keeps_its_iterator() -> None:
    assert Map("each", one_state("item"), legacy=True).to_dict()["Iterator"]["StartAt"] == "end of item"


def test_a_map_without_a_machine_for_its_items_is_refused() -> None:
    with pytest.raises(DefinitionError, match="needs a processor"):
        Map("each").to_dict()


def test_an_execution_type_without_distributed_mode_is_refused() -> None:
    with pytest.raises(DefinitionError, match="execution type"):
        Map("each", execution_type="EXPRESS")
