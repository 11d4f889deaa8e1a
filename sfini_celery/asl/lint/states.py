"""One state: its fields, and what goes together."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from sfini_celery.asl.lint.choices import check_choices
from sfini_celery.asl.lint.failures import check_catch, check_retry
from sfini_celery.asl.lint.fields import EXCLUSIVE, FIELDS, REQUIRED, TYPES
from sfini_celery.asl.lint.findings import Spot
from sfini_celery.asl.lint.maps import check_mode
from sfini_celery.asl.lint.values import JSONATA, JSONPATH, wrong_language

__all__ = ["check_state"]

_DEEPER = {"Retry": check_retry, "Catch": check_catch, "Choices": check_choices}
_GOING_ON = FIELDS["Next"].types


def check_state(state: Mapping[Any, Any], at: Spot, machine_language: str) -> None:
    """Everything about a state that can be seen without the states around it.

    Parameters:
        state: its definition
        at: where it is
        machine_language: the query language of the whole machine
    """
    language = _language(state, at, machine_language)
    kind = state.get("Type")
    if "Type" not in state:
        at.error("MISSING_FIELD", f"needs a Type: {', '.join(TYPES)}")
    elif kind not in TYPES:
        at["Type"].error("UNKNOWN_TYPE", f"must be {', '.join(TYPES[:-1])} or {TYPES[-1]}, not {kind!r}")
    if not isinstance(kind, str) or kind not in TYPES:
        return
    for key, value in state.items():
        _field(key, value, at, kind, language)
    _together(state, at, kind)
    if kind in _GOING_ON:
        _next_or_end(state, at)
    if kind == "Task":
        _times(state, at)
        _token(state, at)
    if kind == "Map":
        check_mode(state, at)


def _language(state: Mapping[Any, Any], at: Spot, machine_language: str) -> str:
    if "QueryLanguage" not in state:
        return machine_language
    own = state["QueryLanguage"]
    if own == JSONPATH and machine_language == JSONATA:
        at["QueryLanguage"].error("WRONG_QUERY_LANGUAGE", "a state of a JSONata machine cannot go back to JSONPath")
    # As AWS does, so that one wrong word does not bring a finding for every field.
    return JSONPATH if own == JSONPATH else JSONATA


def _field(key: object, value: Any, at: Spot, kind: str, language: str) -> None:
    field = FIELDS.get(key) if isinstance(key, str) else None
    if field is None:
        near = difflib.get_close_matches(str(key), FIELDS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        at[key].error("UNKNOWN_FIELD", f"the states language has no field {key!r}{hint}")
    elif kind not in field.types:
        others = ", ".join(name for name in TYPES if name in field.types)
        at[key].error("FIELD_NOT_ALLOWED", f"a {kind} state cannot have it, only {others}")
    elif field.language and field.language != language:
        wrong_language(at[key], field.language, language)
    else:
        check = _DEEPER.get(str(key), field.check)
        check(value, at[key], language)


def _together(state: Mapping[Any, Any], at: Spot, kind: str) -> None:
    for group in REQUIRED.get(kind, ()):
        if not any(name in state for name in group):
            at.error("MISSING_FIELD", f"a {kind} state needs {' or '.join(group)}")
    for group in EXCLUSIVE:
        present = [name for name in group if name in state]
        if len(present) > 1 and all(kind in FIELDS[name].types for name in present):
            at.error("EXCLUSIVE_FIELDS", f"only one of {' and '.join(present)} can be there")


def _next_or_end(state: Mapping[Any, Any], at: Spot) -> None:
    ends = state.get("End") is True
    if "Next" in state and ends:
        at.error("NEXT_AND_END", "has a Next and an End, but it can only do one of the two")
    elif "Next" not in state and not ends:
        at.error("NEITHER_NEXT_NOR_END", "needs a Next, the state to go to, or an End that is true")


def _times(state: Mapping[Any, Any], at: Spot) -> None:
    heartbeat, timeout = state.get("HeartbeatSeconds"), state.get("TimeoutSeconds")
    if not (isinstance(heartbeat, int) and isinstance(timeout, int)) or heartbeat < timeout:
        return
    at["HeartbeatSeconds"].error("HEARTBEAT_NOT_BELOW_TIMEOUT", f"must be below TimeoutSeconds, which is {timeout}")


def _token(state: Mapping[Any, Any], at: Spot) -> None:
    """A task that waits for a token which nobody is told waits for ever."""
    resource = state.get("Resource")
    if not isinstance(resource, str) or not resource.endswith(".waitForTaskToken"):
        return
    told = json.dumps([state.get("Parameters"), state.get("Arguments"), state.get("InputPath")], default=str)
    if not any(word in told for word in ("Task.Token", '"$$"', "$$.Task", "$states.context", "['Token']")):
        at.warning("TOKEN_NOT_SENT", "waits for its task token, but sends the token to nobody: use $$.Task.Token")
