"""A state in JSONPath.

The order is AWS's: InputPath, Parameters, the state's work, ResultSelector, ResultPath, OutputPath.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sfini_celery.local.data import (
    MISSING,
    DataError,
    PathNotFound,
    Scope,
    apply_input_path,
    apply_output_path,
    evaluate,
    get_path,
    matches,
    put_path,
    render,
)
from sfini_celery.local.data.jsontext import java_text
from sfini_celery.local.engine.failure import RUNTIME, Failure
from sfini_celery.local.engine.payload import Payload
from sfini_celery.local.engine.visit import Outcome, Visit, as_event_shows

__all__ = ["JSONPathVisit"]

_UNTOUCHED = (MISSING, "$")


class JSONPathVisit(Visit):
    """A state whose fields are paths and payload templates."""

    __slots__ = ()

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

    def outcome(self, result: Payload, *, is_result: bool = True) -> Outcome:
        """The way out: ResultSelector, ResultPath, OutputPath, and Assign, which sees the raw result."""
        return self._outcome(result, self.state, self.state.get("Next"))

    def choose(self, effective: Payload) -> Outcome | None:
        """The way out by the first rule that holds, with that rule's Assign, or by Default."""
        scope = self.scope(effective)
        for rule in self.state["Choices"]:
            if matches(rule, scope):
                return self._outcome(effective, rule, rule["Next"])
        default = self.state.get("Default")
        return None if default is None else self._outcome(effective, self.state, default)

    def caught(self, catcher: Mapping[str, Any], failure: Failure) -> Outcome:
        """The way out through a Catch: its ResultPath and Assign."""
        error = Payload(value=failure.output())
        output = self._placed(catcher.get("ResultPath", MISSING), error)
        return Outcome(self._checked(output), catcher["Next"], self._assigned(catcher, error))

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

    def text(self, field: str) -> str | None:
        """A text field such as Error, or what its ``...Path`` finds in the input."""
        path = self.state.get(f"{field}Path")
        if path is None:
            literal: str | None = self.state.get(field)
            return literal
        found = evaluate(path, self.scope(self.input), field=f"{field}Path")
        if not isinstance(found, str):
            what = f"The {field}Path parameter does not reference a string: {path} == {java_text(found)}"
            raise DataError(RUNTIME, what)
        return found

    def delay(self, effective: Payload) -> float:
        """Seconds, SecondsPath, Timestamp or TimestampPath as seconds from now."""
        state = self.state
        if "Seconds" in state:
            return float(state["Seconds"])
        if "Timestamp" in state:
            return self._until(state["Timestamp"])
        if "SecondsPath" in state:
            return _seconds(state["SecondsPath"], self._find(state["SecondsPath"], effective))
        path = state["TimestampPath"]
        found = self._find(path, effective)
        if found is MISSING:
            raise DataError(RUNTIME, f"The TimestampPath parameter does not reference an input value: {path}")
        try:
            return self._until(found)
        except (ValueError, TypeError):
            wrong = "does not reference a valid ISO-8601 extended offset date-time format string"
            raise DataError(RUNTIME, f"The TimestampPath parameter {wrong}: {path} == {java_text(found)}") from None

    def credentials(self, effective: Payload) -> dict[str, Any] | None:
        """Credentials, a payload template."""
        template = self.state.get("Credentials")
        return as_event_shows(render(template, self.scope(effective))) if template else None

    def items(self, effective: Payload) -> list[Any]:
        """What ItemsPath finds."""
        path = self.state.get("ItemsPath", MISSING)
        items = apply_input_path(path, self.scope(effective))
        if not isinstance(items, list):
            # AWS shows a path into the context object without its second dollar.
            shown = "$" if path is MISSING else path.replace("$$", "$", 1)
            raise DataError(RUNTIME, f'Reference path "{shown}" must point to array.')
        return items

    def concurrency(self, effective: Payload) -> int:
        """MaxConcurrency, or what MaxConcurrencyPath finds."""
        path = self.state.get("MaxConcurrencyPath")
        if path is None:
            return int(self.state.get("MaxConcurrency", 0))
        limit = get_path(path, self.scope(effective))
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
            what = f'The MaxConcurrencyPath field refers to value "{Payload(value=limit).text}"'
            raise DataError(RUNTIME, f"{what} which is not a valid integer: {path}")
        return limit

    def tolerance(self, effective: Payload) -> tuple[int | None, float | None]:
        """ToleratedFailureCount and ToleratedFailurePercentage, or what their ``...Path`` fields find."""
        count = self.nested_number("", self.state, "ToleratedFailureCount", effective)
        if count is not None and count < 0:
            raise DataError(RUNTIME, "ToleratedFailureCount cannot be negative.")
        percentage = self.state.get("ToleratedFailurePercentage")
        path = self.state.get("ToleratedFailurePercentagePath")
        if path is not None:
            found = get_path(path, self.scope(effective))
            percentage = _parsed(found, float)
            if percentage is None:
                raise _refers("ToleratedFailurePercentagePath", found, "float", path)
        if percentage is not None and not 0 <= percentage <= 100:
            raise DataError(RUNTIME, "ToleratedFailurePercentage must be between 0 and 100.")
        return count, percentage

    def nested(self, source: str, effective: Payload) -> Payload:
        """The field's Parameters, a payload template."""
        return Payload(value=render(self.state[source].get("Parameters", {}), self.scope(effective)))

    def nested_number(self, source: str, config: Mapping[str, Any], field: str, effective: Payload) -> int | None:
        """The number, or what its ``...Path`` finds, which may be a number's text."""
        path = config.get(f"{field}Path")
        if path is None:
            literal: int | None = config.get(field)
            return literal
        found = get_path(path, self.scope(effective))
        number = _parsed(found, int)
        if number is None:
            raise _refers(f"{field}Path", found, "integer", path)
        return number

    def batch_input(self, effective: Payload) -> Payload | None:
        """BatchInput, a payload template."""
        batcher = self.state["ItemBatcher"]
        if "BatchInput" not in batcher:
            return None
        return Payload(value=render(batcher["BatchInput"], self.scope(effective)))

    def _item(self, effective: Payload, item: Mapping[str, Any]) -> Payload:
        # Parameters is the old name of ItemSelector.
        selector = self.state.get("ItemSelector", self.state.get("Parameters"))
        if selector is None:
            return Payload(value=item["Value"])
        return Payload(value=render(selector, self.scope(effective, item=item)))

    def _outcome(self, result: Payload, source: Mapping[str, Any], next: str | None) -> Outcome:
        state = self.state
        assigned = self._assigned(source, result)
        output = result
        if "ResultSelector" in state:
            output = Payload(value=render(state["ResultSelector"], self.scope(result)))
        output = self._placed(state.get("ResultPath", MISSING), output)
        path = state.get("OutputPath", MISSING)
        if path not in _UNTOUCHED:
            output = Payload(value=apply_output_path(path, self.scope(output)))
        return Outcome(self._checked(output), next, assigned)

    def _placed(self, path: Any, result: Payload) -> Payload:
        """The raw input with a result put at a ResultPath."""
        if path in _UNTOUCHED:
            return result
        if path is None:
            return self.input
        return Payload(value=put_path(path, self.input.value, result.value))

    def _assigned(self, source: Mapping[str, Any], data: Payload) -> Mapping[str, Payload] | None:
        """The variables that an Assign sets, all of them worked out from what was there before."""
        assign = source.get("Assign")
        return self._variables(render(assign, self.scope(data))) if assign else None

    def _find(self, path: str, effective: Payload) -> Any:
        try:
            return get_path(path, self.scope(effective))
        except PathNotFound:
            return MISSING


_N = TypeVar("_N", int, float)


def _parsed(found: Any, type: Callable[[Any], _N]) -> _N | None:
    """A number, also from its text; None for anything else."""
    if isinstance(found, bool) or (isinstance(found, float) and type is int):
        return None
    try:
        return type(found) if isinstance(found, (int, float, str)) else None
    except ValueError:
        return None


def _refers(field: str, found: Any, kind: str, path: str) -> DataError:
    what = found if isinstance(found, str) else Payload(value=found).text
    return DataError(RUNTIME, f'The {field} field refers to value "{what}" which is not a valid {kind}: {path}')


def _seconds(path: str, found: Any) -> float:
    if found is MISSING:
        raise DataError(RUNTIME, f"The SecondsPath parameter does not reference an input value: {path}")
    if isinstance(found, bool) or not isinstance(found, int):
        raise DataError(
            RUNTIME, f"The SecondsPath parameter cannot be parsed as a long value: {path} == {java_text(found)}"
        )
    if found < 0:
        raise DataError(RUNTIME, f"The SecondsPath parameter references a negative value: {path} == {found}")
    return float(found)
