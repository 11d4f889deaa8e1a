"""A workflow inside a canvas: an execution of its own, waited for (``startExecution.sync:2``).

The child's input is what :meth:`Workflow.apply_async` would have sent. Its arguments are a list, of which the previous
result is the first, and an element of a list cannot be a path: so the list is made by ``States.Array``, and literals in
it are written as text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sfini_celery.asl import Pass, Task
from sfini_celery.canvas import Expression
from sfini_celery.compiler.emission.emitter import Emitter, emits
from sfini_celery.compiler.emission.fragment import Fragment, joined, of_state
from sfini_celery.compiler.emission.frame import Frame, Previous
from sfini_celery.compiler.emission.paths import path_of
from sfini_celery.compiler.emission.steps import finished
from sfini_celery.compiler.limits import check_call
from sfini_celery.compiler.literals import Hole, call_of, has_path_key, hollowed, parts_of, size_of, to_json
from sfini_celery.compiler.nodes import Nested
from sfini_celery.errors import CompileError

RESOURCE = "arn:aws:states:::states:startExecution.sync:2"
STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"
"""With this in a child's input, the console links it to its parent (developer guide, nested executions)."""

_NOT_STARTED = ("StepFunctions.ExecutionLimitExceededException", "StepFunctions.ThrottlingException")
_WORKERS_OWN = ("link_error", "expires", "soft_time_limit", "time_limit")
_PLAIN_TEXT = re.compile(r"[\w .,:;@/+=-]*\Z", re.ASCII)


@emits(Nested)
def _emit_nested(emitter: Emitter, node: Nested, frame: Frame, previous: Previous) -> Fragment:
    try:
        machine, form = emitter.view.workflow_of(node.task)
    except KeyError:
        raise CompileError(node.place, f"there is no workflow for {node.task!r}", "name it with app.workflow") from None
    if meant := [name for name in _WORKERS_OWN if name in node.options]:
        raise CompileError(
            node.place,
            f"{', '.join(meant)} on a workflow: no worker would heed it",
            "set it on the workflow's own tasks, or put catch(...) around it",
        )
    call = _Call(emitter, node, frame, previous)
    state = Task(
        emitter.names.give(node.title, node.path, chosen=node.name),
        RESOURCE,
        parameters={
            "StateMachineArn": emitter.view.arn_of("stateMachine", machine),
            **(call.value() if form == "result" else call.arguments()),
        },
        result_path=frame.result_path,
    )
    state.retry_for(_NOT_STARTED, 1, 10, 2.0, max_delay=30, jitter="FULL")
    whole = of_state(state)
    if call.look is not None:
        whole = joined(of_state(call.look, previous), whole)
    if frame.kept:  # beside the rest of the item, so that it takes another state to get at it
        state.result_selector = {"Output.$": "$.Output"}
        name = emitter.names.give(f"result of {node.title}", node.path)
        whole = joined(whole, of_state(Pass(name, input_path=f"{frame.result}.Output", result_path=frame.result)))
    else:
        state.output_path = "$.Output"
    return finished(emitter, node, frame, previous, state, whole=whole, main=False)


