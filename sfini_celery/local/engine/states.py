"""The states that do their work alone: Pass, Wait, Choice, Succeed, Fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sfini_celery.local.data import DataError
from sfini_celery.local.engine.failure import RUNTIME, Failure
from sfini_celery.local.engine.payload import Payload
from sfini_celery.local.engine.visit import Outcome, Visit

__all__ = ["Work", "run_choice", "run_fail", "run_pass", "run_succeed", "run_wait"]

Work = Callable[[Visit], Awaitable[Outcome]]
"""How a type of state does its work, once; Retry and Catch are the interpreter's."""

_LONGEST_WAIT = 2**31 - 1
"""Seconds; AWS recorded a wait of 24,855 days as good and one of 24,856 as too long."""


async def run_pass(visit: Visit) -> Outcome:
    """Hand on the input, the rendered Parameters, or the literal Result."""
    effective = visit.parameters(visit.effective_input())
    state = visit.state
    return visit.outcome(Payload(value=state["Result"]) if "Result" in state else effective, is_result=False)


async def run_succeed(visit: Visit) -> Outcome:
    """End this frame well."""
    return visit.outcome(visit.effective_input(), is_result=False)


async def run_choice(visit: Visit) -> Outcome:
    """Go where the first rule that holds points to."""
    outcome = visit.choose(visit.effective_input())
    if outcome is None:
        cause = "Failed to transition out of the state. The state does not point to a next state."
        raise DataError("States.NoChoiceMatched", cause)
    return outcome


async def run_fail(visit: Visit) -> Outcome:
    """End this frame with an error."""
    raise Failure(visit.text("Error"), visit.text("Cause"))


async def run_wait(visit: Visit) -> Outcome:
    """Let time pass."""
    effective = visit.effective_input()
    seconds = visit.delay(effective)
    if seconds > _LONGEST_WAIT:
        raise DataError(RUNTIME, "Wait state delay is too long.")
    visit.input.forget_value()
    await visit.frame.engine.clock.sleep(seconds)
    return visit.outcome(effective, is_result=False)
