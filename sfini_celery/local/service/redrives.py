"""Redriving executions: letting them go on where they failed."""

from __future__ import annotations

from sfini_celery.local.service.arns import check_arn
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import Answer, Request, operation
from sfini_celery.local.service.service import Service

__all__: list[str] = []

TOKEN_SECONDS = 15 * 60.0
"""How long a client token stands for the redrive it was first used for."""

MOST_TOKENS = 10
"""How many client tokens of an execution are remembered."""


@operation("RedriveExecution")
def redrive_execution(service: Service, request: Request) -> Answer:
    """Let an execution go on where it failed; again with the same token, nothing happens."""
    arn, token, now = check_arn(request["executionArn"], "execution"), request.get("clientToken"), service.now()
    if "/" in arn.split(":")[6]:
        raise ApiError("ValidationException", "Labeled Execution ARNs are not supported for this API")
    execution = service.execution(arn)
    used = {known: date for known, date in service.store.redrives.get(arn, {}).items() if now - date < TOKEN_SECONDS}
    if token in used:
        return {"redriveDate": used[token]}
    hindered = service.redrive_hindrance(execution)
    if hindered is not None:
        raise ApiError("ExecutionNotRedrivable", hindered)
    service.engine.redrive(execution)
    if token is not None:
        used[token] = now
        service.store.redrives[arn] = dict(list(used.items())[-MOST_TOKENS:])
    return {"redriveDate": now}
