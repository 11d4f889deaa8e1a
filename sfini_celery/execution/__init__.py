"""One run of a state machine: start it, wait for it, take its result, stop it, read what happened."""

from sfini_celery.execution.execution import Execution
from sfini_celery.execution.failure import RemoteTraceback, exception_of

__all__ = [
    "Execution",
    # failures
    "RemoteTraceback",
    "exception_of",
]
