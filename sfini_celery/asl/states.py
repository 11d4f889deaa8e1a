"""The states that move data, wait, choose and end: Pass, Wait, Choice, Succeed and Fail.

Parameters up to the first keyword-only one are in sfini's order. Besides those listed, each takes the keyword-only
parameters of :class:`State`; Pass and Wait, which another state can follow, also take ``assign``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sfini_celery.asl.fields import MISSING, Missing, timestamp_text
from sfini_celery.asl.rules import ChoiceRule
from sfini_celery.asl.state import HasNext, State, check_state
from sfini_celery.errors import DefinitionError, WrongType

__all__ = ["Choice", "Fail", "Pass", "Succeed", "Wait"]

_log = logging.getLogger(__name__)


class Pass(HasNext):
    """Pass the input on, changed or with something added, without doing anything.

    Parameters:
        name: of the state
        comment, input_path, output_path: see :class:`State`
        result_path: where the result is put in the input; ``None`` drops it
        result: the result; without it, the input is
        parameters: JSONPath only: template of the result
    """

    TYPE = "Pass"
    FIELDS = (
        *HasNext.FIELDS,
        ("parameters", "Parameters"),
        ("result", "Result"),
        ("result_path", "ResultPath"),
    )

    def __init__(
        self,
        name: str,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        result_path: str | Missing | None = MISSING,
        result: Any = MISSING,
        *,
        parameters: Any = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, **fields)
        self.result_path = result_path
        self.result = result
        self.parameters = parameters


class Wait(HasNext):
    """Wait, for some seconds or until a moment.

    Parameters:
        name: of the state
        until: seconds as an int; a moment as an aware datetime; or as text the path of a timestamp in the input
        comment, input_path, output_path: see :class:`State`
        seconds: instead of ``until``: whole seconds, or a JSONata expression of them
        timestamp: instead of ``until``: a datetime, a timestamp as text, or a JSONata expression of one
        seconds_path: instead of ``until``: path of the seconds in the input
        timestamp_path: instead of ``until``: path of a timestamp in the input

    Raises:
        DefinitionError: not exactly one of the five, or a moment without a time zone
        WrongType: ``until`` is none of the three
    """

    TYPE = "Wait"
    FIELDS = (
        *HasNext.FIELDS,
        ("seconds", "Seconds"),
        ("timestamp", "Timestamp"),
        ("seconds_path", "SecondsPath"),
        ("timestamp_path", "TimestampPath"),
    )

    def __init__(
        self,
        name: str,
        until: int | datetime | str | Missing = MISSING,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        *,
        seconds: int | str | Missing = MISSING,
        timestamp: datetime | str | Missing = MISSING,
        seconds_path: str | Missing = MISSING,
        timestamp_path: str | Missing = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, **fields)
        ways = (until, seconds, timestamp, seconds_path, timestamp_path)
        if sum(way is not MISSING for way in ways) != 1:
            raise DefinitionError(
                f"state {name!r}: a Wait takes exactly one of until, seconds, timestamp, seconds_path, timestamp_path"
            )
        if isinstance(until, bool) or not isinstance(until, (int, datetime, str, Missing)):
            raise WrongType(f"state {name!r}: until is an int, a datetime or a path, not {until!r}")
        if isinstance(until, int):
            seconds = until
        elif isinstance(until, datetime):
            timestamp = until
        elif isinstance(until, str):
            if not until.startswith("$"):
                raise DefinitionError(
                    f"state {name!r}: as text, until is the path of a timestamp and begins with '$', unlike {until!r}; "
                    "for the timestamp itself use timestamp="
                )
            timestamp_path = until
        if isinstance(timestamp, datetime):
            timestamp = timestamp_text(f"state {name!r}: the time to wait for", timestamp)
        self.seconds = seconds
        self.timestamp = timestamp
        self.seconds_path = seconds_path
        self.timestamp_path = timestamp_path


class Choice(State):
    """Go where the first rule that holds says.

    Parameters:
        name: of the state
        comment, input_path, output_path: see :class:`State`
        assign: variables to set when no rule holds

    Attributes:
        choices: the rules, in the order AWS tries them
        default: where the execution goes when no rule holds; without it, it fails with States.NoChoiceMatched

    Example:
        >>> from sfini_celery.asl import NumericLessThan
        >>> again, done = Pass("again"), Succeed("done")
        >>> check = Choice("check")
        >>> check.add(NumericLessThan("$.counter", 10, again))
        >>> check.set_default(done)
    """

    TYPE = "Choice"
    FIELDS = (*State.FIELDS, ("assign", "Assign"))

    def __init__(
        self,
        name: str,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        *,
        assign: Mapping[str, Any] | Missing = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, **fields)
        self.assign = assign
        self.choices: list[ChoiceRule] = []
        self.default: State | None = None

    def add(self, rule: ChoiceRule) -> None:
        """Add a rule after those there are.

        Raises:
            DefinitionError: a rule without a next state
        """
        if not isinstance(rule, ChoiceRule):
            raise WrongType(f"state {self.name!r}: a choice is a rule, not {rule!r}")
        if rule.next is None:
            raise DefinitionError(f"state {self.name!r}: a rule of a Choice needs a next state, unlike {rule!r}")
        self.choices.append(rule)

    def remove(self, rule: ChoiceRule) -> None:
        """Remove a rule.

        Raises:
            DefinitionError: a rule that is not there
        """
        if rule not in self.choices:
            raise DefinitionError(f"state {self.name!r} has no rule {rule!r}")
        self.choices.remove(rule)

    def set_default(self, state: State) -> None:
        """Set where the execution goes when no rule holds."""
        check_state(state)
        if self.default is not None and self.default is not state:
            _log.warning("default of %s changes from %s to %s", self, self.default, state)
        self.default = state

    def successors(self) -> list[State]:
        states = [rule.next for rule in self.choices] + [self.default]
        return list(dict.fromkeys(state for state in states if state is not None))

    def _fields(self) -> dict[str, Any]:
        if not self.choices:
            raise DefinitionError(f"state {self.name!r}: a Choice needs at least one rule; AWS refuses one without")
        default = {} if self.default is None else {"Default": self.default.name}
        return {**super()._fields(), "Choices": [rule.to_dict() for rule in self.choices], **default}


class Succeed(State):
    """End the execution (or the branch) with success.

    Parameters:
        name: of the state
        comment, input_path, output_path: see :class:`State`
    """

    TYPE = "Succeed"


class Fail(State):
    """End the execution with a failure.

    Parameters:
        name: of the state
        comment: for people
        input_path, output_path: there for sfini's sake; AWS refuses a Fail state that has them
        cause: why it fails, for people
        error: the error's name, which a machine around it can match
        cause_path, error_path: where in the input those are, or an intrinsic function that makes them
    """

    TYPE = "Fail"
    FIELDS = (
        *State.FIELDS,
        ("error", "Error"),
        ("error_path", "ErrorPath"),
        ("cause", "Cause"),
        ("cause_path", "CausePath"),
    )

    def __init__(
        self,
        name: str,
        comment: str | Missing = MISSING,
        input_path: str | Missing | None = MISSING,
        output_path: str | Missing | None = MISSING,
        cause: str | Missing = MISSING,
        error: str | Missing = MISSING,
        *,
        cause_path: str | Missing = MISSING,
        error_path: str | Missing = MISSING,
        **fields: Any,
    ) -> None:
        super().__init__(name, comment, input_path, output_path, **fields)
        self.cause = cause
        self.error = error
        self.cause_path = cause_path
        self.error_path = error_path
