"""The interpreter of the states language: executions on one event loop, on a clock that is a parameter."""

from sfini_celery.local.engine.activities import Activity
from sfini_celery.local.engine.engine import Engine, run_definition
from sfini_celery.local.engine.execution import Execution, Revision, Status
from sfini_celery.local.engine.failure import Failure
from sfini_celery.local.engine.history import LONGEST_HISTORY, Event, History
from sfini_celery.local.engine.integrations import Integration, Integrations, Resource, TaskCall, read_resource
from sfini_celery.local.engine.itemreader import READABLE
from sfini_celery.local.engine.maprun import MapRun, MapRunStatus
from sfini_celery.local.engine.payload import LARGEST_PAYLOAD, Payload, is_too_large
from sfini_celery.local.engine.redrive import hindrance
from sfini_celery.local.engine.ticket import InvalidToken, Ticket, TokenClosed

__all__ = [
    # running
    "Activity",
    "Engine",
    "Execution",
    "MapRun",
    "MapRunStatus",
    "Revision",
    "Status",
    "hindrance",
    "run_definition",
    # what happened
    "Event",
    "Failure",
    "History",
    "LONGEST_HISTORY",
    # tasks
    "Integration",
    "Integrations",
    "InvalidToken",
    "Resource",
    "TaskCall",
    "Ticket",
    "READABLE",
    "TokenClosed",
    "read_resource",
    # data
    "LARGEST_PAYLOAD",
    "Payload",
    "is_too_large",
]
