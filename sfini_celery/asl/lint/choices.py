"""Choice rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sfini_celery.asl.lint import values
from sfini_celery.asl.lint.findings import Spot
from sfini_celery.asl.lint.templates import assign, template
from sfini_celery.asl.lint.values import JSONATA, JSONPATH, Check, is_expression, kind_of, wrong_language

__all__ = ["check_choices"]

_COMPARED = ("Equals", "LessThan", "GreaterThan", "LessThanEquals", "GreaterThanEquals")
_KINDS: Mapping[str, Check] = {
    "String": values.text,
    "Numeric": values.number(float("-inf")),
    "Timestamp": values.timestamp,
}


def _comparisons() -> dict[str, Check]:
    checks = {f"{kind}{how}": check for kind, check in _KINDS.items() for how in _COMPARED}
    checks["BooleanEquals"] = values.boolean
    checks.update({f"{name}Path": values.context_path for name in list(checks)})
    checks["StringMatches"] = values.text
    checks.update(
        {f"Is{kind}": values.boolean for kind in ("Null", "Present", "Numeric", "String", "Boolean", "Timestamp")}
    )
    return checks


COMPARISONS: Mapping[str, Check] = _comparisons()
_LOGICAL = ("And", "Or", "Not")
_OPERATORS = frozenset((*COMPARISONS, *_LOGICAL, "Condition"))


def check_choices(value: object, at: Spot, language: str) -> None:
    if not isinstance(value, list):
        at.error("WRONG_TYPE", f"must be a list of rules, not {kind_of(value)}")
        return
    if not value:
        at.error("EMPTY", "must hold at least one rule")
    for index, rule in enumerate(value):
        _rule(rule, at[index], language, nested=False)


def _rule(rule: object, at: Spot, language: str, *, nested: bool) -> None:
    if not isinstance(rule, Mapping):
        at.error("WRONG_TYPE", f"must be a rule, an object, not {kind_of(rule)}")
        return
    operators = [key for key in rule if key in _OPERATORS]
    if len(operators) > 1:
        at.error("SEVERAL_OPERATORS", f"a rule has one operator, this has {', '.join(operators)}; use And or Or")
    for operator in operators:
        needs = JSONATA if operator == "Condition" else JSONPATH
        if needs != language:
            wrong_language(at[operator], needs, language)
        else:
            _operand(operator, rule[operator], at[operator], language)
    if not operators:
        wanted = "Condition" if language == JSONATA else "comparison, And, Or or Not"
        at.error("NO_OPERATOR", f"a rule needs a {wanted}")
    compares = any(operator in COMPARISONS for operator in operators)
    if compares and "Variable" not in rule:
        at.error("MISSING_FIELD", "a comparison needs a Variable, the path of what is compared")
    if not nested and "Next" not in rule:
        at.error("MISSING_FIELD", "a rule of a Choice state needs a Next, the state to go to")
    for key, member in rule.items():
        if key not in _OPERATORS:
            _member(key, member, at[key], language, nested=nested, compares=compares)


def _operand(operator: str, value: Any, at: Spot, language: str) -> None:
    if operator == "Condition":
        if not is_expression(value) and not isinstance(value, bool):
            at.error("WRONG_TYPE", f"must be a JSONata expression, '{{% ... %}}', not {value!r}")
    elif operator == "Not":
        _rule(value, at, language, nested=True)
    elif operator in _LOGICAL:
        if not isinstance(value, list):
            at.error("WRONG_TYPE", f"must be a list of rules, not {kind_of(value)}")
            return
        if not value:
            at.error("EMPTY", "must hold at least one rule")
        for index, rule in enumerate(value):
            _rule(rule, at[index], language, nested=True)
    else:
        COMPARISONS[operator](value, at, language)


_MEMBERS: Mapping[str, Check] = {
    "Next": values.text,
    "Comment": values.text,
    "Assign": assign,
    "Output": template,
    "Variable": values.context_path,
}


def _member(key: object, value: object, at: Spot, language: str, *, nested: bool, compares: bool) -> None:
    check: Callable[[Any, Spot, str], None] | None = _MEMBERS.get(key) if isinstance(key, str) else None
    if check is None:
        at.error("UNKNOWN_FIELD", f"a choice rule has no field {key!r}")
    elif nested and key in ("Next", "Assign", "Output"):
        at.error("NESTED_RULE", f"only a rule of the Choice state itself has {key}, not one inside And, Or or Not")
    elif key == "Variable" and not compares:
        at.error("FIELD_NOT_ALLOWED", "only a comparison has a Variable")
    elif key == "Output" and language != JSONATA:
        wrong_language(at, JSONATA, language)
    else:
        check(value, at, language)
