from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.history import Event, StateVisit, Timeline, VisitStatus, parse_history, read_events, timeline

Write = Callable[[str], list[Event]]

RETRIED = """
    1 0 ExecutionStarted
    2 0 TaskStateEntered {"name": "resize", "input": "{}"}
    3 2 ActivityScheduled {"resource": "arn:a"}
    4 3 ActivityStarted {"workerName": "one"}
    5 4 ActivityFailed {"error": "OSError", "cause": "disk"}
    6 5 ActivityScheduled {"resource": "arn:a"}
    7 6 ActivityStarted {"workerName": "two"}
    8 7 ActivitySucceeded {"output": "7"}
    9 8 TaskStateExited {"name": "resize", "output": "7"}
    10 9 ExecutionSucceeded {"output": "7"}
"""

# a Parallel of a Map of two tasks and of a Wait; the second item fails and the machine catches it
NESTED = """
    1 0 ExecutionStarted
    2 0 ParallelStateEntered {"name": "both"}
    3 2 ParallelStateStarted
    4 3 MapStateEntered {"name": "each"}
    5 3 WaitStateEntered {"name": "pause"}
    6 4 MapStateStarted {"length": 2}
    7 6 MapIterationStarted {"name": "each", "index": 0}
    8 6 MapIterationStarted {"name": "each", "index": 1}
    9 7 TaskStateEntered {"name": "item", "input": "0"}
    10 8 TaskStateEntered {"name": "item", "input": "1"}
    11 9 ActivityScheduled {"resource": "arn:a"}
    12 10 ActivityScheduled {"resource": "arn:a"}
    13 12 ActivityStarted {"workerName": "w"}
    14 13 ActivityFailed {"error": "KeyError", "cause": "x"}
    15 14 MapIterationFailed {"name": "each", "index": 1}
    16 11 MapIterationAborted {"name": "each", "index": 0}
    17 15 MapStateFailed
    18 17 ParallelStateFailed
    19 18 ParallelStateExited {"name": "both", "output": "{}"}
    20 19 PassStateEntered {"name": "sorry"}
    21 20 PassStateExited {"name": "sorry"}
    22 21 ExecutionSucceeded
"""


def shape(visits: list[StateVisit]) -> list[tuple[Any, ...]]:
    return [(visit.name, str(visit.status), visit.parent, visit.map) for visit in visits]


def test_retried_task_is_one_visit_of_two_attempts(history: Write) -> None:
    (visit,) = timeline(history(RETRIED))
    assert (visit.type, visit.status, visit.attempts) == ("Task", VisitStatus.SUCCEEDED, 2)
    assert (visit.input, visit.output, visit.error, visit.worker) == ("{}", "7", None, "two")
    first, second = visit.tries
    assert (first.error, first.cause, first.worker) == ("OSError", "disk", "one")
    assert (second.error, second.resource) == (None, "arn:a")
    assert visit.entered and visit.started and visit.exited
    assert visit.started - visit.entered == timedelta(seconds=5)
    assert visit.seconds == 7


def test_task_between_two_attempts_runs_and_shows_why_it_waits(history: Write) -> None:
    (visit,) = timeline(history(RETRIED)[:5])
    assert (visit.status, visit.error, visit.exited, visit.seconds) == (VisitStatus.RUNNING, "OSError", None, None)


def test_visits_inside_a_parallel_and_a_map_know_where_they_are(history: Write) -> None:
    visits = timeline(history(NESTED))
    assert shape(visits) == [
        ("both", "CAUGHT", None, ()),
        ("each", "FAILED", 0, ()),
        ("pause", "ABORTED", 0, ()),
        ("item", "ABORTED", 1, (0,)),
        ("item", "FAILED", 1, (1,)),
        ("sorry", "SUCCEEDED", None, ()),
    ]
    assert [visit.depth for visit in visits] == [0, 1, 1, 2, 2, 0]
    assert [visit.branch for visit in visits] == ["", "each", "pause", "", "", ""]
    assert visits[1].length == 2
    assert visits[1].error == visits[0].error == "KeyError"


def test_failure_that_nothing_caught_is_told_at_the_state_it_ended_in(history: Write) -> None:
    (choice,) = timeline(
        history("""
        1 0 ExecutionStarted
        2 0 ChoiceStateEntered {"name": "which"}
        3 2 ExecutionFailed {"error": "States.NoChoiceMatched", "cause": "none"}
        """)
    )
    assert (choice.status, choice.error, choice.cause) == (VisitStatus.FAILED, "States.NoChoiceMatched", "none")


