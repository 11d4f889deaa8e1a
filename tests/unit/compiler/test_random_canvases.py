"""Any canvas of Celery's, compiled and run, returns what Celery returns eagerly.

A plan is data, so that a failing example can be read; :func:`build` makes the canvas of it. ``HYPOTHESIS_PROFILE=long``
tries thousands.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from celery import chain, chord, group, signature
from celery.canvas import _chain, maybe_signature
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

Plan = tuple[Any, ...]

scalars = st.none() | st.booleans() | st.integers(-3, 1000) | st.sampled_from(["", "a", "é\n'\"{}\\", "$.x", "$$.y"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b.$", "sfini.ref", "sfini.json", "k'"]), inner, max_size=2)
    ),
    max_leaves=4,
)
arguments = st.lists(values, max_size=3)
keywords = st.dictionaries(st.sampled_from(["k", "m", "__n"]), values, max_size=2)
# boom alone fails, so that it does not matter which of several failing members is first
tasks = st.sampled_from(["pair"] * 8 + ["tally"] * 6 + ["first"] * 4 + ["boom"])
options = st.fixed_dictionaries(
    {},
    optional={
        "priority": st.integers(0, 9),
        "countdown": st.sampled_from([0, 0.5, 2]),
        "queue": st.just("celery"),
        "headers": st.just({"x.$": "$.y"}),
        "expires": st.just(3600),
        "time_limit": st.just(60),
        "ignore_result": st.booleans(),
        "serializer": st.just("json"),
        "stamped_headers": st.just(["stamp"]),
        "stamp": st.just("s"),
    },
)
tweaks = st.sampled_from(
    ["", "", "", "", "clone", "clone with arguments", "replace", "json", "dict", "by name", "frozen"]
)


@st.composite
def calls(draw: st.DrawFn) -> Plan:
    """One call of a task."""
    given_options = draw(options) if draw(st.integers(0, 3)) == 0 else {}
    return ("call", draw(tasks), draw(arguments), draw(keywords), draw(st.booleans()), draw(tweaks), given_options)


@st.composite
def canvases(draw: st.DrawFn, depth: int = 3) -> Plan:
    """Any canvas."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(calls())
    inner = canvases(depth - 1)
    several = st.lists(inner, min_size=1, max_size=3)
    kind = draw(
        st.sampled_from(
            ["chain"] * 4 + ["group"] * 4 + ["chord"] * 3 + ["alike"] * 2 + ["map", "linked", "json", "set", "empty"]
        )
    )
    if kind == "chain":
        return ("chain", draw(st.sampled_from(["or", "chain", "generator", "raw"])), draw(several))
    if kind == "group":
        return ("group", draw(st.sampled_from(["list", "star", "generator"])), draw(several))
    if kind == "chord":
        header = draw(st.lists(inner, max_size=3))
        return ("chord", draw(st.sampled_from(["list", "generator", "group"])), header, draw(inner))
    if kind == "alike":
        return ("alike", draw(inner), draw(st.lists(arguments, min_size=2, max_size=4)))
    if kind == "map":
        how = draw(st.sampled_from(["map", "starmap", "chunks", "chunks.group"]))
        items = draw(st.lists(values if how == "map" else arguments, min_size=1, max_size=4))
        return ("map", how, draw(tasks), items, draw(st.integers(1, 3)))
    if kind == "linked":
        return ("linked", draw(inner), draw(calls()), draw(st.sampled_from(["link", "link_error", "on_error"])))
    if kind == "set":
        return ("set", draw(inner), draw(options))
    return ("empty", draw(inner)) if kind == "empty" else ("json", draw(inner), draw(st.booleans()))


def expected(c: Any, plan: Plan, args: Any = (), kwargs: Any = None) -> Any:
    """What Celery returns eagerly. It cannot apply ``chunks`` so: their value is that of their group."""
    run = c.meaning if "'chunks'" in repr(plan) else c.eager
    return run(build(plan, c), args, kwargs)


def build(plan: Plan, c: Any) -> Any:
    """The canvas of a plan."""
    built: Any = _BUILD[plan[0]](c, *plan[1:])
    return built


