"""Canvases on a real worker: named, unnamed, nested, awaited, failing, revoked; and as tasks of Celery's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from celery import chain, group

from sfini_celery.errors import ExecutionAborted
from sfini_celery.execution import ExecutionResult


def test_the_example_of_the_design_runs(project: Any) -> None:
    outcome = project.orders.delay(40)
    assert outcome.get(timeout=60) == 91
    assert outcome.state == "SUCCESS"
    first, both, last = outcome.children
    assert [part.result for part in (first, *both.children, last)] == [42, 45, 46, 91]
    assert first.worker is not None


def test_an_unnamed_canvas_runs_with_one_call_changed(project: Any) -> None:
    canvas = project.add.s(2) | group(project.add.s(n) for n in range(5)) | project.total.s()
    outcome = project.app.sfn.delay(canvas, 40)
    assert outcome.get(timeout=60) == 5 * 42 + 10
    assert outcome.get(timeout=60) == canvas.apply((40,)).get()
    again = project.app.sfn.delay(canvas.clone(), 1)
    assert again.get(timeout=60) == 5 * 3 + 10
    assert again.execution.state_machine_arn == outcome.execution.state_machine_arn
    assert [part.result for part in outcome.children[1].children] == [42, 43, 44, 45, 46]


def test_types_survive_from_the_arguments_to_the_result(project: Any) -> None:
    value = {"at": datetime(2026, 1, 2, tzinfo=timezone.utc), "price": Decimal("1.10")}
    assert project.app.sfn.delay(project.same.s() | project.same.s(), value).get(timeout=60) == value


def test_steps_that_celery_lacks_run(project: Any) -> None:
    assert project.chosen.delay(5).get(timeout=60) == 3
    assert project.chosen.delay(2).get(timeout=60) == 5
    assert project.fan.delay([1, 2, 3]).get(timeout=60) == 9
    told = project.caught.delay(1).get(timeout=60)
    assert (told["error"], told["input"]) == ("Refused", 2)


def test_many_outcomes_are_awaited_together(project: Any) -> None:
    async def main() -> list[Any]:
        return await asyncio.gather(*[project.orders.delay(n) for n in range(8)])

    assert asyncio.run(main()) == [2 * (n + 2) + 7 for n in range(8)]


def test_a_failing_task_raises_its_own_class_here(project: Any) -> None:
    outcome = project.failing.delay(1)
    with pytest.raises(project.Refused) as caught:
        outcome.get(timeout=60)
    assert (caught.value.name, caught.value.code) == ("kiwi", 7)
    assert 'raise Refused("kiwi", 7)' in outcome.traceback
    assert outcome.children[0].result == 2
    assert isinstance(outcome.children[1].result, project.Refused)

    async def main() -> None:
        with pytest.raises(project.Refused):
            await project.failing.delay(1)

    asyncio.run(main())


def test_a_workflow_in_a_workflow_gives_its_result_or_its_exception(project: Any) -> None:
    outcome = project.outer.delay(39)
    assert outcome.get(timeout=60) == 1091
    (inner,) = outcome.children[1].children
    assert isinstance(inner, ExecutionResult)
    assert inner.result == 91
    assert inner.execution.state_machine_arn == project.orders.arn
    with pytest.raises(project.Refused):
        project.outer_failing.delay(1).get(timeout=60)


def test_task_id_is_the_executions_name_and_tasks_see_it(project: Any) -> None:
    outcome = project.app.sfn.apply_async(project.where.s() | project.same.s(), task_id="mine-1")
    name, key = outcome.get(timeout=60)
    assert (name, len(key)) == ("mine-1", 36)


def test_revoked_ends_the_running_task_too(project: Any, until: Callable[..., Any]) -> None:
    file = project.FOLDER / "linger"
    outcome = project.app.sfn.delay(project.linger.s("linger"))
    until(file.exists)
    outcome.revoke()
    assert outcome.state == "REVOKED"
    with pytest.raises(ExecutionAborted):
        outcome.get(timeout=60)

    def still() -> bool:
        before = file.stat().st_size
        time.sleep(0.5)
        return file.stat().st_size == before

    until(still)
    assert file.stat().st_size < 5 * 300, "it ran for half of its minute"
    assert project.app.sfn.delay(project.add.s(1, 2)).get(timeout=60) == 3


# natively


def test_celery_runs_a_workflow_as_a_task_of_its_own_and_goes_on_with_its_result(project: Any) -> None:
    native = project.add.s(1, 39) | project.orders.s()
    result = (native | project.add.s(1000)).apply_async()
    assert result.get(timeout=90) == 1091
    execution = project.orders.result(result.parent.id)
    assert execution.get(timeout=5) == 91, "the execution has the task's id as its name"


def test_a_workflow_that_fails_is_a_task_that_fails_with_the_same_exception(project: Any) -> None:
    result = chain(project.add.s(1, 1), project.failing.s()).apply_async()
    with pytest.raises(Exception, match="kiwi") as caught:
        result.get(timeout=90)
    assert type(caught.value).__name__ == "Refused"
    assert result.state == "FAILURE"


def test_a_workflow_called_as_a_function_runs_and_waits(project: Any) -> None:
    assert project.app.tasks["sfini.workflow.orders"](40) == 91
