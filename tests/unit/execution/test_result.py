"""An execution with the names of Celery's AsyncResult, against the embedded server."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import celery.exceptions
import pytest
from celery import states
from celery._state import _set_task_join_will_block
from celery.result import AsyncResult, ResultBase, allow_join_result
from kombu.utils import json as kombu_json

from sfini_celery.aws import FINISHED
from sfini_celery.errors import ExecutionAborted, ExecutionFailed, ExecutionTimedOut, NotFound, WaitTimeout
from sfini_celery.execution import CELERY_STATES, Execution, ExecutionResult, ExecutionRevoked, ResultTimeout

NOWHERE = "arn:aws:states:us-east-1:123456789012:execution:nothing:nowhere"


def cause_of(error: BaseException, trace: str = "Traceback (most recent call last):\nhere\n") -> str:
    told = {"errorType": type(error).__name__, "errorModule": type(error).__module__, "errorMessage": str(error)}
    return json.dumps({**told, "errorArgs": list(error.args), "stackTrace": trace})


def failing(error: BaseException) -> list[dict[str, Any]]:
    return [{"Type": "Fail", "Error": type(error).__name__, "Cause": cause_of(error)}]


WAITING = [{"Type": "Wait", "Seconds": 3600}]


def test_the_names_of_celerys_result_are_all_there(bench: Any) -> None:
    outcome = bench.start([{"Type": "Pass", "Result": 45}])
    assert outcome.get(timeout=30) == 45
    assert (outcome.state, outcome.status, outcome.result, outcome.info) == ("SUCCESS", "SUCCESS", 45, 45)
    assert (outcome.ready(), outcome.successful(), outcome.failed()) == (True, True, False)
    assert (outcome.traceback, outcome.parent, outcome.children) == (None, None, [])
    assert outcome.wait(timeout=1) == 45
    assert outcome.id == outcome.task_id == str(outcome) == outcome.execution.arn
    assert isinstance(outcome, ResultBase)
    age = datetime.now(timezone.utc) - outcome.date_done
    assert 0 <= age.total_seconds() < 60
    wanted = {"children", "collect", "date_done", "failed", "forget", "get", "id", "info", "parent", "ready", "result",
              "revoke", "state", "status", "successful", "task_id", "traceback", "wait"}  # fmt: skip
    assert wanted <= set(dir(ExecutionResult)) & set(dir(AsyncResult))


def test_its_id_finds_it_again_and_asks_nobody_before_something_is_wanted(bench: Any) -> None:
    first = bench.start([{"Type": "Pass", "Result": "x"}])
    first.get(timeout=30)
    bench.control.looks.clear()
    again = ExecutionResult(Execution.from_arn(first.id, control=bench.control, look=False))
    assert again == first == first.id
    assert hash(again) == hash(first)
    assert again.execution.name == first.execution.name
    assert again.execution.state_machine_arn == first.execution.state_machine_arn
    assert bench.control.looks == []
    assert again.get(timeout=30) == "x"
    assert again != 7
    assert repr(again) == f"<ExecutionResult: {first.id}>"


def test_every_status_has_a_word_of_celerys_and_only_endings_are_ready() -> None:
    assert set(CELERY_STATES) == FINISHED | {"RUNNING", "PENDING_REDRIVE"}
    assert set(CELERY_STATES.values()) <= states.ALL_STATES
    assert {status for status, word in CELERY_STATES.items() if word in states.READY_STATES} == FINISHED


def test_running_is_started_and_has_neither_result_nor_end(bench: Any) -> None:
    outcome = bench.start(WAITING)
    assert (outcome.state, outcome.ready(), outcome.result, outcome.traceback, outcome.date_done) == (
        "STARTED",
        False,
        None,
        None,
        None,
    )
    outcome.revoke()


def test_one_that_does_not_exist_is_pending_as_in_celery_and_waiting_for_it_is_refused(bench: Any) -> None:
    outcome = ExecutionResult(Execution.from_arn(NOWHERE, control=bench.control, look=False))
    assert (outcome.state, outcome.ready(), outcome.result) == ("PENDING", False, None)
    with pytest.raises(NotFound):
        outcome.get(timeout=30)


def test_types_of_celerys_serializer_survive(bench: Any) -> None:
    value = {"at": datetime(2026, 1, 2, tzinfo=timezone.utc), "id": UUID(int=7), "price": Decimal("1.10")}
    outcome = bench.start([{"Type": "Pass", "Result": json.loads(kombu_json.dumps(value))}])
    assert outcome.get(timeout=30) == value
    assert type(outcome.result["price"]) is Decimal


def test_a_failing_task_raises_its_own_exception_with_the_workers_traceback(bench: Any) -> None:
    outcome = bench.start(failing(KeyError("size")))
    with pytest.raises(KeyError, match="size") as caught:
        outcome.get(timeout=30)
    assert caught.value.remote_traceback.endswith("here\n")
    assert (outcome.state, outcome.failed(), outcome.successful()) == ("FAILURE", True, False)
    assert isinstance(outcome.result, KeyError)
    assert outcome.traceback == "Traceback (most recent call last):\nhere\n"
    returned = outcome.get(timeout=30, propagate=False)
    assert (type(returned), returned.args) == (KeyError, ("size",))


def test_a_failure_that_is_no_tasks_keeps_the_name_and_cause_that_aws_reports(bench: Any) -> None:
    outcome = bench.start([{"Type": "Fail", "Error": "Custom", "Cause": "why"}])
    with pytest.raises(ExecutionFailed, match="Custom: why"):
        outcome.get(timeout=30)
    assert outcome.traceback is None


def test_a_machine_that_takes_too_long_is_a_failure(bench: Any) -> None:
    outcome = bench.start([{"Type": "Wait", "Seconds": 3600}], TimeoutSeconds=1)
    with pytest.raises(ExecutionTimedOut):
        outcome.get(timeout=30)
    assert outcome.state == "FAILURE"


def test_revoked_is_what_both_celery_and_step_functions_call_it(bench: Any) -> None:
    outcome = bench.start(WAITING)
    outcome.revoke(terminate=True, signal="SIGKILL", wait=True, timeout=1)
    assert (outcome.state, outcome.ready(), outcome.failed()) == ("REVOKED", True, False)
    with pytest.raises(celery.exceptions.TaskRevokedError):
        outcome.get(timeout=30)
    assert isinstance(outcome.result, ExecutionRevoked)
    assert isinstance(outcome.result, ExecutionAborted)
    outcome.revoke()  # once more does nothing


def test_nothing_can_be_forgotten_and_that_is_said(bench: Any) -> None:
    with pytest.raises(NotImplementedError, match="90 days"):
        bench.start([{"Type": "Succeed"}]).forget()


# waiting


def test_a_timeout_is_celerys_and_pythons_and_the_execution_goes_on(bench: Any) -> None:
    outcome = bench.start(WAITING)
    for kind in (celery.exceptions.TimeoutError, TimeoutError, WaitTimeout, ResultTimeout):
        with pytest.raises(kind, match=r"after 0\.05 s"):
            outcome.get(timeout=0.05)
    assert outcome.state == "STARTED"
    outcome.revoke()


def test_waiting_within_a_task_is_refused_unless_it_is_wanted(bench: Any) -> None:
    outcome = bench.start([{"Type": "Pass", "Result": 1}])
    _set_task_join_will_block(True)
    try:
        with pytest.raises(RuntimeError, match="within a task"):
            outcome.get(timeout=30)
        assert outcome.get(timeout=30, disable_sync_subtasks=False) == 1
        with allow_join_result():
            assert outcome.get(timeout=30) == 1
    finally:
        _set_task_join_will_block(False)


def test_celerys_arguments_are_taken_and_the_callback_gets_the_result(bench: Any) -> None:
    told: list[Any] = []
    outcome = bench.start([{"Type": "Pass", "Result": 1}])
    outcome.get(30, True, 0.01, no_ack=True, follow_parents=True, callback=lambda *of: told.append(of),
                on_message=None, on_interval=None)  # fmt: skip
    assert told == [(outcome.id, 1)]


def test_a_result_that_is_known_is_asked_for_once(bench: Any) -> None:
    outcome = bench.start([{"Type": "Pass", "Result": 1}])
    outcome.get(timeout=30)
    seen = len(bench.control.looks)
    assert [outcome.get(), outcome.result, outcome.state, outcome.ready()] == [1, 1, "SUCCESS", True]
    assert len(bench.control.looks) == seen


def test_many_threads_and_event_loops_wait_with_one_thread_between_them(bench: Any) -> None:
    outcomes = [bench.start([{"Type": "Wait", "Seconds": 1}, {"Type": "Pass", "Result": n}]) for n in range(6)]
    pollers: set[int | None] = set()
    watching = threading.Event()

    def watch() -> None:
        while not watching.wait(0.01):
            pollers.update(thread.ident for thread in threading.enumerate() if thread.name == "sfini-waiter")

    async def gather() -> list[Any]:
        return await asyncio.wait_for(asyncio.gather(*outcomes), 60)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(13) as pool:
        in_threads = [pool.submit(outcome.get, timeout=60) for outcome in outcomes * 2]
        in_a_loop = pool.submit(lambda: asyncio.run(gather()))
        assert [future.result(60) for future in in_threads] == [*range(6)] * 2
        assert in_a_loop.result(60) == [*range(6)]
    watching.set()
    watcher.join()
    assert len(pollers) == 1


def test_awaiting_gives_the_result_or_raises_what_get_does(bench: Any) -> None:
    async def main() -> None:
        assert await bench.start([{"Type": "Wait", "Seconds": 1}, {"Type": "Pass", "Result": 7}]) == 7
        with pytest.raises(KeyError, match="size"):
            await bench.start(failing(KeyError("size")))
        known = bench.start([{"Type": "Pass", "Result": 8}])
        await known
        assert await known == 8
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_of(bench.start(WAITING)), 0.1)

    asyncio.run(main())


async def _of(outcome: Any) -> Any:
    return await outcome


def test_awaiting_does_not_hold_up_the_event_loop(bench: Any) -> None:
    async def main() -> int:
        ticks = 0
        waiting = asyncio.ensure_future(_of(bench.start([{"Type": "Wait", "Seconds": 1}, {"Type": "Pass"}])))
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert asyncio.run(main()) > 20


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_thousand_waiters_are_all_served_below_what_an_account_may_ask(bench: Any) -> None:
    """The real thing, in real time: a thousand executions, half waited for in threads, half in an event loop."""
    first = bench.start([{"Type": "Pass"}])
    machine = first.execution.state_machine_arn
    control = bench.control
    outcomes = [ExecutionResult(Execution(f"many-{n}", machine, n, control=control).start()) for n in range(1000)]
    times: list[float] = []
    look = control.describe_execution

    def timed(arn: str) -> dict[str, Any]:
        times.append(time.monotonic())
        return dict(look(arn))

    control.waiter._describe = timed

    async def half() -> list[Any]:
        return await asyncio.gather(*outcomes[500:])

    try:
        with ThreadPoolExecutor(501) as pool:
            loop = pool.submit(lambda: asyncio.run(half()))
            threads = [pool.submit(outcome.get, timeout=200) for outcome in outcomes[:500]]
            found = [future.result(200) for future in threads] + loop.result(200)
    finally:
        control.waiter._describe = control.describe_execution
    assert found == list(range(1000))
    most = max(sum(start <= moment < start + 1 for moment in times) for start in times)
    print(f"{len(times)} looks in {times[-1] - times[0]:.0f} s, at most {most} in a second")
    assert most <= 15
    assert len(times) <= 1100
