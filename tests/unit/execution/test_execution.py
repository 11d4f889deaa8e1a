from __future__ import annotations

import json
import sys
import traceback
import types
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.activity import failure_of, write_cause, write_output
from sfini_celery.aws import Waiter
from sfini_celery.errors import (
    ActivityError,
    ExecutionAborted,
    ExecutionError,
    ExecutionFailed,
    ExecutionTimedOut,
    InvalidInput,
    InvalidName,
    NotFinished,
    WaitTimeout,
)
from sfini_celery.execution import Execution, exception_of

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:orders"
ARN = "arn:aws:states:us-east-1:123456789012:execution:orders:one"
START = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


class Control:
    """One execution, whose descriptions come one after the other; the last one stays."""

    def __init__(self, *descriptions: dict[str, Any], events: list[dict[str, Any]] | None = None) -> None:
        base = {"executionArn": ARN, "stateMachineArn": MACHINE, "name": "one", "startDate": START, "input": '{"a": 3}'}
        self.descriptions = [base | description for description in descriptions]
        self.events = events or []
        self.asked: list[tuple[Any, ...]] = []
        self.waiter = Waiter(self.describe_execution, now=count().__next__, rest=lambda changed, seconds: None)

    def describe_execution(self, arn: str) -> dict[str, Any]:
        assert arn == ARN
        self.asked.append(("describe",))
        return self.descriptions.pop(0) if len(self.descriptions) > 1 else self.descriptions[0]

    def start_execution(self, machine_arn: str, *, input: str, name: str) -> dict[str, Any]:
        self.asked.append(("start", machine_arn, input, name))
        return {"executionArn": ARN, "startDate": START}

    def stop_execution(self, arn: str, *, error: str | None, cause: str | None) -> None:
        self.asked.append(("stop", arn, error, cause))

    def history(self, arn: str, *, reverse: bool = False, limit: int | None = None) -> Iterator[dict[str, Any]]:
        self.asked.append(("history", reverse, limit))
        return iter((self.events[::-1] if reverse else self.events)[:limit])


RUNNING = {"status": "RUNNING"}
DONE = {"status": "SUCCEEDED", "output": "45", "stopDate": START}
CAUSE = write_cause(
    "KeyError", "builtins", "'size'", ["size"], "Traceback (most recent call last):\nKeyError: 'size'\n"
)
FAILED = {"status": "FAILED", "error": "KeyError", "cause": CAUSE, "stopDate": START}


def execution(*descriptions: dict[str, Any], **options: Any) -> Execution:
    return Execution("one", MACHINE, arn=ARN, control=Control(*descriptions, **options))  # type: ignore[arg-type]


def asked(of: Execution) -> list[tuple[Any, ...]]:
    return of.control.asked  # type: ignore[attr-defined, no-any-return]


# starting


def test_started_execution_has_its_arn_and_asks_nothing_more() -> None:
    run = Execution("one", MACHINE, {"a": "ü"}, control=Control(RUNNING))  # type: ignore[arg-type]
    assert run.start() is run
    assert (run.arn, run.execution_input, run.start_date, str(run)) == (ARN, {"a": "ü"}, START, "one [RUNNING]")
    assert asked(run) == [("start", MACHINE, '{"a": "ü"}', "one")]


def test_input_that_is_left_out_is_an_empty_object_and_null_stays_null() -> None:
    for given_input, sent in (((), "{}"), ((None,), "null")):
        run = Execution("one", MACHINE, *given_input, control=Control(RUNNING)).start()  # type: ignore[arg-type]
        assert asked(run)[0][2] == sent


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_input_that_is_not_json_is_refused_before_it_is_sent(value: Any) -> None:
    run = Execution("one", MACHINE, {"a": value}, control=Control(RUNNING))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="'one' is not JSON"):
        run.start()
    assert asked(run) == []


def test_name_that_aws_would_refuse_is_refused_before_it_is_sent() -> None:
    run = Execution("one/two", MACHINE, control=Control(RUNNING))  # type: ignore[arg-type]
    with pytest.raises(InvalidName):
        run.start()
    assert asked(run) == []


