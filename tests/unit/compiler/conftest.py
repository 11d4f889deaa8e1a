"""The oracle: a canvas compiled, checked, run on the embedded engine, and held against Celery's eager result."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pytest
from celery import Celery
from celery.canvas import maybe_signature
from celery.result import allow_join_result
from kombu.utils import json as kombu_json

from sfini_celery import SfiniCelery
from sfini_celery.activity import ActivityRegistry, Call, failure_of, read_input, write_output
from sfini_celery.canvas import run_eagerly
from sfini_celery.compiler import Compiled, compile_canvas
from sfini_celery.errors import ExecutionFailed, LoopExhausted
from sfini_celery.local.clock import VirtualClock
from sfini_celery.local.engine import Engine, Execution, Payload

ACCOUNT = "123456789012"
NOW = datetime(2026, 1, 1, 23, 50, tzinfo=timezone.utc).timestamp()


@dataclass
class Oracle:
    """Compiles and runs canvases of one app.

    Attributes:
        calls: how often each task was called in the last run
        seen: what the worker read in the last run
        seconds: how long the last run took on the engine's clock
    """

    app: SfiniCelery
    retries: str = "worker"
    calls: Counter[str] = field(default_factory=Counter)
    seen: list[Call] = field(default_factory=list)
    seconds: float = 0.0

    # -- what the compiler asks of an app

    @property
    def celery(self) -> Celery:
        return self.app

    @property
    def activities(self) -> ActivityRegistry:
        return self.app.sfn.activities

    def arn_of(self, kind: str, name: str) -> str:
        return f"arn:aws:states:us-east-1:{ACCOUNT}:{kind}:{name}"

    def queue_of(self, task: str) -> str | None:
        return "celery"

    def workflow_of(self, task: str) -> tuple[str, str]:
        raise KeyError(task)

    # -- the two sides

    def compile(self, canvas: Any, **options: Any) -> Compiled:
        return compile_canvas(canvas, self, **options)  # which lints

    def run(self, compiled: Compiled, args: Any = (), kwargs: Any = None, *, input: Any = None) -> Execution:
        text = json.dumps(compiled.execution_input(args, kwargs) if input is None else input)
        return asyncio.run(self._run(compiled, text))

    def output(self, canvas: Any, args: Any = (), kwargs: Any = None, **options: Any) -> Any:
        """What the execution returns, or raises as its error's name."""
        execution = self.run(self.compile(canvas, **options), args, kwargs)
        if execution.status.value != "SUCCEEDED":
            return ("failed", execution.error)
        return kombu_json.loads(execution.output.text)

    def eager(self, canvas: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What Celery returns eagerly, after a JSON round trip."""
        signature = maybe_signature(kombu_json.loads(kombu_json.dumps(canvas)), app=self.app)
        with allow_join_result():
            try:
                value = signature.apply(tuple(args), dict(kwargs or {})).get()
            except Exception as exc:
                return ("failed", type(exc).__name__)
        return kombu_json.loads(kombu_json.dumps(value))

    def meaning(self, canvas: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What a canvas with steps of ours returns eagerly, after a JSON round trip."""
        try:
            value = run_eagerly(kombu_json.loads(kombu_json.dumps(canvas)), tuple(args), kwargs)
        except LoopExhausted:
            return ("failed", "sfini.LoopExhausted")
        except ExecutionFailed as exc:
            return ("failed", exc.error)
        except Exception as exc:
            return ("failed", type(exc).__name__)
        return value

    async def _run(self, compiled: Compiled, text: str) -> Execution:
        clock = VirtualClock(NOW, auto=True)
        engine = Engine(clock=clock, account=ACCOUNT)
        self.calls.clear()
        self.seen.clear()
        began = clock.now()
        workers = [asyncio.create_task(self._serve(engine, name)) for name in sorted(compiled.activities)]
        execution = engine.start(engine.revision("canvas", compiled.definition()), Payload(text))
        await execution.wait()
        self.seconds = clock.now() - began
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        engine.close()
        return execution

    async def _serve(self, engine: Engine, name: str) -> None:
        activity = engine.create_activity(name)
        serving = self.activities.serving(name)
        while True:
            ticket = await activity.poll("oracle")
            if ticket is None:
                continue
            call = read_input(ticket.input.text, serving, self.app.sfn.parameters)
            task, args, kwargs = call.run
            self.calls[call.task] += 1
            self.seen.append(call)
            try:
                value = self.app.tasks[task](*args, **kwargs)
                ticket.succeed(Payload(write_output(value, typed=call.typed)))
            except Exception as exc:
                ticket.fail(*failure_of(exc, matches=call.matches))


@pytest.fixture(scope="session")
def oracle() -> Iterator[Oracle]:
    app = SfiniCelery("canvas", broker="memory://")  # current: a canvas read from JSON finds its tasks there
    tasks: dict[str, Any] = {}

    def task(function: Any, **options: Any) -> Any:
        tasks[function.__name__] = app.activity(function, name=f"c.{function.__name__}", shared=False, **options)
        return tasks[function.__name__]

    @task
    def one() -> int:
        return 1

    @task
    def add(x: Any = 0, y: Any = 0) -> Any:
        return _number(x) + _number(y)

    @task
    def pair(*args: Any, **kwargs: Any) -> Any:
        return [list(args), kwargs]

    @task
    def total(values: Any = (), *more: Any) -> Any:
        return sum(map(_number, values)) if isinstance(values, list) else _number(values)

    @task
    def same(value: Any = None, *rest: Any) -> Any:
        return value

    @task
    def dig(*args: Any) -> Any:
        return {
            "total": sum(map(_number, args)),
            "list": list(args),
            "nested": {"text": "ab", "none": None, "yes": True},
        }

    @task
    def fail(kind: str, *args: Any) -> Any:
        raise {"key": KeyError, "value": ValueError, "lookup": LookupError}[kind](*args)

    @task
    def tally(*args: Any, **kwargs: Any) -> Any:
        return _number([*args, *kwargs.values()])

    @task
    def first(*args: Any, **kwargs: Any) -> Any:
        return args[0] if args else sorted(kwargs)

    @task
    def listed(value: Any = None, *args: Any, **kwargs: Any) -> Any:
        return value[:3] if isinstance(value, list) else [value, *args][:3]

    @task
    def strip(value: Any = None, *args: Any) -> Any:
        """Anything, but of errors only what is the same wherever they happen."""
        if isinstance(value, dict):
            if "traceback" in value:
                return ["failed", value["error"], strip(value.get("input"))]
            return {key: strip(member) for key, member in value.items()}
        return [strip(member) for member in value] if isinstance(value, list) else value

    @task
    def crack(*args: Any, **kwargs: Any) -> Any:
        raise KeyError("crack", *args)

    @task
    def fail_if(kind: Any = None, *args: Any) -> Any:
        if kind in ("key", "value"):
            raise {"key": KeyError, "value": ValueError}[kind](*args)
        return kind

    @task
    def pick(value: Any, member: Any) -> Any:
        return value[member]

    @task
    def keys(value: Any, *args: Any) -> Any:
        return [sorted(value) if isinstance(value, dict) else len(value), list(args)]

    @task
    def boom(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("boom", *args)

    def routed(*args: Any) -> Any:
        return list(args)

    task(routed, queues=["fast", "slow"])

    def _number(value: Any) -> int:
        if isinstance(value, dict):
            return _number(list(value.values())) + len(value)
        if isinstance(value, list | tuple):
            return sum(map(_number, value))
        return value if isinstance(value, int) else len(str(value))

    app.finalize(auto=True)
    oracle = Oracle(app)
    for name, made in tasks.items():
        setattr(oracle, name, made)
    yield oracle
    app.close()
