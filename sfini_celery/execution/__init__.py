"""One run of a state machine: start it, wait for it, take its result, stop it, read what happened."""

from sfini_celery.execution.execution import Execution
from sfini_celery.execution.failure import RemoteTraceback, exception_of
from sfini_celery.execution.parts import PartResult
from sfini_celery.execution.result import CELERY_STATES, ExecutionResult, ExecutionRevoked, ResultTimeout

__all__ = [
    "Execution",
    # with the names of Celery's AsyncResult
    "CELERY_STATES",
    "ExecutionResult",
    "PartResult",
    # failures
    "ExecutionRevoked",
    "RemoteTraceback",
    "ResultTimeout",
    "exception_of",
]
