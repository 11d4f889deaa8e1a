"""Activities, and the tasks that workers poll and answer."""

from __future__ import annotations

from sfini_celery.local.data import loads
from sfini_celery.local.engine import Activity, InvalidToken, Payload, Ticket, TokenClosed, is_too_large
from sfini_celery.local.service.arns import check_arn, check_name
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import Answer, Request, operation
from sfini_celery.local.service.paging import page
from sfini_celery.local.service.service import Service

__all__: list[str] = []


@operation("CreateActivity")
def create_activity(service: Service, request: Request) -> Answer:
    """Make an activity; again, nothing happens."""
    name = check_name(request["name"])
    arn = service.engine.arn("activity", name)
    if arn not in service.engine.activities:
        service.store.tags.pop(arn, None)
        service.store.add_tags(arn, request.get("tags") or [])
        service.activity_numbers[arn] = next(service.store.numbers)
    activity = service.engine.create_activity(name)
    return {"activityArn": activity.arn, "creationDate": activity.created}


@operation("DeleteActivity")
def delete_activity(service: Service, request: Request) -> Answer:
    """Forget an activity."""
    arn = check_arn(request["activityArn"], "activity")
    service.engine.delete_activity(arn)
    service.store.tags.pop(arn, None)
    service.activity_numbers.pop(arn, None)
    return {}


@operation("DescribeActivity")
def describe_activity(service: Service, request: Request) -> Answer:
    """Show an activity."""
    return _shown(_activity(service, request))


@operation("ListActivities")
def list_activities(service: Service, request: Request) -> Answer:
    """List the activities, oldest first."""
    numbers = service.activity_numbers
    shown, more = page(
        service.engine.activities.values(),
        request,
        operation="ListActivities",
        key=lambda activity: numbers[activity.arn],
    )
    return {"activities": [_shown(activity) for activity in shown], **more}


def _activity(service: Service, request: Request) -> Activity:
    arn = check_arn(request["activityArn"], "activity")
    activity = service.engine.activities.get(arn)
    if activity is None:
        raise ApiError("ActivityDoesNotExist", arn)
    return activity


def _shown(activity: Activity) -> Answer:
    return {"activityArn": activity.arn, "name": activity.name, "creationDate": activity.created}


@operation("GetActivityTask")
async def get_activity_task(service: Service, request: Request) -> Answer:
    """Wait for a task."""
    ticket = await _activity(service, request).poll(request.get("workerName"), is_alive=request.is_alive)
    if ticket is None or ticket.input is None:
        return {"taskToken": None}
    return {"taskToken": ticket.token, "input": ticket.input.text}


@operation("SfiniReleasePolls")
def release_polls(service: Service, request: Request) -> Answer:
    """Not AWS's: answer a worker's idle polls now.

    A worker that stops would have to wait for them for a minute otherwise: to hang up is no way out, since the task
    that is being handed over at that moment would be lost.
    """
    worker = request.get("workerName")
    if not isinstance(worker, str):
        raise ApiError("ValidationException", "workerName must be a string")
    for activity in list(service.engine.activities.values()):
        activity.release_polls(worker)
    return {}


def _ticket(service: Service, request: Request) -> Ticket:
    try:
        return service.engine.tokens.find(request["taskToken"])
    except InvalidToken:
        raise ApiError("InvalidToken", "Invalid token") from None
    except TokenClosed:
        raise ApiError("TaskTimedOut", "Provided task does not exist anymore") from None


@operation("SendTaskSuccess")
def send_task_success(service: Service, request: Request) -> Answer:
    """A task has returned."""
    ticket = _ticket(service, request)
    text = request["output"]
    if is_too_large(text):
        raise ApiError("InvalidOutput", "The output is longer than 262144 bytes")
    try:
        output = Payload(text, loads(text))
    except ValueError as error:
        raise ApiError("InvalidOutput", str(error)) from None
    ticket.succeed(output)
    return {}


@operation("SendTaskFailure")
def send_task_failure(service: Service, request: Request) -> Answer:
    """A task has failed."""
    _ticket(service, request).fail(request.get("error"), request.get("cause"))
    return {}


@operation("SendTaskHeartbeat")
def send_task_heartbeat(service: Service, request: Request) -> Answer:
    """A task is alive."""
    _ticket(service, request).heartbeat()
    return {}
