"""What a Task state's resource leads to, other than an activity: calls of services, registered by resource ARN.

An integration is an async callable that takes a :class:`TaskCall` and returns the result, a JSON value or a
:class:`~sfini_celery.local.engine.payload.Payload`. It raises :class:`~sfini_celery.local.data.StateError` for a
failure that the state may retry or catch. It runs on the engine's event loop: what blocks belongs into a thread.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfini_celery.local.engine.engine import Engine

__all__ = ["Integration", "Integrations", "Resource", "TaskCall", "read_resource"]

_ACTIVITY = re.compile(r"arn:[^:]+:states:[^:]+:[^:]+:activity:.+")
_LAMBDA = re.compile(r"arn:[^:]+:lambda:[^:]*:[^:]*:function:.+")
_SERVICE = re.compile(
    r"arn:[^:]+:states:[^:]*:[^:]*:(?P<type>(?:aws-sdk:)?[^:.]+):(?P<action>[^:.]+)(?P<pattern>\..+)?"
)


@dataclass(frozen=True)
class Resource:
    """What a Task state's Resource says.

    Attributes:
        arn: as written
        kind: ``Activity``, ``LambdaFunction`` or ``Task``, with which its events' names begin
        type: the service, as in ``sqs`` or ``aws-sdk:s3``
        action: the call, its pattern included, as in ``sendMessage.waitForTaskToken``
        pattern: ``""``, ``sync``, ``sync:2`` or ``waitForTaskToken``
    """

    arn: str
    kind: str
    type: str = ""
    action: str = ""
    pattern: str = ""


def read_resource(arn: str) -> Resource | None:
    """A resource ARN in its parts, None for one that is not a task's.

    Example:
        >>> read_resource("arn:aws:states:::sqs:sendMessage.waitForTaskToken").pattern
        'waitForTaskToken'
    """
    if _ACTIVITY.fullmatch(arn):
        return Resource(arn, "Activity")
    if _LAMBDA.fullmatch(arn):
        return Resource(arn, "LambdaFunction")
    found = _SERVICE.fullmatch(arn)
    if found is None:
        return None
    pattern = found["pattern"] or ""
    return Resource(arn, "Task", found["type"], found["action"] + pattern, pattern[1:])


@dataclass(frozen=True)
class TaskCall:
    """One attempt of a Task state, as its integration sees it.

    Attributes:
        resource: what to call
        parameters: the state's input after Parameters; nobody may change it
        text: the same as JSON text
        token: the task token of a ``.waitForTaskToken`` call: the result of the integration then is only noted, and the
            state goes on once the token is answered
        execution: the ARN of the execution
        state: the state's name
        retry_count: how often the state was retried
        timeout, heartbeat: seconds, None where the state has none
        engine: what runs it, with its ``clock``, ``region`` and ``account``
        submitted: tell the history what the service first answered, where the result takes longer (``.sync``)
    """

    resource: Resource
    parameters: Any
    text: str
    token: str | None = field(repr=False)
    execution: str
    state: str
    retry_count: int
    timeout: int | None
    heartbeat: int | None
    engine: Engine = field(repr=False)
    submitted: Callable[[Any], None] = field(repr=False)


Integration = Callable[[TaskCall], Awaitable[Any]]


class Integrations:
    """Which integration a resource leads to.

    Parameters:
        table: integrations by resource ARN; ``*`` in a key stands for anything, exact keys come first

    Example:
        >>> async def invoke(call):
        ...     return {"StatusCode": 200, "Payload": call.parameters.get("Payload")}
        >>> Integrations({"arn:aws:states:::lambda:*": invoke}).find("arn:aws:states:::lambda:invoke") is invoke
        True
    """

    def __init__(self, table: Mapping[str, Integration] | None = None) -> None:
        self._table = dict(table or {})

    def register(self, arn: str, integration: Integration) -> None:
        """Let a resource (``*`` in it stands for anything) lead to an integration."""
        self._table[arn] = integration

    def find(self, arn: str) -> Integration | None:
        """The integration for a resource, None where there is none."""
        exact = self._table.get(arn)
        if exact is not None:
            return exact
        return next((found for key, found in self._table.items() if "*" in key and fnmatchcase(arn, key)), None)