@pytest.mark.parametrize("ending", ["ExecutionAborted", "ExecutionTimedOut"])
def test_state_in_which_an_execution_was_stopped_is_aborted(history: Write, ending: str) -> None:
    (visit,) = timeline(history(f'1 0 ExecutionStarted\n2 0 WaitStateEntered {{"name": "w"}}\n3 2 {ending}'))
    assert (visit.status, visit.seconds) == (VisitStatus.ABORTED, 1)


def test_caught_task_goes_on_as_caught(history: Write) -> None:
    caught, after = timeline(
        history("""
        1 0 ExecutionStarted
        2 0 TaskStateEntered {"name": "try"}
        3 2 ActivityScheduled {"resource": "arn:a"}
        4 3 ActivityTimedOut {"error": "States.Timeout"}
        5 4 TaskStateExited {"name": "try", "output": "{}"}
        6 5 PassStateEntered {"name": "except"}
        """)
    )
    assert (caught.status, caught.error) == (VisitStatus.CAUGHT, "States.Timeout")
    assert (after.status, after.exited) == (VisitStatus.RUNNING, None)


def test_state_in_a_loop_is_visited_each_time(history: Write) -> None:
    visits = timeline(
        history("""
        1 0 ExecutionStarted
        2 0 PassStateEntered {"name": "again"}
        3 2 PassStateExited {"name": "again", "output": "1"}
        4 3 PassStateEntered {"name": "again"}
        5 4 PassStateExited {"name": "again", "output": "2"}
        """)
    )
    assert [(visit.name, visit.output) for visit in visits] == [("again", "1"), ("again", "2")]


def test_iterations_that_follow_one_another_are_told_apart(history: Write) -> None:
    """AWS hangs the start of the next iteration on the end of the one before, inside it."""
    visits = timeline(
        history("""
        1 0 ExecutionStarted
        2 0 MapStateEntered {"name": "each"}
        3 2 MapStateStarted {"length": 2}
        4 3 MapIterationStarted {"name": "each", "index": 0}
        5 4 PassStateEntered {"name": "p"}
        6 5 PassStateExited {"name": "p"}
        7 6 MapIterationSucceeded {"name": "each", "index": 0}
        8 6 MapIterationStarted {"name": "each", "index": 1}
        9 8 PassStateEntered {"name": "p"}
        10 9 PassStateExited {"name": "p"}
        11 10 MapIterationSucceeded {"name": "each", "index": 1}
        12 11 MapStateSucceeded
        13 11 MapStateExited {"name": "each", "output": "[]"}
        """)
    )
    assert shape(visits) == [
        ("each", "SUCCEEDED", None, ()),
        ("p", "SUCCEEDED", 0, (0,)),
        ("p", "SUCCEEDED", 0, (1,)),
    ]


def test_map_in_a_map_has_both_indexes(history: Write) -> None:
    visits = timeline(
        history("""
        1 0 ExecutionStarted
        2 0 MapStateEntered {"name": "outer"}
        3 2 MapStateStarted {"length": 2}
        4 3 MapIterationStarted {"name": "outer", "index": 0}
        5 3 MapIterationStarted {"name": "outer", "index": 1}
        6 4 MapStateEntered {"name": "inner"}
        7 5 MapStateEntered {"name": "inner"}
        8 7 MapStateStarted {"length": 1}
        9 6 MapStateStarted {"length": 1}
        10 9 MapIterationStarted {"name": "inner", "index": 3}
        11 8 MapIterationStarted {"name": "inner", "index": 4}
        12 11 PassStateEntered {"name": "p"}
        13 10 PassStateEntered {"name": "p"}
        """)
    )
    assert [(visit.map, visit.parent) for visit in visits[3:]] == [((1, 4), 2), ((0, 3), 1)]


def test_retry_of_a_parallel_ends_what_its_last_attempt_left_running(history: Write) -> None:
    visits = timeline(
        history("""
        1 0 ExecutionStarted
        2 0 ParallelStateEntered {"name": "both"}
        3 2 ParallelStateStarted
        4 3 FailStateEntered {"name": "bad"}
        5 3 WaitStateEntered {"name": "slow"}
        6 4 ParallelStateStarted
        7 6 PassStateEntered {"name": "good"}
        8 7 PassStateExited {"name": "good"}
        9 8 ParallelStateSucceeded
        10 8 ParallelStateExited {"name": "both"}
        """)
    )
    assert shape(visits) == [
        ("both", "SUCCEEDED", None, ()),
        ("bad", "FAILED", 0, ()),
        ("slow", "ABORTED", 0, ()),
        ("good", "SUCCEEDED", 0, ()),
    ]
    assert visits[0].attempts == 2
    assert visits[0].tries[0].ended is not None


