"""The states that run something and can fail: Task, Parallel and Map.

Parameters up to the first keyword-only one are in sfini's order. Besides those listed, each takes the keyword-only
parameters of :class:`State` and :class:`CanFail`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sfini_celery.asl.fields import MISSING, Missing
from sfini_celery.asl.state import CanFail
from sfini_celery.errors import DefinitionError, WrongType

if TYPE_CHECKING:
    from sfini_celery.asl.machine import StateMachine

__all__ = ["Map", "Parallel", "Task"]


class Task(CanFail):
    """Have an activity, a Lambda function or another AWS service do something.

    Parameters:
        name: of the state
        resource: an ARN, or anything with an ``arn``: an activity, a ``Lambda``; or a Celery task that is an activity.
            Looked at when the definition is written, not before
        comment, input_path, output_path, result_path: see :class:`State` and :class:`CanFail`
        timeout: seconds one attempt may take, from when a worker takes it. Without it, it is the resource's
            ``timeout_seconds``; else AWS's default, 99,999,999
        heartbeat: seconds between two signs of life from the worker; ``None`` for no limit even if the resource has
            one. Without it, it is the resource's ``heartbeat_seconds``; else five more than its ``heartbeat``, as in
            sfini. What is taken from the resource is left out where it is not below the timeout, which then shows a
            lost worker soon enough
        timeout_path, heartbeat_path: where in the input those seconds are
        credentials: ``{"RoleArn": ...}`` of another account's role to run as

    Example:
        >>> Task("add", "arn:aws:states:us-east-1:123456789012:activity:add", timeout=60).to_dict()["TimeoutSeconds"]
        60
    """

    TYPE = "Task"
    FIELDS = (
        *CanFail.FIELDS,
        ("timeout", "TimeoutSeconds"),
        ("timeout_path", "TimeoutSecondsPath"),
        ("heartbeat_path", "HeartbeatSecondsPath"),
        ("credentials", "Credentials"),
    )
    SPARE_HEARTBEAT = 5
    """Seconds that a ``heartbeat`` may be late."""

    def __init__(
        self,
        name: str,
        resource: Any,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        result_path: str | Missing | None = MISSING,
        timeout: int | str | Missing = MISSING,
        *,
        heartbeat: int | str | Missing | None = MISSING,
        timeout_path: str | Missing = MISSING,
        heartbeat_path: str | Missing = MISSING,
        credentials: Mapping[str, Any] | Missing = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, result_path, **fields)
        self.resource = resource
        self.timeout = timeout
        self.heartbeat = heartbeat
        self.timeout_path = timeout_path
        self.heartbeat_path = heartbeat_path
        self.credentials = credentials

    def _fields(self) -> dict[str, Any]:
        resource, arn = self._found()
        timeout = self._timeout_seconds(resource)
        heartbeat = self._heartbeat_seconds(resource, timeout)
        fields = {"Resource": arn, "TimeoutSeconds": timeout, "HeartbeatSeconds": heartbeat}
        return {**super()._fields(), **{name: value for name, value in fields.items() if value is not None}}

    def _found(self) -> tuple[Any, str]:
        resource = self.resource
        arn = resource if isinstance(resource, str) else getattr(resource, "arn", None)
        sfn = getattr(getattr(resource, "app", None), "sfn", None) if arn is None else None
        if sfn is not None:
            # A Celery task: its app knows the activity.
            resource = sfn.resource(resource)
            arn = resource.arn
        if not isinstance(arn, str):
            raise WrongType(f"state {self.name!r}: a resource is an ARN or has an arn, unlike {self.resource!r}")
        return resource, arn

    def _timeout_seconds(self, resource: Any) -> int | str | None:
        if self.timeout is not MISSING:
            return self.timeout
        return None if self.timeout_path is not MISSING else _seconds(resource, "timeout_seconds")

    def _heartbeat_seconds(self, resource: Any, timeout: int | str | None) -> int | str | None:
        if self.heartbeat is not MISSING:
            return self.heartbeat
        if self.heartbeat_path is not MISSING:
            return None
        seconds = _seconds(resource, "heartbeat_seconds")
        if seconds is None and (between := _seconds(resource, "heartbeat")) is not None:
            seconds = between + self.SPARE_HEARTBEAT
        # AWS wants it below the timeout. Lowered to fit, it would fail a worker that beats as often as was agreed.
        return None if seconds is not None and isinstance(timeout, int) and timeout <= seconds else seconds


def _seconds(resource: object, attribute: str) -> int | None:
    value = getattr(resource, attribute, None)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return math.ceil(value)


class Parallel(CanFail):
    """Run machines at the same time, each with the state's input; the result is the list of their outputs.

    Parameters:
        name: of the state
        comment, input_path, output_path, result_path: see :class:`State` and :class:`CanFail`

    Attributes:
        branches: the machines; they need not be registered with AWS
    """

    TYPE = "Parallel"

    def __init__(
        self,
        name: str,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        result_path: str | Missing | None = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, result_path, **fields)
        self.branches: list[StateMachine] = []

    def add(self, state_machine: StateMachine) -> None:
        """Add a machine to run beside those there are."""
        self.branches.append(state_machine)

    def _fields(self) -> dict[str, Any]:
        return {**super()._fields(), "Branches": [machine.definition() for machine in self.branches]}


class Map(CanFail):
    """Run a machine for every item of a list; the result is the list of their outputs.

    Parameters:
        name: of the state
        processor: the machine to run for each item; it need not be registered with AWS
        comment, input_path, output_path, result_path: see :class:`State` and :class:`CanFail`
        items_path: JSONPath of the list in the input
        items: JSONata only: the list, or an expression of it
        item_selector: template of what each run gets as input
        max_concurrency: runs at once, 0 for as many as AWS allows
        mode: ``"INLINE"`` (AWS's default) or ``"DISTRIBUTED"``
        execution_type: of a distributed Map's executions, ``"STANDARD"`` (here the default) or ``"EXPRESS"``
        item_reader, item_batcher, result_writer: distributed only: as in the states language
        tolerated_failure_count, tolerated_failure_percentage: distributed only: failed items that do not fail the state
        label: distributed only: part of the name of its executions
        max_concurrency_path, tolerated_failure_count_path, tolerated_failure_percentage_path: where those numbers are
        legacy: write the processor as ``Iterator``, as before 2022

    Attributes:
        processor_config: ``ProcessorConfig`` as in the states language
    """

    TYPE = "Map"
    FIELDS = (
        *CanFail.FIELDS,
        ("items_path", "ItemsPath"),
        ("items", "Items"),
        ("item_reader", "ItemReader"),
        ("item_selector", "ItemSelector"),
        ("item_batcher", "ItemBatcher"),
        ("result_writer", "ResultWriter"),
        ("max_concurrency", "MaxConcurrency"),
        ("max_concurrency_path", "MaxConcurrencyPath"),
        ("tolerated_failure_count", "ToleratedFailureCount"),
        ("tolerated_failure_count_path", "ToleratedFailureCountPath"),
        ("tolerated_failure_percentage", "ToleratedFailurePercentage"),
        ("tolerated_failure_percentage_path", "ToleratedFailurePercentagePath"),
        ("label", "Label"),
    )

    def __init__(
        self,
        name: str,
        processor: StateMachine | None = None,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        result_path: str | Missing | None = MISSING,
        *,
        items_path: str | Missing = MISSING,
        items: Any = MISSING,
        item_selector: Any = MISSING,
        max_concurrency: int | str | Missing = MISSING,
        mode: str | Missing = MISSING,
        execution_type: str | Missing = MISSING,
        item_reader: Mapping[str, Any] | Missing = MISSING,
        item_batcher: Mapping[str, Any] | Missing = MISSING,
        result_writer: Mapping[str, Any] | Missing = MISSING,
        tolerated_failure_count: int | str | Missing = MISSING,
        tolerated_failure_percentage: float | str | Missing = MISSING,
        label: str | Missing = MISSING,
        max_concurrency_path: str | Missing = MISSING,
        tolerated_failure_count_path: str | Missing = MISSING,
        tolerated_failure_percentage_path: str | Missing = MISSING,
        legacy: bool = False,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, result_path, **fields)
        self.processor = processor
        self.items_path = items_path
        self.items = items
        self.item_selector = item_selector
        self.max_concurrency = max_concurrency
        self.item_reader = item_reader
        self.item_batcher = item_batcher
        self.result_writer = result_writer
        self.tolerated_failure_count = tolerated_failure_count
        self.tolerated_failure_percentage = tolerated_failure_percentage
        self.label = label
        self.max_concurrency_path = max_concurrency_path
        self.tolerated_failure_count_path = tolerated_failure_count_path
        self.tolerated_failure_percentage_path = tolerated_failure_percentage_path
        self.legacy = legacy
        self.processor_config: Mapping[str, Any] | Missing = _processor_config(mode, execution_type)

    def _fields(self) -> dict[str, Any]:
        if self.processor is None:
            raise DefinitionError(f"state {self.name!r}: a Map needs a processor, the machine to run for each item")
        config = {} if self.processor_config is MISSING else {"ProcessorConfig": self.processor_config}
        field = "Iterator" if self.legacy else "ItemProcessor"
        return {**super()._fields(), field: {**config, **self.processor.definition()}}


def _processor_config(mode: str | Missing, execution_type: str | Missing) -> Mapping[str, Any] | Missing:
    if mode is MISSING:
        if execution_type is not MISSING:
            raise DefinitionError("only a Map with mode='DISTRIBUTED' has an execution type")
        return MISSING
    if mode == "DISTRIBUTED" and execution_type is MISSING:
        execution_type = "STANDARD"
    return {"Mode": mode} if execution_type is MISSING else {"Mode": mode, "ExecutionType": execution_type}
