"""The Task state: activities, and calls of services."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from sfini_celery.local.data import StateError, dumps
from sfini_celery.local.engine.failure import RUNTIME, Failure
from sfini_celery.local.engine.integrations import Integration, Resource, TaskCall, read_resource
from sfini_celery.local.engine.payload import Payload
from sfini_celery.local.engine.ticket import Ticket
from sfini_celery.local.engine.visit import Outcome, Visit

__all__ = ["run_task"]

log = logging.getLogger(__name__)


async def run_task(visit: Visit) -> Outcome:
    """Have the resource do the work."""
    arn = visit.state["Resource"]
    resource = read_resource(arn)
    if resource is None:
        raise Failure(RUNTIME, f"The resource provided {arn} is not recognized. The value is not a valid resource ARN.")
    if resource.kind == "Activity":
        return await _run_activity(visit, resource)
    return await _run_integration(visit, resource)


async def _run_activity(visit: Visit, resource: Resource) -> Outcome:
    frame = visit.frame
    engine = frame.engine
    effective = visit.effective_input()
    input = visit.parameters(effective)
    timeout, heartbeat = visit.number("TimeoutSeconds", effective), visit.number("HeartbeatSeconds", effective)
    activity = engine.activities.get(resource.arn)
    if activity is None:
        failure = Failure(RUNTIME, f"Activity Does Not Exist: '{resource.arn}'")
        frame.record("ActivityScheduleFailed", failure.error, failure.cause)
        raise failure
    ticket = Ticket(frame, resource.kind, resource=resource.arn, timeout=timeout, heartbeat=heartbeat)
    ticket.input = input
    frame.ticket = ticket
    ticket.record("Scheduled", resource.arn, input, timeout, heartbeat)
    _check_open(visit)
    engine.tokens.issue(ticket)
    activity.put(ticket)
    return visit.outcome(await _wait(visit, ticket))


async def _run_integration(visit: Visit, resource: Resource) -> Outcome:
    frame = visit.frame
    engine = frame.engine
    integration = engine.integrations.find(resource.arn)
    is_callback = resource.pattern == "waitForTaskToken"
    effective = visit.effective_input()
    head = () if resource.kind == "LambdaFunction" else (resource.type, resource.action)
    ticket = Ticket(
        frame,
        resource.kind,
        resource=resource.arn if resource.kind == "LambdaFunction" else resource.action,
        head=head,
        timeout=visit.number("TimeoutSeconds", effective),
        heartbeat=visit.number("HeartbeatSeconds", effective),
    )
    visit.token = engine.tokens.issue(ticket) if is_callback else None
    frame.ticket = ticket
    try:
        parameters = visit.parameters(effective)
        credentials = visit.credentials(effective)
    except StateError:
        ticket.close()
        raise
    if integration is None:
        ticket.close()
        cause = f"There is no integration for the resource '{resource.arn}' of the state '{visit.name}' on this server."
        raise Failure(RUNTIME, cause)
    if resource.kind == "LambdaFunction":
        ticket.record("Scheduled", resource.arn, parameters, ticket.timeout, credentials)
    else:
        limits = ticket.timeout, ticket.beat_every
        ticket.record("Scheduled", engine.region, parameters.text, *limits, credentials)
    _check_open(visit)
    ticket.start()
    if is_callback:
        ticket.hold()
    call = TaskCall(
        resource=resource,
        parameters=parameters.value,
        text=parameters.text,
        token=visit.token,
        execution=frame.execution.arn,
        state=visit.name,
        retry_count=visit.retry_count,
        timeout=ticket.timeout,
        heartbeat=ticket.beat_every,
        engine=engine,
        submitted=lambda result: ticket.record("Submitted", _payload(result)),
    )
    work = asyncio.create_task(_call(integration, call, ticket, is_callback=is_callback))
    ticket.on_close(work.cancel)
    return visit.outcome(await _wait(visit, ticket))


async def _call(integration: Integration, call: TaskCall, ticket: Ticket, *, is_callback: bool) -> None:
    try:
        result = _payload(await integration(call))
        if is_callback:
            ticket.record("Submitted", result)
            ticket.release()
        else:
            ticket.succeed(result)
    except StateError as error:
        ticket.release(drop=True)
        ticket.fail(error.error, error.cause)
    except Exception:
        log.exception("local.integration_crashed resource=%s state=%s", call.resource.arn, call.state)
        ticket.release(drop=True)
        ticket.fail(RUNTIME, f"The integration for '{call.resource.arn}' crashed; this server's log has the traceback.")


async def _wait(visit: Visit, ticket: Ticket) -> Payload:
    # A task may take days: until then its payloads are kept as text alone.
    visit.input.forget_value()
    visit.frame.execution.input.forget_value()
    try:
        return await ticket.outcome()
    finally:
        visit.frame.ticket = None


def _check_open(visit: Visit) -> None:
    # The event that was just written may have been the last one that the execution was allowed.
    if visit.frame.execution.is_closed:
        raise asyncio.CancelledError


def _payload(result: Any) -> Payload:
    # With the text at hand at once, a result that is not JSON is found here and not in the next state.
    return result if isinstance(result, Payload) else Payload(dumps(result), result)
