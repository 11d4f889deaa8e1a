"""Where a distributed Map's results go when they are not its output: to objects of S3, through an integration.

The call is ``s3:putObject`` with ``Bucket``, ``Key`` and ``Body``. The files are AWS's: one for each outcome, and a
manifest that lists them.
"""

from __future__ import annotations

from typing import Any

from sfini_celery.local.data import dumps
from sfini_celery.local.engine.execution import Execution, Status, iso
from sfini_celery.local.engine.itemreader import call_service
from sfini_celery.local.engine.maprun import MapRun
from sfini_celery.local.engine.payload import Payload
from sfini_celery.local.engine.visit import Visit

__all__ = ["write_results"]

_FILES = {
    "SUCCEEDED": (Status.SUCCEEDED,),
    "FAILED": (Status.FAILED, Status.TIMED_OUT, Status.ABORTED),
    "PENDING": (),
}


async def write_results(visit: Visit, run: MapRun, effective: Payload) -> Payload:
    """Write the results of a Map run; returns the state's result, which says where they are.

    Raises:
        StateError: ``States.ResultWriterFailed``
    """
    target = visit.nested("ResultWriter", effective).value
    bucket, prefix = target.get("Bucket", ""), target.get("Prefix", "").rstrip("/")
    folder = f"{prefix}/{run.id}" if prefix else run.id

    async def put(name: str, content: Any) -> dict[str, Any]:
        key, body = f"{folder}/{name}", dumps(content)
        arguments = Payload(value={"Bucket": bucket, "Key": key, "Body": body})
        await call_service(visit, "ResultWriter", arguments, "States.ResultWriterFailed")
        return {"Key": key, "Size": len(body.encode())}

    files: dict[str, list[Any]] = {}
    for outcome, statuses in _FILES.items():
        found = [_described(child) for child in run.children if child.status in statuses]
        files[outcome] = [await put(f"{outcome}_0.json", found)] if found else []
    await put("manifest.json", {"DestinationBucket": bucket, "MapRunArn": run.arn, "ResultFiles": files})
    run.written = len(run.children)
    details = {"Bucket": bucket, "Key": f"{folder}/manifest.json"}
    return Payload(value={"MapRunArn": run.arn, "ResultWriterDetails": details})


def _described(child: Execution) -> dict[str, Any]:
    shown = {
        "ExecutionArn": child.arn,
        "Input": child.input.text,
        "InputDetails": {"Included": True},
        "Name": child.name,
        "Output": child.output.text if child.output is not None else None,
        "OutputDetails": {"Included": True} if child.output is not None else None,
        "Error": child.error,
        "Cause": child.cause,
        "RedriveCount": child.redrives,
        "StartDate": iso(child.started),
        "StateMachineArn": child.revision.machine_arn,
        "Status": child.status.value,
        "StopDate": iso(child.stopped) if child.stopped is not None else None,
    }
    return {name: value for name, value in shown.items() if value is not None}
