"""Which executions may be redriven.

Source: the developer guide's "Restarting state machine executions with redrive".
"""

from __future__ import annotations

from sfini_celery.local.engine.execution import Execution
from sfini_celery.local.engine.history import LONGEST_HISTORY

__all__ = ["hindrance"]

REDRIVABLE_SECONDS = 14 * 24 * 3600.0
"""How long after its end an execution can be redriven."""

LONGEST_EXECUTION = 365 * 24 * 3600.0
"""How long after its start an execution may run, in seconds."""


def hindrance(execution: Execution, now: float) -> str | None:
    """Why an execution cannot be redriven, in AWS's words; None where it can.

    Parameters:
        execution: running or ended
        now: seconds since the epoch
    """
    if not execution.is_unsuccessful:
        return f"Execution is {execution.status.value} and cannot be redriven"
    if len(execution.history) >= LONGEST_HISTORY - 1:
        return "Execution history event limit exceeded"
    if now - execution.started > LONGEST_EXECUTION:
        return "Execution has exceeded the max execution time"
    if execution.stopped is not None and now - execution.stopped > REDRIVABLE_SECONDS:
        return "Execution redrivable period exceeded"
    return None
