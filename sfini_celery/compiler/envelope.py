"""The envelope that a Task state sends: a payload template, read by :mod:`sfini_celery.activity`."""

from __future__ import annotations

import json
from typing import Any

from sfini_celery.compiler.frame import Frame, Previous
from sfini_celery.compiler.literals import has_path_key, parts_of, to_json
from sfini_celery.compiler.nodes import Step

__all__ = ["envelope"]

_POSITION = {
    "execution.$": "$$.Execution.Id",
    "name.$": "$$.Execution.Name",
    "state.$": "$$.State.Name",
    "entered.$": "$$.State.EnteredTime",
    "attempt.$": "$$.State.RetryCount",
}


def envelope(step: Step, frame: Frame, previous: Previous) -> dict[str, Any]:
    """The Parameters of a step's Task state."""
    template: dict[str, Any] = {"sfini": 1, "task": step.task}
    if step.over:
        template["over"] = step.over
    template.update(_literals(step, frame))
    if not step.immutable:
        template.update(frame.start() if previous is Previous.START else {"result.$": frame.result})
    if frame.errors:
        template["errors"] = list(frame.errors)
    template["at"] = {**_POSITION, "map.$": "$.map"} if frame.kept else dict(_POSITION)
    return template


def _literals(step: Step, frame: Frame) -> dict[str, Any]:
    parts = parts_of(step)
    if frame.literals is not None:
        own = f"{frame.literals}[0]" if step.links else frame.literals
        if len(parts) == 1:
            return {f"{part}.$": own for part in parts}
        return {f"{part}.$": f"{own}[{place}]" for place, part in enumerate(parts)}
    written = {part: to_json(value, step.path, f"{part} of {step.task}") for part, value in parts.items()}
    call = {part: value for part, value in written.items() if part != "options"}
    if has_path_key(call):  # AWS would evaluate it, so it travels as text
        rest = {part: value for part, value in written.items() if part == "options"}
        return {"json": json.dumps(call, ensure_ascii=False, separators=(",", ":")), **rest}
    return written
