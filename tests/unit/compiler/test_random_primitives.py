"""Any canvas with steps that Celery lacks, compiled and run, returns what it returns eagerly.

Only sequences fail with different errors: of several members that fail at once eager tells the first in order, an
execution the first in time.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from celery import chord, group
from celery.canvas import _chain
from hypothesis import given
from hypothesis import strategies as st

from sfini_celery.canvas import asl, catch, choice, each, loop, prev, wait, when

Plan = tuple[Any, ...]

MOMENT = datetime(2026, 1, 2, tzinfo=timezone.utc)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from(["", "ab", "$.x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b.$", "k'"]), inner, max_size=2),
    max_leaves=4,
)
arguments = st.lists(values, min_size=1, max_size=3)
keywords = st.just({})
paths = st.sampled_from([(), (0,), ("a",), ("k'",), ("a", 0)])
comparisons = st.tuples(
    paths,
    st.sampled_from(["==", "!=", "<", ">=", "matches", "present", "null", "number", "string", "boolean", "timestamp"]),
    st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from(["", "ab", "a*"]),
)
conditions = st.recursive(
    st.tuples(st.just("one"), comparisons),
    lambda inner: st.tuples(st.sampled_from("&|"), inner, inner) | st.tuples(st.just("~"), inner),
    max_leaves=3,
)


@st.composite
def canvases(draw: st.DrawFn) -> Plan:
    """Any canvas that begins with a call, so that there is a result."""
    first = ("call", "pair", draw(st.lists(values, max_size=2)), False, None, {})
    return ("chain", [first, *draw(_steps(2, "s", (), loud=True))[0]])


@st.composite
def _steps(draw: st.DrawFn, depth: int, where: str, seen: tuple[str, ...], *, loud: bool) -> tuple[list[Plan], Any]:
    """Steps of a chain, each of which may read those before that have a name."""
    steps: list[Plan] = []
    for index in range(draw(st.integers(1, 3))):
        own = f"{where}{index}"
        step = draw(_any(depth, own, seen, loud=loud))
        if loud is not None and draw(st.integers(0, 2)) == 0 and step[0] in ("call", "each", "choice", "catch", "loop"):
            step, seen = ("named", step, own), (*seen, own)
        steps.append(step)
    return steps, seen


@st.composite
def _any(draw: st.DrawFn, depth: int, where: str, seen: tuple[str, ...], *, loud: Any) -> Plan:
    """One step.

    Parameters:
        depth: how deep it may go on
        where: what names in it begin with
        seen: names that can be read
        loud: whether it may fail in several ways; None where its steps can have no names, as it is there several times
    """
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return draw(_call(seen, loud=loud))

    def inner(place: str = "", *, loud: Any = loud) -> Plan:
        return ("chain", draw(_steps(depth - 1, f"{where}{place}_", seen, loud=loud))[0])

    quiet = None if loud is None else False
    kind = draw(st.sampled_from(["each", "choice", "loop", "wait", "catch", "asl", "group", "chord", "alike", "link"]))
    if kind == "each":
        return ("each", inner(loud=quiet), draw(st.sampled_from([None, 1, 2])), draw(st.booleans()))
    if kind == "choice":
        branches = [(draw(conditions), inner(str(place))) for place in range(draw(st.integers(1, 2)))]
        return ("choice", branches, inner("o") if draw(st.booleans()) else None)
    if kind == "loop":
        at_most = draw(st.sampled_from([None, 1, 2, 3]) if loud else st.sampled_from([None, 2]))
        condition = ("one", ((), "present", None))
        if loud and at_most is not None:
            condition = draw(conditions | st.tuples(st.just("one"), st.tuples(st.just(()), st.just(">="), st.just(9))))
        return ("loop", ("chain", [inner(), ("call", "tally", [2], False, None, {})]), condition, at_most)
    if kind == "wait":
        return ("wait", draw(st.sampled_from([0, 1.5, MOMENT])))
    if kind == "catch":
        handlers = draw(st.lists(st.sampled_from(["ValueError", "KeyError", "LookupError", "Exception", "LoopExhausted"]),
                                 min_size=1, max_size=3, unique=True))  # fmt: skip
        return ("catch", inner(), [(name, draw(_handler(inner(name), seen))) for name in handlers])
    if kind == "asl":
        return ("asl", draw(values))
    if kind == "alike":
        return ("alike", inner(loud=None), draw(st.lists(arguments, min_size=2, max_size=3)))
    if kind == "link":
        return ("link", draw(_call(seen, loud=loud)), inner(loud=None))
    members = [inner(str(place), loud=quiet) for place in range(draw(st.integers(1, 3)))]
    return ("group", members) if kind == "group" else ("chord", members, inner("b"))


@st.composite
def _call(draw: st.DrawFn, seen: tuple[str, ...], *, loud: Any) -> Plan:
    names = ["pair"] * 9 + ["tally"] * 3 + ["listed"] * 3 + ["boom"] + (["crack"] * 2 if loud else [])
    args: list[Any] = draw(st.lists(values, max_size=2))
    if draw(st.integers(0, 2)) == 0:
        args.append(draw(st.sampled_from([("prev",), *(("of", name) for name in seen)])))
        if draw(st.booleans()):
            args.append({"deep": [args[-1], 1]})
    options = draw(st.sampled_from([{}, {}, {}, {"countdown": 1}, {"eta": MOMENT}, {"priority": 1}]))
    return ("call", draw(st.sampled_from(names)), args, draw(st.booleans()), None, options)


@st.composite
def _handler(draw: st.DrawFn, then: Plan, seen: tuple[str, ...]) -> Plan:
    """What a handler gets holds a traceback, which is not the same twice."""
    first = draw(st.sampled_from(["strip", "immutable", "choice", "wait", "group", "prev"]))
    strip = ("call", "strip", [], False, None, {})
    if first == "strip":
        return ("chain", [strip, then])
    if first == "immutable":
        return ("chain", [("call", "pair", ["h"], True, None, {}), then])
    if first == "choice":
        error = ("one", (("error",), "==", "ValueError"))
        return ("chain", [("choice", [(error, ("chain", [strip]))], ("call", "pair", ["o"], True, None, {})), then])
    if first == "wait":
        return ("chain", [("wait", 1), strip, then])
    if first == "prev":
        return ("chain", [("call", "pair", [("error",)], True, None, {}), then])
    return ("chain", [("chord", [strip, strip], then)])


def build(plan: Plan, c: Any) -> Any:
    """The canvas of a plan."""
    built: Any = _BUILD[plan[0]](c, *plan[1:])
    return built


def _condition(plan: Any) -> Any:
    if plan[0] == "~":
        return ~_condition(plan[1])
    if plan[0] in "&|":
        left, right = _condition(plan[1]), _condition(plan[2])
        return left & right if plan[0] == "&" else left | right
    path, operator, value = plan[1]
    expression = prev
    for key in path:
        expression = expression[key]
    if operator in ("==", "!="):
        return (expression == value) if operator == "==" else (expression != value)
    if operator in ("<", ">="):
        value = 3 if value is None or isinstance(value, bool) else value
        return expression < value if operator == "<" else expression >= value
    if operator == "matches":
        return expression.matches(value if isinstance(value, str) else "a*")
    return getattr(expression, f"is_{operator}")()


def _argument(value: Any) -> Any:
    if value == ("prev",):
        return prev
    if value == ("error",):
        return prev["error"]
    if isinstance(value, tuple):
        return prev.of(value[1])
    if isinstance(value, dict):
        return {key: _argument(member) for key, member in value.items()}
    return [_argument(member) for member in value] if isinstance(value, list) else value


def _called(c: Any, task: str, args: list[Any], immutable: bool, name: str | None, options: dict[str, Any]) -> Any:
    return getattr(c, task).signature(tuple(map(_argument, args)), immutable=immutable).set(**options)


def _each(c: Any, body: Plan, concurrency: int | None, tolerate: bool) -> Any:
    whole = each(build(body, c), concurrency=concurrency, tolerate=tolerate)
    return _chain(c.listed.s(), whole, c.strip.s(), app=c.app)


def _waiting(c: Any, how: Any) -> Any:
    return wait(until=how) if isinstance(how, datetime) else wait(seconds=how)


_ERRORS: dict[str, Any] = {
    "ValueError": ValueError, "KeyError": KeyError, "LookupError": LookupError, "Exception": Exception,
    "LoopExhausted": "sfini.LoopExhausted",
}  # fmt: skip

_BUILD: dict[str, Any] = {
    "call": _called,
    "chain": lambda c, steps: _chain(*(build(step, c) for step in steps), app=c.app),
    "named": lambda c, step, name: build(step, c).set(sfn_name=name),
    "each": _each,
    "choice": lambda c, branches, otherwise: choice(
        *(when(_condition(condition), build(then, c)) for condition, then in branches),
        otherwise=otherwise and build(otherwise, c),
    ),
    "loop": lambda c, body, until, at_most: loop(build(body, c), until=_condition(until), at_most=at_most),
    "wait": _waiting,
    "catch": lambda c, body, handlers: catch(
        build(body, c), {_ERRORS[name]: build(handler, c) for name, handler in handlers}
    ),
    "asl": lambda c, value: asl({"Type": "Pass", "Result": value}, eager=value),
    "group": lambda c, members: group([build(member, c) for member in members], app=c.app),
    "chord": lambda c, members, body: chord([build(member, c) for member in members], build(body, c), app=c.app),
    "alike": lambda c, member, several: group([c.pair.s(*own) | build(member, c) for own in several], app=c.app),
    "link": lambda c, step, callback: build(step, c).set(link=[build(callback, c)]),
}


def expected(c: Any, plan: Plan, args: Any = (), kwargs: Any = None) -> Any:
    """What it returns eagerly."""
    return c.meaning(build(plan, c), args, kwargs)


@given(plan=canvases())
def test_any_canvas_of_ours_returns_what_it_returns_eagerly(oracle: Any, plan: Plan) -> None:
    wanted = expected(oracle, plan)
    assert oracle.output(build(plan, oracle)) == wanted
    assert oracle.output(build(plan, oracle), adhoc=True) == wanted


@given(plan=_any(2, "s", (), loud=True), args=arguments)
def test_any_step_of_ours_can_be_the_first(oracle: Any, plan: Plan, args: list[Any]) -> None:
    wanted = expected(oracle, plan, args)
    assert oracle.output(build(plan, oracle), args) == wanted
    assert oracle.output(build(plan, oracle), args, adhoc=True) == wanted
