"""Payload templates: objects some of whose values are evaluated, and the variables that ``Assign`` sets."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from sfini_celery.asl.lint.findings import Spot
from sfini_celery.asl.lint.paths import is_intrinsic, is_path, looks_dynamic
from sfini_celery.asl.lint.values import JSONATA, is_expression, kind_of

__all__ = ["assign", "literal", "object_template", "template"]

LONGEST_VARIABLE = 80


def template(value: object, at: Spot, language: str) -> None:
    """Any value, evaluated in the state's query language."""
    todo: deque[tuple[Any, Spot]] = deque([(value, at)])
    while todo:
        part, where = todo.popleft()
        if isinstance(part, Mapping):
            for key, member in part.items():
                if language != JSONATA and str(key).endswith(".$"):
                    _evaluated(member, where[key])
                else:
                    todo.append((member, where[key]))
        elif isinstance(part, list):
            todo.extend((item, where[index]) for index, item in enumerate(part))
        elif isinstance(part, str):
            _plain(part, where, language)


def _evaluated(value: object, at: Spot) -> None:
    if not isinstance(value, str):
        at.error("INVALID_TEMPLATE", f"its name ends in '.$', so it must be a path or a call, not {kind_of(value)}")
    elif not is_path(value) and not is_intrinsic(value):
        at.error(
            "INVALID_TEMPLATE",
            f"its name ends in '.$', so it must be a path or a call of an intrinsic function, unlike {value!r}",
        )


def _plain(value: str, at: Spot, language: str) -> None:
    if language != JSONATA:
        if looks_dynamic(value):
            at.warning("NO_DOLLAR", f"is the text {value!r} itself; to have it evaluated, let its name end in '.$'")
    elif (value.startswith("{%") or value.endswith("%}")) and not is_expression(value):
        at.warning("HALF_EXPRESSION", f"is text, not a JSONata expression, which is between '{{%' and '%}}': {value!r}")


def object_template(value: object, at: Spot, language: str) -> None:
    """A template that is an object, or in JSONata an expression of one."""
    if isinstance(value, Mapping):
        template(value, at, language)
    elif not (language == JSONATA and is_expression(value)):
        at.error("WRONG_TYPE", f"must be an object, not {kind_of(value)}")


def literal(value: object, at: Spot, language: str) -> None:
    """A value that is never evaluated: the Result of a Pass state."""
    todo: deque[tuple[Any, Spot]] = deque([(value, at)])
    while todo:
        part, where = todo.popleft()
        if isinstance(part, Mapping):
            for key, member in part.items():
                if str(key).endswith(".$"):
                    where[key].warning("STATIC_RESULT", "Result is never evaluated; use Parameters for what is to be")
                todo.append((member, where[key]))
        elif isinstance(part, list):
            todo.extend((item, where[index]) for index, item in enumerate(part))


def assign(value: object, at: Spot, language: str) -> None:
    """Variables by name."""
    if not isinstance(value, Mapping):
        at.error("WRONG_TYPE", f"must be an object of variables, not {kind_of(value)}")
        return
    for key in value:
        name = str(key)
        if language != JSONATA:
            name = name.removesuffix(".$")
        if name == "states":
            at[key].error("INVALID_VARIABLE_NAME", "'states' is AWS's own variable")
        elif len(name) > LONGEST_VARIABLE:
            at[key].error("INVALID_VARIABLE_NAME", f"is {len(name)} characters long, AWS allows {LONGEST_VARIABLE}")
        elif not name.isidentifier():
            at[key].error("INVALID_VARIABLE_NAME", f"a variable's name is letters, digits and '_', unlike {name!r}")
    template(value, at, language)
