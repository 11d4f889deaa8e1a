"""Executions: start, stop, describe, list, history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sfini_celery.local.data import loads
from sfini_celery.local.engine import Execution, Payload, is_too_large
from sfini_celery.local.service.arns import check_arn, check_name
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import Answer, Request, operation
from sfini_celery.local.service.paging import page
from sfini_celery.local.service.retention import forget_old
from sfini_celery.local.service.service import Service

__all__: list[str] = []


@operation("StartExecution")
def start_execution(service: Service, request: Request) -> Answer:
    """Start an execution; again with the same name and input while it runs, nothing happens."""
    forget_old(service.engine, service.store)
    target = service.store.resolve(request["stateMachineArn"])
    if target.machine.is_deleting:
        raise ApiError("StateMachineDeleting", target.machine.arn)
    name = request.get("name")
    if name is not None:
        check_name(name)
    text = request.get("input")
    input = _input("{}" if text is None else text)
    if name is not None:
        arn = service.engine.arn("execution", target.machine.revision.machine_name, name)
        known = service.engine.executions.get(arn)
        if known is not None:
            if known.is_closed or known.input.text != input.text:
                raise ApiError("ExecutionAlreadyExists", arn)
            return {"executionArn": arn, "startDate": known.started}
    execution = service.start(target, input, name=name, trace_header=request.get("traceHeader"))
    return {"executionArn": execution.arn, "startDate": execution.started}


def _input(text: str) -> Payload:
    if is_too_large(text):
        raise ApiError("InvalidExecutionInput", "The input is longer than 262144 bytes")
    try:
        return Payload(text, loads(text))
    except ValueError as error:
        raise ApiError("InvalidExecutionInput", str(error)) from None


@operation("StartSyncExecution")
def start_sync_execution(service: Service, request: Request) -> Answer:
    """Refused, as AWS does for every STANDARD state machine."""
    service.store.resolve(request["stateMachineArn"])
    raise ApiError("StateMachineTypeNotSupported", "This operation is not supported by this type of state machine")


@operation("StopExecution")
def stop_execution(service: Service, request: Request) -> Answer:
    """Stop an execution now."""
    execution = service.execution(check_arn(request["executionArn"], "execution", "express"))
    service.engine.stop(execution, error=request.get("error"), cause=request.get("cause"))
    return {"stopDate": execution.stopped}


@operation("DescribeExecution")
def describe_execution(service: Service, request: Request) -> Answer:
    """Show an execution."""
    execution = service.execution(check_arn(request["executionArn"], "execution", "express"))
    hindered = service.redrive_hindrance(execution)
    redrivable = "REDRIVABLE" if execution.map_run is None else "REDRIVABLE_BY_MAP_RUN"
    answer: dict[str, Any] = {
        **_listed(execution),
        "traceHeader": execution.trace_header,
        "redriveStatus": redrivable if hindered is None else "NOT_REDRIVABLE",
        "redriveStatusReason": hindered,
    }
    answer.pop("itemCount", None)
    with_data = request.get("includedData") != "METADATA_ONLY"
    answer["inputDetails"] = {"included": with_data}
    if execution.output is not None:
        answer["outputDetails"] = {"included": with_data}
    if with_data:
        answer["input"] = execution.input.text
        answer["output"] = execution.output.text if execution.output is not None else None
        answer.update(error=execution.error, cause=execution.cause)
    return {name: value for name, value in answer.items() if value is not None}


@operation("ListExecutions")
def list_executions(service: Service, request: Request) -> Answer:
    """List the executions of a state machine, or the children of a Map run, newest first."""
    arn, run_arn = request.get("stateMachineArn"), request.get("mapRunArn")
    if (arn is None) == (run_arn is None):
        raise ApiError("ValidationException", "Must provide a StateMachine ARN or a MapRun ARN, and not both")
    newest_first = _children(service, run_arn) if arn is None else _executions(service, arn)
    status, redriven = request.get("statusFilter"), request.get("redriveFilter")
    found = (
        (number, execution)
        for number, execution in newest_first
        if (status is None or execution.status.value == status)
        and (redriven is None or (execution.redrives > 0) == (redriven == "REDRIVEN"))
    )
    shown, more = page(
        found,
        request,
        operation="ListExecutions",
        key=lambda pair: pair[0],
        same=("stateMachineArn", "mapRunArn", "statusFilter", "redriveFilter"),
    )
    return {"executions": [_listed(execution) for _, execution in shown], **more}


def _executions(service: Service, arn: str) -> Iterator[tuple[int, Execution]]:
    machine, version, alias = service.store.resolve(arn)
    for number, execution in reversed(machine.executions.values()):
        if (version is None or execution.version_arn == version.arn) and (
            alias is None or execution.alias_arn == alias.arn
        ):
            yield number, execution


def _children(service: Service, arn: Any) -> Iterator[tuple[int, Execution]]:
    children = list(enumerate(service.map_run(check_arn(arn, "mapRun")).children))
    return reversed(children)


def _listed(execution: Execution) -> Answer:
    run = execution.map_run
    shown = {
        "executionArn": execution.arn,
        "stateMachineArn": execution.revision.machine_arn,
        "name": execution.name,
        "status": execution.status.value,
        "startDate": execution.started,
        "stopDate": execution.stopped,
        "stateMachineVersionArn": execution.version_arn,
        "stateMachineAliasArn": execution.alias_arn,
        "mapRunArn": run.arn if run is not None else None,
        "itemCount": execution.items if run is not None else None,
        "redriveCount": execution.redrives,
        "redriveDate": execution.redriven,
    }
    return {name: value for name, value in shown.items() if value is not None}


@operation("GetExecutionHistory")
def get_execution_history(service: Service, request: Request) -> Answer:
    """Show what happened in an execution."""
    execution = service.execution(check_arn(request["executionArn"], "execution", "express"))
    history = execution.history
    is_reversed = request.get("reverseOrder") or False
    numbers = range(len(history), 0, -1) if is_reversed else range(1, len(history) + 1)
    shown, more = page(
        numbers,
        request,
        operation="GetExecutionHistory",
        key=lambda number: number,
        same=("executionArn", "reverseOrder"),
    )
    data = request.get("includeExecutionData")
    return {"events": [history.render(number, data=data is not False) for number in shown], **more}