def _call(c: Any, task: str, args: list[Any], kwargs: dict[str, Any], immutable: bool, tweak: str, given: Any) -> Any:
    made = getattr(c, task).signature(tuple(args), kwargs, immutable=immutable).set(**deepcopy(given))
    if tweak == "clone":
        return made.clone()
    if tweak == "clone with arguments":
        return made.clone(args=("more",), kwargs={"k": "clone"})
    if tweak == "replace":
        return made.replace(args=["other"], kwargs={"m": 1})
    if tweak == "by name":
        return signature(made.task, args, kwargs, immutable=immutable, options=deepcopy(given), app=c.app)
    if tweak == "frozen":
        made.freeze()
        return made
    if tweak in ("json", "dict"):
        return _json(c, ("built", made), tweak == "dict")
    return made


def _chain_of(c: Any, how: str, parts: list[Plan]) -> Any:
    steps = [maybe_signature(build(part, c), app=c.app) for part in parts]
    if how == "raw":
        return _chain(*steps, app=c.app)
    if how == "chain":
        return chain(*steps)
    if how == "generator":
        return chain(step for step in steps)
    whole = steps[0]
    for step in steps[1:]:
        whole = whole | step
    return whole


def _members(c: Any, parts: list[Plan]) -> list[Any]:
    return [build(part, c) for part in parts]


def _group(c: Any, how: str, parts: list[Plan]) -> Any:
    members = _members(c, parts)
    if how == "star" and len(members) > 1:
        return group(*members, app=c.app)
    return group((member for member in members) if how == "generator" else members, app=c.app)


def _chord(c: Any, how: str, header: list[Plan], body: Plan) -> Any:
    members = _members(c, header)
    given: Any = members
    if how == "generator":
        given = (member for member in members)
    elif how == "group":
        given = group(members, app=c.app)
    return chord(given, build(body, c), app=c.app)


def _alike(c: Any, member: Plan, arguments: list[list[Any]]) -> Any:
    """Members of one shape: what an ad-hoc canvas makes one body of."""
    return group([c.pair.s(*own) | maybe_signature(build(member, c), app=c.app) for own in arguments], app=c.app)


def _map(c: Any, how: str, task: str, items: list[Any], size: int) -> Any:
    made = getattr(c, task)
    if how == "chunks":
        return made.chunks(iter(items), size)
    if how == "chunks.group":
        return made.chunks(items, size).group()
    return getattr(made, how)(items)


def _linked(c: Any, part: Plan, callback: Plan, how: str) -> Any:
    made = maybe_signature(build(part, c), app=c.app).clone()
    other = maybe_signature(build(callback, c), app=c.app)
    if made["subtask_type"] in ("group", "chord") or made["task"].startswith("celery."):
        return made  # Celery links these to their parts, or refuses
    getattr(made, how)(other)
    return made


def _json(c: Any, part: Plan, plain: bool) -> Any:
    text = kombu_json.dumps(build(part, c))
    return kombu_json.loads(text) if plain else maybe_signature(kombu_json.loads(text), app=c.app)


def _empty(c: Any, part: Plan) -> Any:
    return _chain(group([], app=c.app), maybe_signature(build(part, c), app=c.app), group([], app=c.app), app=c.app)


_BUILD: dict[str, Any] = {
    "call": _call,
    "chain": _chain_of,
    "group": _group,
    "chord": _chord,
    "alike": _alike,
    "map": _map,
    "linked": _linked,
    "json": _json,
    "empty": _empty,
    "set": lambda c, part, given: maybe_signature(build(part, c), app=c.app).clone().set(**deepcopy(given)),
    "built": lambda c, made: made,
}


@given(plan=canvases())
def test_any_canvas_returns_what_celery_returns_eagerly(oracle: Any, plan: Plan) -> None:
    wanted = expected(oracle, plan)
    canvas = build(plan, oracle)
    before = kombu_json.dumps(canvas)
    assert oracle.output(canvas) == wanted
    assert oracle.output(canvas, adhoc=True) == wanted  # the same canvas again: nothing was used up
    assert kombu_json.dumps(canvas) == before


@given(plan=canvases(2), args=arguments, kwargs=keywords)
def test_any_canvas_takes_partial_arguments_as_celerys_do(
    oracle: Any, plan: Plan, args: list[Any], kwargs: dict[str, Any]
) -> None:
    wanted = expected(oracle, plan, args, kwargs)
    assert oracle.output(build(plan, oracle), args, kwargs) == wanted
    assert oracle.output(build(plan, oracle), args, kwargs, adhoc=True) == wanted
