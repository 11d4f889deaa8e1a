"""Workflows inside canvases: compiled, run on the embedded engine with its API, and held against the eager result."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import chain, chord, current_app, group
from kombu.utils import json as kombu_json

from sfini_celery import SfiniCelery, asl
from sfini_celery.activity import failure_of, read_input, write_output
from sfini_celery.canvas import catch, each, prev, run_eagerly
from sfini_celery.compiler import compile_canvas
from sfini_celery.errors import CompileError
from sfini_celery.local.clock import VirtualClock
from sfini_celery.local.engine import Engine, Payload
from sfini_celery.local.service import Service

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/mine"


class House:
    """An app with tasks and workflows, and an engine to run them on."""

    def __init__(self) -> None:
        self.app = app = SfiniCelery("house", broker="memory://", sfn_account=ACCOUNT)
        app.conf.sfn_region = "us-east-1"
        task = app.activity

        @task(name="h.add")
        def add(x: Any = 0, y: Any = 0, *more: Any) -> Any:
            return x + y

        @task(name="h.pair")
        def pair(*args: Any, **kwargs: Any) -> Any:
            return [list(args), kwargs]

        @task(name="h.total")
        def total(values: Any) -> Any:
            return sum(values)

        @task(name="h.boom")
        def boom(*args: Any) -> Any:
            raise ValueError("boom", *args)

        @task(name="h.order")
        def order(n: Any = 0, *rest: Any) -> Any:
            return {"n": n, "items": [n, n + 1], "odd": {"a.$": "$.b", "it's {": "\\"}}

        @task(name="h.same")
        def same(value: Any = None, *rest: Any) -> Any:
            return value

        self.add, self.pair, self.total, self.boom, self.order, self.same = add, pair, total, boom, order, same
        self.echo = app.workflow("echo", pair.s())
        self.sum = app.workflow("sum", add.s() | add.s(100))
        self.fails = app.workflow("fails", boom.s())
        self.items = app.workflow("items", each(add.s(1)) | total.s())
        self.one = app.workflow("one", same.s(), input="result")
        self.two = app.workflow("two", self.sum.s() | self.sum.s(1))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app.sfn, name)

    def run(self, canvas: Any, args: Any = (), kwargs: Any = None, **options: Any) -> Any:
        """What an execution of a canvas returns."""
        compiled = compile_canvas(canvas, self.app.sfn, **options)
        assert [finding for finding in asl.lint(compiled.definition()) if finding.severity == "error"] == []
        return asyncio.run(self._run(compiled.text, compiled.execution_input(args, kwargs)))

    async def _run(self, definition: str, input: Any) -> Any:
        engine = Engine(clock=VirtualClock(1e9, auto=True), account=ACCOUNT)
        service = Service(engine)
        machines = {workflow.full_name: json.dumps(workflow.definition()) for workflow in self.workflows.values()}
        for name, text in {**machines, "outer": definition}.items():
            await service.call("CreateStateMachine", {"name": name, "definition": text, "roleArn": ROLE})
        workers = [asyncio.create_task(self._serve(engine, name)) for name in self.activities.names()]
        arn = f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:outer"
        started = await service.call("StartExecution", {"stateMachineArn": arn, "input": json.dumps(input)})
        execution = service.execution(started["executionArn"])
        await execution.wait()
        self.executions = list(engine.executions.values())
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        engine.close()
        if execution.status.value != "SUCCEEDED":
            return ("failed", execution.error, execution.cause)
        return kombu_json.loads(execution.output.text)

    async def _serve(self, engine: Engine, name: str) -> None:
        activity = engine.create_activity(name)
        while True:
            ticket = await activity.poll("house")
            if ticket is None:
                continue
            call = read_input(ticket.input.text, self.activities.serving(name), self.parameters)
            task, args, kwargs = call.run
            try:
                value = self.app.tasks[task](*args, **kwargs)
                ticket.succeed(Payload(write_output(value, typed=call.typed)))
            except Exception as exc:
                ticket.fail(*failure_of(exc, matches=call.matches))


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    before = current_app._get_current_object()
    house = House()  # current: a canvas read from JSON finds its tasks there
    house.app.finalize(auto=True)
    yield house
    house.app.close()
    before.set_current()


CANVASES = {
    "the previous result": lambda h: h.add.s(1, 2) | h.echo.s(),
    "then a literal": lambda h: h.add.s(1, 2) | h.echo.s(4),
    "literals of every sort": lambda h: h.add.s(1, 2) | h.echo.s(1.5, "a b", "it's {", None, True, [1, {"a": []}], {"k": "v"}, "\\n\n\t"),
    "keywords": lambda h: h.add.s(1, 2) | h.echo.s(4, a=1, b=[2], c={"d": None}),
    "keywords alone": lambda h: h.add.s(1, 2) | h.echo.s(a="x"),
    "a key that aws would evaluate": lambda h: h.add.s(1, 2) | h.echo.s({"a.$": "$.b"}, k={"c.$": "$.d"}),
    "immutable": lambda h: h.add.s(1, 2) | h.echo.si(),
    "immutable with literals": lambda h: h.add.s(1, 2) | h.echo.si(1, "x", {"a": [None]}, k=3),
    "immutable with a key that aws would evaluate": lambda h: h.add.s(1, 2) | h.echo.si({"a.$": "$.b"}),
    "first, immutable": lambda h: h.echo.si(1) | h.pair.s(),
    "first, with nothing": lambda h: h.echo.s() | h.pair.s(),
    "first, with literals": lambda h: h.echo.s(7, {"a.$": 1}, k="x") | h.pair.s(),
    "first, with keywords alone": lambda h: h.echo.s(k="x", a=[1]) | h.pair.s(),
    "all there is": lambda h: h.echo.s(1),
    "its result goes on": lambda h: h.sum.si(1, 2) | h.add.s(1000),
    "in a group": lambda h: h.add.s(1, 2) | group(h.sum.s(1), h.sum.s(2), h.add.s(5)) | h.total.s(),
    "a group of it alone": lambda h: h.add.s(1, 2) | group(h.sum.s(n) for n in range(4)) | h.total.s(),
    "a group of it first": lambda h: group(h.sum.s(1, n) for n in range(4)) | h.total.s(),
    "a group of it first, with partials": lambda h: group(h.echo.s(n, k=n) for n in range(3)) | h.pair.s(),
    "alike but for the number of arguments": lambda h: h.add.s(1, 2) | group(h.echo.s(1), h.echo.s(1, 2), h.echo.s(k=1), h.echo.s(j=2)),
    "a chain with it in a group": lambda h: group((h.add.s(1, n) | h.sum.s(1) | h.add.s(2)) for n in range(3)) | h.total.s(),
    "a chain that begins with it in a group": lambda h: group((h.sum.s(1, n) | h.add.s(2)) for n in range(3)),
    "a chord's body": lambda h: chord([h.add.s(1, 2), h.add.s(3, 4)], h.echo.s("x")),
    "a chord's header": lambda h: chord([h.sum.s(1, 2), h.sum.s(3, 4)], h.total.s()),
    "for each item": lambda h: h.order.s(5) | h.same.s() | h.pair.s() | h.add.si([1], [2, 3]) | each(h.sum.s(1)),
    "for each item, in a chain": lambda h: h.add.si([1], [2, 3]) | each(h.add.s(1) | h.sum.s(1) | h.add.s(5)) | h.total.s(),
    "prev": lambda h: h.order.s(5) | h.echo.si(prev["n"], prev["items"], [prev["n"], 3], k=prev["odd"], j={"x": prev["n"], "y": 1}),
    "prev beside the previous result": lambda h: h.order.s(5) | h.echo.s(prev["n"], {"a.$": 1}),
    "a named step": lambda h: h.order.s(5).set(sfn_name="o") | h.add.si(1, 2) | h.echo.s(prev.of("o")["n"], 9),
    "its own name": lambda h: h.echo.si(1).set(sfn_name="e") | h.add.si(1, 2) | h.pair.s(prev.of("e")),
    "a workflow that begins with each": lambda h: h.add.si([1], [2, 3]) | h.items.s(),
    "one value": lambda h: h.add.s(1, 2) | h.one.s(),
    "one value, a text": lambda h: h.same.s("not json {") | h.one.s(),
    "one value, given": lambda h: h.add.s(1, 2) | h.one.si({"a": [1, "x"], "b.$": None}),
    "one value, nothing": lambda h: h.add.s(1, 2) | h.one.si(),
    "workflows in workflows": lambda h: h.add.s(1, 2) | h.two.s(5) | h.add.s(1),
    "a callback": lambda h: h.add.s(1, 2).set(link=[h.sum.s(4)]) | h.add.s(5),
    "with a callback": lambda h: h.sum.si(1, 2).set(link=[h.add.s(4)]) | h.add.s(5),
    "with a callback that fails": lambda h: chain(h.sum.si(1, 2).set(link=[h.boom.s()]), h.add.s(5)),
    "later": lambda h: h.sum.si(1, 2).set(countdown=30) | h.add.s(5),
    "in a handler": lambda h: catch(h.boom.s(1), {ValueError: h.sum.si(1, 2)}) | h.add.s(1),
    "caught": lambda h: catch(h.add.s(1, 2) | h.fails.s(), {Exception: h.add.si(1, 2)}) | h.add.s(1),
    "tolerated": lambda h: h.add.si([1], [2, 3]) | each(catch(h.fails.s(), {Exception: h.add.si(1, 2)})),
}  # fmt: skip


@pytest.mark.parametrize("adhoc", [False, True], ids=["named", "adhoc"])
@pytest.mark.parametrize("name", CANVASES)
def test_a_nested_workflow_means_what_it_means_eagerly(house: House, name: str, adhoc: bool) -> None:
    canvas = CANVASES[name](house)
    eager = run_eagerly(kombu_json.loads(kombu_json.dumps(CANVASES[name](house))))
    assert house.run(canvas, adhoc=adhoc) == eager
    assert house.run(kombu_json.loads(kombu_json.dumps(canvas)), adhoc=adhoc) == eager


@pytest.mark.parametrize("adhoc", [False, True], ids=["named", "adhoc"])
@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("first, with nothing", (1, 2), {"z": 3}),
        ("first, with literals", (1, {"b.$": 2}), {"k": "over", "z": 3}),
        ("first, with keywords alone", (), {"k": "over"}),
        ("first, immutable", (1, 2), {}),
        ("all there is", (8,), {}),
        ("a group of it first, with partials", (8, 9), {"k": "over", "z": [1]}),
        ("a chain that begins with it in a group", (3,), {}),
    ],
)
def test_partial_arguments_reach_a_workflow_that_comes_first(
    house: House, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], adhoc: bool
) -> None:
    eager = run_eagerly(CANVASES[name](house), args, kwargs)
    assert house.run(CANVASES[name](house), args, kwargs, adhoc=adhoc) == eager


def test_an_input_that_somebody_typed_may_lack_arguments(house: House) -> None:
    compiled = compile_canvas(house.echo.s(7, k=1), house.app.sfn)
    for input, expected in (
        ({}, [[7], {"k": 1}]),
        ({"args": [1]}, [[1, 7], {"k": 1}]),
        ({"kwargs": {"k": 2}}, [[7], {"k": 2}]),
    ):
        assert asyncio.run(house._run(compiled.text, input)) == expected


def test_the_definition_reads_as_one_would_write_it(house: House) -> None:
    definition = compile_canvas(house.add.s(1, 2) | house.echo.s(4, k="x"), house.app.sfn).definition()
    assert definition["States"]["echo"] == {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {
            "StateMachineArn": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:echo",
            "Input": {
                "args.$": "States.Array($, 4)",
                "kwargs": {"k": "x"},
                "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id",
            },
        },
        "OutputPath": "$.Output",
        "Retry": [
            {
                "ErrorEquals": [
                    "StepFunctions.ExecutionLimitExceededException",
                    "StepFunctions.ThrottlingException",
                ],
                "IntervalSeconds": 1,
                "MaxAttempts": 10,
                "BackoffRate": 2.0,
                "MaxDelaySeconds": 30,
                "JitterStrategy": "FULL",
            }
        ],
        "End": True,
    }


def test_a_child_knows_the_execution_that_started_it(house: House) -> None:
    house.run(house.add.s(1, 2) | house.echo.s())
    outer, child = house.executions
    assert json.loads(child.input.text)["AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"] == outer.arn


def test_a_child_that_fails_is_a_failed_task_with_the_childs_in_the_cause(house: House) -> None:
    kind, error, cause = house.run(house.add.s(1, 2) | house.fails.s())
    told = json.loads(cause)
    assert (kind, error, told["Error"]) == ("failed", "States.TaskFailed", "ValueError")
    assert json.loads(told["Cause"])["errorArgs"] == ["boom", 3]


def test_groups_of_nested_workflows_of_one_shape_share_one_definition(house: House) -> None:
    shapes = {
        compile_canvas(group(house.sum.s(1, n) for n in range(size)), house.app.sfn, adhoc=True).shape
        for size in (2, 5)
    }
    assert len(shapes) == 1


REFUSED = {
    "no such workflow": (lambda h: h.app.signature("sfini.workflow.nobody"), "canvas", "no workflow"),
    "an errback": (lambda h: h.add.s(1) | h.echo.s().set(link_error=[h.add.s()]), r"chain\[1\]", "link_error on a workflow"),
    "a time limit": (lambda h: h.echo.s().set(time_limit=3), "canvas", "time_limit on a workflow"),
    "two values": (lambda h: h.add.s(1) | h.one.s(1), r"chain\[1\]", "takes one value"),
    "a keyword where one value is wanted": (lambda h: h.one.si(a=1), "canvas", "takes one value"),
    "prev too deep": (lambda h: h.order.s() | h.echo.s([{"a": prev["n"]}]), r"chain\[1\]", "prev in an object within a list"),
    "a keyword that aws would evaluate": (lambda h: h.echo.si(**{"a.$": 1}), "canvas", "which AWS would evaluate"),
    "no json": (lambda h: h.echo.si(object()), "canvas", "cannot be sent as JSON"),
    "too much": (lambda h: h.echo.si("x" * 300_000), "canvas", "262,144"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_nested_workflow_cannot_have_is_refused_with_the_place(house: House, name: str) -> None:
    canvas, path, why = REFUSED[name]
    with pytest.raises(CompileError, match=rf"^{path}: .*{why}"):
        compile_canvas(canvas(house), house.app.sfn)
