"""Intrinsic functions: parsing a call such as ``States.Format('{} of {}', $.n, States.ArrayLength($.all))``.

A call is compiled once into a small tree of :class:`Literal`, :class:`Reference` and :class:`Call`; what each function
does is in :mod:`.functions`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .errors import DataError, PathNotFound
from .functions import FUNCTIONS, FunctionError, unescape
from .paths import Scope, get_path


def is_call(expr: str) -> bool:
    """Whether an expression calls an intrinsic function, rather than being a path."""
    return expr.startswith("States.")


def call(expr: str, scope: Scope) -> Any:
    """Evaluate a call of an intrinsic function.

    Args:
        expr: as in ``States.MathAdd($.a, 1)``; calls nest
        scope: what its paths see

    Raises:
        DataError: ``States.IntrinsicFailure`` when the function refuses its arguments, ``States.Runtime`` when a path
            finds nothing or the call cannot be parsed
    """
    return compile_call(expr).evaluate(scope)


@dataclass(frozen=True)
class Literal:
    """A constant argument.

    Attributes:
        value: what it is
        raw: what stands between the quotes of a string, escapes included
    """

    value: Any
    raw: str | None = None

    def evaluate(self, scope: Scope) -> Any:
        return self.value


@dataclass(frozen=True)
class Reference:
    """A path, context path or variable as argument."""

    path: str

    def evaluate(self, scope: Scope) -> Any:
        return get_path(self.path, scope)


@dataclass(frozen=True)
class Call:
    """A call.

    Attributes:
        text: as written, for causes
        name: the function, without ``States.``
        arguments: in order
    """

    text: str
    name: str
    arguments: tuple[Literal | Reference | Call, ...]

    def evaluate(self, scope: Scope) -> Any:
        """What the function returns.

        Raises:
            DataError: as :func:`call`
        """
        values = []
        for argument in self.arguments:
            try:
                values.append(argument.evaluate(scope))
            except PathNotFound as missing:
                why = (
                    f"The JsonPath argument for the field '{missing.path}' could not be found in the input "
                    f"'{scope.input_text()}'"
                )
                raise DataError("States.Runtime", self._cause(why)) from None
        try:
            return FUNCTIONS[self.name](*values)
        except FunctionError as error:
            raise DataError("States.IntrinsicFailure", self._cause(str(error))) from None

    def _cause(self, why: str) -> str:
        return f"The function '{self.text}' had the following error: {why}"


_CALL = re.compile(r"States\.(\w+)\s*\(")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_STRING = re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None}
_WORD = re.compile("|".join(_WORDS))
_SPACE = re.compile(r"\s*")


@lru_cache(maxsize=2048)
def compile_call(text: str) -> Call:
    """Compile a call; the same text gives the same object.

    Raises:
        DataError: it is not one call of a function there is, with as many arguments as it takes
    """
    parser = _Parser(text)
    compiled = parser.call(parser.skip(0))
    if parser.skip(parser.at) != len(text):
        raise parser.error(f"unexpected text after the call: {text[parser.at :]}")
    return compiled


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def error(self, why: str) -> DataError:
        return DataError("States.Runtime", f"The intrinsic function call '{self.text}' is not valid: {why}")

    def skip(self, at: int) -> int:
        space = _SPACE.match(self.text, at)
        self.at = space.end() if space else at
        return self.at

    def call(self, start: int) -> Call:
        found = _CALL.match(self.text, start)
        if not found:
            raise self.error(f"a call was expected at {self.text[start:]!r}")
        name = found[1]
        if name not in FUNCTIONS:
            raise self.error(f"there is no function States.{name}")
        arguments: list[Literal | Reference | Call] = []
        self.skip(found.end())
        while self.text[self.at : self.at + 1] != ")":
            if arguments:
                if self.text[self.at : self.at + 1] != ",":
                    raise self.error("',' or ')' was expected")
                self.skip(self.at + 1)
            arguments.append(self.argument(self.at))
            self.skip(self.at)
        self.at += 1
        least, most = FUNCTIONS[name].takes
        if len(arguments) < least or (most is not None and len(arguments) > most):
            raise self.error(f"States.{name} does not take {len(arguments)} arguments")
        if name == "Format" and isinstance(arguments[0], Literal):
            # Format reads the escapes itself: \\{ and \\} are not a place.
            arguments[0] = Literal(arguments[0].raw)
        return Call(self.text[start : self.at], name, tuple(arguments))

    def argument(self, start: int) -> Literal | Reference | Call:
        text = self.text
        if text.startswith("States.", start):
            return self.call(start)
        if text.startswith("$", start):
            self.at = self._path_end(start)
            return Reference(text[start : self.at].rstrip())
        if found := _STRING.match(text, start):
            self.at = found.end()
            return Literal(unescape(found[1]), found[1])
        if found := _NUMBER.match(text, start):
            self.at = found.end()
            return Literal(float(found[0]) if set(".eE") & set(found[0]) else int(found[0]))
        if found := _WORD.match(text, start):
            self.at = found.end()
            return Literal(_WORDS[found[0]])
        raise self.error(f"an argument was expected at {text[start:]!r}")

    def _path_end(self, start: int) -> int:
        depth, at = 0, start
        while at < len(self.text):
            char = self.text[at]
            if char in "'\"" and depth:
                closing = at + 1
                while closing < len(self.text) and self.text[closing] != char:
                    closing += 2 if self.text[closing] == "\\" else 1
                at = closing
            elif char in "([":
                depth += 1
            elif char in ")]" and depth:
                depth -= 1
            elif char in ",)" and not depth:
                return at
            at += 1
        raise self.error("')' was expected")
