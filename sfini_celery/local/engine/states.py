"""The states that do their work alone: Pass, Wait, Choice, Succeed, Fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from sfini_celery.local.data import MISSING, DataError, evaluate, matches, parse_timestamp
from sfini_celery.local.data.jsontext import java_text
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
    return visit.outcome(Payload(value=state["Result"]) if "Result" in state else effective)


async def run_succeed(visit: Visit) -> Outcome:
    """End this frame well."""
    return visit.outcome(visit.effective_input())


async def run_choice(visit: Visit) -> Outcome:
    """Go where the first rule that holds points to."""
    effective = visit.effective_input()
    scope = visit.scope(effective)
    for rule in visit.state["Choices"]:
        if matches(rule, scope):
            return visit.outcome(effective, assign=rule.get("Assign", {}), next=rule["Next"])
    default = visit.state.get("Default")
    if default is None:
        cause = "Failed to transition out of the state. The state does not point to a next state."
        raise DataError("States.NoChoiceMatched", cause)
    return visit.outcome(effective, next=default)


async def run_fail(visit: Visit) -> Outcome:
    """End this frame with an error."""
    raise Failure(_text(visit, "Error"), _text(visit, "Cause"))


def _text(visit: Visit, field: str) -> str | None:
    path = visit.state.get(f"{field}Path")
    if path is None:
        literal: str | None = visit.state.get(field)
        return literal
    found = evaluate(path, visit.scope(visit.input), field=f"{field}Path")
    if not isinstance(found, str):
        raise DataError(RUNTIME, f"The {field}Path parameter does not reference a string: {path} == {java_text(found)}")
    return found


async def run_wait(visit: Visit) -> Outcome:
    """Let time pass."""
    effective = visit.effective_input()
    seconds = _delay(visit, effective)
    if seconds > _LONGEST_WAIT:
        raise DataError(RUNTIME, "Wait state delay is too long.")
    visit.input.forget_value()
    await visit.frame.engine.clock.sleep(seconds)
    return visit.outcome(effective)


def _delay(visit: Visit, effective: Payload) -> float:
    state = visit.state
    if "Seconds" in state:
        return float(state["Seconds"])
    if "Timestamp" in state:
        return _until(visit, state["Timestamp"])
    if "SecondsPath" in state:
        return _seconds(state["SecondsPath"], visit.find(state["SecondsPath"], effective))
    path = state["TimestampPath"]
    found = visit.find(path, effective)
    if found is MISSING:
        raise DataError(RUNTIME, f"The TimestampPath parameter does not reference an input value: {path}")
    try:
        return _until(visit, found)
    except (ValueError, TypeError, AttributeError):
        wrong = "does not reference a valid ISO-8601 extended offset date-time format string"
        raise DataError(RUNTIME, f"The TimestampPath parameter {wrong}: {path} == {java_text(found)}") from None


def _until(visit: Visit, timestamp: str) -> float:
    return parse_timestamp(timestamp).timestamp() - visit.frame.engine.clock.now()


def _seconds(path: str, found: Any) -> float:
    if found is MISSING:
        raise DataError(RUNTIME, f"The SecondsPath parameter does not reference an input value: {path}")
    if isinstance(found, bool) or not isinstance(found, int):
        raise DataError(
            RUNTIME, f"The SecondsPath parameter cannot be parsed as a long value: {path} == {java_text(found)}"
        )
    if found < 0:
        raise DataError(RUNTIME, f"The SecondsPath parameter references a negative value: {path} == {found}")
    return float(found)
