"""Two definitions of a state machine, compared state by state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sfini_celery.render.tables import colour, printable

__all__ = ["Difference", "FieldChange", "definition_changes", "definition_diff", "field_changes", "value_diff"]

Mark = Literal["+", "-", "~"]

_STYLES = {"+": "green", "-": "red", "~": "yellow"}
_WIDEST = 100
_ABSENT: Any = object()


@dataclass(frozen=True)
class FieldChange:
    """A field that is there in one definition alone, or differs.

    Attributes:
        mark: ``+`` added, ``-`` removed, ``~`` changed
        path: such as ``Retry[0].MaxAttempts``
        before, after: the values; None where there is none
    """

    mark: Mark
    path: str
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class Difference:
    """A state that differs, or what differs in the machine around the states.

    Attributes:
        mark: ``+`` added, ``-`` removed, ``~`` changed
        state: its name; None for the machine itself
        type: its type, the new one where that has changed
        fields: what differs; all it has, when it is added; empty when it is removed
    """

    mark: Mark
    state: str | None
    type: str
    fields: tuple[FieldChange, ...] = ()


def definition_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """What differs between two definitions: the machine first, its states in the new order, removed ones last.

    States inside a Parallel or Map count as states of their own: their names are unique in the whole machine.
    """
    before, after = dict(_states(old)), dict(_states(new))
    around = tuple(field_changes(_without(old), _without(new)))
    found = [Difference("~", None, "", around)] if around else []
    for name, state in after.items():
        kind = str(state.get("Type", ""))
        if name not in before:
            fields = field_changes({}, {key: value for key, value in state.items() if key != "Type"})
            found.append(Difference("+", name, kind, tuple(fields)))
        elif fields_changed := tuple(field_changes(before[name], state)):
            found.append(Difference("~", name, kind, fields_changed))
    found += [Difference("-", name, str(state.get("Type", ""))) for name, state in before.items() if name not in after]
    return found


def definition_diff(old: Mapping[str, Any], new: Mapping[str, Any], *, colours: bool = False) -> str:
    """The same as text; empty where nothing differs.

    Parameters:
        old, new: definitions
        colours: green for what is added, red for what is removed, yellow for what changes
    Example:
        >>> old = {"a": {"Type": "Wait", "Seconds": 1, "End": True}}
        >>> new = {"a": {"Type": "Wait", "Seconds": 5, "Next": "b"}, "b": {"Type": "Succeed"}}
        >>> print(definition_diff({"StartAt": "a", "States": old}, {"StartAt": "a", "States": new}))
        ~ state a (Wait)
            ~ Seconds: 1 -> 5
            + Next: "b"
            - End: true
        + state b (Succeed)
    """
    lines = []
    for each in definition_changes(old, new):
        what = "the machine" if each.state is None else f"state {printable(each.state)} ({printable(each.type)})"
        lines.append(_line(each.mark, "", what, colours))
        lines += [_line(field.mark, "    ", _told(field), colours) for field in each.fields]
    return "\n".join(lines)


def value_diff(old: Any, new: Any, *, colours: bool = False) -> str:
    """What differs between two JSON values as text, a line for each field; empty where nothing does.

    Example:
        >>> print(value_diff({"role": "a"}, {"role": "b"}))
        ~ role: "a" -> "b"
    """
    return "\n".join(_line(change.mark, "", _told(change), colours) for change in field_changes(old, new))


def _line(mark: str, indent: str, text: str, colours: bool) -> str:
    line = f"{mark} {text}"
    return indent + (colour(line, _STYLES[mark]) if colours else line)


def _told(change: FieldChange) -> str:
    path = printable(change.path)
    if change.mark == "~":
        return f"{path}: {_value(change.before)} -> {_value(change.after)}"
    return f"{path}: {_value(change.before if change.mark == '-' else change.after)}"


def _value(value: Any) -> str:
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."


def field_changes(old: Any, new: Any, path: str = "") -> Iterator[FieldChange]:
    """What differs between two JSON values, as deep as both have the same shape.

    Parameters:
        old, new: the values
        path: put before the paths of what is found
    """
    if old is _ABSENT:
        yield FieldChange("+", path, after=new)
    elif new is _ABSENT:
        yield FieldChange("-", path, before=old)
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*new, *(key for key in old if key not in new)]:
            below = f"{path}.{key}" if path else str(key)
            yield from field_changes(old.get(key, _ABSENT), new.get(key, _ABSENT), below)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from field_changes(before, after, f"{path}[{place}]")
    elif type(old) is not type(new) or old != new:  # True is 1 for Python, and not for JSON
        yield FieldChange("~", path, old, new)


def _states(scope: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every state, without the states inside it."""
    states = scope.get("States") if isinstance(scope, Mapping) else None
    if not isinstance(states, Mapping):
        return
    for name, state in states.items():
        if not isinstance(state, Mapping):
            continue
        yield name, {key: _shell(key, value) for key, value in state.items()}
        for inner in (*(state.get("Branches") or ()), state.get("ItemProcessor"), state.get("Iterator")):
            yield from _states(inner)


def _shell(key: str, value: Any) -> Any:
    if key == "Branches" and isinstance(value, list):
        return [_without(branch) for branch in value]
    return _without(value) if key in ("ItemProcessor", "Iterator") else value


def _without(scope: Any) -> Any:
    return {key: value for key, value in scope.items() if key != "States"} if isinstance(scope, Mapping) else scope