def test_execution_that_was_not_started_says_so() -> None:
    run = Execution("one", MACHINE, control=Control(RUNNING))  # type: ignore[arg-type]
    for ask in (lambda: run.status, run.wait, run.stop, run.get_history, lambda: run.output):
        with pytest.raises(NotFinished, match="has not been started") as caught:
            ask()
        assert isinstance(caught.value, RuntimeError)


# how it stands


def test_item_of_a_list_asks_only_for_what_the_list_lacks() -> None:
    item = {"name": "one", "stateMachineArn": MACHINE, "executionArn": ARN, **DONE, "startDate": START}
    del item["output"]
    for read in (Execution.from_list_item, Execution.from_execution_list_item):
        run = read(item, control=Control(DONE))  # type: ignore[arg-type]
        assert (run.status, run.start_date, run.stop_date, repr(run)) == (
            "SUCCEEDED",
            START,
            START,
            f"Execution('one', '{MACHINE}', arn='{ARN}')",
        )
        assert asked(run) == []
        assert (run.output, run.input) == (45, {"a": 3})
        assert asked(run) == [("describe",)]


def test_execution_is_found_by_its_arn() -> None:
    run = Execution.from_arn(ARN, control=Control(DONE))  # type: ignore[arg-type]
    assert (run.name, run.state_machine_arn, run.status, run.output) == ("one", MACHINE, "SUCCEEDED", 45)
    assert len(asked(run)) == 1


def test_status_is_asked_again_only_until_the_execution_has_ended() -> None:
    run = execution(RUNNING, DONE)
    assert [run.status, run.status, run.status] == ["RUNNING", "SUCCEEDED", "SUCCEEDED"]
    assert len(asked(run)) == 2


def test_output_of_a_running_execution_is_an_error_of_both_trees() -> None:
    run = execution(RUNNING)
    for ask in (lambda: run.output, lambda: run.stop_date):
        with pytest.raises(NotFinished, match="still RUNNING") as caught:
            ask()
        assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize(
    ("status", "kind"), [("FAILED", ExecutionFailed), ("TIMED_OUT", ExecutionTimedOut), ("ABORTED", ExecutionAborted)]
)
def test_output_of_what_did_not_succeed_is_an_error_that_tells_all(status: str, kind: type[ExecutionError]) -> None:
    run = execution({**FAILED, "status": status})
    with pytest.raises(RuntimeError) as caught:
        _ = run.output
    error = caught.value
    assert type(error) is kind
    assert (error.execution, error.status, error.error, error.cause) == (ARN, status, "KeyError", CAUSE)
    assert str(error) == f"execution 'one' {status}: KeyError: 'size'"  # not the JSON with the whole traceback


def test_error_that_a_server_tells_only_in_the_history_is_looked_up_once() -> None:
    last = {"type": "ExecutionFailed", "id": 2, "executionFailedEventDetails": {"error": "E", "cause": "why"}}
    run = execution({"status": "FAILED"}, events=[{"type": "ExecutionStarted", "id": 1}, last])
    assert (run.error, run.cause, run.error) == ("E", "why", "E")
    assert asked(run) == [("describe",), ("history", True, 1)]


def test_execution_without_an_error_has_none() -> None:
    run = execution(DONE)
    assert (run.error, run.cause) == (None, None)
    failed = execution({"status": "FAILED"}, events=[])
    assert (failed.error, failed.cause) == (None, None)
    assert len(asked(failed)) == 2


def test_refreshed_execution_may_run_again() -> None:
    run = execution(FAILED, RUNNING, DONE)
    assert run.status == "FAILED"
    assert run.refresh().status == "SUCCEEDED"  # RUNNING was asked again
    assert run.output == 45


# waiting


