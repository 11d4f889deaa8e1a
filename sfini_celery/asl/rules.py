"""Choice rules: what a :class:`Choice` state compares, and where it goes when the comparison holds.

Each rule is a value named as in the states language: ``NumericLessThan("$.counter", 10, increment)``. A rule that is
given to ``Choice.add`` has a next state; a rule inside :class:`And`, :class:`Or` or :class:`Not` has none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from sfini_celery.asl.fields import MISSING, Missing, timestamp_text
from sfini_celery.asl.state import State, Table, check_state, write
from sfini_celery.errors import DefinitionError, WrongType


@dataclass(frozen=True)
class ChoiceRule:
    """A rule of a Choice state: a :class:`Comparison`, :class:`And`, :class:`Or`, :class:`Not` or :class:`Condition`.

    Parameters:
        comment: for people
        assign: variables to set when the rule holds
        output: JSONata only: the state's output when the rule holds
        extra: fields that this version does not know
    """

    FIELDS: ClassVar[Table] = (("comment", "Comment"), ("assign", "Assign"), ("output", "Output"))

    comment: str | Missing = field(default=MISSING, kw_only=True)
    assign: Mapping[str, Any] | Missing = field(default=MISSING, kw_only=True)
    output: Any = field(default=MISSING, kw_only=True)
    extra: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    @property
    def next(self) -> State | None:
        """Where the execution goes when the rule holds; ``None`` in a rule inside another one."""
        state: State | None = getattr(self, "next_state", None)
        return state

    def to_dict(self) -> dict[str, Any]:
        """The rule in the states language."""
        next_state = {} if self.next is None else {"Next": self.next.name}
        written = {**self._test(), **write(self, self.FIELDS), **next_state}
        return {**written, **{name: value for name, value in self.extra.items() if name not in written}}

    @staticmethod
    def from_dict(definition: Mapping[str, Any], states: Mapping[str, State] | None = None) -> ChoiceRule:
        """Read a rule.

        Parameters:
            definition: the rule in the states language
            states: what ``Next`` can name

        Raises:
            DefinitionError: not exactly one operator, an unknown next state, or a value its operator cannot have
        """
        return _read(definition, states or {})

    def _test(self) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class Comparison(ChoiceRule):
    """A rule that compares one value of the input; its kinds are named as in the states language.

    Parameters:
        variable_path: where the value is, as in ``"$.counter"``
        comparison_value: what it is compared with; for the ``...Path`` rules, where that is
        next_state: where the execution goes when the rule holds

    Raises:
        WrongType: a comparison value of another type than the rule compares
        DefinitionError: a time without a zone, or a path that does not begin with ``$``
    """

    variable_path: str
    comparison_value: Any
    next_state: State | None = None

    def __post_init__(self) -> None:
        check_path(self, "variable", self.variable_path)
        self._check(self.comparison_value)
        _check_next(self.next_state)

    def _check(self, value: object) -> None:
        raise NotImplementedError

    def _test(self) -> dict[str, Any]:
        return {"Variable": self.variable_path, type(self).__name__: self._written()}

    def _written(self) -> Any:
        return self.comparison_value


def check_path(rule: object, what: str, path: object) -> None:
    if not isinstance(path, str):
        raise WrongType(f"{type(rule).__name__}: the {what} is a path such as '$.counter', not {path!r}")
    if not path.startswith("$"):
        raise DefinitionError(f"{type(rule).__name__}: the {what} must begin with '$', unlike {path!r}")


def _check_next(state: object) -> None:
    if state is not None:
        check_state(state)  # type: ignore[type-var]


class _Text(Comparison):
    def _check(self, value: object) -> None:
        if not isinstance(value, str):
            raise WrongType(f"{type(self).__name__} compares text, so not with {value!r}")


class _Number(Comparison):
    def _check(self, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise WrongType(f"{type(self).__name__} compares numbers, so not with {value!r}")
        if not math.isfinite(value):
            raise DefinitionError(f"{type(self).__name__} cannot compare with {value!r}, which JSON has no word for")


class _Flag(Comparison):
    def _check(self, value: object) -> None:
        if not isinstance(value, bool):
            raise WrongType(f"{type(self).__name__} takes True or False, not {value!r}")


class _Moment(Comparison):
    def _check(self, value: object) -> None:
        self._written()

    def _written(self) -> Any:
        value: datetime | str = self.comparison_value
        return timestamp_text(f"{type(self).__name__}'s value", value)


class _Path(Comparison):
    def _check(self, value: object) -> None:
        check_path(self, "comparison value", value)


class StringEquals(_Text):
    """The value is this text."""


class StringLessThan(_Text):
    """The value is text that sorts before this text."""


class StringGreaterThan(_Text):
    """The value is text that sorts after this text."""


class StringLessThanEquals(_Text):
    """The value is this text or sorts before it."""


class StringGreaterThanEquals(_Text):
    """The value is this text or sorts after it."""


class StringMatches(_Text):
    r"""The value is text that fits this pattern: ``*`` stands for any characters, ``\\*`` for a star."""


class StringEqualsPath(_Path):
    """The value is the text at this path."""


class StringLessThanPath(_Path):
    """The value is text that sorts before the text at this path."""


class StringGreaterThanPath(_Path):
    """The value is text that sorts after the text at this path."""


class StringLessThanEqualsPath(_Path):
    """The value is the text at this path or sorts before it."""


class StringGreaterThanEqualsPath(_Path):
    """The value is the text at this path or sorts after it."""


class NumericEquals(_Number):
    """The value is this number."""


class NumericLessThan(_Number):
    """The value is less than this number."""


class NumericGreaterThan(_Number):
    """The value is greater than this number."""


class NumericLessThanEquals(_Number):
    """The value is at most this number."""


class NumericGreaterThanEquals(_Number):
    """The value is at least this number."""


class NumericEqualsPath(_Path):
    """The value is the number at this path."""


class NumericLessThanPath(_Path):
    """The value is less than the number at this path."""


class NumericGreaterThanPath(_Path):
    """The value is greater than the number at this path."""


class NumericLessThanEqualsPath(_Path):
    """The value is at most the number at this path."""


class NumericGreaterThanEqualsPath(_Path):
    """The value is at least the number at this path."""


class BooleanEquals(_Flag):
    """The value is this boolean."""


class BooleanEqualsPath(_Path):
    """The value is the boolean at this path."""


class TimestampEquals(_Moment):
    """The value is this moment: an aware datetime, or a timestamp as text."""


class TimestampLessThan(_Moment):
    """The value is before this moment."""


class TimestampGreaterThan(_Moment):
    """The value is after this moment."""


class TimestampLessThanEquals(_Moment):
    """The value is this moment or before it."""


class TimestampGreaterThanEquals(_Moment):
    """The value is this moment or after it."""


class TimestampEqualsPath(_Path):
    """The value is the moment at this path."""


class TimestampLessThanPath(_Path):
    """The value is before the moment at this path."""


class TimestampGreaterThanPath(_Path):
    """The value is after the moment at this path."""


class TimestampLessThanEqualsPath(_Path):
    """The value is the moment at this path or before it."""


class TimestampGreaterThanEqualsPath(_Path):
    """The value is the moment at this path or after it."""


class IsNull(_Flag):
    """Whether the value is null."""


class IsPresent(_Flag):
    """Whether there is a value; the only rule that does not fail when there is none."""


class IsNumeric(_Flag):
    """Whether the value is a number."""


class IsString(_Flag):
    """Whether the value is text."""


class IsBoolean(_Flag):
    """Whether the value is a boolean."""


class IsTimestamp(_Flag):
    """Whether the value is text that is a timestamp."""


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
        _check_next(self.next_state)

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
        _check_next(self.next_state)

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
        _check_next(self.next_state)

    def _test(self) -> dict[str, Any]:
        return {"Condition": self.condition}


COMPARISONS: Mapping[str, type[Comparison]] = {
    rule.__name__: rule
    for kind in (_Text, _Number, _Flag, _Moment, _Path)
    for rule in sorted(kind.__subclasses__(), key=lambda rule: rule.__name__)
}
"""Every comparison of the states language, by its name there."""

_JOINED = {"And": And, "Or": Or}


def _read(definition: object, states: Mapping[str, State]) -> ChoiceRule:
    if not isinstance(definition, Mapping):
        raise DefinitionError(f"a choice rule is an object, not {definition!r}")
    rest = dict(definition)
    operators = [name for name in rest if name in COMPARISONS or name in {"And", "Or", "Not", "Condition"}]
    if len(operators) != 1:
        raise DefinitionError(f"a choice rule has one operator, but {definition!r} has {len(operators)}")
    operator = operators[0]
    operand = rest.pop(operator)
    common: dict[str, Any] = {attr: rest.pop(name) for attr, name in ChoiceRule.FIELDS if name in rest}
    if "Next" in rest:
        target = rest.pop("Next")
        if not isinstance(target, str) or target not in states:
            raise DefinitionError(f"choice rule: there is no state {target!r} to go to")
        common["next_state"] = states[target]
    variable = rest.pop("Variable", "") if operator in COMPARISONS else ""
    common["extra"] = rest
    if operator in COMPARISONS:
        return COMPARISONS[operator](variable, operand, **common)
    if operator == "Condition":
        return Condition(operand, **common)
    if operator == "Not":
        return Not(_read(operand, {}), **common)
    if not isinstance(operand, list):
        raise DefinitionError(f"{operator} takes a list of rules, not {operand!r}")
    return _JOINED[operator]([_read(rule, {}) for rule in operand], **common)
