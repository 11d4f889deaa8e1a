"""The Step Functions API: every operation as a function, checked against botocore's model of the service."""

from sfini_celery.local.service import (
    activities,
    aliases,
    definitions,
    executions,
    machines,
    mapruns,
    redrives,
    tags,
    versions,
)
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import OPERATIONS
from sfini_celery.local.service.service import Service

# Importing them has put their operations into the table.
_ROOMS = (activities, aliases, definitions, executions, machines, mapruns, redrives, tags, versions)

__all__ = ["OPERATIONS", "ApiError", "Service"]
