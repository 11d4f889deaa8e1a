"""sfini's own API: activities that are plain functions, state machines that register and start themselves, a worker.

The top level of the package hands these names on, so ``import sfini_celery as sfini`` runs what was written for sfini.
States and choice rules are those of :mod:`sfini_celery.asl`.
"""

from sfini_celery.sfini.activities import (
    Activity,
    ActivityRegistration,
    CallableActivity,
    Lambda,
    SmartCallableActivity,
    TaskResource,
)
from sfini_celery.sfini.cli import CLI, ExitCode
from sfini_celery.sfini.machine import StateMachine, construct_state_machine
from sfini_celery.sfini.session import AWSSession
from sfini_celery.sfini.worker import Worker, WorkerCancel

__all__ = [
    # where
    "AWSSession",
    # resources of tasks
    "Activity",
    "ActivityRegistration",
    "CallableActivity",
    "Lambda",
    "SmartCallableActivity",
    "TaskResource",
    # state machines
    "StateMachine",
    "construct_state_machine",
    # work
    "Worker",
    "WorkerCancel",
    # command line
    "CLI",
    "ExitCode",
]