def test_task_runs_again_after_a_redrive(history: Write) -> None:
    events = history("""
        1 0 ExecutionStarted
        2 0 TaskStateEntered {"name": "t"}
        3 2 ActivityScheduled {"resource": "arn:a"}
        4 3 ActivityFailed {"error": "OSError"}
        5 4 ExecutionFailed {"error": "OSError"}
        6 5 ExecutionRedriven {"redriveCount": 1}
        7 6 ActivityScheduled {"resource": "arn:a"}
        8 7 ActivitySucceeded {"output": "1"}
        9 8 TaskStateExited {"name": "t", "output": "1"}
        """)
    assert timeline(events[:5])[0].status is VisitStatus.FAILED
    (visit,) = timeline(events)
    assert (visit.status, visit.attempts, visit.error) == (VisitStatus.SUCCEEDED, 2, None)


def test_history_read_backwards_gives_the_same_timeline(history: Write) -> None:
    events = history(NESTED)
    assert timeline(reversed(events)) == timeline(events)


def test_timeline_fed_page_by_page_is_the_whole_one(history: Write) -> None:
    line = Timeline()
    events = history(NESTED)
    for count, event in enumerate(events, 1):
        line.add(event)
        assert line.visits() == timeline(events[:count])


# against what AWS recorded


def nesting(definition: dict[str, Any], around: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, state in definition["States"].items():
        yield name, around
        inner = [*state.get("Branches", ()), state.get("ItemProcessor") or state.get("Iterator")]
        for machine in filter(None, inner):
            yield from nesting(machine, (*around, name))


def test_every_recorded_history_reads_as_visits_that_fit_its_definition(recorded: list[dict[str, Any]]) -> None:
    counted = 0
    for case in recorded:
        events = parse_history(case["events"])
        visits = timeline(events)
        assert len(visits) == sum(event.type.endswith("StateEntered") for event in events), case["id"]
        places = dict(nesting(json.loads(case["definition_text"])))
        for visit in visits:
            around, at = [], visit
            while at.parent is not None:
                at = visits[at.parent]
                around.append(at.name)
            assert tuple(reversed(around)) == places[visit.name], (case["id"], visit.name)
            counted += 1
    assert counted > 600


def test_every_recorded_visit_has_ended_as_its_execution_did(recorded: list[dict[str, Any]]) -> None:
    for case in recorded:
        if not case["complete_history"]:
            continue
        visits = timeline(parse_history(case["events"]))
        statuses = [visit.status for visit in visits]
        assert VisitStatus.RUNNING not in statuses, case["id"]
        ending = {event["type"] for event in case["events"]} & {"ExecutionSucceeded", "ExecutionFailed"}
        top = [visit for visit in visits if visit.parent is None]
        if ending == {"ExecutionFailed"}:
            assert top[-1].status is VisitStatus.FAILED, case["id"]
        else:
            assert all(visit.status in (VisitStatus.SUCCEEDED, VisitStatus.CAUGHT) for visit in top), case["id"]
        whole = not case["special_transformers"]  # those lack events
        if whole and VisitStatus.CAUGHT in statuses:
            assert '"Catch"' in case["definition_text"], case["id"]
        if whole and any(visit.attempts > 1 for visit in visits):
            assert '"Retry"' in case["definition_text"], case["id"]


# whatever comes


@given(st.data())
def test_part_of_a_history_in_any_order_is_never_an_error(data: st.DataObject) -> None:
    rich = [*_parsed(NESTED), *_parsed(RETRIED)]
    chosen = data.draw(st.lists(st.sampled_from(rich), max_size=40))
    wiped = data.draw(st.booleans())
    line = Timeline()
    for event in chosen:
        line.add(Event(event.timestamp, event.type, 0, 0, event.details) if wiped else event)
        line.visits()
    assert len(timeline(chosen)) == sum(event.type.endswith("StateEntered") for event in chosen)


TYPES = [
    f"{kind}{how}"
    for kind in ("Activity", "Task", "LambdaFunction")
    for how in ("Scheduled", "Started", "Succeeded", "Failed", "TimedOut", "ScheduleFailed", "StateEntered")
] + [
    f"{kind}State{how}"
    for kind in ("Task", "Map", "Parallel", "Pass", "Fail", "Choice", "New")
    for how in ("Entered", "Exited", "Aborted", "Started", "Succeeded", "Failed")
]
TYPES += [f"MapIteration{how}" for how in ("Started", "Succeeded", "Failed", "Aborted")]
TYPES += [f"MapRun{how}" for how in ("Started", "Succeeded", "Failed", "Redriven", "Aborted")]
TYPES += [f"Execution{how}" for how in ("Started", "Succeeded", "Failed", "Redriven", "Aborted", "TimedOut")]
TYPES += ["EvaluationFailed", "TaskSubmitted", "SomethingElse"]

details = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from("ab"),
        "state": st.sampled_from("ab"),
        "index": st.integers(0, 2) | st.just("x"),
        "length": st.integers(0, 3) | st.none(),
        "error": st.just("E"),
    },
)


