"""One visit of a state: what its fields see, and how its input becomes its output.

The order is AWS's: InputPath, Parameters, the state's work, ResultSelector, ResultPath, OutputPath. A payload that no
field touches stays the object it was, so that its text need not be written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sfini_celery.local.data import (
    MISSING,
    DataError,
    PathNotFound,
    Scope,
    apply_input_path,
    apply_output_path,
    get_path,
    put_path,
    render,
)
from sfini_celery.local.engine.execution import Frame, iso
from sfini_celery.local.engine.failure import RUNTIME, Failure, too_large
from sfini_celery.local.engine.payload import Payload, is_too_large

__all__ = ["Outcome", "Visit"]

_UNTOUCHED = (MISSING, "$")


class Outcome(NamedTuple):
    """How a state ends when it ends well.

    Attributes:
        output: the next state's input
        next: the next state's name, None at the end
        assigned: the variables it sets
    """

    output: Payload
    next: str | None
    assigned: Mapping[str, Any] | None = None


class Visit:
    """A state from its Entered event to its Exited one.

    Attributes:
        frame: where it is
        name, state: the state and its definition
        input: as it came, before InputPath
        entered: the number of its Entered event
        retry_count: how often it was retried
        token: the task token, where its fields may see one
        has_failed_frame: whether a frame below it has failed in this attempt
    """

    __slots__ = (
        "_entered_time",
        "entered",
        "frame",
        "has_failed_frame",
        "input",
        "name",
        "retry_count",
        "state",
        "token",
    )

    def __init__(self, frame: Frame, name: str, state: Mapping[str, Any], input: Payload) -> None:
        self.frame, self.name, self.state, self.input = frame, name, state, input
        self._entered_time = frame.engine.clock.now()
        self.entered = 0
        self.retry_count = 0
        self.token: str | None = None
        self.has_failed_frame = False

    def context(self, item: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The context object.

        Parameters:
            item: ``$$.Map.Item``, which only an ItemSelector sees
        """
        context = self.frame.execution.context()
        state = {"Name": self.name, "EnteredTime": iso(self._entered_time)}
        if self.state["Type"] in ("Task", "Parallel", "Map"):
            state["RetryCount"] = self.retry_count  # type: ignore[assignment]
        context["State"] = state
        if item is not None:
            context["Map"] = {"Item": item}
        if self.token is not None:
            context["Task"] = {"Token": self.token}
        return context

    def scope(self, payload: Payload, *, item: Mapping[str, Any] | None = None) -> Scope:
        """What a field sees whose ``$`` is ``payload``."""
        return Scope(payload.value, self.context(item), self.frame.variables, payload.known_text)

    def effective_input(self) -> Payload:
        """The input after InputPath."""
        path = self.state.get("InputPath", MISSING)
        if path in _UNTOUCHED:
            return self.input
        return Payload(value=apply_input_path(path, self.scope(self.input)))

    def parameters(self, effective: Payload) -> Payload:
        """The effective input after Parameters."""
        if "Parameters" not in self.state:
            return effective
        return self._checked(Payload(value=render(self.state["Parameters"], self.scope(effective))))

    def outcome(self, result: Payload, *, assign: Mapping[str, Any] | None = None, next: str | None = None) -> Outcome:
        """The way out with a result: ResultSelector, ResultPath, OutputPath, and Assign, which sees the raw result.

        Parameters:
            result: what the state's work returned
            assign: the Assign to evaluate instead of the state's own
            next: where to go instead of the state's own Next
        """
        state = self.state
        assigned = self.assigned(state.get("Assign") if assign is None else assign, result)
        output = result
        if "ResultSelector" in state:
            output = Payload(value=render(state["ResultSelector"], self.scope(result)))
        output = self.placed(state.get("ResultPath", MISSING), output)
        path = state.get("OutputPath", MISSING)
        if path not in _UNTOUCHED:
            output = Payload(value=apply_output_path(path, self.scope(output)))
        return Outcome(self._checked(output), next or state.get("Next"), assigned)

    def placed(self, path: Any, result: Payload) -> Payload:
        """The raw input with a result put at a ResultPath."""
        if path in _UNTOUCHED:
            return result
        if path is None:
            return self.input
        return Payload(value=put_path(path, self.input.value, result.value))

    def assigned(self, assign: Mapping[str, Any] | None, data: Payload) -> Mapping[str, Any] | None:
        """The variables that an Assign sets, all of them worked out from what was there before."""
        if not assign:
            return None
        values: Mapping[str, Any] = render(assign, self.scope(data))
        return values

    def caught(self, catcher: Mapping[str, Any], failure: Failure) -> Outcome:
        """The way out through a Catch."""
        error = Payload(value=failure.output())
        assigned = self.assigned(catcher.get("Assign"), error)
        output = self.placed(catcher.get("ResultPath", MISSING), error)
        return Outcome(self._checked(output), catcher["Next"], assigned)

    def number(self, field: str, effective: Payload) -> int | None:
        """An integer field such as TimeoutSeconds, or what its ``...Path`` finds in the effective input."""
        path = self.state.get(f"{field}Path")
        if path is None:
            value: int | None = self.state.get(field)
            return value
        found = get_path(path, self.scope(effective))
        if isinstance(found, bool) or not isinstance(found, int):
            what = Payload(value=found).text
            raise DataError(RUNTIME, f"The {field}Path parameter cannot be parsed as a long value: {path} == {what}")
        if found <= 0:
            raise DataError(
                RUNTIME, f"The {field}Path parameter references a value that is not positive: {path} == {found}"
            )
        return found

    def find(self, path: str, effective: Payload) -> Any:
        """What a path finds, or MISSING."""
        try:
            return get_path(path, self.scope(effective))
        except PathNotFound:
            return MISSING

    def _checked(self, payload: Payload) -> Payload:
        if is_too_large(payload.text):
            raise too_large(self.name)
        return payload
