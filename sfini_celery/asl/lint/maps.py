"""What only Map states have: where items come from, how they are run, where results go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sfini_celery.asl.lint import values
from sfini_celery.asl.lint.findings import Spot
from sfini_celery.asl.lint.templates import template
from sfini_celery.asl.lint.values import JSONATA, JSONPATH, expression, is_expression, kind_of

__all__ = ["check_mode", "item_batcher", "item_reader", "items", "label", "result_writer"]

LONGEST_LABEL = 40
MOST_INLINE = 40
_LABEL = re.compile(r"[^\s?*<>{}\[\]:;,\\|^~$#%&`\"\x00-\x1f\x7f-\x9f]+")
_DISTRIBUTED_ONLY = (
    "ItemReader",
    "ItemBatcher",
    "ResultWriter",
    "Label",
    "ToleratedFailureCount",
    "ToleratedFailureCountPath",
    "ToleratedFailurePercentage",
    "ToleratedFailurePercentagePath",
)


def items(value: object, at: Spot, language: str) -> None:
    if isinstance(value, (list, Mapping)):
        template(value, at, language)
    elif not is_expression(value):
        at.error("WRONG_TYPE", f"must be a list, an object or a JSONata expression, not {kind_of(value)}")


def label(value: object, at: Spot, language: str) -> None:
    if not isinstance(value, str):
        values.text(value, at, language)
    elif not 0 < len(value) <= LONGEST_LABEL:
        at.error("OUT_OF_RANGE", f"must be 1 to {LONGEST_LABEL} characters long, not {len(value)}")
    elif not _LABEL.fullmatch(value):
        at.error("UNKNOWN_VALUE", f"cannot hold white space, brackets, wildcards or special characters: {value!r}")


_reader_config = values.object_of(
    {
        "InputType": (values.one_of("CSV", "JSON", "JSONL", "MANIFEST", "PARQUET"), ""),
        "ManifestType": (values.text, ""),
        "Transformation": (values.text, ""),
        "CSVHeaderLocation": (values.one_of("FIRST_ROW", "GIVEN"), ""),
        "CSVHeaders": (values.anything, ""),
        "CSVDelimiter": (values.text, ""),
        "MaxItems": (expression(values.whole(0, 100_000_000)), ""),
        "MaxItemsPath": (values.reference, JSONPATH),
        "ItemsPointer": (values.text, ""),
    },
    complete=False,
)


_reader = values.object_of(
    {
        "Resource": (values.resource, ""),
        "ReaderConfig": (_reader_config, ""),
        "Parameters": (template, JSONPATH),
        "Arguments": (template, JSONATA),
    },
    complete=False,
)


def item_reader(value: object, at: Spot, language: str) -> None:
    _reader(value, at, language)
    if isinstance(value, Mapping) and "Resource" not in value:
        at.error("MISSING_FIELD", "needs a Resource, the ARN of what reads the items")


item_batcher = values.object_of(
    {
        "MaxItemsPerBatch": (expression(values.whole(0)), ""),
        "MaxItemsPerBatchPath": (values.reference, JSONPATH),
        "MaxInputBytesPerBatch": (expression(values.whole(0)), ""),
        "MaxInputBytesPerBatchPath": (values.reference, JSONPATH),
        "BatchInput": (template, ""),
    },
    complete=False,
)

result_writer = values.object_of(
    {
        "Resource": (values.resource, ""),
        "Parameters": (template, JSONPATH),
        "Arguments": (template, JSONATA),
        "WriterConfig": (values.json_object, ""),
    },
    complete=False,
)

_processor_config = values.object_of(
    {
        "Mode": (values.one_of("INLINE", "DISTRIBUTED"), ""),
        "ExecutionType": (values.one_of("STANDARD", "EXPRESS"), ""),
    }
)


def check_mode(state: Mapping[Any, Any], at: Spot) -> None:
    """What the ProcessorConfig says, and what does not go with it."""
    field = "ItemProcessor" if "ItemProcessor" in state else "Iterator"
    processor = state.get(field)
    config = processor.get("ProcessorConfig", {}) if isinstance(processor, Mapping) else {}
    where = at[field]["ProcessorConfig"]
    _processor_config(config, where, "")
    if not isinstance(config, Mapping):
        return
    if config.get("Mode") == "DISTRIBUTED":
        if "ExecutionType" not in config:
            where.error("MISSING_FIELD", "a distributed Map needs an ExecutionType, STANDARD or EXPRESS")
        return
    for name in _DISTRIBUTED_ONLY:
        if name in state:
            at[name].warning("DISTRIBUTED_ONLY", "belongs to distributed Maps, and this one is inline")
    concurrency = state.get("MaxConcurrency")
    if isinstance(concurrency, int) and concurrency > MOST_INLINE:
        at["MaxConcurrency"].warning("INLINE_CONCURRENCY", f"an inline Map runs at most {MOST_INLINE} items at once")
