"""What choice rules have in common: where they go, how they are written, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sfini_celery.asl.fields import MISSING, Missing
from sfini_celery.asl.state import State, Table, check_state, write
from sfini_celery.errors import DefinitionError

__all__ = ["READERS", "ChoiceRule", "check_next"]


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


Reader = Callable[[Any, dict[str, Any]], ChoiceRule]
"""Makes a rule of an operator's operand and of the rule's other fields; takes those it knows out of ``extra``."""

READERS: dict[str, Reader] = {}
"""How a rule is read, by its operator; the kinds of rules put themselves here."""


def check_next(state: State | None) -> None:
    """Raise :class:`WrongType` for a next state that is none, such as its name."""
    if state is not None:
        check_state(state)


def _read(definition: object, states: Mapping[str, State]) -> ChoiceRule:
    if not isinstance(definition, Mapping):
        raise DefinitionError(f"a choice rule is an object, not {definition!r}")
    rest = dict(definition)
    operators = [name for name in rest if name in READERS]
    if len(operators) != 1:
        raise DefinitionError(f"a choice rule has one operator, but {definition!r} has {len(operators)}")
    operand = rest.pop(operators[0])
    fields: dict[str, Any] = {attribute: rest.pop(name) for attribute, name in ChoiceRule.FIELDS if name in rest}
    if "Next" in rest:
        target = rest.pop("Next")
        if not isinstance(target, str) or target not in states:
            raise DefinitionError(f"choice rule: there is no state {target!r} to go to")
        fields["next_state"] = states[target]
    return READERS[operators[0]](operand, {**fields, "extra": rest})
