"""The embedded Step Functions: an interpreter on a clock that is a parameter, behind AWS's own API.

It is for development and tests; production is AWS.
"""

from sfini_celery.local.clock import Clock, RealClock, VirtualClock
from sfini_celery.local.engine import Engine, Execution, Integration, Payload, TaskCall, run_definition
from sfini_celery.local.server import LocalServer, environment, serve
from sfini_celery.local.service import ApiError, Service

__all__ = [
    # the server
    "LocalServer",
    "environment",
    "serve",
    # the same in process
    "ApiError",
    "Engine",
    "Execution",
    "Integration",
    "Payload",
    "Service",
    "TaskCall",
    "run_definition",
    # time
    "Clock",
    "RealClock",
    "VirtualClock",
]
