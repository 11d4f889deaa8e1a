"""The eight kinds of states.

Parameters up to the first keyword-only one are in sfini's order. Besides those listed, every state takes the
keyword-only parameters of :class:`State`; those that another state can follow also take ``assign``; Task, Parallel and
Map take those of :class:`CanFail`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sfini_celery.asl.fields import MISSING, Missing, timestamp_text
from sfini_celery.asl.rules import ChoiceRule
from sfini_celery.asl.state import CanFail, HasNext, State, check_state
from sfini_celery.errors import DefinitionError, WrongType

if TYPE_CHECKING:
    from sfini_celery.asl.machine import StateMachine

__all__ = ["Choice", "Fail", "Map", "Parallel", "Pass", "Succeed", "Task", "Wait"]

_log = logging.getLogger(__name__)


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


class Pass(HasNext):
    """Pass the input on, changed or with something added, without doing anything.

    Parameters:
        name: of the state
        comment, input_path, output_path: see :class:`State`
        result_path: where the result is put in the input; ``None`` drops it
        result: the result; without it, the input is
        parameters: JSONPath only: template of the result
    """

    TYPE = "Pass"
    FIELDS = (
        *HasNext.FIELDS,
        ("parameters", "Parameters"),
        ("result", "Result"),
        ("result_path", "ResultPath"),
    )

    def __init__(
        self,
        name: str,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        result_path: str | Missing | None = MISSING,
        result: Any = MISSING,
        *,
        parameters: Any = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, **fields)
        self.result_path = result_path
        self.result = result
        self.parameters = parameters


class Wait(HasNext):
    """Wait, for some seconds or until a moment.

    Parameters:
        name: of the state
        until: seconds as an int; a moment as an aware datetime; or as text the path of a timestamp in the input
        comment, input_path, output_path: see :class:`State`
        seconds: instead of ``until``: whole seconds, or a JSONata expression of them
        timestamp: instead of ``until``: a datetime, a timestamp as text, or a JSONata expression of one
        seconds_path: instead of ``until``: path of the seconds in the input
        timestamp_path: instead of ``until``: path of a timestamp in the input

    Raises:
        DefinitionError: not exactly one of the five, or a moment without a time zone
        WrongType: ``until`` is none of the three
    """

    TYPE = "Wait"
    FIELDS = (
        *HasNext.FIELDS,
        ("seconds", "Seconds"),
        ("timestamp", "Timestamp"),
        ("seconds_path", "SecondsPath"),
        ("timestamp_path", "TimestampPath"),
    )

    def __init__(
        self,
        name: str,
        until: int | datetime | str | Missing = MISSING,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        *,
        seconds: int | str | Missing = MISSING,
        timestamp: datetime | str | Missing = MISSING,
        seconds_path: str | Missing = MISSING,
        timestamp_path: str | Missing = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, **fields)
        ways = (until, seconds, timestamp, seconds_path, timestamp_path)
        if sum(way is not MISSING for way in ways) != 1:
            raise DefinitionError(
                f"state {name!r}: a Wait takes exactly one of until, seconds, timestamp, seconds_path, timestamp_path"
            )
        if isinstance(until, bool) or not isinstance(until, (int, datetime, str, Missing)):
            raise WrongType(f"state {name!r}: until is an int, a datetime or a path, not {until!r}")
        if isinstance(until, int):
            seconds = until
        elif isinstance(until, datetime):
            timestamp = until
        elif isinstance(until, str):
            if not until.startswith("$"):
                raise DefinitionError(
                    f"state {name!r}: as text, until is the path of a timestamp and begins with '$', unlike {until!r}; "
                    "for the timestamp itself use timestamp="
                )
            timestamp_path = until
        if isinstance(timestamp, datetime):
            timestamp = timestamp_text(f"state {name!r}: the time to wait for", timestamp)
        self.seconds = seconds
        self.timestamp = timestamp
        self.seconds_path = seconds_path
        self.timestamp_path = timestamp_path


class Choice(State):
    """Go where the first rule that holds says.

    Parameters:
        name: of the state
        comment, input_path, output_path: see :class:`State`
        assign: variables to set when no rule holds

    Attributes:
        choices: the rules, in the order AWS tries them
        default: where the execution goes when no rule holds; without it, it fails with States.NoChoiceMatched

    Example:
        >>> from sfini_celery.asl import NumericLessThan
        >>> again, done = Pass("again"), Succeed("done")
        >>> check = Choice("check")
        >>> check.add(NumericLessThan("$.counter", 10, again))
        >>> check.set_default(done)
    """

    TYPE = "Choice"
    FIELDS = (*State.FIELDS, ("assign", "Assign"))

    def __init__(
        self,
        name: str,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        *,
        assign: Mapping[str, Any] | Missing = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, **fields)
        self.assign = assign
        self.choices: list[ChoiceRule] = []
        self.default: State | None = None

    def add(self, rule: ChoiceRule) -> None:
        """Add a rule after those there are.

        Raises:
            DefinitionError: a rule without a next state
        """
        if not isinstance(rule, ChoiceRule):
            raise WrongType(f"state {self.name!r}: a choice is a rule, not {rule!r}")
        if rule.next is None:
            raise DefinitionError(f"state {self.name!r}: a rule of a Choice needs a next state, unlike {rule!r}")
        self.choices.append(rule)

    def remove(self, rule: ChoiceRule) -> None:
        """Remove a rule.

        Raises:
            DefinitionError: a rule that is not there
        """
        if rule not in self.choices:
            raise DefinitionError(f"state {self.name!r} has no rule {rule!r}")
        self.choices.remove(rule)

    def set_default(self, state: State) -> None:
        """Set where the execution goes when no rule holds."""
        check_state(state)
        if self.default is not None and self.default is not state:
            _log.warning("default of %s changes from %s to %s", self, self.default, state)
        self.default = state

    def successors(self) -> list[State]:
        states = [rule.next for rule in self.choices] + [self.default]
        return list(dict.fromkeys(state for state in states if state is not None))

    def _fields(self) -> dict[str, Any]:
        if not self.choices:
            raise DefinitionError(f"state {self.name!r}: a Choice needs at least one rule; AWS refuses one without")
        default = {} if self.default is None else {"Default": self.default.name}
        return {**super()._fields(), "Choices": [rule.to_dict() for rule in self.choices], **default}


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


class Succeed(State):
    """End the execution (or the branch) with success.

    Parameters:
        name: of the state
        comment, input_path, output_path: see :class:`State`
    """

    TYPE = "Succeed"


class Fail(State):
    """End the execution with a failure.

    Parameters:
        name: of the state
        comment: for people
        input_path, output_path: there for sfini's sake; AWS refuses a Fail state that has them
        cause: why it fails, for people
        error: the error's name, which a machine around it can match
        cause_path, error_path: where in the input those are, or an intrinsic function that makes them
    """

    TYPE = "Fail"
    FIELDS = (
        *State.FIELDS,
        ("error", "Error"),
        ("error_path", "ErrorPath"),
        ("cause", "Cause"),
        ("cause_path", "CausePath"),
    )

    def __init__(
        self,
        name: str,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        cause: str | Missing = MISSING,
        error: str | Missing = MISSING,
        *,
        cause_path: str | Missing = MISSING,
        error_path: str | Missing = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, **fields)
        self.cause = cause
        self.error = error
        self.cause_path = cause_path
        self.error_path = error_path
