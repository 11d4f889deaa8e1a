"""The envelope that a Task state sends: a payload template, read by :mod:`sfini_celery.activity`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sfini_celery.canvas import Expression
from sfini_celery.compiler.frame import Frame, Previous
from sfini_celery.compiler.literals import has_path_key, has_references, parts_of, to_json
from sfini_celery.compiler.nodes import Step
from sfini_celery.compiler.paths import path_of
from sfini_celery.errors import CompileError

__all__ = ["envelope"]

REFERENCE = "sfini.ref"

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
    template.update(_literals(step, frame, previous))
    if not step.immutable:
        template.update(frame.given(previous))
    if frame.errors:
        template["errors"] = list(frame.errors)
    template["at"] = {**_POSITION, "map.$": "$.map"} if frame.kept else dict(_POSITION)
    return template


def _literals(step: Step, frame: Frame, previous: Previous) -> dict[str, Any]:
    parts = parts_of(step)
    if has_references(step):
        return {"refs": True, **{part: _with_paths(value, step, frame, previous) for part, value in parts.items()}}
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


def _with_paths(value: Any, step: Step, frame: Frame, previous: Previous) -> Any:
    if isinstance(value, Expression):
        return {f"{REFERENCE}.$": path_of(value, frame, previous, step.place)}
    if has_references(value):
        if isinstance(value, Mapping):
            return {str(key): _with_paths(member, step, frame, previous) for key, member in value.items()}
        return [_with_paths(member, step, frame, previous) for member in value]
    written = to_json(value, step.path, f"an argument of {step.task}")
    if has_path_key(written) or _has_reference_key(written):
        raise CompileError(
            step.place,
            f"a literal beside prev has a key that ends in '.$' or is {REFERENCE!r}, which AWS would evaluate",
            "rename the key, or pass the literal in a step of its own",
        )
    return written


def _has_reference_key(value: Any) -> bool:
    if isinstance(value, Mapping):
        return REFERENCE in value or any(map(_has_reference_key, value.values()))
    return isinstance(value, list) and any(map(_has_reference_key, value))
