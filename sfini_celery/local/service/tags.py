"""Tags of state machines and activities."""

from __future__ import annotations

from sfini_celery.local.service.arns import check_arn
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import Answer, Request, operation
from sfini_celery.local.service.service import Service

__all__: list[str] = []


def _resource(service: Service, request: Request) -> str:
    arn = check_arn(request["resourceArn"], "stateMachine", "activity")
    if arn not in service.store.machines and arn not in service.engine.activities:
        raise ApiError("ResourceNotFound", arn)
    return arn


@operation("TagResource")
def tag_resource(service: Service, request: Request) -> Answer:
    """Add tags, or change their values."""
    service.store.add_tags(_resource(service, request), request["tags"])
    return {}


@operation("UntagResource")
def untag_resource(service: Service, request: Request) -> Answer:
    """Take tags away."""
    tags = service.store.tags.get(_resource(service, request), {})
    for key in request["tagKeys"]:
        tags.pop(key, None)
    return {}


@operation("ListTagsForResource")
def list_tags_for_resource(service: Service, request: Request) -> Answer:
    """List the tags of a resource."""
    tags = service.store.tags.get(_resource(service, request), {})
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}
