"""Choice rules that compare one value, named as in the states language."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sfini_celery.asl.fields import timestamp_text
from sfini_celery.asl.rule import READERS, ChoiceRule, check_next
from sfini_celery.asl.state import State
from sfini_celery.errors import DefinitionError, WrongType

__all__ = [
    "COMPARISONS",
    "BooleanEquals",
    "BooleanEqualsPath",
    "Comparison",
    "IsBoolean",
    "IsNull",
    "IsNumeric",
    "IsPresent",
    "IsString",
    "IsTimestamp",
    "NumericEquals",
    "NumericEqualsPath",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "NumericGreaterThanEqualsPath",
    "NumericGreaterThanPath",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericLessThanEqualsPath",
    "NumericLessThanPath",
    "StringEquals",
    "StringEqualsPath",
    "StringGreaterThan",
    "StringGreaterThanEquals",
    "StringGreaterThanEqualsPath",
    "StringGreaterThanPath",
    "StringLessThan",
    "StringLessThanEquals",
    "StringLessThanEqualsPath",
    "StringLessThanPath",
    "StringMatches",
    "TimestampEquals",
    "TimestampEqualsPath",
    "TimestampGreaterThan",
    "TimestampGreaterThanEquals",
    "TimestampGreaterThanEqualsPath",
    "TimestampGreaterThanPath",
    "TimestampLessThan",
    "TimestampLessThanEquals",
    "TimestampLessThanEqualsPath",
    "TimestampLessThanPath",
]


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
        self._check_path("variable", self.variable_path)
        self._check(self.comparison_value)
        check_next(self.next_state)

    def _check(self, value: object) -> None:
        raise NotImplementedError

    def _test(self) -> dict[str, Any]:
        return {"Variable": self.variable_path, type(self).__name__: self._written()}

    def _written(self) -> Any:
        return self.comparison_value

    def _check_path(self, what: str, path: object) -> None:
        if not isinstance(path, str):
            raise WrongType(f"{type(self).__name__}: the {what} is a path such as '$.counter', not {path!r}")
        if not path.startswith("$"):
            raise DefinitionError(f"{type(self).__name__}: the {what} must begin with '$', unlike {path!r}")


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
        self._check_path("comparison value", value)


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


COMPARISONS: Mapping[str, type[Comparison]] = {
    rule.__name__: rule
    for kind in (_Text, _Number, _Flag, _Moment, _Path)
    for rule in sorted(kind.__subclasses__(), key=lambda rule: rule.__name__)
}
"""Every comparison there is, by its name."""


def _read(rule: type[Comparison], operand: Any, fields: dict[str, Any]) -> Comparison:
    variable = fields["extra"].pop("Variable", "")
    return rule(variable, operand, **fields)


READERS.update({name: functools.partial(_read, rule) for name, rule in COMPARISONS.items()})
