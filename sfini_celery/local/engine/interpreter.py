"""Running the states of one frame, one after the other, with their Retry and Catch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from sfini_celery.local.data import QueryError, StateError
from sfini_celery.local.engine.execution import Frame, Position, Status
from sfini_celery.local.engine.failure import DATA_LIMIT_EXCEEDED, Failure, failure_in, first_match
from sfini_celery.local.engine.fan import run_map, run_parallel
from sfini_celery.local.engine.jsonata_visit import JSONataVisit
from sfini_celery.local.engine.jsonpath_visit import JSONPathVisit
from sfini_celery.local.engine.payload import Payload
from sfini_celery.local.engine.retry import MAX_ATTEMPTS, delay
from sfini_celery.local.engine.states import Work, run_choice, run_fail, run_pass, run_succeed, run_wait
from sfini_celery.local.engine.task import run_task
from sfini_celery.local.engine.visit import Outcome, Visit

__all__ = ["WORK", "run_frame"]

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

VISITS: dict[str, type[Visit]] = {"JSONPath": JSONPathVisit, "JSONata": JSONataVisit}
"""What the fields of a state mean, by QueryLanguage: the state's own, else the whole machine's."""

_STATES_PER_TURN = 20
"""States without a wait that a frame runs before it lets others have a turn."""


async def run_frame(frame: Frame, machine: Mapping[str, Any], input: Payload) -> Payload:
    """Run a machine, a branch or an item processor to its end, from its StartAt or from where the frame stands.

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
    position = frame.position or Position(machine["StartAt"], input)
    turn = 0
    while True:
        frame.position = position
        turn += 1
        if turn % _STATES_PER_TURN == 0:
            await asyncio.sleep(0)
        if frame.execution.is_doomed:
            frame.execution.end(Status.ABORTED)
        if frame.execution.is_closed:
            raise asyncio.CancelledError
        output, next = await _run_state(frame, states[position.name], position)
        if next is None:
            return output
        position = Position(next, output)


async def _run_state(frame: Frame, state: Mapping[str, Any], position: Position) -> tuple[Payload, str | None]:
    type = state["Type"]
    language = state.get("QueryLanguage") or frame.execution.revision.definition.get("QueryLanguage", "JSONPath")
    visit = VISITS[language](frame, _entered(frame, type, position), state)
    frame.state = type
    outcome = await _outcome(visit, WORK[type])
    assigned = outcome.assigned
    texts = {variable: payload.text for variable, payload in assigned.items()} if assigned else None
    frame.record(f"{type}StateExited", position.name, outcome.output, texts)
    frame.state = frame.below = None
    if assigned:
        frame.variables.update({variable: payload.value for variable, payload in assigned.items()})
    return outcome.output, outcome.next


def _entered(frame: Frame, type: str, position: Position) -> Position:
    """Enter a state; or go on in it, after a redrive."""
    if position.entered and type != "Fail":
        # AWS writes no second Entered event but for a Fail: what comes now follows from the first one.
        frame.last = position.entered
        return position
    left, now = position.left if position.entered else frame.last, frame.engine.clock.now()
    frame.last = left
    entered = frame.record(f"{type}StateEntered", position.name, position.input)
    frame.position = position._replace(left=left, entered=entered, time=now)
    return frame.position


async def _outcome(visit: Visit, work: Work) -> Outcome:
    tries: dict[int, int] = {}
    while True:
        try:
            return await work(visit)
        except StateError as error:
            failure = _failure(visit, error)
        except Exception as error:
            failure = visit.crashed(error)
        if await _retry(visit, failure, tries):
            continue
        if visit.has_failed_frame:
            visit.frame.record(f"{visit.state['Type']}StateFailed")
        caught = first_match(visit.state.get("Catch", ()), failure)
        if caught is None:
            if failure.error == DATA_LIMIT_EXCEEDED:
                visit.frame.below = None  # AWS redrives all of such a state, what has succeeded in it as well
            raise failure
        try:
            return visit.caught(caught[1], failure)
        except StateError as error:
            raise _failure(visit, error) from None
        except Exception as error:
            raise visit.crashed(error) from None


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
    visit.frame.below = None
    engine = visit.frame.engine
    await engine.clock.sleep(delay(retrier, used, engine.randomness))
    return True


def _failure(visit: Visit, error: StateError) -> Failure:
    """The state's failure; what went wrong in its JSONata has an event of its own."""
    failure = failure_in(visit.name, visit.entered, error)
    if isinstance(error, QueryError):
        frame, type = visit.frame, visit.state["Type"]
        # As AWS recorded it: what fails on entering hangs on what led there, unless the state has begun to wait.
        has_begun = frame.last != visit.entered or type == "Wait"
        previous = frame.last if has_begun else visit.left
        details = failure.error, failure.cause, error.location, visit.name
        frame.last = frame.execution.record("EvaluationFailed", previous, *details)
        visit.has_failed_frame = visit.has_failed_frame or type == "Map"
    return failure
