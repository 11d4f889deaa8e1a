"""``prev``: the previous result, or a named step's, as an expression; and conditions made of it.

Python's operators on an expression give a condition, which a ``choice`` or ``loop`` compiles to a rule of the states
language. A condition has no truth value in Python, since it is decided in the execution: so ``and``, ``not`` and
``0 < x < 9`` raise instead of lying; write ``&``, ``~`` and two comparisons.

Both travel in signatures: Celery's serializer knows them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from kombu.utils.json import register_type

from sfini_celery.canvas.comparing import KINDS, compare, matches

__all__ = ["Comparison", "Condition", "Every", "Negation", "Some", "TypeTest", "Expression", "prev"]

_MISSING = object()


class Expression:
    """A value that is known only in the execution: ``prev``, ``prev["a"][0]``, ``prev.of("order")["id"]``.

    Attributes:
        step: whose result: the ``sfn_name`` of an earlier step, None for the previous one
        path: members and indexes below it

    Example:
        >>> ship.si(prev["address"], order=prev.of("order")["id"])
        >>> choice(when(prev["total"] > 100, review.s()), otherwise=ship.s())
    """

    __slots__ = ("path", "step")

    def __init__(self, step: str | None = None, path: tuple[str | int, ...] = ()) -> None:
        self.step, self.path = step, path

    def of(self, step: str) -> Expression:
        """The result of the earlier step that was named with ``.set(sfn_name=step)``."""
        if self.step is not None or self.path:
            raise TypeError("write prev.of(name)[...]: of() comes first")
        return Expression(step)

    def __getitem__(self, key: str | int) -> Expression:
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise TypeError(f"a member is text and an index is a whole number, not {key!r}")
        if isinstance(key, int) and key < 0:
            raise TypeError("the states language has no negative indexes")
        return Expression(self.step, (*self.path, key))

    def __iter__(self) -> NoReturn:  # __getitem__ alone would make an endless iterator
        raise TypeError("prev is no list here; each(...) goes through the previous result")

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "prev has no truth value here: it is known only in the execution; compare it, as in prev == True"
        )

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return Comparison("==", self, _operand(other))

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return Comparison("!=", self, _operand(other))

    def __lt__(self, other: object) -> Condition:
        return Comparison("<", self, _ordered(other))

    def __le__(self, other: object) -> Condition:
        return Comparison("<=", self, _ordered(other))

    def __gt__(self, other: object) -> Condition:
        return Comparison(">", self, _ordered(other))

    def __ge__(self, other: object) -> Condition:
        return Comparison(">=", self, _ordered(other))

    __hash__ = None  # type: ignore[assignment]

    def one_of(self, *values: Any) -> Condition:
        """Whether it equals one of these."""
        if not values:
            raise TypeError("one_of() of nothing never holds")
        return Some(tuple(self == value for value in values))

    def matches(self, pattern: str) -> Condition:
        r"""Whether it is text that matches; ``*`` stands for any text, ``\*`` for an asterisk."""
        if not isinstance(pattern, str):
            raise TypeError(f"a pattern is text, not {pattern!r}")
        return Comparison("matches", self, pattern)

    def is_present(self) -> Condition:
        """Whether there is such a member."""
        return TypeTest("present", self)

    def is_null(self) -> Condition:
        """Whether it is there and null."""
        return TypeTest("null", self)

    def is_string(self) -> Condition:
        """Whether it is text."""
        return TypeTest("string", self)

    def is_number(self) -> Condition:
        """Whether it is a number."""
        return TypeTest("number", self)

    def is_boolean(self) -> Condition:
        """Whether it is true or false."""
        return TypeTest("boolean", self)

    def is_timestamp(self) -> Condition:
        """Whether it is text that is an RFC 3339 time."""
        return TypeTest("timestamp", self)

    def value(self, result: Any, named: Mapping[str, Any]) -> Any:
        """What it stands for, given the previous result and the named ones; raises LookupError where it is missing."""
        found = result if self.step is None else named[self.step]
        for key in self.path:
            if isinstance(key, str) != isinstance(found, Mapping):
                raise LookupError(f"{self!r}: there is no {key!r} in {type(found).__name__}")
            found = found[key]
        return found

    def found(self, result: Any, named: Mapping[str, Any]) -> Any:
        """As :meth:`value`, or a marker where it is missing."""
        try:
            return self.value(result, named)
        except (LookupError, TypeError):
            return _MISSING

    def __repr__(self) -> str:
        of = f".of({self.step!r})" if self.step is not None else ""
        return "prev" + of + "".join(f"[{key!r}]" for key in self.path)

    def __str__(self) -> str:
        names = [*([] if self.step is None else [self.step]), *map(str, self.path)]
        return ".".join(names) or "prev"

    def __reduce__(self) -> tuple[Any, ...]:
        return Expression, (self.step, self.path)

    def __deepcopy__(self, memo: object) -> Expression:
        return self


def _operand(value: object) -> Any:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise TypeError(f"compare with a time that has a zone, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"JSON has no {value!r} to compare with")
    if value is None or isinstance(value, bool | int | float | str | datetime | Expression):
        return value
    raise TypeError(f"the states language compares numbers, text, booleans, times and null, not {type(value).__name__}")


def _ordered(value: object) -> Any:
    if value is None or isinstance(value, bool):
        raise TypeError(f"{value!r} has no order")
    return _operand(value)


class Condition:
    """Something that holds or not, decided in the execution."""

    def __and__(self, other: Condition) -> Condition:
        return Every((self, _condition(other)))

    def __or__(self, other: Condition) -> Condition:
        return Some((self, _condition(other)))

    def __invert__(self) -> Condition:
        return Negation(self)

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a condition has no truth value here, it is decided in the execution: write & for and, | for or, "
            "~ for not, and two comparisons for a < x < b"
        )

    def holds(self, result: Any, named: Mapping[str, Any]) -> bool:
        """Whether it holds, as the compiled rule would decide; a missing member is false."""
        raise NotImplementedError

    def expressions(self) -> Iterator[Expression]:
        """The values it looks at."""
        raise NotImplementedError


def _condition(value: object) -> Condition:
    if not isinstance(value, Condition):
        raise TypeError(f"a condition is combined with another one, not with {value!r}")
    return value


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Condition):
    """One value compared with another one."""

    operator: str
    left: Expression
    right: Any

    def holds(self, result: Any, named: Mapping[str, Any]) -> bool:
        left = self.left.found(result, named)
        right = self.right.found(result, named) if isinstance(self.right, Expression) else self.right
        if left is _MISSING or right is _MISSING:
            return False
        if self.operator == "matches":
            return isinstance(left, str) and matches(right, left)
        return compare(self.operator, left, right, known=not isinstance(self.right, Expression))

    def expressions(self) -> Iterator[Expression]:
        yield self.left
        if isinstance(self.right, Expression):
            yield self.right

    def __repr__(self) -> str:
        if self.operator == "matches":
            return f"{self.left!r}.matches({self.right!r})"
        return f"{self.left!r} {self.operator} {self.right!r}"

    def __str__(self) -> str:
        right = self.right.isoformat() if isinstance(self.right, datetime) else self.right
        return f"{self.left} {self.operator} {right}"


@dataclass(frozen=True, eq=False, repr=False)
class TypeTest(Condition):
    """Whether a value is there, and of a kind."""

    kind: str
    of: Expression

    def holds(self, result: Any, named: Mapping[str, Any]) -> bool:
        value = self.of.found(result, named)
        return value is not _MISSING and KINDS[self.kind](value)

    def expressions(self) -> Iterator[Expression]:
        yield self.of

    def __repr__(self) -> str:
        return f"{self.of!r}.is_{self.kind}()"

    def __str__(self) -> str:
        return f"{self.of} is {self.kind}"


@dataclass(frozen=True, eq=False, repr=False)
class Every(Condition):
    """All of several conditions."""

    parts: tuple[Condition, ...]

    def holds(self, result: Any, named: Mapping[str, Any]) -> bool:
        return all(part.holds(result, named) for part in self.parts)

    def expressions(self) -> Iterator[Expression]:
        for part in self.parts:
            yield from part.expressions()

    def __repr__(self) -> str:
        return " & ".join(f"({part!r})" for part in self.parts)

    def __str__(self) -> str:
        return " and ".join(map(str, self.parts))


@dataclass(frozen=True, eq=False, repr=False)
class Some(Condition):
    """At least one of several conditions."""

    parts: tuple[Condition, ...]

    def holds(self, result: Any, named: Mapping[str, Any]) -> bool:
        return any(part.holds(result, named) for part in self.parts)

    def expressions(self) -> Iterator[Expression]:
        for part in self.parts:
            yield from part.expressions()

    def __repr__(self) -> str:
        return " | ".join(f"({part!r})" for part in self.parts)

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


@dataclass(frozen=True, eq=False, repr=False)
class Negation(Condition):
    """A condition that does not hold."""

    part: Condition

    def holds(self, result: Any, named: Mapping[str, Any]) -> bool:
        return not self.part.holds(result, named)

    def expressions(self) -> Iterator[Expression]:
        return self.part.expressions()

    def __repr__(self) -> str:
        return f"~({self.part!r})"

    def __str__(self) -> str:
        return f"not ({self.part})"


prev = Expression()

register_type(
    Expression,
    "sfini.prev",
    lambda expression: {"step": expression.step, "path": list(expression.path)},
    lambda value: Expression(value["step"], tuple(value["path"])),
)
register_type(
    Comparison,
    "sfini.comparison",
    lambda test: {"operator": test.operator, "left": test.left, "right": test.right},
    lambda value: Comparison(value["operator"], value["left"], value["right"]),
)
register_type(
    TypeTest,
    "sfini.type_test",
    lambda test: {"kind": test.kind, "of": test.of},
    lambda value: TypeTest(value["kind"], value["of"]),
)
for _kind in (Every, Some):
    register_type(
        _kind,
        f"sfini.{_kind.__name__.lower()}",
        lambda several: {"parts": list(several.parts)},
        lambda value, _kind=_kind: _kind(tuple(value["parts"])),
    )
register_type(
    Negation, "sfini.negation", lambda negation: {"part": negation.part}, lambda value: Negation(value["part"])
)
