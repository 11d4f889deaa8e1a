"""What a canvas costs as it grows: the definition, the time, the events, the transitions that AWS bills."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from celery import chain, group

from sfini_celery.canvas import catch, each, loop, prev
from sfini_celery.compiler.limits import events_of
from sfini_celery.compiler.literals import Shapes
from sfini_celery.compiler.reading import Reader
from sfini_celery.errors import CompileError

Make = Callable[[Any, int], Any]

GROUPS: dict[str, Make] = {
    "tasks": lambda c, n: group(c.add.s(i, 1) for i in range(n)),
    "tasks after a task": lambda c, n: c.one.s() | group(c.add.s(i) for i in range(n)) | c.total.s(),
    "chains": lambda c, n: group(c.add.s(i, 1) | c.add.s(2 * i) | c.pair.s(k=i) for i in range(n)),
    "chains with countdowns and links": lambda c, n: group(
        chain(c.add.s(i, 1).set(countdown=i + 1), c.pair.s("x").set(link=[c.pair.s(i)])) for i in range(n)
    ),
    "calls beside prev": lambda c, n: c.one.s() | group(c.pair.s(i, prev, {"deep": [i, prev]}) for i in range(n)),
    "catches": lambda c, n: group(catch(c.add.s(i, 1), {ValueError: c.pair.s(i)}) for i in range(n)),
}


@pytest.mark.parametrize("name", GROUPS)
def test_definition_of_an_adhoc_group_does_not_grow_with_its_members(oracle: Any, name: str) -> None:
    small, hundred, large, larger = (
        oracle.compile(GROUPS[name](oracle, count), adhoc=True) for count in (2, 100, 5000, 5001)
    )
    assert small.text == hundred.text
    assert small.shape == hundred.shape
    assert large.text == larger.text  # the same, as a distributed map
    assert len(large.text) < len(small.text) + 600


def test_definition_of_an_adhoc_canvas_holds_no_literal(oracle: Any) -> None:
    canvas = oracle.pair.s("secret").set(headers={"h": "secret"}) | group(oracle.pair.s("secret"), oracle.one.si())
    compiled = oracle.compile(canvas | oracle.pair.s(prev, ["secret", prev], k="secret"), adhoc=True)
    assert "secret" not in compiled.text
    assert json.dumps(compiled.execution_input()).count("secret") == 5


def test_canvases_of_one_shape_have_one_machine_whatever_their_literals_waits_and_ids(oracle: Any) -> None:
    def canvas(n: int) -> Any:
        first = oracle.add.s(n).set(countdown=n + 1)
        if n:
            first.freeze()
        return first | group(oracle.pair.s(n), oracle.one.si()) | oracle.pair.s([n], prev)

    first, second = (oracle.compile(canvas(n), adhoc=True) for n in (0, 7))
    assert first.text == second.text
    assert first.execution_input() != second.execution_input()
    other = oracle.compile(oracle.add.s(1) | group(oracle.one.si(), oracle.pair.s(0)), adhoc=True)
    assert other.shape != first.shape


def test_ten_thousand_nodes_compile_within_a_second(oracle: Any) -> None:
    canvas = group(oracle.add.s(i, 1) for i in range(10_000)) | oracle.total.s()
    list(canvas.tasks)
    began = time.process_time()
    compiled = oracle.compile(canvas, adhoc=True)
    assert time.process_time() - began < 1.0
    state = next(iter(compiled.definition()["States"].values()))
    assert state["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert len(json.dumps(compiled.execution_input())) < 256 * 1024


def test_memory_is_linear_in_the_members(oracle: Any) -> None:
    def peak(count: int) -> int:
        canvas = group([oracle.add.s(i, 1) | oracle.add.s(2) for i in range(count)])
        tracemalloc.start()
        oracle.compile(canvas, adhoc=True)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(10)
    assert peak(4000) < 6 * peak(1000)


TEXT = "x" * 1000

TOO_LARGE: dict[str, tuple[Callable[[Any], Any], bool, str, str, str]] = {
    "definition": (
        lambda c: chain(c.add.s(i, 1) if i == 0 else c.add.s(i) for i in range(1500)), False,
        "canvas", "the definition would be 1,1", "app.sfn.delay",
    ),
    "definition of unlike members": (
        lambda c: group(chain(c.add.s(1, 1), *(c.add.s(1) for _ in range(i % 40))) for i in range(80)), True,
        "canvas", "AWS allows 1,048,576", "each",
    ),
    "events": (
        lambda c: group(c.add.s(i, 1) for i in range(5001)), False, "canvas", "25,011 history events", "ad hoc",
    ),
    "events of several groups": (
        lambda c: chain(*(part for k in range(4) for part in (group(c.add.s(i, 1) for i in range(990)), c.one.si()))), True,
        "canvas", "27,758 history events", "distributed=True",
    ),
    "arguments of a named call": (
        lambda c: c.one.s() | c.pair.s("x" * 300_000), False,
        "chain[1]", "the arguments of c.pair are 300,", "S3",
    ),
    "arguments of an ad-hoc call": (
        lambda c: c.one.s() | group(c.pair.s(1), c.pair.s(["x" * 300_000])), True,
        "chain[1].group[1]", "the arguments of c.pair are 300,", "S3",
    ),
    "arguments beside prev": (
        lambda c: c.one.s() | c.pair.s(prev, "x" * 300_000), False, "chain[1]", "the arguments of c.pair are 300,", "S3",
    ),
    "arguments of all ad-hoc calls": (
        lambda c: group(c.pair.s(TEXT) for _ in range(300)), True,
        "canvas", "the arguments of all calls are 30", "each",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_passes_a_limit_is_refused_with_the_figure_and_the_remedy(oracle: Any, name: str) -> None:
    build, adhoc, path, says, remedy = TOO_LARGE[name]
    with pytest.raises(CompileError) as caught:
        oracle.compile(build(oracle), adhoc=adhoc)
    assert caught.value.path == path
    assert says in caught.value.why
    assert remedy in caught.value.remedy


def test_partial_arguments_of_a_start_that_are_too_large_are_refused(oracle: Any) -> None:
    compiled = oracle.compile(oracle.pair.s(1))
    with pytest.raises(CompileError, match="AWS allows 262,144 for an execution's input"):
        compiled.execution_input(["x" * 300_000])


def test_a_group_whose_members_write_many_events_is_distributed_before_it_has_a_thousand(oracle: Any) -> None:
    compiled = oracle.compile(group(chain(*(oracle.add.si(i, k) for k in range(30))) for i in range(100)), adhoc=True)
    assert '"DISTRIBUTED"' in compiled.text


TRANSITIONS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "chain": (lambda c: chain(c.add.s(1, 1), c.add.s(2), c.add.s(3)), 3),
    "group": (lambda c: group(c.add.s(1, 1), c.add.s(2, 2), c.add.s(3, 3)), 3 + 1),
    "chord": (lambda c: group(c.add.s(1, 1), c.add.s(2, 2)) | c.total.s(), 2 + 1 + 1),
    "group of chains": (lambda c: c.one.s() | group(c.add.s(1) | c.add.s(2), c.pair.s(3) | c.total.s()), 1 + 1 + 4),
    "map": (lambda c: c.total.map([[1], [2], [3]]), 1),
    "starmap": (lambda c: c.add.starmap([(1, 1), (2, 2)]), 1),
    "chunks": (lambda c: c.add.chunks([(i, i) for i in range(10)], 4), 3 + 1),
    "each": (lambda c: c.same.s([1, 2, 3]) | each(c.add.s(1) | c.add.s(2)), 1 + 1 + 6),
    "catch that catches nothing": (lambda c: catch(c.one.s() | c.add.s(1), {ValueError: c.one.si()}), 2),
    "loop of three rounds": (lambda c: c.one.s() | loop(c.add.s(1), until=prev > 3) | c.add.s(1), 1 + 3 + 3 + 1),
    "prev.of": (lambda c: c.one.s().set(sfn_name="n") | c.add.s(1) | c.add.s(prev.of("n")), 3),
    "countdown": (lambda c: c.one.s() | c.add.s(1), 2),
}


@pytest.mark.parametrize("adhoc", [False, True], ids=["named", "adhoc"])
@pytest.mark.parametrize("name", TRANSITIONS)
def test_transitions_that_aws_bills_are_one_per_task_and_one_per_group(oracle: Any, name: str, adhoc: bool) -> None:
    build, expected = TRANSITIONS[name]
    execution = oracle.run(oracle.compile(build(oracle), adhoc=adhoc))
    assert execution.status.value == "SUCCEEDED"
    entered = [event for event in execution.history.rendered() if event["type"].endswith("StateEntered")]
    assert len(entered) == expected


def test_a_failed_callback_adds_no_transition_but_its_own(oracle: Any) -> None:
    canvas = oracle.one.s().set(link=[oracle.boom.s()]) | oracle.add.s(1)
    execution = oracle.run(oracle.compile(canvas))
    entered = [event for event in execution.history.rendered() if event["type"].endswith("StateEntered")]
    assert len(entered) == 3


def test_events_are_estimated_as_the_engine_writes_them(oracle: Any) -> None:
    for name in ("chain", "group", "chord", "group of chains", "map", "chunks", "countdown"):
        canvas = TRANSITIONS[name][0](oracle)
        written = len(oracle.run(oracle.compile(canvas, adhoc=True)).history.rendered())
        estimated = 2 + events_of(Reader(oracle.app).read(canvas), Shapes())
        assert estimated == written, name
