"""The distributed Map: every item, or batch of items, in an execution of its own.

A child has its own history, its own context object and none of the variables around the Map. The parent's history tells
of the Map run alone.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from typing import Any

from sfini_celery.local.engine.execution import Revision
from sfini_celery.local.engine.inputs import inputs_of
from sfini_celery.local.engine.itemreader import read_items
from sfini_celery.local.engine.maprun import MOST_CHILDREN, MapRun
from sfini_celery.local.engine.payload import Payload
from sfini_celery.local.engine.resultwriter import write_results
from sfini_celery.local.engine.visit import Outcome, Visit

__all__ = ["run_distributed"]


async def run_distributed(visit: Visit, processor: Mapping[str, Any]) -> Outcome:
    """Run the item processor on every item, each time in a child execution."""
    frame = visit.frame
    effective = visit.effective_input()
    run = frame.below
    if isinstance(run, MapRun):
        run.redrive(visit)
    else:
        run = _begin(visit, processor, effective)
    _check_open(visit)
    try:
        result = await _result(visit, run, effective)
    except Exception as error:
        failure = visit.failure(error)
        run.fail(failure)
        frame.record("MapRunFailed", failure.error, failure.cause)
        visit.has_failed_frame = True
        raise failure from None
    run.succeed()
    frame.below = None
    frame.execution.record("MapStateSucceeded", frame.note("MapRunSucceeded"))
    return visit.outcome(result)


def _begin(visit: Visit, processor: Mapping[str, Any], effective: Payload) -> MapRun:
    frame, state = visit.frame, visit.state
    concurrency = visit.concurrency(effective)
    items = None if "ItemReader" in state else visit.items(effective)
    frame.record("MapStateStarted", len(items or ()))
    _check_open(visit)
    count, percentage = visit.tolerance(effective)
    label = state.get("Label") or _label(visit)
    run = MapRun(
        visit,
        label=label,
        revision=_revision(frame.execution.revision, label, processor),
        is_express=processor["ProcessorConfig"].get("ExecutionType") == "EXPRESS",
        concurrency=concurrency or MOST_CHILDREN,
        tolerated_count=count,
        tolerated_percentage=percentage,
    )
    frame.engine.map_runs[run.arn] = frame.below = run
    frame.record("MapRunStarted", run.arn)
    if items is not None:
        run.items = items
    return run


async def _result(visit: Visit, run: MapRun, effective: Payload) -> Payload:
    if run.inputs is None:
        items = run.items if run.items is not None else await read_items(visit, effective)
        run.fill(inputs_of(visit, effective, items))
    result = await run.wait()
    if "ResultWriter" in visit.state:
        return await write_results(visit, run, effective)
    return run.checked(result)


def _check_open(visit: Visit) -> None:
    # The event that was just written may have been the last one that the execution was allowed.
    if visit.frame.execution.is_closed:
        raise asyncio.CancelledError


def _label(visit: Visit) -> str:
    """A label for a Map that has none: AWS makes one up, too, the same for every run of one definition."""
    revision = visit.frame.execution.revision
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{revision.machine_arn} {revision.definition_text} {visit.name}"))


def _revision(parent: Revision, label: str, processor: Mapping[str, Any]) -> Revision:
    """What the children run: the item processor, as a state machine of its own."""
    definition = {name: value for name, value in processor.items() if name != "ProcessorConfig"}
    if "QueryLanguage" in parent.definition:
        definition.setdefault("QueryLanguage", parent.definition["QueryLanguage"])
    return Revision(
        f"{parent.machine_arn.partition('/')[0]}/{label}",
        f"{parent.machine_name.partition('/')[0]}/{label}",
        definition,
        json.dumps(definition),
        parent.role_arn,
        parent.id,
        parent.updated,
        parent.settings,
    )