@dataclass
class _Call:
    """The arguments of a nested workflow as template members.

    Attributes:
        look: a state that has to come before, where a list of unknown length is to be joined with another
    """

    emitter: Emitter
    node: Nested
    frame: Frame
    previous: Previous
    look: Pass | None = None

    def __post_init__(self) -> None:
        self._args, self._kwargs, self._literals = self._own()

    def value(self) -> dict[str, Any]:
        """The whole input, for a workflow that takes one value; as text: text would be taken as it is."""
        takes = self.previous is not Previous.START and not self.node.immutable
        if self._kwargs or len(self._args) + takes > 1:
            raise CompileError(
                self.node.place,
                f"{self.node.title!r} takes one value, its whole input",
                "give it the previous result or one argument",
            )
        if takes:
            return {"Input.$": f"States.JsonToString({self.frame.result})"}
        if self._args:
            return {"Input.$": f"States.JsonToString({self._expression(self._args[0])})"}
        if self.previous is Previous.START and not self.node.immutable:
            return {"Input.$": f"States.JsonToString({self.frame.value(self.previous)})"}
        return {"Input": "null"}

    def arguments(self) -> dict[str, Any]:
        """The input with ``args`` and ``kwargs``."""
        started_by = {f"{STARTED_BY}.$": f"{self.frame.execution}.Id"}
        if self.previous is not Previous.START or self.node.immutable:
            return {"Input": {**self._list(), **self._object(), **started_by}}
        if not self._args and not self._kwargs:
            return self.frame.start("Input")
        return {"Input": {**self._joined(), **started_by}}

    def _list(self) -> dict[str, Any]:
        before = [] if self.node.immutable else [self.frame.result]
        if not before and all(isinstance(value, Hole) for value in self._args) and self.frame.literals is None:
            values = [self._literals[value.index] for value in self._args]
            if not has_path_key(values):
                return {"args": values}
        return {"args.$": f"States.Array({', '.join([*before, *map(self._expression, self._args)])})"}

    def _object(self) -> dict[str, Any]:
        return {"kwargs": self._template(self._kwargs)}

    def _joined(self) -> dict[str, Any]:
        """The start's arguments and then the call's own, the start's keywords over the call's own."""
        variable = self.emitter.variable("start")
        empty: dict[str, Any] = {"args": [], "kwargs": {}}
        start = self.frame.start("start")
        path = start.get("start.$")
        given = start["start"] if path is None else {"args.$": "$.args", "kwargs.$": "$.kwargs"}
        if path is not None:  # what a person or EventBridge has written: either may be missing
            given = {"of.$": f"States.JsonMerge({_literal(empty)}, {path}, false)"}
        else:
            given = {"of": given}
        own = {"of": {**self._own_list(), "kwargs": self._template(self._kwargs)}}
        self.look = Pass(
            self.emitter.names.give(f"arguments of {self.node.title}", self.node.path),
            comment="what the execution was started with, and what the canvas says",
            assign={variable: [given, own]},
        )
        both = f"${variable}"
        return {
            "args.$": f"{both}[*].of.args[*]",
            "kwargs.$": f"States.JsonMerge({both}[1].of.kwargs, {both}[0].of.kwargs, false)",
        }

    def _own_list(self) -> dict[str, Any]:
        return {"args.$": f"States.Array({', '.join(map(self._expression, self._args))})"}

    # -- values: a Hole stands for a literal, an Expression for prev

    def _own(self) -> tuple[list[Any], dict[str, Any], list[Any]]:
        """The call's arguments with holes for literals; and the literals, or where they are."""
        node, frame = self.node, self.frame
        path = frame.at(*call_of(node)).literals
        if node.refers:
            hollow, taken = hollowed(node)
            literals = self._checked(taken) if path is None else [f"{path}[{place}]" for place in range(len(taken))]
            return hollow.get("args", []), hollow.get("kwargs", {}), literals
        count = len(node.args)
        args, keys = [Hole(place) for place in range(count)], list(node.kwargs)
        kwargs = {str(key): Hole(count + place) for place, key in enumerate(keys)}
        if path is None:
            return args, kwargs, self._checked([*node.args, *node.kwargs.values()])
        parts = parts_of(node)
        where = {part: path if len(parts) == 1 else f"{path}[{place}]" for place, part in enumerate(parts)}
        literals = [f"{where['args']}[{place}]" for place in range(count)]
        return args, kwargs, [*literals, *(f"{where['kwargs']}{_member(key)}" for key in keys)]

    def _checked(self, values: list[Any]) -> list[Any]:
        literals: list[Any] = to_json(values, self.node.path, f"an argument of {self.node.title}")
        check_call(self.node.path, self.node.title, size_of(literals))
        return literals

    def _expression(self, value: Any) -> str:
        """A value as a path or an intrinsic function."""
        if isinstance(value, Expression):
            return path_of(value, self.frame, self.previous, self.node.place)
        if isinstance(value, Hole):
            literal = self._literals[value.index]
            return str(literal) if self.frame.literals is not None else _literal(literal)
        if isinstance(value, list):
            return f"States.Array({', '.join(map(self._expression, value))})"
        raise CompileError(
            self.node.place,
            "prev in an object within a list, among the arguments of a workflow",
            "have a task put the object together, or pass it by keyword",
        )

    def _template(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """An object whose members are values."""
        written: dict[str, Any] = {}
        for key, value in values.items():
            literal = self._literals[value.index] if isinstance(value, Hole) and self.frame.literals is None else None
            if isinstance(value, Mapping):
                written[key] = self._template(value)
            elif literal is not None and not has_path_key({key: literal}):
                written[key] = literal
            elif key.endswith(".$"):
                raise CompileError(self.node.place, f"a keyword {key!r}, which AWS would evaluate", "rename it")
            else:
                written[f"{key}.$"] = self._expression(value)
        return written


def _literal(value: Any) -> str:
    """A literal as an argument of an intrinsic function."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str) and _PLAIN_TEXT.match(value):
        return f"'{value}'"
    text = json.dumps(value, ensure_ascii=False)
    return "States.StringToJson('" + re.sub(r"(['{}\\])", r"\\\1", text) + "')"


def _member(key: str) -> str:
    quoted = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{quoted}']"
