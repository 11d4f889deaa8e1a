"""Choice rules: what a :class:`Choice` state compares, and where it goes when that holds.

Each rule is a value named as in the states language: ``NumericLessThan("$.counter", 10, increment)``. A rule that is
given to ``Choice.add`` has a next state; a rule inside :class:`And`, :class:`Or` or :class:`Not` has none.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sfini_celery.asl.comparisons import COMPARISONS, Comparison
from sfini_celery.asl.rule import READERS, ChoiceRule, check_next
from sfini_celery.asl.state import State
from sfini_celery.errors import DefinitionError, WrongType

__all__ = ["COMPARISONS", "And", "ChoiceRule", "Comparison", "Condition", "Not", "Or"]


@dataclass(frozen=True)
class _Joined(ChoiceRule):
    choice_rules: Sequence[ChoiceRule]
    next_state: State | None = None

    def __post_init__(self) -> None:
        if isinstance(self.choice_rules, ChoiceRule):
            raise WrongType(f"{type(self).__name__} takes a list of rules, not one rule")
        object.__setattr__(self, "choice_rules", tuple(self.choice_rules))
        if not self.choice_rules:
            raise DefinitionError(f"{type(self).__name__} needs at least one rule")
        for rule in self.choice_rules:
            _check_nested(self, rule)
        check_next(self.next_state)

    def _test(self) -> dict[str, Any]:
        return {type(self).__name__: [rule.to_dict() for rule in self.choice_rules]}


class And(_Joined):
    """All of the rules hold.

    Parameters:
        choice_rules: rules without a next state
        next_state: where the execution goes when all of them hold

    Raises:
        DefinitionError: no rules, or a rule that has a next state
    """


class Or(_Joined):
    """At least one of the rules holds.

    Parameters:
        choice_rules: rules without a next state
        next_state: where the execution goes when one of them holds

    Raises:
        DefinitionError: no rules, or a rule that has a next state
    """


@dataclass(frozen=True)
class Not(ChoiceRule):
    """The rule does not hold.

    Parameters:
        choice_rule: a rule without a next state
        next_state: where the execution goes when it does not hold

    Raises:
        DefinitionError: a rule that has a next state
    """

    choice_rule: ChoiceRule
    next_state: State | None = None

    def __post_init__(self) -> None:
        _check_nested(self, self.choice_rule)
        check_next(self.next_state)

    def _test(self) -> dict[str, Any]:
        return {"Not": self.choice_rule.to_dict()}


def _check_nested(outer: ChoiceRule, rule: object) -> None:
    if not isinstance(rule, ChoiceRule):
        raise WrongType(f"{type(outer).__name__} takes choice rules, not {rule!r}")
    if rule.next is not None:
        name = type(outer).__name__
        raise DefinitionError(f"{name}: a rule inside it cannot have a next state, but {rule!r} has; give it to {name}")


@dataclass(frozen=True)
class Condition(ChoiceRule):
    """JSONata only: an expression that is true or false, as in ``Condition("{% $states.input.total > 100 %}", big)``.

    Parameters:
        condition: the expression, with its ``{% %}``; or a plain boolean
        next_state: where the execution goes when it is true
    """

    condition: str | bool
    next_state: State | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.condition, (str, bool)):
            raise WrongType(f"Condition takes a JSONata expression, not {self.condition!r}")
        check_next(self.next_state)

    def _test(self) -> dict[str, Any]:
        return {"Condition": self.condition}


def _read_joined(kind: type[And] | type[Or], operand: Any, fields: dict[str, Any]) -> ChoiceRule:
    if not isinstance(operand, list):
        raise DefinitionError(f"{kind.__name__} takes a list of rules, not {operand!r}")
    return kind([ChoiceRule.from_dict(rule) for rule in operand], **fields)


READERS["And"] = functools.partial(_read_joined, And)
READERS["Or"] = functools.partial(_read_joined, Or)
READERS["Not"] = lambda operand, fields: Not(ChoiceRule.from_dict(operand), **fields)
READERS["Condition"] = lambda operand, fields: Condition(operand, **fields)
