"""A compiled canvas returns what Celery returns eagerly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import celery
import pytest
from celery import chain, chord, group, signature
from celery.canvas import _chain

MOMENT = datetime(2026, 1, 2, tzinfo=timezone.utc)
Canvas = Callable[[Any], Any]

CANVASES: dict[str, Canvas] = {
    "task": lambda c: c.add.s(2, 3),
    "task without arguments": lambda c: c.one.s(),
    "keywords": lambda c: c.pair.s(1, a=2, b={"c": [3]}),
    "chain": lambda c: c.add.s(2, 3) | c.add.s(4) | c.add.s(5),
    "immutable in a chain": lambda c: c.add.s(2, 3) | c.add.si(4, 4) | c.pair.s(5),
    "chain in a chain": lambda c: chain(c.add.s(1, 1), chain(c.add.s(2), c.add.s(3)), c.pair.s()),
    "group": lambda c: group(c.add.s(1, 1), c.add.s(2, 2), c.pair.s(3)),
    "group of one": lambda c: group([c.add.s(1, 1)]),
    "group first, then a task": lambda c: group(c.add.s(1, 1), c.add.s(2, 2)) | c.total.s(),
    "group in the middle": lambda c: c.add.s(1, 2) | group(c.add.s(10), c.add.s(20)) | c.total.s() | c.pair.s("end"),
    "group last": lambda c: c.add.s(1, 2) | group(c.add.s(10), c.pair.s(20), c.one.si()),
    "group of chains": lambda c: group(c.add.s(1, 1) | c.add.s(1), c.add.s(2, 2) | c.add.s(2)),
    "group of unlike chains": lambda c: group(c.add.s(1, 1) | c.add.s(1), c.pair.s(2)),
    "group of groups is unrolled": lambda c: group(group(c.add.s(1, 1), c.add.s(2, 2)), c.add.s(3, 3)),
    "group of chains that end in groups": lambda c: group(
        c.add.s(1, 1) | group(c.add.s(1), c.add.s(2)), c.add.s(2, 2) | group(c.add.s(3), c.add.s(4))
    ),
    "group after group": lambda c: group(c.add.s(1, 1), c.one.s()) | group(c.total.s(), c.pair.s()),
    "chord": lambda c: chord([c.add.s(1, 1), c.add.s(2, 2)], c.total.s()),
    "chord with a chain as body": lambda c: chord([c.add.s(1, 1), c.one.s()], c.total.s() | c.add.s(7)),
    "chord with a chord as body": lambda c: chord(
        [c.add.s(1, 1), c.one.s()], chord([c.total.s(), c.pair.s()], c.pair.s())
    ),
    "chord in a header": lambda c: chord([chord([c.one.s(), c.one.s()], c.total.s()), c.add.s(2, 2)], c.total.s()),
    "chord with a group as body": lambda c: chord([c.one.s(), c.one.s()], group(c.total.s(), c.pair.s())),
    "chord, immutable body": lambda c: chord([c.one.s(), c.one.s()], c.pair.si("alone")),
    "chord with an empty header": lambda c: chord([], c.total.s()),
    "chord then task": lambda c: chord([c.one.s(), c.one.s()], c.total.s()) | c.add.s(5),
    "task then chord": lambda c: c.add.s(1, 1) | chord([c.add.s(1), c.add.s(2)], c.total.s()),
    "two chords": lambda c: chain(group(c.one.s(), c.one.s()), c.total.s(), group(c.add.s(1), c.add.s(2)), c.total.s()),
    "empty group": lambda c: group([]),
    "empty group in a chain does nothing": lambda c: chain(c.add.s(1, 1), group([]), c.add.s(3)),
    "empty group last in a chain": lambda c: _chain(c.add.s(1, 1), group([])),
    "empty group first in a chain": lambda c: _chain(group([]), c.add.s(1, 1)),
    "group not upgraded": lambda c: _chain(group(c.one.s(), c.one.s()), c.total.s()),
    "map": lambda c: c.total.map([[1, 2], [3, 4], []]),
    "starmap": lambda c: c.add.starmap([(1, 2), (3, 4)]),
    "map in a chain ignores the result": lambda c: c.one.s() | c.same.map([7, 8]) | c.total.s(),
    "chunks": lambda c: c.add.chunks(zip(range(5), range(5), strict=True), 2).group(),
    "generator as header": lambda c: chord((c.add.s(i, i) for i in range(4)), c.total.s()),
    "generator as chain": lambda c: chain(c.add.s(i) for i in range(4)),
    "generator as group": lambda c: group(c.add.s(i, 1) for i in range(4)),
    "clone and set": lambda c: c.add.s(1).clone(args=(5,)).set(priority=3),
    "replace": lambda c: c.add.s(1).replace(args=(5, 6)),
    "a task by its name": lambda c: signature("c.add", args=(4, 5), app=c.app),
    "a dict": lambda c: dict(c.add.s(4, 5)),
    "values of Celery's serializer": lambda c: c.same.s(MOMENT) | c.pair.s(Decimal("1.5")),
    "keys that look like paths": lambda c: c.same.s({"a.$": "$.b", "c": [{"d.$": 1}]}) | c.pair.s({"e.$": 2}),
    "a literal that looks like a reference": lambda c: c.pair.s({"sfini.ref": 5}),
    "text with quotes and braces": lambda c: c.pair.s("it's {a} \\ \"b\" $.c $$.d é\n"),
    "null result": lambda c: c.same.s(None) | c.pair.s(),
    "link": lambda c: c.add.s(1, 1).set(link=[c.boom.s()]) | c.add.s(5),
    "link at the end": lambda c: c.one.s() | c.add.s(1).set(link=[c.pair.s(), c.one.si() | c.boom.si()]),
    "failing task": lambda c: c.one.s() | c.boom.s(1) | c.add.s(1),
    "failing member": lambda c: group(c.one.s(), c.boom.s()) | c.total.s(),
    "deep": lambda c: group(
        c.add.s(1, 1) | group(c.add.s(1) | c.add.s(2), c.add.s(3) | c.add.s(4)) | c.total.s(),
        c.add.s(2, 2) | group(c.add.s(5) | c.add.s(6), c.add.s(7) | c.add.s(8)) | c.total.s(),
    ) | c.total.s(),
}  # fmt: skip


FAILS_EAGERLY_BEFORE_5_7 = {"empty group last in a chain", "empty group first in a chain", "deep"}


@pytest.mark.parametrize("adhoc", [False, True], ids=["named", "adhoc"])
@pytest.mark.parametrize("name", CANVASES)
def test_execution_returns_what_celery_returns_eagerly(oracle: Any, name: str, adhoc: bool) -> None:
    if celery.VERSION < (5, 7) and name in FAILS_EAGERLY_BEFORE_5_7:
        pytest.skip("Celery before 5.7 cannot apply this canvas eagerly; an execution runs it")
    canvas = CANVASES[name](oracle)
    assert oracle.output(canvas, adhoc=adhoc) == oracle.eager(canvas)


PARTIALS: dict[str, Canvas] = {
    "task": lambda c: c.pair.s(2, k=1),
    "immutable": lambda c: c.pair.si(2),
    "chain": lambda c: c.pair.s(2) | c.pair.s(3),
    "group": lambda c: group(c.pair.s(1), c.pair.s(2), c.one.si()),
    "group of chains": lambda c: group(c.pair.s(1) | c.pair.s(5), c.pair.s(2) | c.pair.s(6)),
    "chord": lambda c: chord([c.pair.s(1), c.pair.s(2)], c.pair.s(3)),
    "group in groups": lambda c: group(
        group(c.pair.s(1), c.pair.s(2)) | c.pair.s(), group(c.pair.s(3), c.pair.s(4)) | c.pair.s()
    ),
}


@pytest.mark.parametrize("adhoc", [False, True], ids=["named", "adhoc"])
@pytest.mark.parametrize("name", PARTIALS)
def test_partial_arguments_of_a_start_are_celerys(oracle: Any, name: str, adhoc: bool) -> None:
    canvas = PARTIALS[name](oracle)
    args, kwargs = (7, "x"), {"k": 5, "more": [1]}
    assert oracle.output(canvas, args, kwargs, adhoc=adhoc) == oracle.eager(canvas, args, kwargs)