@given(
    st.lists(
        st.builds(Event, st.none(), st.sampled_from(TYPES), st.integers(0, 30), st.integers(0, 30), details),
        max_size=40,
    )
)
def test_no_sequence_of_events_is_an_error(events: list[Event]) -> None:
    for visit in timeline(events):
        assert visit.parent is None or visit.parent < visit.number
        assert visit.attempts >= 1
    timeline(reversed(events), data=False)


def _parsed(lines: str) -> list[Event]:
    events = []
    for line in filter(None, map(str.strip, lines.splitlines())):
        number, previous, kind, *rest = line.split(" ", 3)
        events.append(Event(None, kind, int(number), int(previous), json.loads(rest[0]) if rest else {}))
    return events


def test_ten_thousand_events_of_any_size_are_read_in_flat_memory() -> None:
    def paged() -> Iterator[dict[str, Any]]:
        for number in range(1, 10_001, 2):
            large = json.dumps("x" * 50_000)
            entered = {"type": "PassStateEntered", "stateEnteredEventDetails": {"name": "p", "input": large}}
            yield {"timestamp": number, "id": number, "previousEventId": number - 1, **entered}
            left = {"type": "PassStateExited", "stateExitedEventDetails": {"name": "p", "output": large}}
            yield {"timestamp": number, "id": number + 1, "previousEventId": number, **left}

    line = Timeline(data=False)
    tracemalloc.start()
    try:
        for event in read_events(paged()):
            line.add(event)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(line.visits()) == 5000
    assert peak < 10_000_000  # the history itself is half a gigabyte


def test_what_a_task_answered_and_the_execution_it_started_are_kept_with_the_attempt() -> None:
    child = "arn:aws:states:us-east-1:123456789012:execution:child:1"
    submitted = json.dumps({"ExecutionArn": child, "StartDate": 1})
    told: list[tuple[str, dict[str, Any]]] = [
        ("TaskStateEntered", {"name": "nested"}),
        ("TaskScheduled", {"resource": "startExecution.sync:2"}),
        ("TaskStarted", {}),
        ("TaskSubmitted", {"output": submitted}),
        ("TaskSucceeded", {"output": '{"Output": 1}'}),
        ("TaskStateExited", {"name": "nested", "output": "1"}),
    ]
    events = [
        {"id": number, "previousEventId": number - 1, "type": type, "someEventDetails": details}
        for number, (type, details) in enumerate(told, 1)
    ]
    (visit,) = timeline(read_events(events))
    assert (visit.tries[-1].execution, visit.tries[-1].output, visit.output) == (child, '{"Output": 1}', "1")
    (visit,) = timeline(read_events(events), data=False)
    assert (visit.tries[-1].execution, visit.tries[-1].output, visit.output) == (child, None, None)
    told[3][1]["output"] = "cut off {"
    assert timeline(read_events(events))[0].tries[-1].execution is None


def test_the_run_of_a_distributed_map_is_kept_with_the_visit() -> None:
    run = "arn:aws:states:us-east-1:123456789012:mapRun:machine/label:1"
    events = [
        {"id": 1, "type": "MapStateEntered", "stateEnteredEventDetails": {"name": "each"}},
        {"id": 2, "previousEventId": 1, "type": "MapStateStarted", "mapStateStartedEventDetails": {"length": 2}},
        {"id": 3, "previousEventId": 2, "type": "MapRunStarted", "mapRunStartedEventDetails": {"mapRunArn": run}},
    ]
    assert timeline(read_events(events))[0].map_run == run
