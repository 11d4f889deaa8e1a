"""A state in JSONata: Arguments, the state's work, Output and Assign; any field may be an expression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sfini_celery.local.data import QueryError, States, evaluate_jsonata, is_expression, render_jsonata
from sfini_celery.local.engine.failure import Failure
from sfini_celery.local.engine.payload import Payload
from sfini_celery.local.engine.visit import Outcome, Visit, as_event_shows

__all__ = ["JSONataVisit"]


class JSONataVisit(Visit):
    """A state whose fields are JSON with expressions in ``{% %}``."""

    __slots__ = ()

    def effective_input(self) -> Payload:
        """The whole input."""
        return self.input

    def parameters(self, effective: Payload) -> Payload:
        """Arguments, or the input without them."""
        if "Arguments" not in self.state:
            return effective
        return self._checked(self._rendered(self.state, "Arguments", self._seen()))

    def outcome(self, result: Payload, *, is_result: bool = True) -> Outcome:
        """The way out: Output, or the result without it, and Assign; both see ``$states.result`` where there is one."""
        seen = self._seen(result=result.value) if is_result else self._seen()
        return self._outcome(self.state, seen, result, self.state.get("Next"))

    def choose(self, effective: Payload) -> Outcome | None:
        """The way out by the first rule whose Condition is true, with that rule's Output and Assign, or by Default."""
        seen = self._seen()
        for index, rule in enumerate(self.state["Choices"]):
            if self._evaluated(rule["Condition"], seen, f"Choices[{index}]/Condition", expected="boolean"):
                return self._outcome(rule, seen, effective, rule["Next"])
        default = self.state.get("Default")
        return None if default is None else self._outcome(self.state, seen, effective, default)

    def caught(self, catcher: Mapping[str, Any], failure: Failure) -> Outcome:
        """The way out through a Catch: its Output, or the error output without it, and its Assign."""
        error = failure.output()
        return self._outcome(catcher, self._seen(errorOutput=error), Payload(value=error), catcher["Next"])

    def number(self, field: str, effective: Payload) -> int | None:
        """A positive integer field such as TimeoutSeconds."""
        if field not in self.state:
            return None
        found = self._integer(self.state[field], field)
        if found <= 0:
            raise QueryError(f"The {field} field must be positive but was: {found}", field)
        return found

    def text(self, field: str) -> str | None:
        """A text field such as Error."""
        value = self.state.get(field)
        found: str | None = self._evaluated(value, self._seen(), field, expected="string")
        return found

    def delay(self, effective: Payload) -> float:
        """Seconds or Timestamp, as seconds from now."""
        if "Seconds" in self.state:
            seconds = self._integer(self.state["Seconds"], "Seconds")
            if seconds < 0:
                raise QueryError(f"The Seconds field must not be negative but was: {seconds}", "Seconds")
            return float(seconds)
        timestamp = self._evaluated(self.state["Timestamp"], self._seen(), "Timestamp", expected="string")
        try:
            return self._until(timestamp)
        except ValueError:
            wrong = "cannot be parsed as an ISO-8601 extended offset date-time format string"
            raise QueryError(f"The Timestamp field {wrong}: {timestamp}", "Timestamp") from None

    def credentials(self, effective: Payload) -> dict[str, Any] | None:
        """Credentials, with expressions."""
        if not self.state.get("Credentials"):
            return None
        return as_event_shows(self._rendered(self.state, "Credentials", self._seen()).value)

    def items(self, effective: Payload) -> list[Any]:
        """Items, or the input without them."""
        if "Items" not in self.state:
            items = effective.value
            if not isinstance(items, list):
                raise QueryError(f"Map state input must be an array but was: {effective.text}")
            return items
        found: list[Any] = self._evaluated(self.state["Items"], self._seen(), "Items", expected="array")
        return found

    def concurrency(self, effective: Payload) -> int:
        """MaxConcurrency."""
        return self._integer(self.state["MaxConcurrency"], "MaxConcurrency") if "MaxConcurrency" in self.state else 0

    def tolerance(self, effective: Payload) -> tuple[int | None, float | None]:
        """ToleratedFailureCount and ToleratedFailurePercentage."""
        count = self.nested_number("", self.state, "ToleratedFailureCount", effective)
        if count is not None and count < 0:
            raise QueryError("ToleratedFailureCount cannot be negative.", "ToleratedFailureCount")
        field = "ToleratedFailurePercentage"
        if field not in self.state:
            return count, None
        percentage: float = self._evaluated(self.state[field], self._seen(), field, expected="number")
        if not 0 <= percentage <= 100:
            raise QueryError("ToleratedFailurePercentage must be between 0 and 100.", field)
        return count, percentage

    def nested(self, source: str, effective: Payload) -> Payload:
        """The field's Arguments."""
        arguments = self.state[source].get("Arguments", {})
        return Payload(value=render_jsonata(arguments, self._seen(), field=f"{source}/Arguments"))

    def nested_number(self, source: str, config: Mapping[str, Any], field: str, effective: Payload) -> int | None:
        """The number, or what its expression gives."""
        if field not in config:
            return None
        return self._integer(config[field], f"{source}/{field}" if source else field)

    def batch_input(self, effective: Payload) -> Payload | None:
        """BatchInput, with expressions."""
        batcher = self.state["ItemBatcher"]
        if "BatchInput" not in batcher:
            return None
        return Payload(value=render_jsonata(batcher["BatchInput"], self._seen(), field="ItemBatcher/BatchInput"))

    def _item(self, effective: Payload, item: Mapping[str, Any]) -> Payload:
        if "ItemSelector" not in self.state:
            return Payload(value=item["Value"])
        return self._rendered(self.state, "ItemSelector", self._seen(item))

    def _seen(self, item: Mapping[str, Any] | None = None, **more: Any) -> States:
        states = {"input": self.input.value, "context": self.context(item), **more}
        return States(states, self.frame.variables, self.frame.engine.clock.now())

    def _rendered(self, source: Mapping[str, Any], field: str, seen: States) -> Payload:
        return Payload(value=render_jsonata(source[field], seen, field=field))

    def _evaluated(self, value: Any, seen: States, field: str, *, expected: str) -> Any:
        if is_expression(value):
            return evaluate_jsonata(value, seen, field=field, expected=expected)
        return render_jsonata(value, seen, field=field)

    def _integer(self, source: Any, field: str) -> int:
        value = self._evaluated(source, self._seen(), field, expected="number")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise QueryError(f"The {field} field must be an integer but was: {Payload(value=value).text}", field)
        return value

    def _outcome(self, source: Mapping[str, Any], seen: States, output: Payload, next: str | None) -> Outcome:
        assign = source.get("Assign")
        assigned = self._variables(render_jsonata(assign, seen, field="Assign")) if assign else None
        if "Output" in source:
            output = self._rendered(source, "Output", seen)
        return Outcome(self._checked(output), next, assigned)
