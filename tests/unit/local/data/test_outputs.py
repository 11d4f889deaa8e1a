"""What AWS answered for single states: choice rules, and TestState with what it shows of each step on the data's way.

Recorded against AWS by others (see the recordings' README); read from beside the repository, skipped where absent.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sfini_celery.local.data import (
    MISSING,
    DataError,
    Scope,
    apply_input_path,
    apply_output_path,
    loads,
    matches,
    put_path,
    render,
)

RECORDINGS = Path(__file__).resolve().parents[5] / "shared" / "aws-recordings" / "outputs.json"


def _cases(kind: str) -> list[Any]:
    if not RECORDINGS.exists():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no recordings of AWS at {RECORDINGS}"))]
    cases = json.loads(RECORDINGS.read_text())
    return [pytest.param(case, id=case["id"].rpartition("::")[2]) for case in cases if case["kind"] == kind]


@pytest.mark.parametrize("case", _cases("choice-case"))
def test_choice_goes_where_it_went_on_aws(case: dict[str, Any]) -> None:
    states = case["definition"]["States"]
    state = states[case["definition"]["StartAt"]]
    scope = Scope(case["input"])
    chosen = next((rule["Next"] for rule in state["Choices"] if matches(rule, scope)), state.get("Default"))
    assert {"output": states[chosen]["Result"]} == case["recorded"]


# --- TestState: what it shows of each step on the data's way through one state

_JSONATA = "TestState of a state in JSONata waits for TestState in the embedded server"
_NO_ARRAY = 'Reference path "$" must point to array.'
_CALLED = "AWS called a real service here and shows no result to go on with"
_INSPECTED = (
    "input",
    "afterInputPath",
    "afterParameters",
    "afterItemsPath",
    "result",
    "afterResultSelector",
    "afterResultPath",
)


_WHERE_TO = ("status", "error", "cause", "nextState")


def _state_of(request: dict[str, Any]) -> dict[str, Any]:
    """The state under test: the definition itself, or the one of that name anywhere in a machine."""
    definition = json.loads(request["definition"])
    return _find(definition, request["stateName"]) if "stateName" in request else definition


def _find(machine: dict[str, Any], name: str) -> dict[str, Any]:
    if name in machine["States"]:
        return machine["States"][name]
    inner = [
        part
        for state in machine["States"].values()
        for part in [state.get("ItemProcessor"), *state.get("Branches", [])]
        if part and name in part["States"]
    ]
    return inner[0]["States"][name]


def _unsupported(case: dict[str, Any]) -> str | None:
    request = case["request"]
    if "JSONata" in request["definition"]:
        return _JSONATA
    mocked = "mock" in request or "result" in case["recorded"].get("inspectionData", {})
    return None if mocked or _state_of(request)["Type"] in ("Pass", "Succeed", "Choice") else _CALLED


def _result(case: dict[str, Any], state: dict[str, Any], given: Any) -> Any:
    request, shown = case["request"], case["recorded"].get("inspectionData", {})
    if "result" in request.get("mock", {}):
        return loads(request["mock"]["result"])
    return _value(shown["result"]) if "result" in shown else state.get("Result", given)


def _value(shown: Any) -> Any:
    """What a recorded text says; texts of objects were parsed when they were recorded."""
    return loads(shown) if isinstance(shown, str) else shown


def _steps(case: dict[str, Any], state: dict[str, Any], data: Any, context: dict[str, Any]) -> dict[str, Any]:
    """The data after each step of a state, by the names TestState gives them, and where it went."""
    steps: dict[str, Any] = {"input": data}
    given = steps["afterInputPath"] = apply_input_path(state.get("InputPath", MISSING), Scope(data, context))
    if "ItemsPath" in state:
        steps["afterItemsPath"] = apply_input_path(state["ItemsPath"], Scope(given, context))
        if not isinstance(steps["afterItemsPath"], list):
            return {**steps, "status": "FAILED", "error": "States.Runtime", "cause": _NO_ARRAY}
    if "Parameters" in state:
        given = render(state["Parameters"], Scope(given, context))
    steps["afterParameters"] = given
    if "errorOutput" in case["request"].get("mock", {}):
        return {**steps, "status": "FAILED", **case["request"]["mock"]["errorOutput"]}
    if state["Type"] == "Choice":
        scope = Scope(given, context)
        chosen = next((rule["Next"] for rule in state["Choices"] if matches(rule, scope)), state.get("Default"))
        return {**steps, "status": "SUCCEEDED", "nextState": chosen, "output": given}
    result = steps["result"] = _result(case, state, given)
    if "ResultSelector" in state:
        result = render(state["ResultSelector"], Scope(result, context))
    steps["afterResultSelector"] = result
    put = steps["afterResultPath"] = put_path(state.get("ResultPath", MISSING), data, result)
    output = apply_output_path(state.get("OutputPath", MISSING), Scope(put, context))
    return {**steps, "status": "SUCCEEDED", "output": output}


def _recorded_form(value: Any) -> Any:
    """A value of ours with times and partition as they were recorded."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "date", json.dumps(value))
    return json.loads(text.replace("arn:aws:", "arn:<partition>:"))


@pytest.mark.parametrize("case", _cases("test_state"))
def test_state_shows_what_it_showed_on_aws(case: dict[str, Any], recordings: ModuleType) -> None:
    reason = _unsupported(case)
    if reason:
        pytest.skip(reason)
    request, recorded = case["request"], case["recorded"]
    state = _state_of(request)
    context = loads(request.get("context", "{}"))
    try:
        steps = _steps(case, state, loads(request["input"]), context)
    except DataError as error:
        steps = {"status": "FAILED", "error": error.error, "cause": error.cause}
    shown = {**recorded.get("inspectionData", {}), **{name: recorded.get(name) for name in ("output", *_WHERE_TO)}}
    ours = {name: _recorded_form(steps.get(name)) for name in shown if name in (*_INSPECTED, "output", *_WHERE_TO)}
    expected = {name: _value(shown[name]) if name not in _WHERE_TO else shown[name] for name in ours}
    assert not list(recordings.Comparison().differences(expected, ours))
