"""What a state's data is at some place of a compiled machine.

At the top the data is exactly the previous result. In a Map's body it is an item, an object that is kept until the
last state: ``r`` the previous result, ``s`` the execution's start, ``a`` the literals of the body, ``map`` the indexes
of the Maps around. So a body of several states needs no state that only carries data, and no variable that a
distributed map could not see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from sfini_celery.asl import MISSING

__all__ = ["Frame", "Previous"]


class Previous(Enum):
    """What comes before a step."""

    START = "the execution's input"
    RESULT = "the result of another step"
    CAUGHT = "an error that was caught"


@dataclass(frozen=True)
class Frame:
    """How to reach things from where a state is.

    Attributes:
        kept: whether the data is an item, see the module
        literals: JSONPath of the lifted literals of the node at hand, None where literals are in the definition
        errors: error names that a catch around the node, or its retries, list
        maps: how many Maps are around
        error: JSONPath of the error that was caught, in a handler's first step
        named: JSONPath of each named step's result that can be seen from here
    """

    kept: bool = False
    literals: str | None = None
    errors: tuple[str, ...] = ()
    maps: int = 0
    error: str = ""
    named: Mapping[str, str] = field(default_factory=dict)

    @property
    def result(self) -> str:
        """JSONPath of the previous result."""
        return "$.r" if self.kept else "$"

    def start(self) -> dict[str, Any]:
        """Template member that gives a first step the execution's ``args`` and ``kwargs``."""
        if self.kept:
            return {"start.$": "$.s"}
        if self.literals is not None:  # the library wrote this input: both members are there
            return {"start": {"args.$": "$$.Execution.Input.args", "kwargs.$": "$$.Execution.Input.kwargs"}}
        return {"start.$": "$"}

    def value(self, previous: Previous) -> str:
        """JSONPath of the one value a step like ``each`` works on."""
        if previous is Previous.RESULT:
            return self.result
        if previous is Previous.CAUGHT:
            return self.error
        return "$.s.args[0]" if self.kept else "$.args[0]"

    def given(self, previous: Previous) -> dict[str, Any]:
        """Template members of an envelope that tell what came before."""
        if previous is Previous.START:
            return self.start()
        if previous is Previous.CAUGHT:
            before = {"input.$": self.result}
            return {"caught": {"error.$": f"{self.error}.Error", "cause.$": f"{self.error}.Cause", **before}}
        return {"result.$": self.result}

    def carried(self, previous: Previous) -> dict[str, Any]:
        """Template members of an item that carry on what this frame knows."""
        if previous is Previous.RESULT:
            return {"r.$": self.result}
        if previous is Previous.CAUGHT:
            return {"r.$": self.result, "e.$": self.error}
        return {"s.$": "$.s"} if self.kept else {"s" + key[5:]: value for key, value in self.start().items()}

    def indexes(self) -> dict[str, str]:
        """Template member of an item that tells the indexes of the Maps around and of the one at hand."""
        outer = [f"$.map[{depth}]" for depth in range(self.maps)] if self.kept else []
        return {"map.$": f"States.Array({', '.join([*outer, '$$.Map.Item.Index'])})"}

    def at(self, *places: int) -> Frame:
        """The frame of a part of the node at hand."""
        if self.literals is None:
            return self
        return replace(self, literals=self.literals + "".join(f"[{place}]" for place in places))

    def item(self, *, literals: str | None, **changes: Any) -> Frame:
        """The frame in the body of a Map."""
        error = "$.e" if self.error else ""
        return replace(self, kept=True, literals=literals, maps=self.maps + 1, error=error, **changes)

    @property
    def literals_travel(self) -> bool:
        """Whether the literals are in the item at hand, so that an inner Map's items must carry them on."""
        return self.literals is not None and not self.literals.startswith("$$")

    @property
    def result_path(self) -> Any:
        """ResultPath of a state here."""
        return self.result if self.kept else MISSING
