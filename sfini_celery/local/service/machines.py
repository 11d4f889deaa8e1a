"""State machines: create, update, delete, describe, list."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sfini_celery.local.engine import Revision
from sfini_celery.local.service.arns import check_arn, check_name, check_role_arn, read_machine_arn
from sfini_celery.local.service.definitions import read_definition
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import Answer, Request, operation
from sfini_celery.local.service.paging import page
from sfini_celery.local.service.service import Service
from sfini_celery.local.service.store import Machine
from sfini_celery.local.service.versions import publish

__all__: list[str] = []

INITIAL = "INITIAL"
"""The id of a revision that was never updated; AWS shows none for it."""

_NO_LOGS = {"level": "OFF", "includeExecutionData": False}
_NO_TRACES = {"enabled": False}


@operation("CreateStateMachine")
def create_state_machine(service: Service, request: Request) -> Answer:
    """Register a state machine; again with the same content, nothing happens."""
    name = check_name(request["name"])
    if request.get("type", "STANDARD") != "STANDARD":
        raise ApiError("StateMachineTypeNotSupported", "The embedded server runs STANDARD state machines only")
    check_role_arn(request["roleArn"])
    published = _publishing(request)
    definition = read_definition(request["definition"])
    arn = service.engine.arn("stateMachine", name)
    machine = service.store.machines.get(arn)
    if machine is not None:
        if machine.is_deleting:
            raise ApiError("StateMachineDeleting", arn)
        if not _is_same(machine, request, definition, published):
            raise ApiError("StateMachineAlreadyExists", arn)
    else:
        machine = _register(service, arn, name, request, definition, published)
    answer: Answer = {"stateMachineArn": arn, "creationDate": machine.created}
    if published[0]:
        answer["stateMachineVersionArn"] = f"{arn}:1"
    return answer


def _publishing(request: Request) -> tuple[bool, str]:
    wanted, description = request.get("publish") or False, request.get("versionDescription")
    if description is not None and not wanted:
        raise ApiError("ValidationException", "Version description can only be set when publish is true")
    return wanted, description or ""


def _is_same(machine: Machine, request: Request, definition: Mapping[str, Any], published: tuple[bool, str]) -> bool:
    # AWS: the role and the tags do not count, publish and versionDescription do.
    return (
        machine.revision.definition == definition
        and machine.revision.settings == _settings(request)
        and machine.published == published
    )


def _register(
    service: Service,
    arn: str,
    name: str,
    request: Request,
    definition: Mapping[str, Any],
    published: tuple[bool, str],
) -> Machine:
    service.store.tags.pop(arn, None)
    service.store.add_tags(arn, request.get("tags") or [])
    now = service.now()
    role = request["roleArn"]
    revision = Revision(arn, name, definition, request["definition"], role, INITIAL, now, _settings(request))
    machine = Machine(next(service.store.numbers), revision, now, published)
    service.store.machines[arn] = machine
    if published[0]:
        publish(service, machine, published[1])
    return machine


def _settings(request: Request) -> dict[str, Any]:
    return {
        "loggingConfiguration": request.get("loggingConfiguration") or _NO_LOGS,
        "tracingConfiguration": request.get("tracingConfiguration") or _NO_TRACES,
        **({"encryptionConfiguration": encryption} if (encryption := request.get("encryptionConfiguration")) else {}),
    }


@operation("UpdateStateMachine")
def update_state_machine(service: Service, request: Request) -> Answer:
    """Give a state machine another definition, role or configuration; running executions keep theirs."""
    machine = service.store.machine(read_machine_arn(request["stateMachineArn"], version=False).machine)
    if machine.is_deleting:
        raise ApiError("StateMachineDeleting", machine.arn)
    wanted, description = _publishing(request)
    changes = {name: request[name] for name in _UPDATABLE if request.get(name) is not None}
    if not changes and not wanted:
        what = "the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration"
        raise ApiError("MissingRequiredParameter", f"Either {what} must be specified")
    now = service.now()
    machine.revision = _updated(machine.revision, changes, now)
    answer: Answer = {"updateDate": now}
    if machine.revision.id != INITIAL:
        answer["revisionId"] = machine.revision.id
    if wanted:
        answer["stateMachineVersionArn"] = publish(service, machine, description).arn
    return answer


_UPDATABLE = ("definition", "roleArn", "loggingConfiguration", "tracingConfiguration", "encryptionConfiguration")


def _updated(revision: Revision, changes: dict[str, Any], now: float) -> Revision:
    changed = revision
    if "definition" in changes:
        text = changes.pop("definition")
        changed = replace(changed, definition=read_definition(text), definition_text=text)
    if "roleArn" in changes:
        changed = replace(changed, role_arn=check_role_arn(changes.pop("roleArn")))
    if changes:
        changed = replace(changed, settings={**changed.settings, **changes})
    return revision if changed == revision else replace(changed, id=str(uuid.uuid4()), updated=now)


@operation("DeleteStateMachine")
def delete_state_machine(service: Service, request: Request) -> Answer:
    """Forget a state machine; executions that still run end at their next state."""
    arn = read_machine_arn(request["stateMachineArn"], version=False).machine
    machine = service.store.machines.get(arn)
    if machine is not None:
        machine.is_deleting = True
        service.forget_when_idle(machine)
    return {}


@operation("DescribeStateMachine")
def describe_state_machine(service: Service, request: Request) -> Answer:
    """Show a state machine, or one of its versions."""
    machine, version, alias = service.store.resolve(request["stateMachineArn"])
    if alias is not None:
        raise ApiError("StateMachineDoesNotExist", request["stateMachineArn"])
    revision = version.revision if version else machine.revision
    answer = {
        "stateMachineArn": version.arn if version else machine.arn,
        "name": revision.machine_name,
        "status": "DELETING" if machine.is_deleting else "ACTIVE",
        "type": "STANDARD",
        "creationDate": version.created if version else machine.created,
        **_shown(revision, request),
    }
    if version and version.description:
        answer["description"] = version.description
    return answer


@operation("DescribeStateMachineForExecution")
def describe_state_machine_for_execution(service: Service, request: Request) -> Answer:
    """Show the state machine as it was when an execution started."""
    execution = service.execution(check_arn(request["executionArn"], "execution", "express"))
    revision, run = execution.revision, execution.map_run
    child = {"mapRunArn": run.arn, "label": run.label} if run is not None else {}
    return {
        **child,
        "stateMachineArn": execution.version_arn or revision.machine_arn,
        "name": revision.machine_name,
        "updateDate": revision.updated,
        **_shown(revision, request),
    }


def _shown(revision: Revision, request: Request) -> Answer:
    shown = {"roleArn": revision.role_arn, **revision.settings}
    if revision.id != INITIAL:
        shown["revisionId"] = revision.id
    shown["definition"] = revision.definition_text if request.get("includedData") != "METADATA_ONLY" else "{}"
    return shown


@operation("ListStateMachines")
def list_state_machines(service: Service, request: Request) -> Answer:
    """List the state machines, oldest first."""
    machines = service.store.machines.values()
    shown, more = page(machines, request, operation="ListStateMachines", key=lambda machine: machine.number)
    listed = [
        {
            "stateMachineArn": machine.arn,
            "name": machine.revision.machine_name,
            "type": "STANDARD",
            "creationDate": machine.created,
        }
        for machine in shown
    ]
    return {"stateMachines": listed, **more}
