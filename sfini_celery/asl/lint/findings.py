"""What lint finds, where, and the codes it has for it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["CODES", "Finding", "Spot"]

CODES: Final[Mapping[str, str]] = {
    # the text and the machine
    "NOT_JSON": "the text is not JSON",
    "DUPLICATE_KEY": "one object has a key twice, so that all but the last are lost",
    "NOT_AN_OBJECT": "the definition is not an object",
    "TOO_LARGE": "the definition is over 1 MiB",
    "TOO_DEEP": "the definition is nested too deeply to be checked",
    "INVALID_MACHINE_NAME": "AWS would refuse the machine's name",
    # fields
    "MISSING_FIELD": "a field that must be there is not",
    "UNKNOWN_FIELD": "the states language has no such field",
    "FIELD_NOT_ALLOWED": "states of this type cannot have the field",
    "EXCLUSIVE_FIELDS": "two fields of which only one can be there",
    "WRONG_QUERY_LANGUAGE": "the field belongs to the other query language",
    "WRONG_TYPE": "a value of the wrong JSON type",
    "OUT_OF_RANGE": "a number or a length outside what AWS allows",
    "UNKNOWN_VALUE": "not one of the values there are",
    "EMPTY": "a list or an object that must hold something",
    # states and where they go
    "INVALID_STATE_NAME": "a state's name is not 1 to 80 characters long",
    "DUPLICATE_STATE_NAME": "two states of one name, machines inside the machine included",
    "UNKNOWN_TYPE": "a state of a type that does not exist",
    "UNKNOWN_TARGET": "a state goes to one that is not beside it",
    "UNREACHABLE_STATE": "nothing leads to the state",
    "NO_TERMINAL_STATE": "no state ends the machine",
    "NEXT_AND_END": "a state both goes on and ends",
    "NEITHER_NEXT_NOR_END": "a state neither goes on nor ends",
    # tasks, waiting, failing
    "INVALID_RESOURCE": "a resource that is not an ARN",
    "HEARTBEAT_NOT_BELOW_TIMEOUT": "HeartbeatSeconds is not below TimeoutSeconds",
    "INVALID_TIMESTAMP": "not a timestamp as in RFC3339",
    "DELAY_NOT_ABOVE_INTERVAL": "MaxDelaySeconds is not above IntervalSeconds",
    "STATES_ALL_NOT_ALONE": "States.ALL beside other errors",
    "STATES_ALL_NOT_LAST": "an entry for States.ALL before others",
    # choice rules
    "NO_OPERATOR": "a choice rule without an operator",
    "SEVERAL_OPERATORS": "a choice rule with several operators",
    "NESTED_RULE": "a rule inside another has what only the outermost one can have",
    # paths, templates, variables
    "INVALID_PATH": "not a path",
    "INVALID_REFERENCE_PATH": "a path that is not to one place, or not of what it can be of",
    "INVALID_TEMPLATE": "a field whose name ends in '.$' is neither path nor call",
    "INVALID_VARIABLE_NAME": "AWS would refuse the variable's name",
    # warnings only
    "UNKNOWN_ERROR": "an error that begins with States. and does not exist",
    "UNMATCHED_ERROR": "an error that can be neither retried nor caught",
    "REPEATED_ERROR": "an error that an entry before matches",
    "NO_DOLLAR": "text that looks as if it were meant to be evaluated",
    "NO_PATH": "a field without Path that holds what looks like a path",
    "STATIC_RESULT": "a Result that looks as if it were meant to be evaluated",
    "HALF_EXPRESSION": "text with only one end of a JSONata expression",
    "TOKEN_NOT_SENT": "a task waits for a token that nobody is told",
    "DISTRIBUTED_ONLY": "a field of distributed Maps in an inline one",
    "INLINE_CONCURRENCY": "an inline Map with more at once than AWS runs",
}
"""Every code, and what it means. Codes do not change; new ones may come."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or unwise, about a definition.

    Attributes:
        path: where, as a JSONPath: ``$.States.add.Retry[0].ErrorEquals``
        code: what kind of thing, one of :data:`CODES`
        message: what is wrong, for people
        severity: ``"error"`` where AWS refuses the definition, ``"warning"`` where it takes it
    """

    path: str
    code: str
    message: str
    severity: str

    def __str__(self) -> str:
        return f"{self.severity} {self.code} at {self.path}: {self.message}"


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Spot:
    """A place in a definition, and where what is found there goes."""

    __slots__ = ("findings", "path")

    def __init__(self, findings: list[Finding], path: str = "$") -> None:
        self.findings = findings
        self.path = path

    def __getitem__(self, key: object) -> Spot:
        """The place under a key or an index."""
        if isinstance(key, int):
            step = f"[{key}]"
        elif _PLAIN.fullmatch(str(key)):
            step = f".{key}"
        else:
            step = f"[{json.dumps(str(key), ensure_ascii=False)}]"
        return Spot(self.findings, self.path + step)

    def error(self, code: str, message: str) -> None:
        self.findings.append(Finding(self.path, code, message, "error"))

    def warning(self, code: str, message: str) -> None:
        self.findings.append(Finding(self.path, code, message, "warning"))
