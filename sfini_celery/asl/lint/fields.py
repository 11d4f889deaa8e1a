"""The fields of states: which states have them, in which query language, and what their values can be.

Source: the developer guide's 'State machine structure' and 'State types'; the Amazon States Language specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sfini_celery.asl.lint import maps, values
from sfini_celery.asl.lint.templates import assign, literal, object_template, template
from sfini_celery.asl.lint.values import JSONATA, JSONPATH, Check, expression

__all__ = ["EXCLUSIVE", "FIELDS", "REQUIRED", "TYPES", "Field"]

TYPES = ("Task", "Pass", "Wait", "Choice", "Parallel", "Map", "Succeed", "Fail")
LONGEST_TIME = 99_999_999


@dataclass(frozen=True)
class Field:
    """One field of states.

    Attributes:
        types: the states that have it
        check: of its value
        language: the query language it belongs to, empty for both
    """

    types: frozenset[str]
    check: Check
    language: str = ""


def _field(types: str, check: Check, language: str = "") -> Field:
    return Field(frozenset(types.split()), check, language)


_ALL = " ".join(TYPES)
_GOING_ON = "Task Pass Wait Parallel Map"
_FAILING = "Task Parallel Map"
_seconds = expression(values.whole(1, LONGEST_TIME))

FIELDS: Mapping[str, Field] = {
    "Type": _field(_ALL, values.anything),
    "Comment": _field(_ALL, values.text),
    "QueryLanguage": _field(_ALL, values.one_of(JSONPATH, JSONATA)),
    "Next": _field(_GOING_ON, values.text),
    "End": _field(_GOING_ON, values.boolean),
    "InputPath": _field("Task Pass Wait Choice Parallel Map Succeed", values.path_or_null, JSONPATH),
    "OutputPath": _field("Task Pass Wait Choice Parallel Map Succeed", values.path_or_null, JSONPATH),
    "Parameters": _field("Task Pass Parallel Map", template, JSONPATH),
    "ResultSelector": _field(_FAILING, template, JSONPATH),
    "ResultPath": _field("Task Pass Parallel Map", values.result_path, JSONPATH),
    "Result": _field("Pass", literal, JSONPATH),
    "Arguments": _field("Task Parallel", template, JSONATA),
    "Output": _field("Task Pass Wait Choice Parallel Map Succeed", template, JSONATA),
    "Assign": _field("Task Pass Wait Choice Parallel Map", assign),
    "Retry": _field(_FAILING, values.anything),
    "Catch": _field(_FAILING, values.anything),
    # Task
    "Resource": _field("Task", values.resource),
    "Credentials": _field("Task", object_template),
    "TimeoutSeconds": _field("Task", _seconds),
    "TimeoutSecondsPath": _field("Task", values.reference, JSONPATH),
    "HeartbeatSeconds": _field("Task", _seconds),
    "HeartbeatSecondsPath": _field("Task", values.reference, JSONPATH),
    # Wait
    "Seconds": _field("Wait", expression(values.whole(0, LONGEST_TIME))),
    "SecondsPath": _field("Wait", values.reference, JSONPATH),
    "Timestamp": _field("Wait", expression(values.timestamp)),
    "TimestampPath": _field("Wait", values.reference, JSONPATH),
    # Choice
    "Choices": _field("Choice", values.anything),
    "Default": _field("Choice", values.text),
    # Parallel
    "Branches": _field("Parallel", values.anything),
    # Map
    "ItemProcessor": _field("Map", values.json_object),
    "Iterator": _field("Map", values.json_object),
    "ItemsPath": _field("Map", values.context_path, JSONPATH),
    "Items": _field("Map", maps.items, JSONATA),
    "ItemSelector": _field("Map", template),
    "ItemReader": _field("Map", maps.item_reader),
    "ItemBatcher": _field("Map", maps.item_batcher),
    "ResultWriter": _field("Map", maps.result_writer),
    "MaxConcurrency": _field("Map", expression(values.whole(0))),
    "MaxConcurrencyPath": _field("Map", values.reference, JSONPATH),
    "ToleratedFailureCount": _field("Map", expression(values.whole(0))),
    "ToleratedFailureCountPath": _field("Map", values.reference, JSONPATH),
    "ToleratedFailurePercentage": _field("Map", expression(values.number(0, 100))),
    "ToleratedFailurePercentagePath": _field("Map", values.reference, JSONPATH),
    "Label": _field("Map", maps.label),
    # Fail
    "Error": _field("Fail", values.literal_text),
    "ErrorPath": _field("Fail", values.path_or_call, JSONPATH),
    "Cause": _field("Fail", values.literal_text),
    "CausePath": _field("Fail", values.path_or_call, JSONPATH),
}

REQUIRED: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Task": (("Resource",),),
    "Wait": (("Seconds", "SecondsPath", "Timestamp", "TimestampPath"),),
    "Choice": (("Choices",),),
    "Parallel": (("Branches",),),
    "Map": (("ItemProcessor", "Iterator"),),
}
"""By type, what must be there: one of each group."""

EXCLUSIVE: tuple[tuple[str, ...], ...] = (
    ("Seconds", "SecondsPath", "Timestamp", "TimestampPath"),
    ("TimeoutSeconds", "TimeoutSecondsPath"),
    ("HeartbeatSeconds", "HeartbeatSecondsPath"),
    ("MaxConcurrency", "MaxConcurrencyPath"),
    ("ToleratedFailureCount", "ToleratedFailureCountPath"),
    ("ToleratedFailurePercentage", "ToleratedFailurePercentagePath"),
    ("ItemProcessor", "Iterator"),
    ("ItemSelector", "Parameters"),
    ("Error", "ErrorPath"),
    ("Cause", "CausePath"),
)
"""Groups of which one state has at most one."""
