"""The envelope that a Task state sends: a payload template, read by :mod:`sfini_celery.activity`.

``docs/envelope.md`` lists its members.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kombu.utils import json as kombu_json

from sfini_celery.canvas import Expression
from sfini_celery.compiler.emission.frame import Frame, Previous
from sfini_celery.compiler.emission.paths import path_of
from sfini_celery.compiler.limits import check_call
from sfini_celery.compiler.literals import Hole, call_of, has_path_key, hollowed, parts_of, size_of, to_json
from sfini_celery.compiler.nodes import Step
from sfini_celery.errors import CompileError

__all__ = ["call_literals", "envelope"]

REFERENCE = "sfini.ref"
TEXT = "sfini.json"


def envelope(
    step: Step,
    frame: Frame,
    previous: Previous,
    *,
    errors: tuple[str, ...] = (),
    retry: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The Parameters of a step's Task state.

    Parameters:
        step: the call
        frame, previous: where it stands
        errors: names that the state's Retry lists
        retry: which failures the state itself retries, and how often
    """
    template: dict[str, Any] = {"sfini": 1, "task": step.task}
    if step.over:
        template["over"] = step.over
    template.update(call_literals(step, frame, previous))
    if not step.immutable:
        template.update(frame.given(previous))
    if matched := tuple(dict.fromkeys((*frame.errors, *errors))):
        template["errors"] = list(matched)
    if retry is not None:
        template["retry"] = dict(retry)
    template["at"] = frame.position()
    return template


def call_literals(step: Step, frame: Frame, previous: Previous) -> dict[str, Any]:
    """Template members that give a call's own ``args``, ``kwargs`` and ``options``.

    Raises:
        CompileError: they are not JSON, or too large; a ``prev`` cannot be seen from here
    """
    if step.refers:
        return _with_references(step, frame, previous)
    parts = parts_of(step)
    if frame.literals is not None:
        own = frame.at(*call_of(step)).literals
        if len(parts) == 1:
            return {f"{part}.$": own for part in parts}
        return {f"{part}.$": f"{own}[{place}]" for place, part in enumerate(parts)}
    written = {part: to_json(value, step.path, f"{part} of {step.task}") for part, value in parts.items()}
    check_call(step.path, step.task, size_of(written))
    if has_path_key(written):  # AWS would evaluate it, so it travels as text
        return {"json": json.dumps(written, ensure_ascii=False, separators=(",", ":"))}
    return written


def _with_references(step: Step, frame: Frame, previous: Previous) -> dict[str, Any]:
    hollow, taken = hollowed(step)
    options = dict(step.options)
    if frame.literals is not None:
        own = frame.at(*call_of(step)).literals
        filled = [{f"{REFERENCE}.$": f"{own}[{place}]"} for place in range(len(taken))]
        rest = {"options.$": f"{own}[{len(taken)}]"} if options else {}
    else:
        literals = [to_json(value, step.path, f"an argument of {step.task}") for value in taken]
        options = to_json(options, step.path, f"options of {step.task}")
        check_call(step.path, step.task, size_of([literals, options]))
        filled = [_beside(value) for value in literals]
        rest = {"options": _beside(options)} if options else {}

    def fill(value: Any) -> Any:
        if isinstance(value, Expression):
            return {f"{REFERENCE}.$": path_of(value, frame, previous, step.place)}
        if isinstance(value, Hole):
            return filled[value.index]
        if isinstance(value, Mapping):
            for key in value:
                if key.endswith(".$") or key in (REFERENCE, TEXT):
                    raise CompileError(
                        step.place,
                        f"prev below the key {key!r}, which AWS or the worker would evaluate",
                        "rename the key",
                    )
            return {key: fill(member) for key, member in value.items()}
        return [fill(member) for member in value]

    return {"refs": True, **{part: fill(value) for part, value in hollow.items()}, **rest}


def _beside(literal: Any) -> Any:
    """A literal beside a ``prev``; as text where AWS or the worker would take it for something else."""
    if has_path_key(literal) or _has_own_key(literal):
        return {TEXT: kombu_json.dumps(literal)}
    return literal


def _has_own_key(value: Any) -> bool:
    if isinstance(value, Mapping):
        return REFERENCE in value or TEXT in value or any(map(_has_own_key, value.values()))
    return isinstance(value, list) and any(map(_has_own_key, value))
