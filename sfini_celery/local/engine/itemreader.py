"""Where a distributed Map's items come from when they are not in its input: an object or a listing of S3.

The call itself is an integration's, as that of any Task: for ``s3:getObject`` it returns ``{"Body": ...}``, text or
bytes, for ``s3:listObjectsV2`` ``{"Contents": [...]}``, all of them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from sfini_celery.local.data import StateError, loads
from sfini_celery.local.engine.failure import RUNTIME, Failure
from sfini_celery.local.engine.integrations import TaskCall, read_resource
from sfini_celery.local.engine.payload import Payload
from sfini_celery.local.engine.visit import Visit

__all__ = ["READABLE", "call_service", "read_items"]

FAILED = "States.ItemReaderFailed"
_DELIMITERS = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}


async def read_items(visit: Visit, effective: Payload) -> list[Any]:
    """The items that an ItemReader finds.

    Raises:
        StateError: ``States.ItemReaderFailed``, or what is wrong with the reader's fields
    """
    reader = visit.state["ItemReader"]
    config = reader.get("ReaderConfig", {})
    answer = await call_service(visit, "ItemReader", visit.nested("ItemReader", effective), FAILED)
    most = visit.nested_number("ItemReader/ReaderConfig", config, "MaxItems", effective) or None
    try:
        if most is not None and most < 0:
            raise ValueError("field MaxItems must be positive")
        return list(islice(_items(reader["Resource"], config, answer), most))
    except (ValueError, csv.Error) as error:
        raise StateError(FAILED, str(error)) from None


async def call_service(visit: Visit, field: str, arguments: Payload, error: str) -> Any:
    """What the integration of a field's resource returns.

    Parameters:
        visit: the Map state
        field: ``ItemReader`` or ``ResultWriter``
        arguments: of the call
        error: the name of the failure if it fails
    """
    engine, arn = visit.frame.engine, visit.state[field]["Resource"]
    resource, integration = read_resource(arn), engine.integrations.find(arn)
    if resource is None or integration is None:
        what = f"There is no integration for the resource '{arn}' of the {field} of the state '{visit.name}'"
        raise Failure(RUNTIME, f"{what} on this server.")
    call = TaskCall(
        resource=resource,
        parameters=arguments.value,
        text=arguments.text,
        token=None,
        execution=visit.frame.execution.arn,
        state=visit.name,
        retry_count=visit.retry_count,
        timeout=None,
        heartbeat=None,
        engine=engine,
        submitted=lambda result: None,
    )
    try:
        answer = await integration(call)
        return answer.value if isinstance(answer, Payload) else answer
    except StateError as failed:
        raise StateError(error, failed.cause) from None


def _items(resource: str, config: Mapping[str, Any], answer: Any) -> Iterable[Any]:
    if resource.rpartition(":")[2] == "listObjectsV2":
        contents: list[Any] = answer["Contents"]
        return contents
    body = answer["Body"]
    text = body.decode("utf-8-sig") if isinstance(body, bytes) else body
    return READABLE[config.get("InputType", "JSON")](text, config)


def _json(text: str, config: Mapping[str, Any]) -> Iterable[Any]:
    found = loads(text)
    for step in config.get("ItemsPointer", "").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ValueError(f"The ItemsPointer {config['ItemsPointer']} points to nothing.") from None
    if not isinstance(found, list):
        raise ValueError("Attempting to map over non-iterable node.")
    return found


def _json_lines(text: str, config: Mapping[str, Any]) -> Iterable[Any]:
    return (loads(line) for line in text.splitlines() if line.strip())


def _csv(text: str, config: Mapping[str, Any]) -> Iterable[Any]:
    delimiter = _DELIMITERS[config.get("CSVDelimiter", "COMMA")]
    rows = (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
    headers = config["CSVHeaders"] if config.get("CSVHeaderLocation") == "GIVEN" else next(rows, [])
    if len(set(headers)) < len(headers):
        raise ValueError("CSV headers cannot contain duplicates.")
    order = _in_java(headers)
    # A short row is filled up, what is beyond the headers is dropped.
    return ({headers[at]: row[at] if at < len(row) else "" for at in order} for row in rows)


def _in_java(keys: Sequence[str]) -> list[int]:
    """The places of some keys in the order of a Java HashMap, which is that of AWS's rows."""
    size = 16
    while len(keys) > size * 3 // 4:
        size *= 2
    return sorted(range(len(keys)), key=lambda at: _java_hash(keys[at]) % size)


def _java_hash(key: str) -> int:
    found = 0
    units = key.encode("utf-16-be")
    for at in range(0, len(units), 2):
        found = (found * 31 + int.from_bytes(units[at : at + 2], "big")) & 0xFFFFFFFF
    return found ^ (found >> 16)


READABLE: dict[str, Callable[[str, Mapping[str, Any]], Iterable[Any]]] = {
    "CSV": _csv,
    "JSON": _json,
    "JSONL": _json_lines,
}
"""How to read an object, by InputType."""