def test_wait_returns_how_a_failed_execution_ended_and_its_history_can_be_read() -> None:
    """The example in sfini's documentation waits for a failing execution and prints its history."""
    event = {"type": "ExecutionFailed", "id": 1, "executionFailedEventDetails": {"error": "KeyError"}}
    run = execution(RUNNING, FAILED, events=[event])
    assert run.wait() == "FAILED"
    assert run.format_history() == "ExecutionFailed [1] @ -:\n  error: KeyError"


def test_wait_raises_when_asked_to() -> None:
    with pytest.raises(ExecutionFailed):
        execution(RUNNING, FAILED).wait(raise_on_failure=True)
    assert execution(RUNNING, DONE).wait(True) == "SUCCEEDED"


def test_wait_for_what_has_ended_asks_nothing() -> None:
    run = execution(RUNNING, DONE)
    assert [run.wait(), run.wait()] == ["SUCCEEDED", "SUCCEEDED"]
    assert len(asked(run)) == 2


def test_wait_gives_up_on_time_and_can_be_tried_again() -> None:
    run = execution(RUNNING, DONE)
    with pytest.raises(WaitTimeout):
        run.wait(timeout=0)
    assert run.wait(timeout=0) == "SUCCEEDED"


def test_stopped_execution_is_asked_how_it_stands() -> None:
    run = execution(RUNNING, {"status": "ABORTED"})
    assert run.status == "RUNNING"
    run.stop("Enough", details="it is late")
    assert asked(run)[-1] == ("stop", ARN, "Enough", "it is late")
    assert run.status == "ABORTED"


def test_history_ends_with_the_output_of_a_success() -> None:
    event = {"type": "ExecutionSucceeded", "id": 1, "timestamp": START}
    assert execution(DONE, events=[event]).format_history() == f"ExecutionSucceeded [1] @ {START}\nOutput: 45"


def test_timeline_is_that_of_its_history() -> None:
    entered = {"type": "PassStateEntered", "id": 2, "stateEnteredEventDetails": {"name": "greet"}}
    (visit,) = execution(RUNNING, events=[entered]).timeline()
    assert visit.name == "greet"


# results


TYPED = {"at": START, "id": UUID(int=7), "price": Decimal("1.10")}


def test_result_has_the_types_of_celerys_serializer_and_output_has_not() -> None:
    run = execution({**DONE, "output": write_output(TYPED, typed=True)})
    assert run.result() == TYPED
    assert run.output["price"]["__value__"] == "1.10"


@pytest.mark.parametrize(
    "text",
    [
        '{"__type__": "datetime", "__value__": "tomorrow"}',
        '{"__type__": "os.system", "__value__": "true"}',
        "[1, null]",
    ],
)
def test_result_that_only_looks_typed_is_plain_data(text: str) -> None:
    assert execution({**DONE, "output": text}).result() == json.loads(text)


def test_result_of_an_execution_without_output_is_none() -> None:
    assert execution({"status": "SUCCEEDED"}).result() is None


def test_result_raises_the_tasks_own_exception_with_the_traceback_of_its_worker() -> None:
    run = execution(RUNNING, FAILED)
    with pytest.raises(KeyError) as caught:
        run.result(timeout=5)
    assert caught.value.args == ("size",)
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.index('KeyError: \'size\'\n"""') < shown.index("in result")
    assert caught.value.remote_traceback.startswith("Traceback")  # type: ignore[attr-defined]


def test_result_of_what_was_stopped_or_ran_out_of_time_is_not_a_tasks_error() -> None:
    with pytest.raises(ExecutionAborted):
        execution({**FAILED, "status": "ABORTED"}).result()
    with pytest.raises(ExecutionTimedOut):
        execution({"status": "TIMED_OUT"}).result()
    with pytest.raises(ExecutionFailed) as caught:
        execution({"status": "FAILED", "error": "States.Timeout"}).result()
    assert type(caught.value) is ExecutionFailed


# exceptions made again


