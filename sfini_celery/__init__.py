"""Celery tasks as AWS Step Functions activities: durable, visible, restartable workflows.

Example:
    >>> from celery import group
    >>> from sfini_celery import SfiniCelery
    >>> app = SfiniCelery("proj", broker="redis://localhost")
    >>> @app.activity(heartbeat=60)
    ... def add(x, y):
    ...     return x + y
    >>> app.sfn.delay(group(add.s(1, 2), add.s(3, 4))).get(timeout=60)  # doctest: +SKIP
    [3, 7]

What was written for sfini runs with ``import sfini_celery as sfini``. Errors are in :mod:`sfini_celery.errors`, the
states language in :mod:`sfini_celery.asl`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfini_celery import asl as asl
    from sfini_celery import errors as errors
    from sfini_celery.app import SfiniCelery, StepFunctions
    from sfini_celery.asl import (
        And,
        BooleanEquals,
        BooleanEqualsPath,
        Choice,
        Fail,
        IsBoolean,
        IsNull,
        IsNumeric,
        IsPresent,
        IsString,
        IsTimestamp,
        Map,
        Not,
        NumericEquals,
        NumericEqualsPath,
        NumericGreaterThan,
        NumericGreaterThanEquals,
        NumericGreaterThanEqualsPath,
        NumericGreaterThanPath,
        NumericLessThan,
        NumericLessThanEquals,
        NumericLessThanEqualsPath,
        NumericLessThanPath,
        Or,
        Parallel,
        Pass,
        StringEquals,
        StringEqualsPath,
        StringGreaterThan,
        StringGreaterThanEquals,
        StringGreaterThanEqualsPath,
        StringGreaterThanPath,
        StringLessThan,
        StringLessThanEquals,
        StringLessThanEqualsPath,
        StringLessThanPath,
        StringMatches,
        Succeed,
        Task,
        TimestampEquals,
        TimestampEqualsPath,
        TimestampGreaterThan,
        TimestampGreaterThanEquals,
        TimestampGreaterThanEqualsPath,
        TimestampGreaterThanPath,
        TimestampLessThan,
        TimestampLessThanEquals,
        TimestampLessThanEqualsPath,
        TimestampLessThanPath,
        Wait,
    )
    from sfini_celery.canvas import catch, choice, each, loop, prev, wait, when
    from sfini_celery.errors import SfiniError
    from sfini_celery.sfini import (
        CLI,
        Activity,
        ActivityRegistration,
        AWSSession,
        Lambda,
        StateMachine,
        Worker,
        WorkerCancel,
        construct_state_machine,
    )

__all__ = [
    # Celery apps
    "SfiniCelery",
    "StepFunctions",
    # steps of a canvas that Celery lacks; sfini_celery.canvas.asl is one more
    "catch",
    "choice",
    "each",
    "loop",
    "wait",
    "when",
    # what came before, in their conditions and in arguments
    "prev",
    # errors, all in sfini_celery.errors
    "SfiniError",
    # sfini: where
    "AWSSession",
    # sfini: resources of tasks
    "Activity",
    "ActivityRegistration",
    "Lambda",
    # sfini: state machines
    "StateMachine",
    "construct_state_machine",
    # sfini: work and command line
    "CLI",
    "Worker",
    "WorkerCancel",
    # states
    "Choice",
    "Fail",
    "Map",
    "Parallel",
    "Pass",
    "Succeed",
    "Task",
    "Wait",
    # choice rules
    "And",
    "Or",
    "Not",
    "BooleanEquals",
    "BooleanEqualsPath",
    "IsBoolean",
    "IsNull",
    "IsNumeric",
    "IsPresent",
    "IsString",
    "IsTimestamp",
    "NumericEquals",
    "NumericEqualsPath",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "NumericGreaterThanEqualsPath",
    "NumericGreaterThanPath",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericLessThanEqualsPath",
    "NumericLessThanPath",
    "StringEquals",
    "StringEqualsPath",
    "StringGreaterThan",
    "StringGreaterThanEquals",
    "StringGreaterThanEqualsPath",
    "StringGreaterThanPath",
    "StringLessThan",
    "StringLessThanEquals",
    "StringLessThanEqualsPath",
    "StringLessThanPath",
    "StringMatches",
    "TimestampEquals",
    "TimestampEqualsPath",
    "TimestampGreaterThan",
    "TimestampGreaterThanEquals",
    "TimestampGreaterThanEqualsPath",
    "TimestampGreaterThanPath",
    "TimestampLessThan",
    "TimestampLessThanEquals",
    "TimestampLessThanEqualsPath",
    "TimestampLessThanPath",
]

_MODULES = ("asl", "errors")
_HOMES = {
    **dict.fromkeys(("SfiniCelery", "StepFunctions"), "sfini_celery.app"),
    **dict.fromkeys(("catch", "choice", "each", "loop", "prev", "wait", "when"), "sfini_celery.canvas"),
    **dict.fromkeys(("SfiniError",), "sfini_celery.errors"),
    **dict.fromkeys(
        (
            "AWSSession",
            "Activity",
            "ActivityRegistration",
            "CLI",
            "Lambda",
            "StateMachine",
            "Worker",
            "WorkerCancel",
            "construct_state_machine",
        ),
        "sfini_celery.sfini",
    ),
}
"""Where a name lives; those not listed live in :mod:`sfini_celery.asl`."""


def __getattr__(name: str) -> Any:
    # Looked up when first used (PEP 562): Celery imports this package at every start, boto3 alone costs 190 ms, and
    # gevent has to patch sockets before aiohttp sees them.
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "sfini_celery.asl")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES, "__version__"})
