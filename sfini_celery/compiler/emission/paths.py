"""``prev`` as a JSONPath, and conditions as choice rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zlib import crc32

from sfini_celery import asl
from sfini_celery.asl.comparisons import COMPARISONS
from sfini_celery.canvas import Comparison, Condition, Every, Expression, Negation, Some, TypeTest
from sfini_celery.compiler.emission.frame import Frame, Previous
from sfini_celery.errors import CompileError

__all__ = ["path_of", "rule_of", "variable_of"]

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_WORDS = {"==": "Equals", "<": "LessThan", "<=": "LessThanEquals", ">": "GreaterThan", ">=": "GreaterThanEquals"}
_COMPARABLE = ("Numeric", "String", "Boolean")


def variable_of(name: str) -> str:
    """The variable that keeps the result of a named step; letters, digits and underscores, at most 80."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    if (
        plain == name
        and _PLAIN.match(plain)
        and len(plain) <= 70
        and plain != "states"
        and not plain.startswith("sfini_")
    ):
        return plain
    return f"step_{plain[:60]}_{crc32(name.encode()):08x}"


def path_of(expression: Expression, frame: Frame, previous: Previous, place: str) -> str:
    """The JSONPath of an expression.

    Raises:
        CompileError: it names a step whose result cannot be seen from here
    """
    if expression.step is None:
        root = frame.value(previous)
    elif (root := frame.named.get(expression.step, "")) == "":
        raise CompileError(
            place,
            f"prev.of({expression.step!r}): no step of that name has run before, or it is inside a branch or an each "
            "that cannot be seen into from here",
            f"name an earlier step of the same chain with .set(sfn_name={expression.step!r})",
        )
    return root + "".join(map(_member, expression.path))


def _member(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if _PLAIN.match(key):
        return f".{key}"
    quoted = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{quoted}']"


def rule_of(condition: Condition, path: Callable[[Expression], str]) -> asl.ChoiceRule:
    """A condition as a choice rule, guarded so that a missing member is false and no state fails over it.

    Parameters:
        condition: made of ``prev``
        path: gives the JSONPath of an expression
    """
    if isinstance(condition, Every):
        return asl.And([rule_of(part, path) for part in condition.parts])
    if isinstance(condition, Some):
        return asl.Or([rule_of(part, path) for part in condition.parts])
    if isinstance(condition, Negation):
        return asl.Not(rule_of(condition.part, path))
    if isinstance(condition, TypeTest):
        return _type_test(condition.kind, path(condition.of))
    if isinstance(condition, Comparison):
        return _comparison(condition, path)
    raise NotImplementedError(type(condition).__name__)


def _present(path: str, *rules: asl.ChoiceRule) -> asl.ChoiceRule:
    return asl.And([COMPARISONS["IsPresent"](path, True), *rules])


def _type_test(kind: str, path: str) -> asl.ChoiceRule:
    if kind == "present":
        return COMPARISONS["IsPresent"](path, True)
    operator = {"null": "IsNull", "string": "IsString", "number": "IsNumeric", "boolean": "IsBoolean",
                "timestamp": "IsTimestamp"}[kind]  # fmt: skip
    test = _present(path, COMPARISONS[operator](path, True))
    return (
        asl.Or([test, _type_test("timestamp", _typed(path))]) if kind == "timestamp" and not _is_typed(path) else test
    )


def _typed(path: str) -> str:
    """Where the text of a datetime is that Celery's serializer wrote."""
    return f"{path}.__value__"


def _is_typed(path: str) -> bool:
    return path.endswith(".__value__")


def _comparison(test: Comparison, path: Callable[[Expression], str]) -> asl.ChoiceRule:
    left = path(test.left)
    if test.operator == "!=":
        there = (
            [_present(left)] if not isinstance(test.right, Expression) else [_present(left), _present(path(test.right))]
        )
        return asl.And([*there, asl.Not(_comparison(Comparison("==", test.left, test.right), path))])
    if isinstance(test.right, Expression):
        return _two_paths(test.operator, left, path(test.right))
    return _known(test.operator, left, test.right)


def _known(operator: str, path: str, value: Any) -> asl.ChoiceRule:
    if operator == "matches":
        return _present(path, COMPARISONS["StringMatches"](path, value))
    if value is None:
        return _present(path, COMPARISONS["IsNull"](path, True))
    word = _WORDS[operator]
    if isinstance(value, datetime):
        plain = _present(path, COMPARISONS[f"Timestamp{word}"](path, value))
        inner = _typed(path)
        return asl.Or([plain, _present(inner, COMPARISONS[f"Timestamp{word}"](inner, value))])
    kind = "Boolean" if isinstance(value, bool) else "String" if isinstance(value, str) else "Numeric"
    return _present(path, COMPARISONS[f"{kind}{word}"](path, value))


def _two_paths(operator: str, left: str, right: str) -> asl.ChoiceRule:
    """Two values whose types are known only then: numbers compare with numbers, text with text."""
    if operator == "matches":
        raise NotImplementedError("a pattern is always known")
    rules = []
    for kind in _COMPARABLE:
        if kind == "Boolean" and operator != "==":
            continue
        same = [COMPARISONS[f"Is{kind}"](side, True) for side in (left, right)]
        rules.append(asl.And([*same, COMPARISONS[f"{kind}{_WORDS[operator]}Path"](left, right)]))
    if operator == "==":
        rules.append(asl.And([COMPARISONS["IsNull"](side, True) for side in (left, right)]))
    return asl.And([_present(left), _present(right), asl.Or(rules)])
