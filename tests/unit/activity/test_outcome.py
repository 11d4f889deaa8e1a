"""How an outcome becomes a report."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from sfini_celery.activity import failure_of, write_cause, write_output
from sfini_celery.errors import OutputNotSerializable


def test_typed_output_comes_back_as_the_next_task_would_read_it() -> None:
    value = {"when": datetime(2026, 1, 2, 3, tzinfo=timezone.utc), "id": UUID(int=1), "n": Decimal("1.5")}
    assert kombu_json.loads(write_output(value, typed=True)) == value


def test_plain_output_is_json_that_paths_and_timestamps_can_use() -> None:
    east = timezone(timedelta(hours=2))
    value = [datetime(2026, 1, 2, 3, tzinfo=east), date(2026, 1, 2), UUID(int=1), Decimal("1.5"), (1, 2)]
    assert json.loads(write_output(value, typed=False)) == [
        "2026-01-02T01:00:00Z",
        "2026-01-02",
        "00000000-0000-0000-0000-000000000001",
        "1.5",
        [1, 2],
    ]


def _endless() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}.__iter__(), {(1, 2): 3}, _endless()])
def test_what_is_not_json_is_an_error_of_its_own(value: Any, typed: bool) -> None:
    with pytest.raises(OutputNotSerializable):
        write_output(value, typed=typed)


class Base(Exception):
    pass


class Derived(Base):
    pass


def test_error_is_the_class_name_or_the_first_base_that_the_state_lists() -> None:
    assert failure_of(Derived("x"))[0] == "Derived"
    assert failure_of(Derived("x"), matches=["Exception", "Base"])[0] == "Base"
    assert failure_of(Derived("x"), matches=["Derived", "Base"])[0] == "Derived"
    assert failure_of(Derived("x"), matches=["KeyError"])[0] == "Derived"


def test_cause_tells_type_module_message_arguments_and_trace() -> None:
    try:
        raise Derived("no luck", 7)
    except Derived as exc:
        cause = json.loads(failure_of(exc)[1])
    assert cause["errorType"] == "Derived"
    assert cause["errorModule"] == __name__
    assert cause["errorArgs"] == ["no luck", 7]
    assert "no luck" in cause["errorMessage"]
    assert cause["stackTrace"].rstrip().endswith("('no luck', 7)")


class Spiteful(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_an_exception_that_cannot_be_printed_is_still_reported() -> None:
    error, cause = failure_of(Spiteful(Spiteful()))
    assert error == "Spiteful"
    assert "cannot be had" in json.loads(cause)["errorMessage"]


@given(st.text(), st.text(), st.integers(0, 80_000), st.integers(0, 80_000))
def test_cause_always_fits_and_keeps_the_end_of_the_trace(message: str, end: str, long: int, longer: int) -> None:
    trace = '"\\\n' * longer + end
    text = write_cause("E" * 300, "m", message + "é" * long, ["a" * long], trace)
    assert len(text) <= 32_768
    kept = json.loads(text)["stackTrace"]
    assert kept == trace or trace.endswith(kept.removeprefix("..."))


def test_error_name_is_cut_to_the_limit() -> None:
    assert len(failure_of(type("E" * 400, (Exception,), {})())[0]) == 256
