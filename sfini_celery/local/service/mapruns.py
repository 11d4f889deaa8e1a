"""Map runs: the child executions of distributed Maps."""

from __future__ import annotations

from sfini_celery.local.engine import MapRun, MapRunStatus
from sfini_celery.local.service.arns import check_arn
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import Answer, Request, operation
from sfini_celery.local.service.paging import page
from sfini_celery.local.service.service import Service

__all__: list[str] = []

_LIMITS = {
    "maxConcurrency": "concurrency",
    "toleratedFailureCount": "tolerated_count",
    "toleratedFailurePercentage": "tolerated_percentage",
}


@operation("DescribeMapRun")
def describe_map_run(service: Service, request: Request) -> Answer:
    """Show a Map run and how far it is."""
    run = _run(service, request)
    answer = {
        "mapRunArn": run.arn,
        "executionArn": run.execution.arn,
        "status": run.status.value,
        "startDate": run.started,
        "stopDate": run.stopped,
        "maxConcurrency": run.concurrency,
        "toleratedFailureCount": run.tolerated_count or 0,
        "toleratedFailurePercentage": float(run.tolerated_percentage or 0),
        "itemCounts": run.counts(items=True),
        "executionCounts": run.counts(items=False),
        "redriveCount": run.redrives,
        "redriveDate": run.redriven,
    }
    return {name: value for name, value in answer.items() if value is not None}


@operation("ListMapRuns")
def list_map_runs(service: Service, request: Request) -> Answer:
    """List the Map runs that an execution started, newest first."""
    execution = service.execution(check_arn(request["executionArn"], "execution", "express"))
    runs = [run for run in service.engine.map_runs.values() if run.execution is execution]
    shown, more = page(
        reversed(list(enumerate(runs))),
        request,
        operation="ListMapRuns",
        key=lambda pair: pair[0],
        same=("executionArn",),
    )
    return {"mapRuns": [_listed(run) for _, run in shown], **more}


@operation("UpdateMapRun")
def update_map_run(service: Service, request: Request) -> Answer:
    """Let more or fewer children of a Map run run at once, or fail."""
    run = _run(service, request)
    changes = {_LIMITS[name]: request[name] for name in _LIMITS if request.get(name) is not None}
    if not changes:
        raise ApiError("ValidationException", f"One of {', '.join(_LIMITS)} must be specified")
    if run.status is not MapRunStatus.RUNNING:
        raise ApiError("ValidationException", f"The Map Run is {run.status.value} and cannot be updated")
    run.update(changes)
    return {}


def _run(service: Service, request: Request) -> MapRun:
    return service.map_run(check_arn(request["mapRunArn"], "mapRun"))


def _listed(run: MapRun) -> Answer:
    shown = {
        "executionArn": run.execution.arn,
        "mapRunArn": run.arn,
        "stateMachineArn": run.execution.revision.machine_arn,
        "startDate": run.started,
        "stopDate": run.stopped,
    }
    return {name: value for name, value in shown.items() if value is not None}
