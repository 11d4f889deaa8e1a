"""How long executions are kept: 90 days after their end, as on AWS."""

from __future__ import annotations

from sfini_celery.local.engine import Engine, Execution
from sfini_celery.local.service.store import Store

__all__ = ["KEPT_SECONDS", "forget_old", "is_old"]

KEPT_SECONDS = 90 * 24 * 3600.0


def is_old(execution: Execution, now: float) -> bool:
    """Whether an execution ended so long ago that AWS would not know it any more."""
    return execution.stopped is not None and now - execution.stopped > KEPT_SECONDS


def forget_old(engine: Engine, store: Store) -> None:
    """Drop executions and Map runs that are old, from the oldest on, up to the first that is not."""
    now = engine.clock.now()
    while engine.executions:
        execution = next(iter(engine.executions.values()))
        if not is_old(execution, now):
            break
        del engine.executions[execution.arn]
        machine = store.machines.get(execution.revision.machine_arn)
        if machine is not None:
            machine.executions.pop(execution.arn, None)
        store.redrives.pop(execution.arn, None)
    while engine.map_runs:
        run = next(iter(engine.map_runs.values()))
        if run.execution.arn in engine.executions:
            break
        del engine.map_runs[run.arn]
