"""Definitions as CreateStateMachine takes and refuses them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import Answer, Request, operation
from sfini_celery.local.service.service import Service

__all__ = ["read_definition"]

_MOST_DIAGNOSTICS = 100


def read_definition(text: str) -> Mapping[str, Any]:
    """Parse a definition.

    Raises:
        ApiError: ``InvalidDefinition``, with everything that is wrong and where
    """
    wrong = [f"{code}: {message} at {path}" for severity, code, message, path in _diagnose(text) if severity == "ERROR"]
    if wrong:
        raise ApiError("InvalidDefinition", ", ".join(wrong))
    definition: Mapping[str, Any] = json.loads(text)
    return definition


def _diagnose(text: str) -> Iterator[tuple[str, str, str, str]]:
    try:
        definition = json.loads(text)
    except ValueError as error:
        yield "ERROR", "INVALID_JSON_DESCRIPTION", str(error), "/"
        return
    if not isinstance(definition, dict):
        yield "ERROR", "SCHEMA_VALIDATION_FAILED", "The definition must be a JSON object", "/"
        return
    found = [*_lint(definition)]
    yield from found
    if not any(severity == "ERROR" for severity, *_ in found):
        yield from _unsupported(definition, "")


def _lint(definition: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    try:
        from sfini_celery.asl import lint
    except ImportError:
        return
    if not callable(lint):  # the submodule, while the room is being built
        return
    for finding in lint(definition):
        severity = str(finding.severity).upper()
        yield severity, "SCHEMA_VALIDATION_FAILED", finding.message, str(finding.path)


def _unsupported(machine: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
    """What AWS would take and this server cannot run yet."""
    if machine.get("QueryLanguage") == "JSONata":
        yield _cannot("JSONata", f"{path}/QueryLanguage")
        return
    for name, state in machine["States"].items():
        here = f"{path}/States/{name}"
        if state.get("QueryLanguage") == "JSONata":
            yield _cannot("JSONata", f"{here}/QueryLanguage")
        for index, branch in enumerate(state.get("Branches", ())):
            yield from _unsupported(branch, f"{here}/Branches[{index}]")
        for field in ("ItemProcessor", "Iterator"):
            processor = state.get(field)
            if processor is None:
                continue
            if field == "ItemProcessor" and processor.get("ProcessorConfig", {}).get("Mode") == "DISTRIBUTED":
                yield _cannot("a distributed Map", f"{here}/{field}/ProcessorConfig")
            yield from _unsupported(processor, f"{here}/{field}")


def _cannot(what: str, path: str) -> tuple[str, str, str, str]:
    return "ERROR", "NOT_SUPPORTED_HERE", f"The embedded server does not run {what}", path


@operation("ValidateStateMachineDefinition")
def validate_state_machine_definition(service: Service, request: Request) -> Answer:
    """Say what is wrong with a definition."""
    severities = ("ERROR",) if request.get("severity", "ERROR") == "ERROR" else ("ERROR", "WARNING")
    found = [
        {"severity": severity, "code": code, "message": message, "location": path}
        for severity, code, message, path in _diagnose(request["definition"])
        if severity in severities
    ]
    most = request.get("maxResults") or _MOST_DIAGNOSTICS
    failed = any(diagnostic["severity"] == "ERROR" for diagnostic in found)
    return {"result": "FAIL" if failed else "OK", "diagnostics": found[:most], "truncated": len(found) > most}
