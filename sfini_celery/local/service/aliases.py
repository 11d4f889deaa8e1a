"""Aliases of state machines: names for the versions that callers start.

Sources: the API reference; the sentences of refusals are AWS's as emulators' tests have recorded them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sfini_celery.local.service.arns import read_machine_arn
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import Answer, Request, operation
from sfini_celery.local.service.paging import page
from sfini_celery.local.service.service import Service
from sfini_celery.local.service.store import Alias, Machine

__all__: list[str] = []

MOST_ALIASES = 100


@operation("CreateStateMachineAlias")
def create_state_machine_alias(service: Service, request: Request) -> Answer:
    """Make an alias; again with the same content, nothing happens."""
    name, wanted = request["name"], request["routingConfiguration"]
    machine = _machine(service, _arns(wanted)[0])
    if machine.is_deleting:
        raise ApiError("StateMachineDeleting", machine.arn)
    routing, description = _routing(machine, wanted), request.get("description") or ""
    alias = machine.aliases.get(name)
    if alias is None:
        if len(machine.aliases) >= MOST_ALIASES:
            raise ApiError("ServiceQuotaExceededException", f"A state machine has at most {MOST_ALIASES} aliases")
        now = service.now()
        alias = Alias(next(service.store.numbers), name, f"{machine.arn}:{name}", routing, description, now, now)
        machine.aliases[name] = alias
    elif (alias.routing, alias.description) != (routing, description):
        what = "an alias with the same name and a different routing configuration already exists"
        raise ApiError("ConflictException", f"Failed to create alias because {what}.")
    return {"stateMachineAliasArn": alias.arn, "creationDate": alias.created}


@operation("DescribeStateMachineAlias")
def describe_state_machine_alias(service: Service, request: Request) -> Answer:
    """Show an alias."""
    machine, alias = _alias(service, request)
    answer = {
        "stateMachineAliasArn": alias.arn,
        "name": alias.name,
        "routingConfiguration": [
            {"stateMachineVersionArn": f"{machine.arn}:{number}", "weight": weight}
            for number, weight in alias.routing.items()
        ],
        "creationDate": alias.created,
        "updateDate": alias.updated,
    }
    return {**answer, "description": alias.description} if alias.description else answer


@operation("UpdateStateMachineAlias")
def update_state_machine_alias(service: Service, request: Request) -> Answer:
    """Let an alias lead elsewhere; executions that were started by it keep their version."""
    machine, alias = _alias(service, request)
    if machine.is_deleting:
        raise ApiError("StateMachineDeleting", machine.arn)
    description, wanted = request.get("description"), request.get("routingConfiguration")
    if description is None and wanted is None:
        raise ApiError("ValidationException", "Either the description or the routing configuration must be specified")
    routing = alias.routing if wanted is None else _routing(machine, wanted)
    text = alias.description if description is None else description
    updated = replace(alias, routing=routing, description=text, updated=service.now())
    machine.aliases[alias.name] = updated
    return {"updateDate": updated.updated}


@operation("DeleteStateMachineAlias")
def delete_state_machine_alias(service: Service, request: Request) -> Answer:
    """Forget an alias; its versions stay."""
    found = read_machine_arn(request["stateMachineAliasArn"])
    if found.alias is None:
        raise ApiError("ValidationException", f"The ARN does not name an alias: {found.arn}")
    machine = service.store.machines.get(found.machine)
    if machine is not None:
        machine.aliases.pop(found.alias, None)
    return {}


@operation("ListStateMachineAliases")
def list_state_machine_aliases(service: Service, request: Request) -> Answer:
    """List a state machine's aliases, or those of one version, newest first."""
    machine, version, alias = service.store.resolve(request["stateMachineArn"])
    if alias is not None:
        raise ApiError("InvalidArn", f"Resource type not valid in this context: {alias.arn}")
    found = (
        alias
        for alias in sorted(machine.aliases.values(), key=lambda alias: -alias.number)
        if version is None or version.number in alias.routing
    )
    shown, more = page(
        found,
        request,
        operation="ListStateMachineAliases",
        key=lambda alias: alias.number,
        same=("stateMachineArn",),
    )
    listed = [{"stateMachineAliasArn": alias.arn, "creationDate": alias.created} for alias in shown]
    return {"stateMachineAliases": listed, **more}


def _alias(service: Service, request: Request) -> tuple[Machine, Alias]:
    arn = request["stateMachineAliasArn"]
    found = read_machine_arn(arn)
    if found.alias is None:
        raise ApiError("ValidationException", f"The ARN does not name an alias: {arn}")
    machine = service.store.machines.get(found.machine)
    alias = machine.aliases.get(found.alias) if machine is not None else None
    if machine is None or alias is None:
        raise ApiError("ResourceNotFound", arn)
    return machine, alias


def _machine(service: Service, arn: str) -> Machine:
    machine = service.store.machines.get(read_machine_arn(arn).machine)
    if machine is None:
        raise ApiError("ResourceNotFound", arn)
    return machine


def _arns(wanted: Iterable[Mapping[str, Any]]) -> list[str]:
    return [route["stateMachineVersionArn"] for route in wanted]


def _routing(machine: Machine, wanted: list[Mapping[str, Any]]) -> dict[int, int]:
    """Percentages by version number; refuses what is not a whole of one or two versions of the machine."""
    arns, weights = _arns(wanted), [route["weight"] for route in wanted]
    shown = f"Received: [{', '.join(arns)}]"
    if len(set(arns)) < len(arns):
        what = "Routing configuration must contain distinct state machine version ARNs."
        raise ApiError("ValidationException", f"{what} {shown}")
    if sum(weights) != 100:
        what = "Sum of routing configuration weights must equal 100."
        raise ApiError("ValidationException", f"{what} Received: {json.dumps(weights)}")
    routing: dict[int, int] = {}
    for arn, weight in zip(arns, weights, strict=True):
        found = read_machine_arn(arn)
        if found.version is None:
            what = "Routing configuration must contain state machine version ARNs."
            raise ApiError("ValidationException", f"{what} {shown}")
        if found.machine != machine.arn:
            what = "Routing configuration must contain versions of the same state machine."
            raise ApiError("ValidationException", f"{what} {shown}")
        if found.version not in machine.versions:
            raise ApiError("ResourceNotFound", arn)
        routing[found.version] = weight
    return routing
