"""Running the states of one frame, one after the other, with their Retry and Catch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from sfini_celery.local.data import StateError, dumps
from sfini_celery.local.engine.execution import Frame, Status
from sfini_celery.local.engine.failure import RUNTIME, Failure, failure_in, first_match
from sfini_celery.local.engine.fan import run_map, run_parallel
from sfini_celery.local.engine.payload import Payload
from sfini_celery.local.engine.retry import MAX_ATTEMPTS, delay
from sfini_celery.local.engine.states import Work, run_choice, run_fail, run_pass, run_succeed, run_wait
from sfini_celery.local.engine.task import run_task
from sfini_celery.local.engine.visit import Outcome, Visit

__all__ = ["WORK", "run_frame"]

log = logging.getLogger(__name__)

WORK: dict[str, Work] = {
    "Choice": run_choice,
    "Fail": run_fail,
    "Map": run_map,
    "Parallel": run_parallel,
    "Pass": run_pass,
    "Succeed": run_succeed,
    "Task": run_task,
    "Wait": run_wait,
}
"""How each type of state does its work. A new type is one function and one row."""

_STATES_PER_TURN = 20
"""States without a wait that a frame runs before it lets others have a turn."""


async def run_frame(frame: Frame, machine: Mapping[str, Any], input: Payload) -> Payload:
    """Run a machine, a branch or an item processor from its StartAt to its end.

    Parameters:
        frame: where it runs
        machine: has ``StartAt`` and ``States``
        input: the first state's input

    Returns:
        The last state's output.

    Raises:
        Failure: a state failed and nothing caught it
    """
    states = machine["States"]
    name: str | None = machine["StartAt"]
    payload, turn = input, 0
    while name is not None:
        turn += 1
        if turn % _STATES_PER_TURN == 0:
            await asyncio.sleep(0)
        if frame.execution.is_doomed:
            frame.execution.end(Status.ABORTED)
        if frame.execution.is_closed:
            raise asyncio.CancelledError
        payload, name = await _run_state(frame, name, states[name], payload)
    return payload


async def _run_state(frame: Frame, name: str, state: Mapping[str, Any], input: Payload) -> tuple[Payload, str | None]:
    type = state["Type"]
    visit = Visit(frame, name, state, input)
    visit.entered = frame.record(f"{type}StateEntered", name, input)
    frame.state = type
    outcome = await _outcome(visit, _work(visit))
    assigned = outcome.assigned
    texts = {variable: dumps(value) for variable, value in assigned.items()} if assigned else None
    frame.record(f"{type}StateExited", name, outcome.output, texts)
    frame.state = None
    if assigned:
        frame.variables.update(assigned)
    return outcome.output, outcome.next


def _work(visit: Visit) -> Work:
    default = visit.frame.execution.revision.definition.get("QueryLanguage", "JSONPath")
    if visit.state.get("QueryLanguage", default) == "JSONPath":
        return WORK[visit.state["Type"]]
    return _refuse_jsonata


async def _refuse_jsonata(visit: Visit) -> Outcome:
    raise Failure(RUNTIME, f"The state '{visit.name}' is written in JSONata, which this server does not run.")


async def _outcome(visit: Visit, work: Work) -> Outcome:
    tries: dict[int, int] = {}
    while True:
        try:
            return await work(visit)
        except StateError as error:
            failure = failure_in(visit.name, visit.entered, error)
        except Exception as error:
            failure = _crash(visit, error)
        if await _retry(visit, failure, tries):
            continue
        if visit.has_failed_frame:
            visit.frame.record(f"{visit.state['Type']}StateFailed")
        caught = first_match(visit.state.get("Catch", ()), failure)
        if caught is None:
            raise failure
        try:
            return visit.caught(caught[1], failure)
        except StateError as error:
            raise failure_in(visit.name, visit.entered, error) from None
        except Exception as error:
            raise _crash(visit, error) from None


async def _retry(visit: Visit, failure: Failure, tries: dict[int, int]) -> bool:
    """Wait, if a retrier is for this failure and has attempts left; ``tries`` counts them by retrier."""
    found = first_match(visit.state.get("Retry", ()), failure)
    if found is None:
        return False
    index, retrier = found
    used = tries.get(index, 0)
    if used >= retrier.get("MaxAttempts", MAX_ATTEMPTS):
        return False
    tries[index] = used + 1
    visit.retry_count += 1
    visit.has_failed_frame = False
    engine = visit.frame.engine
    await engine.clock.sleep(delay(retrier, used, engine.randomness))
    return True


def _crash(visit: Visit, error: Exception) -> Failure:
    log.error(
        "local.state_crashed execution=%s state=%s", visit.frame.execution.arn, visit.name, exc_info=error, stacklevel=2
    )
    where = f"An error occurred while executing the state '{visit.name}' (entered at the event id #{visit.entered})."
    return Failure(RUNTIME, f"{where} This is a bug of the embedded server, whose log has the traceback: {error!r}")
