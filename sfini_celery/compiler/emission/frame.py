"""What a state's data is at some place of a compiled machine.

At the top the data is exactly the previous result. In a Map's body it is an item, an object that is kept until the
last state. So a body of several states needs no state that only carries data, and no variable that a distributed map
could not see.

======  ================================================================================================================
member  what it is
======  ================================================================================================================
``r``   the previous result
``s``   the execution's start, before there is a result
``a``   the literals of the body
``e``   the error that was caught, and ``i``, what the failed step had, where a Map is the first step of a handler
``v``   results of named steps, where the body cannot see the variables they are in
``x``   id and name of the execution, where ``$$.Execution`` is a distributed map's child
map     the indexes of the Maps around, outermost first
======  ================================================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from sfini_celery.asl import MISSING

__all__ = ["Error", "Frame", "Previous"]


class Previous(Enum):
    """What comes before a step."""

    START = "the execution's input"
    RESULT = "the result of another step"
    CAUGHT = "an error that was caught"


@dataclass(frozen=True)
class Error:
    """An error that was caught.

    Attributes:
        path: JSONPath of what AWS tells of it
        input: template member that gives what the failed step had
    """

    path: str
    input: Mapping[str, Any]


@dataclass(frozen=True)
class Frame:
    """How to reach things from where a state is.

    Attributes:
        kept: whether the data is an item, see the module
        literals: JSONPath of the lifted literals of the node at hand, None where literals are in the definition
        errors: error names that catches around the node list
        guarded: a catch is around the node, in the same machine: every state must be able to fail so that it is caught
        maps: how many Maps are around
        error: the error that was caught, before a handler's first step
        named: JSONPath of each named step's result that can be seen from here
        execution: JSONPath of the execution's id and name
    """

    kept: bool = False
    literals: str | None = None
    errors: tuple[str, ...] = ()
    guarded: bool = False
    maps: int = 0
    error: Error | None = None
    named: dict[str, str] = field(default_factory=dict)
    execution: str = "$$.Execution"

    @property
    def result(self) -> str:
        """JSONPath of the previous result."""
        return "$.r" if self.kept else "$"

    @property
    def result_path(self) -> Any:
        """ResultPath of a state here."""
        return self.result if self.kept else MISSING

    @property
    def literals_travel(self) -> bool:
        """Whether the literals are in the item at hand, so that an inner Map's items must carry them on."""
        return self.literals is not None and not self.literals.startswith("$$")

    def start(self, member: str = "start") -> dict[str, Any]:
        """Template member that gives the execution's ``args`` and ``kwargs``."""
        if self.kept:
            return {f"{member}.$": "$.s"}
        if self.literals is not None:  # the library wrote this input: both members are there
            return {member: {"args.$": "$$.Execution.Input.args", "kwargs.$": "$$.Execution.Input.kwargs"}}
        return {f"{member}.$": "$"}

    def value(self, previous: Previous) -> str:
        """JSONPath of the one value a step like ``each`` works on."""
        if previous is Previous.START:
            return "$.s.args[0]" if self.kept else "$.args[0]"
        return self.result

    def given(self, previous: Previous) -> dict[str, Any]:
        """Template members of an envelope that tell what came before."""
        if previous is Previous.START:
            return self.start()
        if previous is Previous.CAUGHT and self.error is not None:
            path = self.error.path
            return {"caught": {"error.$": f"{path}.Error", "cause.$": f"{path}.Cause", **self.error.input}}
        return {"result.$": self.result}

    def failed(self, previous: Previous) -> dict[str, Any]:
        """Template member that gives what a failed state had, once its error has been caught."""
        return self.start("input") if previous is Previous.START else {"input.$": self.result}

    def position(self) -> dict[str, Any]:
        """Template that tells a task where in an execution it is."""
        told = {
            "execution.$": f"{self.execution}.Id",
            "name.$": f"{self.execution}.Name",
            "state.$": "$$.State.Name",
            "entered.$": "$$.State.EnteredTime",
            "attempt.$": "$$.State.RetryCount",
        }
        return {**told, "map.$": "$.map"} if self.kept else told

    def at(self, *places: int) -> Frame:
        """The frame of a part of the node at hand."""
        if self.literals is None or not places:
            return self
        return replace(self, literals=self.literals + "".join(f"[{place}]" for place in places))

    def branch(self, *places: int) -> Frame:
        """The frame of a part whose named steps cannot be seen from outside, and whose failure is the whole's."""
        return replace(self.at(*places), named=dict(self.named), guarded=False)

    def item(
        self,
        previous: Previous | None,
        *,
        literals: str | None,
        wanted: Collection[str] = (),
        distributed: bool = False,
    ) -> tuple[dict[str, Any], Frame]:
        """What a Map's items are besides what the Map is over, and the frame in its body.

        Parameters:
            previous: what comes before the body; None where it is the item itself
            literals: JSONPath of the body's literals in the body
            wanted: names of the steps whose results the body reads
            distributed: whether the body runs in executions of its own
        """
        selector = {} if previous is None else self._carried(previous)
        carried = {
            name: f"n{place}"
            for place, name in enumerate(sorted(name for name in wanted if name in self.named))
            if distributed or self.named[name].startswith("$.")
        }
        if carried:
            selector["v"] = {f"{member}.$": self.named[name] for name, member in carried.items()}
        seen = {} if distributed else {name: path for name, path in self.named.items() if not path.startswith("$.")}
        execution = self.execution
        if distributed or execution != "$$.Execution":
            selector["x"] = {"Id.$": f"{execution}.Id", "Name.$": f"{execution}.Name"}
            execution = "$.x"
        outer = [f"$.map[{depth}]" for depth in range(self.maps)] if self.kept else []
        selector["map.$"] = f"States.Array({', '.join([*outer, '$$.Map.Item.Index'])})"
        inner = Frame(
            kept=True,
            literals=literals,
            errors=self.errors,
            maps=self.maps + 1,
            error=Error("$.e", {"input.$": "$.i"}) if previous is Previous.CAUGHT else None,
            named={**seen, **{name: f"$.v.{member}" for name, member in carried.items()}},
            execution=execution,
        )
        return selector, inner

    def _carried(self, previous: Previous) -> dict[str, Any]:
        if previous is Previous.CAUGHT and self.error is not None:
            input = {"i" + key.removeprefix("input"): value for key, value in self.error.input.items()}
            return {"e.$": self.error.path, **input}
        if previous is Previous.START:
            return self.start("s")
        return {"r.$": self.result}
