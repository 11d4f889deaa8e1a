"""AWS's recordings: reading them, running a case again here, and comparing what comes out.

Loaded by this folder's ``conftest.py``, since test modules cannot import each other, and handed to tests as the fixture
``recordings``. How the recordings were normalised, which our own histories are put through too, is told in the README
beside them.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jsonpath

from sfini_celery.local.clock import VirtualClock
from sfini_celery.local.data import StateError, dumps
from sfini_celery.local.engine import Engine, Execution, Payload, TaskCall, run_definition

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "aws-recordings"
ABSENT = f"no recordings of AWS at {FOLDER}"
ACCOUNT = "111111111111"
# Times in the cases that depend on the moment of recording were moved to lie around this one.
RECORDED_AT = datetime(2026, 11, 22, 9, 39, tzinfo=timezone.utc)

Event = dict[str, Any]
Case = dict[str, Any]


def read(name: str) -> list[Case]:
    """The cases of a file of recordings, none where they are absent."""
    path = FOLDER / name
    return json.loads(path.read_text()) if path.exists() else []


# --- running a case again, with what its tasks answered on AWS


class Outcomes:
    """Gives every task the outcome that it had on AWS."""

    def __init__(self, case: Case) -> None:
        self._left = [_with_result(outcome, at, case) for at, outcome in enumerate(case["task_outcomes"])]
        self._case = case

    def take(self, state: str, parameters: Any) -> Any:
        """The outcome of the first task left of that state: one with these very parameters, if there is one."""
        named = [outcome for outcome in self._left if outcome.get("state", state) == state]
        if not named:
            raise AssertionError(f"AWS recorded no further task of the state {state!r}")
        shown = normalised({"parameters": parameters}, self._case)["parameters"]
        same = [left for left in named if left.get("parameters", left.get("input")) == shown]
        outcome = (same or named)[0]
        self._left.remove(outcome)
        return outcome

    async def call(self, call: TaskCall) -> Payload:
        """As integration of every resource."""
        if call.resource.type == "s3" and call.resource.action in ("getObject", "putObject"):
            return Payload(value={"Body": file_of(self._case)} if call.resource.action == "getObject" else {})
        if "/" in call.execution:
            # What the children of a Map run did was not recorded. Their functions returned what they were given.
            return Payload(value=call.parameters)
        outcome = self.take(call.state, call.parameters)
        submitted, result = outcome.get("submitted_output"), outcome["result"]
        if call.token is not None:
            call.engine.clock.call_later(0.5, lambda: self._answer(call, result))
            return _payload(submitted)
        if submitted is not None:
            call.submitted(_payload(submitted))
        if result["type"].endswith("TimedOut"):
            await call.engine.clock.sleep(10**9)
        if result["type"].endswith("Failed"):
            raise StateError(result.get("error"), _cause(result))
        return _payload(result["output"])

    def _answer(self, call: TaskCall, result: Any) -> None:
        assert call.token is not None
        if result["type"] == "TaskSucceeded":
            call.engine.tokens.find(call.token).succeed(_payload(result["output"]))
        elif result["type"] == "TaskFailed":
            call.engine.tokens.find(call.token).fail(result.get("error"), _cause(result))

    async def work(self, engine: Engine, arn: str) -> None:
        """As worker of an activity."""
        activity = engine.create_activity(arn.rpartition(":")[2])
        while ticket := await activity.poll(self._worker(), seconds=10**9):
            result = self.take_by_input(ticket.input)["result"]
            if result["type"] == "ActivitySucceeded":
                ticket.succeed(_payload(result["output"]))
            elif result["type"] == "ActivityFailed":
                ticket.fail(result.get("error"), _cause(result))

    def take_by_input(self, input: Payload | None) -> Any:
        """The outcome of the first activity task left."""
        assert input is not None
        state = next(left["state"] for left in self._left if left["kind"] == "ActivityScheduled")
        return self.take(state, input.value)

    def _worker(self) -> str | None:
        started = (event.get("activityStartedEventDetails", {}) for event in self._case["events"])
        return next((details["workerName"] for details in started if "workerName" in details), None)


_ROWS = "Value1,Value2,Value3\nValue4,Value5,Value6\n,,,\ntrue,1,'HelloWorld'\nNull,None,\n   \n"
_FILES = {
    "test_map_item_reader_base_csv_headers_decl": _ROWS,
    "test_map_item_reader_csv_headers_decl_duplicate_headers": _ROWS,
    "test_map_item_reader_csv_headers_decl_extra_fields": _ROWS,
    "test_map_item_reader_csv_headers_first_row_typed_headers": _ROWS.replace("Value1,Value2,Value3", "0,True,{}"),
    "test_map_item_reader_csv_max_items": "Col1,Col2\nValue1,Value2\nValue3,Value4\nValue5,Value6\nValue7,Value8\n",
    "test_map_item_reader_json_no_json_list_object": '{"Col1": "Value1"}',
}


def file_of(case: Case) -> str:
    """The object of S3 that an ItemReader read; where that was not kept, one that must have been like it."""
    test = re.split(r"\[|#|_paths\[", case["id"].rpartition("::")[2])[0]
    if test in _FILES:
        return _FILES[test]
    last = json.loads(case["events"][-1]["executionSucceededEventDetails"]["output"])
    items = [item for batch in last for item in (batch["Items"] if "ItemBatcher" in case["features"] else [batch])]
    more = [{"beyond": "MaxItems"}] if '"MaxItems"' in case["definition_text"] else []
    return dumps([*items, *more])


def _with_result(outcome: Any, at: int, case: Case) -> Any:
    if outcome["result"] is not None:
        return outcome
    # Events inside a Parallel were sorted, so that a failure may stand before the task that failed.
    failed = [event["taskFailedEventDetails"] for event in case["events"] if event["type"] == "TaskFailed"]
    return {**outcome, "result": {**failed[at], "type": "TaskFailed"}}


def _payload(recorded: Any) -> Payload:
    # Texts of objects were parsed when they were recorded, all others are as AWS wrote them.
    return Payload(recorded) if isinstance(recorded, str) else Payload(value=recorded)


def _cause(result: Any) -> str | None:
    cause = result.get("cause_text", result.get("cause"))
    return dumps(cause) if isinstance(cause, dict) else cause


def run(case: Case) -> Execution:
    """Run a case to its end, in virtual time."""
    return asyncio.run(_run(case))


async def _run(case: Case) -> Execution:
    outcomes = Outcomes(case)
    clock = VirtualClock(RECORDED_AT.timestamp(), auto=True)
    engine = Engine(clock=clock, account=ACCOUNT, integrations={"*": outcomes.call}, seed=1)
    arns = set(re.findall(r"arn:aws:states:[\w-]+:\d+:activity:[^\"\\]+", case["definition_text"]))
    workers = [asyncio.create_task(outcomes.work(engine, arn)) for arn in sorted(arns)]
    context = case["context"]
    try:
        return await run_definition(
            case["definition_text"],
            Payload(case["input_text"]),
            engine=engine,
            machine_name=context["stateMachineName"],
            name=context["name"],
            role_arn=context["roleArn"],
        )
    finally:
        engine.close()
        for worker in workers:
            worker.cancel()


# --- normalising as the recordings were


_MOMENT = re.compile(
    r"\d{4}-(?:0\d|1[0-2])-(?:[0-2]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)"
)


# When the context object got a RedriveCount.
_REDRIVE = datetime(2023, 11, 15)


# Since then the MapStateExited of a distributed Map hangs on its MapRunStarted, before on its MapRunSucceeded.
_MAP_EXIT = datetime(2024, 11, 1)


def _recorded_at(case: Case) -> datetime:
    return datetime.strptime(case["recorded_date"], "%d-%m-%Y, %H:%M:%S")


def _hang_exits_on_map_runs(events: list[Event]) -> None:
    ended = {event["previousEventId"]: event["id"] for event in events if event["type"] == "MapRunSucceeded"}
    for event in events:
        if event["type"] == "MapStateExited":
            event["previousEventId"] = ended.get(event["previousEventId"], event["previousEventId"])


def normalised(value: Any, case: Case) -> Any:
    """A JSON value of ours as it would have been recorded."""
    value = copy.deepcopy(value)
    _parse_texts(value)
    if _recorded_at(case) < _REDRIVE:
        value = _without(value, "RedriveCount")
    for transformer in case["transformers"]:
        if transformer["cls"] == "JsonpathTransformer" and not transformer["replace_references"]:
            for found in list(jsonpath.finditer(transformer["jsonpath"], value)):
                found.parent.obj[found.parts[-1]] = transformer["replacement"]
    return _masked(value, _replacements(case))


def history(case: Case, execution: Execution) -> list[Event]:
    """Our history of a case as it would have been recorded."""
    events = execution.history.rendered()
    if _recorded_at(case) < _MAP_EXIT:
        _hang_exits_on_map_runs(events)
    if not case["complete_history"]:
        events = events[: len(case["events"])]
    events = normalised({"events": events}, case)["events"]
    if case["special_transformers"]:
        events = without_order_in_parallel(events)
    return events[::-1] if case["reverse_order"] else events


def _parse_texts(value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _parse_texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                _parse_texts(item)
            elif isinstance(item, str) and item.startswith("{"):
                try:
                    value[key] = json.loads(item)
                except ValueError:
                    continue


def _without(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, name) for key, item in value.items() if key != name}
    return [_without(item, name) for item in value] if isinstance(value, list) else value


def _replacements(case: Case) -> list[tuple[re.Pattern[str], str]]:
    found = [
        (re.compile(transformer["regex"]), transformer["replacement"])
        for transformer in sorted(case["transformers"], key=lambda transformer: transformer["prio"])
        if transformer["cls"] == "RegexTransformer"
    ]
    found += [(re.compile(re.escape(text)), placeholder) for text, placeholder in case["substitutions"]]
    # Some names were masked before these came to them.
    recorded = json.dumps(case["events"], ensure_ascii=False)
    found = [(pattern, placeholder) for pattern, placeholder in found if placeholder in recorded]
    return [*found, (re.compile("arn:aws:"), "arn:<partition>:"), (re.compile("us-east-1"), "<region>")]


def _masked(value: Any, replacements: Sequence[tuple[re.Pattern[str], str]], key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _masked(item, replacements, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, replacements) for item in value]
    masked = value
    if isinstance(value, str):
        for pattern, placeholder in replacements:
            masked = pattern.sub(lambda _, text=placeholder: text, masked)
        masked = _MOMENT.sub("date", masked)
    return "timestamp" if masked == value and "timestamp" in key.lower() else masked


_PARALLEL_ENDS = {"ParallelStateSucceeded", "ParallelStateAborted", "ParallelStateExited", "ParallelStateFailed"}


def without_order_in_parallel(events: list[Event]) -> list[Event]:
    """Events between a ParallelStateStarted and its end: sorted, their numbers wiped; of several ends, the last.

    What was recorded so stays the same but for the order of the sorted events, which is this function's own.
    """
    kept: list[Event] = []
    start: int | None = None
    for at, event in enumerate(events):
        if event["type"] in _PARALLEL_ENDS:
            if start is not None:
                kept[start:] = sorted(
                    kept[start:], key=lambda event: (event["type"], json.dumps(event, sort_keys=True))
                )
            following = events[at + 1]["type"] if at + 1 < len(events) else ""
            if following in _PARALLEL_ENDS:
                continue
            start = None
            kept.append(event)
        elif event["type"] == "ParallelStateStarted":
            kept.append(event)
            start = len(kept)
        else:
            kept.append(event if start is None else {**event, "id": [0], "previousEventId": 0})
    return kept


# --- comparing

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Comparison:
    """Finds the differences between what was recorded and what came out.

    A placeholder in a recording, as ``<uuid:1>`` or ``<json-input:1>``, stands for any text, the same everywhere.
    """

    def __init__(self) -> None:
        self._meanings: dict[str, str] = {}

    def differences(self, recorded: Any, ours: Any, where: str = "") -> Iterator[str]:
        """One line for every place where the two differ."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            for key in sorted({*recorded, *ours}):
                if key not in ours:
                    yield f"{where}.{key} is missing, AWS: {_short(recorded[key])}"
                elif key not in recorded:
                    yield f"{where}.{key} is new, ours: {_short(ours[key])}"
                else:
                    yield from self.differences(recorded[key], ours[key], f"{where}.{key}")
        elif isinstance(recorded, list) and isinstance(ours, list):
            for at in range(max(len(recorded), len(ours))):
                if at >= len(ours):
                    yield f"{where}[{at}] is missing, AWS: {_short(recorded[at])}"
                elif at >= len(recorded):
                    yield f"{where}[{at}] is new, ours: {_short(ours[at])}"
                else:
                    yield from self.differences(recorded[at], ours[at], f"{where}[{at}]")
        elif not self._same(recorded, ours):
            yield f"{where} AWS: {_short(recorded)} ours: {_short(ours)}"

    def _same(self, recorded: Any, ours: Any) -> bool:
        if recorded == "generated-uuid":
            return isinstance(ours, str) and _UUID.fullmatch(ours) is not None
        if isinstance(recorded, str) and recorded != ours and "<" in recorded:
            return self._stands_for(recorded, ours if isinstance(ours, str) else dumps(ours))
        return type(recorded) is type(ours) and bool(recorded == ours)

    def _stands_for(self, recorded: str, ours: str) -> bool:
        names = re.findall(r"<[\w-]+(?::\d+)?>", recorded)
        parts = re.split(r"<[\w-]+(?::\d+)?>", recorded)
        found = re.fullmatch("(.+?)".join(map(re.escape, parts)), ours, re.DOTALL)
        if not found:
            return False
        meanings = dict(self._meanings)
        for name, text in zip(names, found.groups(), strict=True):
            if meanings.setdefault(name, text) != text:
                return False
        self._meanings = meanings
        return True


def recorded_history(case: Case) -> list[Event]:
    """AWS's history of a case, to compare with :func:`history`."""
    events: list[Event] = case["events"]
    return without_order_in_parallel(events) if case["special_transformers"] else events


def differences(recorded: list[Event], ours: list[Event]) -> list[str]:
    """How our history differs from AWS's, event by event."""
    found: list[str] = []
    comparison = Comparison()
    for at in range(max(len(recorded), len(ours))):
        if at >= len(ours):
            found.append(f"#{at + 1} is missing, AWS: {_short(recorded[at])}")
        elif at >= len(recorded):
            found.append(f"#{at + 1} is new, ours: {_short(ours[at])}")
        else:
            found += comparison.differences(recorded[at], ours[at], f"#{at + 1} {recorded[at].get('type', '')}")
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 300 else f"{text[:300]}..."
