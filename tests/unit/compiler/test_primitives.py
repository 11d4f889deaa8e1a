"""The steps that Celery lacks mean in an execution what they mean eagerly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest
from celery import chord, group

from sfini_celery.canvas import asl, catch, choice, each, loop, prev, run_eagerly, wait, when
from sfini_celery.errors import CompileError

Canvas = Callable[[Any], Any]
MOMENT = datetime(2026, 1, 2, tzinfo=timezone.utc)


def pick(member: str, c: Any) -> Any:
    """A step that returns one member of what it gets."""
    return c.pick.s(member)


CANVASES: dict[str, Canvas] = {
    "each over a result": lambda c: c.same.s([1, 2, 3]) | each(c.add.s(10)),
    "each with a chain": lambda c: c.same.s([1, 2, 3]) | each(c.add.s(10) | c.pair.s(4) | c.pair.s(k=5)) | c.total.s(),
    "each over nothing": lambda c: c.same.s([]) | each(c.add.s(10) | c.pair.s()),
    "each in each": lambda c: c.same.s([[1, 2], [], [3]]) | each(each(c.add.s(1) | c.add.s(2)) | c.total.s()) | c.pair.s(),
    "each with a group": lambda c: c.same.s([1, 2]) | each(group(c.add.s(1), c.add.s(2), c.pair.s()) | c.total.s()),
    "each in a group": lambda c: c.same.s([1, 2]) | group(each(c.add.s(1)), each(c.add.s(5) | c.add.s(6))),
    "each with a chord in it": lambda c: c.same.s([1, 2]) | each(chord([c.add.s(1), c.add.s(7)], c.pair.s(3))),
    "each tolerating": lambda c: c.same.s([1, 2]) | each(choice(when(prev == 1, c.boom.s()), otherwise=c.add.s(1)), tolerate=True)
    | each(choice(when(prev["error"].is_present(), c.same.si("failed")))),
    "choice, first branch": lambda c: c.dig.s(150) | choice(when(prev["total"] > 100, c.pair.s("big")), otherwise=c.pair.s("small")),
    "choice, otherwise": lambda c: c.dig.s(50) | choice(when(prev["total"] > 100, c.pair.s("big")), otherwise=c.pair.s("small")),
    "choice passes on": lambda c: c.dig.s(50) | choice(when(prev["total"] > 100, c.pair.s("big"))) | c.pair.s(),
    "choice passes on at the end": lambda c: c.dig.s(50) | choice(when(prev["total"] > 100, c.pair.s("big"))),
    "choice in each": lambda c: c.same.s([1, 5, 9]) | each(
        c.add.s(1) | choice(when(prev > 8, c.pair.s("big") | c.pair.s(1)), when(prev > 4, c.pair.s("mid")))
    ),
    "choice of groups": lambda c: c.dig.s(5) | choice(when(prev["total"] == 5, group(c.pair.s(1), c.one.si()))) | c.total.s(),
    "choice in a choice": lambda c: c.dig.s(5)
    | choice(when(prev["total"] < 9, choice(when(prev["nested"]["yes"] == True, c.pair.s("in"))))),  # noqa: E712
    "loop": lambda c: c.one.s() | loop(c.add.s(3), until=prev >= 10),
    "loop of a chain": lambda c: c.one.s() | loop(c.add.s(3) | c.add.s(1), until=prev >= 10) | c.pair.s(),
    "loop runs at least once": lambda c: c.same.s(50) | loop(c.add.s(3), until=prev >= 10),
    "loop within its limit": lambda c: c.one.s() | loop(c.add.s(3), until=prev >= 10, at_most=3) | c.pair.s(),
    "loop exhausted": lambda c: c.one.s() | loop(c.add.s(3), until=prev >= 10, at_most=2) | c.pair.s(),
    "loop first": lambda c: loop(c.add.s(3), until=prev >= 10) | c.pair.s(),
    "loop in each": lambda c: c.same.s([1, 7]) | each(loop(c.add.s(3) | c.add.s(1), until=prev >= 10, at_most=9) | c.pair.s(1)),
    "wait": lambda c: c.one.s() | wait(seconds=5) | c.pair.s(),
    "wait at the end": lambda c: c.one.s() | wait(seconds=0.5),
    "wait for a result": lambda c: c.same.s(3) | wait(seconds=prev) | c.pair.s(),
    "wait until a result": lambda c: c.same.s("2026-01-02T00:00:00Z") | wait(until=prev) | c.pair.s(),
    "wait until": lambda c: c.one.s() | wait(until=MOMENT) | c.pair.s(),
    "wait in each": lambda c: c.same.s([1, 2]) | each(wait(seconds=1) | c.add.s(1) | wait(seconds=1)),
    "catch nothing": lambda c: catch(c.one.s(), {ValueError: c.pair.si("handled")}) | c.pair.s(),
    "catch": lambda c: c.same.s(7) | catch(c.boom.s(), {ValueError: c.pair.si("handled")}) | c.pair.s(),
    "catch by a base class": lambda c: c.same.s(7) | catch(c.fail.si("key"), {LookupError: c.pair.si("handled")}),
    "catch anything": lambda c: c.same.s(7) | catch(c.fail.si("key"), {Exception: c.pair.si("handled")}),
    "catch another": lambda c: c.same.s(7) | catch(c.boom.s(), {KeyError: c.pair.si("handled")}) | c.pair.s(),
    "catch with two handlers": lambda c: c.same.s(7)
    | catch(c.fail.si("key") | c.one.si(), {ValueError: c.pair.si("v"), KeyError: c.pair.si("k") | c.pair.s(2)}) | c.pair.s(),
    "catch in each": lambda c: c.same.s([1, 2]) | each(
        catch(choice(when(prev == 1, c.boom.s()), otherwise=c.add.s(1)), {ValueError: c.pair.si("handled")}) | c.pair.s("after")
    ),
    "catch in catch": lambda c: c.same.s(7)
    | catch(catch(c.boom.s(), {KeyError: c.pair.si("inner")}), {ValueError: c.pair.si("outer")}),
    "what a handler gets": lambda c: c.same.s(7) | catch(c.boom.s(), {ValueError: c.same.s()}) | c.same.si(1),
    "catch a loop that is exhausted": lambda c: c.one.s()
    | catch(loop(c.add.s(1), until=prev > 30, at_most=2) | c.pair.s(), {"sfini.LoopExhausted": c.pair.s("exhausted") | pick("input", c)}) | c.pair.s(),
    "catch around a loop that ends": lambda c: c.one.s() | catch(loop(c.add.s(1), until=prev > 2, at_most=2) | c.pair.s(), {Exception: c.one.si()}),
    "catch in a loop that failed": lambda c: c.one.s() | catch(loop(c.boom.s(), until=prev > 30, at_most=2), {Exception: c.pair.si("caught")}),
    "tolerate a loop that is exhausted": lambda c: c.same.s([1, 5]) | each(loop(c.add.s(1), until=prev > 5, at_most=2), tolerate=True)
    | each(choice(when(prev["error"] == "sfini.LoopExhausted", c.same.si("exhausted")))),
    "catch: the nearest listed class counts, not the order of depth": lambda c: c.one.s()
    | catch(c.fail.si("key"), {LookupError: c.pair.si("lookup"), KeyError: c.pair.si("key")}),
    "catch: an inner base class is before an outer class": lambda c: c.one.s()
    | catch(catch(c.fail.si("key"), {LookupError: c.pair.si("inner")}), {KeyError: c.pair.si("outer")}),
    "catch: what the first step had": lambda c: catch(c.fail.si("key"), {KeyError: pick("input", c)}),
    "catch: what the failed step had": lambda c: c.one.s() | catch(c.add.s(5) | c.boom.s() | c.one.si(), {ValueError: pick("input", c)}),
    "catch: first or later step failed": lambda c: group(
        *(catch(c.same.s(kind) | c.fail_if.s(), {KeyError: pick("input", c), ValueError: c.pair.si("v")}) for kind in ("key", "value", "no"))),
    "catch: handlers that begin with a choice": lambda c: c.one.s()
    | catch(c.fail.si("key"), {Exception: choice(when(prev["error"] == "KeyError", c.pair.si("key")), otherwise=c.pair.si("other"))}),
    "catch: a handler that is a mere wait": lambda c: c.one.s() | catch(c.boom.s(), {Exception: wait(seconds=1)}) | pick("error", c),
    "catch: a handler with a group": lambda c: c.one.s() | catch(c.boom.s(), {Exception: group(pick("error", c), pick("input", c), pick("error", c))}),
    "catch: a handler with like members": lambda c: c.one.s() | catch(c.boom.s(), {Exception: group(c.keys.s(1), c.keys.s(2))}),
    "catch: a handler that fails": lambda c: c.one.s()
    | catch(catch(c.boom.s(), {ValueError: c.fail.si("key")}), {KeyError: pick("input", c) | pick("error", c)}),
    "catch: a handler that waits": lambda c: c.one.s() | catch(c.boom.s(), {ValueError: pick("error", c).set(countdown=3)}),
    "catch: prev in a handler": lambda c: c.one.s() | catch(c.boom.s(), {ValueError: c.pair.si(prev["error"], prev["input"])}),
    "catch: a group": lambda c: c.one.s() | catch(group(c.add.s(1), c.boom.s()) | c.total.s(), {ValueError: pick("input", c)}),
    "catch: each": lambda c: c.same.s([1, 2]) | catch(each(c.boom.s()), {ValueError: pick("input", c)}),
    "catch in like chains of a group": lambda c: c.same.s(7) | group(
        catch(c.pair.s(1) | c.fail_if.s(), {Exception: pick("input", c)}), catch(c.pair.s(2) | c.fail_if.s(), {Exception: pick("input", c)})),
    "asl": lambda c: c.one.s() | asl({"Type": "Pass", "Result": {"a": 1}}, eager={"a": 1}) | c.pair.s(),
    "asl reads the result": lambda c: c.dig.s(5) | asl({"Type": "Pass", "Parameters": {"n.$": "$.total"}}, eager={"n": 5}) | c.pair.s(),
    "asl in each": lambda c: c.same.s([{"n": 1}, {"n": 2}]) | each(asl({"Type": "Pass", "InputPath": "$.n"}, eager=0) | c.pair.si(1)),
    "asl alone in each": lambda c: c.same.s([{"n": 1}]) | each(asl({"Type": "Pass", "InputPath": "$.n"}, eager=1)),
    "asl keeps its input in each": lambda c: c.same.s([{"n": 1}])
    | each(c.same.s() | asl({"Type": "Pass", "Result": 5, "ResultPath": "$.m"}, eager={"n": 1, "m": 5}) | c.pair.s()),
    "asl with OutputPath in each": lambda c: c.same.s([{"n": 1}])
    | each(c.same.s() | asl({"Type": "Pass", "Result": 5, "ResultPath": "$.m", "OutputPath": "$.m"}, eager=5) | c.pair.s()),
    "asl wait in each": lambda c: c.same.s([{"n": 1}]) | each(c.same.s() | asl({"Type": "Wait", "SecondsPath": "$.n"}, eager={"n": 1}) | c.pair.s()),
    "asl in like members of a group": lambda c: c.one.s() | group(
        c.pair.s(1) | asl({"Type": "Pass", "InputPath": "$[0]"}, eager=[1, 1]) | c.pair.si(1), c.pair.s(2) | asl({"Type": "Pass", "InputPath": "$[0]"}, eager=[1, 2]) | c.pair.si(2)),
    "asl Map inside each": lambda c: c.same.s([[1, 2], [3]]) | each(asl({"Type": "Map", "ItemProcessor": {"StartAt": "in", "States": {
        "in": {"Type": "Pass", "Parameters": {"v.$": "$"}, "End": True}}}}, eager=[]) | c.keys.s() | c.same.si(0)),
    "asl fails": lambda c: c.one.s() | asl({"Type": "Fail", "Error": "KeyError"}) ,
    "asl fails in a catch": lambda c: c.one.s() | catch(choice(when(prev == 1, asl({"Type": "Fail", "Error": "Mine"}))), {"Mine": pick("input", c)}),
    "named: a chord's body": lambda c: chord([c.one.s(), c.add.s(1, 1)], c.total.s().set(sfn_name="sum")) | c.one.si() | c.pair.s(prev.of("sum")),
    "named: a choice": lambda c: c.dig.s(5) | choice(when(prev["total"] == 5, c.pair.s(1))).set(sfn_name="chosen") | c.one.si() | c.pair.s(prev.of("chosen")),
    "named: a loop": lambda c: c.one.s() | loop(c.add.s(1), until=prev > 5).set(sfn_name="loop") | c.one.si() | c.pair.s(prev.of("loop")),
    "named: a catch": lambda c: c.one.s() | catch(c.boom.s(), {ValueError: c.pair.si("h")}).set(sfn_name="caught") | c.one.si() | c.pair.s(prev.of("caught")),
    "named: each": lambda c: c.same.s([1, 2]) | each(c.add.s(1)).set(sfn_name="all") | c.total.s() | c.pair.s(prev.of("all")),
    "named: a delayed step with a link": lambda c: c.dig.s(5).set(sfn_name="order", countdown=5, link=[c.boom.s()]) | c.one.si() | c.pair.s(prev.of("order")["total"]),
    "named: in a loop, read after it": lambda c: c.one.s() | loop(c.add.s(1).set(sfn_name="more") | c.add.s(prev.of("more")), until=prev > 9) | c.pair.s(prev.of("more")),
    "named: in each of each": lambda c: c.dig.s(5).set(sfn_name="order") | c.same.si([[1], [2, 3]]) | each(each(c.pair.s(prev.of("order")["total"]))),
    "named: called as variables of ours": lambda c: c.one.s().set(sfn_name="sfini_rounds_1") | loop(c.add.s(2), until=prev > 3, at_most=9) | c.pair.s(prev.of("sfini_rounds_1")),
    "named: called states": lambda c: c.one.s().set(sfn_name="states") | c.one.si() | c.pair.s(prev.of("states")),
    "prev beside literals that look like paths": lambda c: c.dig.s(5) | c.pair.si(prev["total"], {"a.$": "$.b"}, {"sfini.ref": 1}, [{"sfini.json": "x"}, prev["list"]]),
    "prev beside typed literals": lambda c: c.dig.s(5) | c.pair.si(prev["total"], MOMENT, k={"at": [MOMENT, prev["total"]]}),
    "prev and options": lambda c: c.dig.s(5) | c.pair.si(prev["total"], 2).set(priority=3, headers={"x.$": "$.y"}, countdown=1, link=[c.one.si()]),
    "wait and countdown in a chain, lifted": lambda c: c.one.s() | wait(seconds=1) | c.add.s(1).set(countdown=2) | wait(until=MOMENT) | c.add.s(2).set(eta=MOMENT),
    "countdown in like members": lambda c: c.one.s() | group(c.add.s(1).set(countdown=1), c.add.s(2).set(countdown=2)) | c.total.s(),
    "countdown of a group": lambda c: c.one.s() | group(c.add.s(1).set(countdown=1), c.add.s(2).set(countdown=2)).set(countdown=9) | c.total.s(),
    "countdown in each": lambda c: c.same.s([1, 2]) | each(c.add.s(1).set(countdown=1) | wait(seconds=2)),
    "prev among the arguments": lambda c: c.dig.s(5, 6) | c.pair.si(prev["total"], prev["list"][1], n=prev["nested"]["text"]),
    "prev deep among the arguments": lambda c: c.dig.s(5) | c.pair.s({"a": [prev["total"], 2], "b": 3}, [[prev]]),
    "named step": lambda c: c.dig.s(5).set(sfn_name="order") | c.one.si() | c.pair.s(prev.of("order")["total"]),
    "named step seen in a group": lambda c: c.dig.s(5).set(sfn_name="the order") | c.one.si()
    | group(c.pair.s(prev.of("the order")["total"]), c.pair.s(prev.of("the order")["nested"]["text"])),
    "named step seen in each": lambda c: c.dig.s(5).set(sfn_name="order") | c.same.si([1, 2])
    | each(c.add.s(1) | c.pair.s(prev.of("order")["total"])),
    "named step in each": lambda c: c.same.s([1, 2]) | each(c.dig.s().set(sfn_name="d") | c.one.si() | c.pair.s(prev.of("d")["total"])),
    "named step in a condition": lambda c: c.dig.s(5).set(sfn_name="order") | c.one.si()
    | choice(when(prev.of("order")["total"] == 5, c.pair.s("yes"))),
}  # fmt: skip


@pytest.mark.parametrize("adhoc", [False, True], ids=["named", "adhoc"])
@pytest.mark.parametrize("name", CANVASES)
def test_execution_returns_what_the_canvas_returns_eagerly(oracle: Any, name: str, adhoc: bool) -> None:
    canvas = CANVASES[name](oracle)
    expected, got = oracle.meaning(canvas), oracle.output(canvas, adhoc=adhoc)
    assert got == expected


PARTIALS: dict[str, Canvas] = {
    "each": lambda c: each(c.add.s(1)),
    "wait": lambda c: wait(seconds=1) | c.pair.s(2),
    "choice": lambda c: choice(when(prev[0] == 4, c.pair.s("four")), otherwise=c.pair.s("other")),
    "choice passes on": lambda c: choice(when(prev[0] == 5, c.pair.s("five"))) | c.pair.s(),
    "loop": lambda c: loop(c.pair.s(9) | c.total.s(), until=prev > 30) | c.pair.s(),
    "catch": lambda c: catch(c.pair.s(9), {ValueError: c.one.si()}),
    "each in a group": lambda c: group(each(c.add.s(1)), each(c.add.s(2))),
}  # fmt: skip


@pytest.mark.parametrize("adhoc", [False, True], ids=["named", "adhoc"])
@pytest.mark.parametrize("name", PARTIALS)
def test_a_start_with_arguments_reaches_the_first_step(oracle: Any, name: str, adhoc: bool) -> None:
    canvas = PARTIALS[name](oracle)
    assert oracle.output(canvas, ([4, 6],), adhoc=adhoc) == oracle.meaning(canvas, ([4, 6],))


def test_handler_gets_error_message_traceback_and_the_input_of_what_failed(oracle: Any) -> None:
    told = oracle.output(oracle.same.s(7) | catch(oracle.boom.s(), {ValueError: oracle.same.s()}))
    assert (told["error"], told["input"]) == ("ValueError", 7)
    assert "boom" in told["message"]
    assert "raise ValueError" in told["traceback"]


def test_tolerated_failure_stands_in_its_place(oracle: Any) -> None:
    canvas = oracle.same.s([1, 2]) | each(
        choice(when(prev == 2, oracle.boom.s()), otherwise=oracle.add.s(1)), tolerate=True
    )
    first, second = oracle.output(canvas)
    assert first == 2
    assert second["error"] == "ValueError"
    assert "boom" in second["message"]
    assert second.keys() == {"error", "message", "traceback"}


def test_waits_are_the_state_machines_and_cost_no_worker(oracle: Any) -> None:
    canvas = oracle.one.s().set(countdown=3600) | wait(seconds=1.2) | oracle.add.s(1).set(countdown=0.1)
    assert oracle.output(canvas) == 2
    assert oracle.seconds == pytest.approx(3603, abs=0.5)


CONDITIONS: dict[str, tuple[Any, bool]] = {
    "equal": (prev["n"] == 5, True),
    "equal, other type": (prev["n"] == "5", False),
    "not equal": (prev["n"] != 6, True),
    "not equal, missing": (prev["missing"] != 6, False),
    "less": (prev["n"] < 6, True),
    "less or equal": (prev["n"] <= 5, True),
    "greater": (prev["n"] > 5, False),
    "greater or equal": (prev["n"] >= 5, True),
    "number against text": (prev["text"] > 5, False),
    "text": (prev["text"] < "b", True),
    "text equal": (prev["text"] == "abc", True),
    "true": (prev["yes"] == True, True),  # noqa: E712
    "false": (prev["yes"] == False, False),  # noqa: E712
    "one is not true": (prev["yes"] == 1, False),
    "null": (prev["none"] == None, True),  # noqa: E711
    "not null": (prev["n"] != None, True),  # noqa: E711
    "missing": (prev["missing"] == 5, False),
    "missing below a number": (prev["n"]["deep"] == 5, False),
    "index": (prev["list"][1] == 2, True),
    "index beyond": (prev["list"][9] == 2, False),
    "one of": (prev["n"].one_of(1, 5, "x"), True),
    "none of": (prev["n"].one_of(1, 2), False),
    "matches": (prev["text"].matches("a*"), True),
    "matches not": (prev["text"].matches("b*"), False),
    "matches an asterisk": (prev["star"].matches("a\\*b"), True),
    "matches with brackets": (prev["star"].matches("a[*]b"), False),
    "and": ((prev["n"] > 1) & (prev["n"] < 9), True),
    "or": ((prev["n"] > 9) | (prev["text"] == "abc"), True),
    "not": (~(prev["n"] > 9), True),
    "not of missing": (~(prev["missing"] > 9), True),
    "present": (prev["none"].is_present(), True),
    "absent": (prev["missing"].is_present(), False),
    "is null": (prev["none"].is_null(), True),
    "missing is not null": (prev["missing"].is_null(), False),
    "is string": (prev["text"].is_string(), True),
    "is number": (prev["n"].is_number(), True),
    "true is no number": (prev["yes"].is_number(), False),
    "is boolean": (prev["yes"].is_boolean(), True),
    "is timestamp": (prev["iso"].is_timestamp(), True),
    "text is no timestamp": (prev["text"].is_timestamp(), False),
    "timestamp": (prev["iso"] < datetime(2026, 1, 3, tzinfo=timezone.utc), True),
    "timestamp equal in another zone": (prev["iso"] == MOMENT, True),
    "datetime of a task": (prev["moment"] == MOMENT, True),
    "datetime of a task later": (prev["moment"] > MOMENT, False),
    "datetime of a task is a timestamp": (prev["moment"].is_timestamp(), True),
    "two members": (prev["n"] > prev["list"][1], True),
    "two members of two types": (prev["n"] > prev["text"], False),
    "two equal texts": (prev["text"] == prev["same"], True),
    "two nulls": (prev["none"] == prev["none"], True),
    "two unequal": (prev["n"] != prev["text"], True),
    "unequal to missing": (prev["n"] != prev["missing"], False),
    "keys with spaces and quotes": (prev["a 'key'"] == 1, True),
}  # fmt: skip

DATA = {
    "n": 5, "text": "abc", "same": "abc", "yes": True, "none": None, "list": [1, 2], "star": "a*b",
    "iso": "2026-01-02T02:00:00+02:00", "moment": MOMENT, "a 'key'": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", CONDITIONS)
def test_condition_decides_in_the_execution_as_it_does_eagerly(oracle: Any, name: str) -> None:
    condition, holds = CONDITIONS[name]
    canvas = oracle.same.s(DATA) | choice(when(condition, oracle.same.si("held")), otherwise=oracle.same.si("did not"))
    assert (oracle.meaning(canvas) == "held") is holds
    assert (oracle.output(canvas) == "held") is holds


@pytest.mark.parametrize(
    "expression",
    [
        lambda: bool(prev["a"] > 1),
        lambda: 0 < prev["a"] < 9,
        lambda: prev["a"] > 1 and prev["b"] > 2,
        lambda: not prev["a"] == 1,
        lambda: bool(prev),
        lambda: list(prev),
        lambda: prev["a"] > None,
        lambda: prev["a"] > True,
        lambda: prev["a"] == [1],
        lambda: prev["a"] == datetime(2026, 1, 1),
        lambda: prev[-1],
        lambda: prev[1.5],
        lambda: prev["a"].of("b"),
        lambda: prev["a"].matches(7),
        lambda: prev["a"].one_of(),
        lambda: (prev["a"] == 1) & True,
    ],
)
def test_what_python_would_decide_now_raises_instead_of_lying(expression: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        expression()


@pytest.mark.parametrize(
    ("build", "path", "says"),
    [
        (lambda c: c.one.s() | c.pair.s(prev.of("nothing")), "chain[1]", "no step of that name"),
        (lambda c: group(c.one.s().set(sfn_name="x"), c.one.s()) | c.pair.s(prev.of("x")), "chain[1]|body", "inside a branch"),
        (lambda c: c.one.s().set(sfn_name="x") | c.one.s().set(sfn_name="x"), "chain[1]", r"already defined at chain\[0\]"),
        (lambda c: c.one.s().set(sfn_name="x" * 81), "canvas", "1 to 80"),
        (lambda c: c.one.s() | choice(when(prev > 1, c.one.s())).set(queue="fast"), "chain[1]", "no task"),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_says_where_and_why(oracle: Any, build: Canvas, path: str, says: str) -> None:
    with pytest.raises(CompileError, match=says) as caught:
        oracle.compile(build(oracle))
    assert caught.value.path in path.split("|")


def test_eager_run_passes_json_between_steps(oracle: Any) -> None:
    assert run_eagerly(oracle.same.s((1, 2)) | oracle.same.s()) == [1, 2]
