"""Definitions as CreateStateMachine takes and refuses them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sfini_celery.asl import lint
from sfini_celery.local.data import has_jsonata
from sfini_celery.local.engine import READABLE
from sfini_celery.local.service.errors import ApiError
from sfini_celery.local.service.operation import Answer, Request, operation
from sfini_celery.local.service.service import Service

__all__ = ["read_definition"]

_MOST_DIAGNOSTICS = 100
_CODES = {
    "NOT_JSON": "INVALID_JSON_DESCRIPTION",
    "UNKNOWN_TARGET": "MISSING_TRANSITION_TARGET",
    "UNREACHABLE_STATE": "MISSING_TRANSITION_TARGET",
}
_STEP = re.compile(r"""\.([A-Za-z0-9_]+)|\[("(?:[^"\\]|\\.)*")\]""")


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
    """Severity, code, message and location of each thing that is wrong, in AWS's words where it has some."""
    findings = lint(text)
    for finding in findings:
        code = _CODES.get(finding.code, "SCHEMA_VALIDATION_FAILED")
        yield finding.severity.upper(), code, finding.message, _location(finding.path)
    if not any(finding.severity == "error" for finding in findings):
        yield from _unsupported(json.loads(text), "")


def _location(path: str) -> str:
    """A place as AWS writes it: ``/States/Add/Next`` where lint has ``$.States.Add.Next``."""
    return _STEP.sub(lambda found: f"/{found[1] or json.loads(found[2])}", path.removeprefix("$")) or "/"


_WITHOUT_EXTRA = "JSONata without its extra: pip install 'sfini_celery[jsonata]'"


def _unsupported(machine: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
    """What AWS would take and this server cannot run yet."""
    if machine.get("QueryLanguage") == "JSONata" and not has_jsonata():
        yield _cannot(_WITHOUT_EXTRA, f"{path}/QueryLanguage")
        return
    for name, state in machine["States"].items():
        here = f"{path}/States/{name}"
        if state.get("QueryLanguage") == "JSONata" and not has_jsonata():
            yield _cannot(_WITHOUT_EXTRA, f"{here}/QueryLanguage")
        if "WriterConfig" in state.get("ResultWriter", {}):
            yield _cannot("the transformations of a WriterConfig", f"{here}/ResultWriter/WriterConfig")
        config = state.get("ItemReader", {}).get("ReaderConfig", {})
        if config.get("InputType", "JSON") not in READABLE:
            yield _cannot(f"items in {config['InputType']}", f"{here}/ItemReader/ReaderConfig/InputType")
        for index, branch in enumerate(state.get("Branches", ())):
            yield from _unsupported(branch, f"{here}/Branches[{index}]")
        for field in ("ItemProcessor", "Iterator"):
            processor = state.get(field)
            if processor is None:
                continue
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