class Worded(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(f"there is no {name}")


class Picky(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


@dataclass(frozen=True)
class Frozen(Exception):
    size: int


class Elsewhere(Exception):
    def __new__(cls, *args: Any) -> Any:
        return object()


def again(exc: BaseException) -> BaseException:
    error, cause = failure_of(exc, trace="Traceback: here\n")
    return exception_of(error, cause, ARN)


@pytest.mark.parametrize("exc", [ValueError("a", 2), KeyError("k"), OSError(2, "none"), Worded("such"), UnicodeError()])
def test_exception_comes_out_as_it_went_in(exc: Exception) -> None:
    made = again(exc)
    assert type(made) is type(exc)
    assert (made.args, str(made)) == (exc.args, str(exc))
    assert str(made.__cause__) == '\n"""\nTraceback: here\n"""'


@pytest.mark.parametrize("exc", [Picky("a", "b"), Elsewhere("x")])
def test_class_that_cannot_be_made_again_is_an_activity_error_that_tells_the_same(exc: Any) -> None:
    cause = write_cause(
        type(exc).__name__ if isinstance(exc, Exception) else "Elsewhere", __name__, "a and b", ["x"], "t"
    )
    made = exception_of("Picky", cause, ARN)
    assert type(made) is ActivityError
    assert (made.error, made.cause, made.status) == ("Picky", cause, "FAILED")
    assert "a and b" in str(made)


def test_exception_that_forbids_attributes_is_still_raised() -> None:
    made = again(Frozen(3))
    assert isinstance(made, Frozen | ActivityError)


def test_module_is_not_imported_because_a_message_names_it() -> None:
    name = "this"  # prints a poem when it is imported
    assert name not in sys.modules
    made = exception_of("E", write_cause("Exception", name, "m", [], ""), ARN)
    assert type(made) is ActivityError
    assert name not in sys.modules


def test_module_that_imports_when_asked_for_a_name_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = types.ModuleType("lazy_module_of_a_test")
    lazy.__getattr__ = lambda name: pytest.fail(f"asked for {name}")  # type: ignore[method-assign]
    monkeypatch.setitem(sys.modules, lazy.__name__, lazy)
    assert type(exception_of("E", write_cause("Thing", lazy.__name__, "m", [], ""), ARN)) is ActivityError


CALLED: list[Any] = []


def trap(*args: Any) -> None:
    CALLED.append(args)


class Trap:
    def __init__(self, *args: Any) -> None:
        CALLED.append(args)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "SystemExit"),
        ("builtins", "KeyboardInterrupt"),
        ("builtins", "BaseException"),
        ("builtins", "__name__"),
        ("os.path", "sys.exit"),
        (__name__, "trap"),
        (__name__, "Trap"),
        (__name__, "CALLED"),
    ],
)
def test_nothing_but_a_class_of_exceptions_is_called(module: str, name: str) -> None:
    made = exception_of("E", write_cause(name, module, "m", ["echo called"], ""), ARN)
    assert type(made) is ActivityError
    assert CALLED == []


def test_lambdas_cause_is_an_activity_error_with_its_trace() -> None:
    cause = json.dumps({"errorMessage": "no", "errorType": "ValueError", "stackTrace": ["line 1\n", "line 2\n"]})
    made = exception_of("ValueError", cause, ARN)
    assert type(made) is ActivityError
    assert made.remote_traceback == "line 1\nline 2\n"  # type: ignore[attr-defined]
    assert str(made) == "execution 'one' FAILED: ValueError: no"


@pytest.mark.parametrize("cause", [None, "", "plain words", "[1]", "7", '{"errorType": 7}', "{}", "[" * 100_000])
def test_cause_that_is_no_tasks_is_a_failed_execution(cause: str | None) -> None:
    made = exception_of("MyFail", cause, ARN)
    assert type(made) is ExecutionFailed
    assert (made.error, made.cause) == ("MyFail", cause)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["errorType", "errorModule", "errorMessage", "errorArgs", "stackTrace"]),
        json_values | st.sampled_from(["builtins", "ValueError", "UnicodeDecodeError", "ExceptionGroup", "sys"]),
    )
)
def test_no_cause_makes_anything_but_an_exception_to_raise(told: dict[str, Any]) -> None:
    assert isinstance(exception_of("E", json.dumps(told), ARN), Exception)
