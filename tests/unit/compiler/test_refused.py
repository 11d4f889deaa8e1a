"""What cannot be expressed is refused with its place, the reason and the remedy; names of states stay put."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import chord, group, signature

from sfini_celery.errors import CompileError

REFUSED: dict[str, tuple[Callable[[Any], Any], str, str, str]] = {
    "a task that is no activity": (
        lambda c: c.one.s() | signature("c.ad", app=c.app), "chain[1]", "did you mean 'c.add'?", "@app.activity",
    ),
    "a fixed task_id": (lambda c: c.one.s() | c.add.s(1).set(task_id="x"), "chain[1]", "fixed task_id", "task_id="),
    "an argument that is not JSON": (lambda c: c.one.s() | c.pair.s(object()), "chain[1]", "cannot be sent as JSON", "plain data"),
    "an argument that is not a number of JSON": (lambda c: c.pair.s(float("nan")), "canvas", "cannot be sent as JSON", ""),
    "a name over 80 characters": (lambda c: group(c.one.s(), c.one.s().set(sfn_name="x" * 81)), "group[1]", "not of 81", "shorten"),
    "a task instead of a call": (lambda c: c.one, "canvas", "is a task, not a call", "write task.s(...)"),
    "no signature": (lambda c: 5, "canvas", "a int is no signature", "task.s"),
    "a step of another version": (
        lambda c: {"task": "sfini.later", "args": [], "kwargs": {}, "options": {}, "subtask_type": "sfini.later", "immutable": False},
        "canvas", "no signature that Celery can read", "",
    ),
    "a chord without a body": (lambda c: chord([c.one.s()]), "canvas", "without a body", "group"),
    "a countdown that is no number": (lambda c: c.one.s().set(countdown="5"), "canvas", "countdown must be", ""),
    "an expiry that is none": (lambda c: c.one.s().set(expires=[]), "canvas", "expires must be", ""),
    "an errback that is a chain": (lambda c: c.one.s().on_error(c.one.s() | c.one.s()), "canvas", "single tasks only", "catch"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_expressed_is_refused_with_place_reason_and_remedy(oracle: Any, name: str) -> None:
    build, path, says, remedy = REFUSED[name]
    with pytest.raises(CompileError) as caught:
        oracle.compile(build(oracle))
    assert caught.value.path == path
    assert says in caught.value.why
    assert remedy in caught.value.remedy


def test_names_of_states_do_not_change_with_steps_elsewhere(oracle: Any) -> None:
    def names(canvas: Any) -> list[str]:
        return list(oracle.compile(canvas).definition()["States"])

    before = names(oracle.one.s() | oracle.add.s(1) | oracle.total.s())
    after = names(
        oracle.one.s() | oracle.pair.s() | group(oracle.same.s(), oracle.tally.s()) | oracle.add.s(1) | oracle.total.s()
    )
    assert before == ["c.one", "c.add", "c.total"]
    assert [name for name in after if name in before] == before
