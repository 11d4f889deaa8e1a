"""Versions of state machines: revisions that stay as they are."""

from __future__ import annotations

from sfini_celery.local.service.arns import read_machine_arn
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import Answer, Request, operation
from sfini_celery.local.service.paging import page
from sfini_celery.local.service.service import Service
from sfini_celery.local.service.store import Machine, Version

__all__ = ["publish"]

MOST_VERSIONS = 1000


def publish(service: Service, machine: Machine, description: str) -> Version:
    """The version of a machine's current revision, made where there is none."""
    for version in machine.versions.values():
        if version.revision.id == machine.revision.id:
            return version
    if len(machine.versions) >= MOST_VERSIONS:
        raise ApiError("ServiceQuotaExceededException", f"A state machine has at most {MOST_VERSIONS} versions")
    machine.last_version += 1
    number = machine.last_version
    version = Version(number, f"{machine.arn}:{number}", machine.revision, description, service.now())
    machine.versions[number] = version
    return version


@operation("PublishStateMachineVersion")
def publish_state_machine_version(service: Service, request: Request) -> Answer:
    """Freeze the current revision; again, nothing happens."""
    machine = service.store.machine(read_machine_arn(request["stateMachineArn"], version=False).machine)
    if machine.is_deleting:
        raise ApiError("StateMachineDeleting", machine.arn)
    wanted, current = request.get("revisionId"), machine.revision.id
    if wanted is not None and wanted != current:
        message = f"Failed to publish the State Machine version for revision {wanted}."
        raise ApiError("ConflictException", f"{message} The current State Machine revision is {current}.")
    version = publish(service, machine, request.get("description") or "")
    return {"creationDate": version.created, "stateMachineVersionArn": version.arn}


@operation("DeleteStateMachineVersion")
def delete_state_machine_version(service: Service, request: Request) -> Answer:
    """Forget a version; its number is not used again."""
    found = read_machine_arn(request["stateMachineVersionArn"])
    if found.version is None:
        raise ApiError("ValidationException", f"The ARN does not name a version: {found.arn}")
    machine = service.store.machines.get(found.machine)
    if machine is not None:
        users = [alias.name for alias in machine.aliases.values() if found.version in alias.routing]
        if users:
            what = "Version to be deleted must not be referenced by an alias."
            listed = f"Current list of aliases referencing this version: [{', '.join(users)}]"
            raise ApiError("ConflictException", f"{what} {listed}")
        machine.versions.pop(found.version, None)
    return {}


@operation("ListStateMachineVersions")
def list_state_machine_versions(service: Service, request: Request) -> Answer:
    """List a state machine's versions, newest first."""
    arn = read_machine_arn(request["stateMachineArn"], version=False).machine
    machine = service.store.machine(arn)
    versions = sorted(machine.versions.values(), key=lambda version: -version.number)
    shown, more = page(
        versions,
        request,
        operation="ListStateMachineVersions",
        key=lambda version: version.number,
        same=("stateMachineArn",),
    )
    listed = [{"stateMachineVersionArn": version.arn, "creationDate": version.created} for version in shown]
    return {"stateMachineVersions": listed, **more}
