"""Payload templates: Parameters, ResultSelector, ItemSelector and Assign, and what stands right of a ``.$`` key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import DataError, PathNotFound
from .intrinsics import call, is_call
from .paths import Scope, get_path


def render(template: Any, scope: Scope) -> Any:
    """Fill in a payload template: members named ``name.$`` are evaluated and become ``name``, all else stays.

    Args:
        template: a JSON value
        scope: what its expressions see

    Raises:
        DataError: an expression could not be evaluated

    Example:
        >>> render({"id.$": "$.order", "kind": "order"}, Scope({"order": 7}))
        {'id': 7, 'kind': 'order'}
    """
    if isinstance(template, Mapping):
        rendered = {}
        for key, value in template.items():
            if key.endswith(".$"):
                rendered[key[:-2]] = evaluate(value, scope, field=key)
            else:
                rendered[key] = render(value, scope)
        return rendered
    if isinstance(template, list):
        return [render(item, scope) for item in template]
    return template


def evaluate(expr: Any, scope: Scope, *, field: str = "") -> Any:
    """Evaluate a path, a context path, a variable or a call of an intrinsic function.

    Args:
        expr: as in ``$.a``, ``$$.State.Name``, ``$variable`` or ``States.Format('{}', $.a)``
        scope: what it sees
        field: the field it stands in, for the cause

    Raises:
        DataError: it could not be evaluated
    """
    if not isinstance(expr, str):
        what = f"The value for the field '{field}' must be a valid JSONPath or a valid intrinsic function call"
        raise DataError("States.Runtime", what)
    if is_call(expr):
        return call(expr, scope)
    try:
        return get_path(expr, scope)
    except PathNotFound:
        cause = (
            f"The JSONPath '{expr}' specified for the field '{field}' could not be found in the input "
            f"'{scope.input_text()}'"
        )
        raise DataError("States.Runtime", cause) from None
