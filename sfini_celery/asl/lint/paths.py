"""The syntax of paths, as far as a path can be known to be wrong before there is data.

AWS reads paths with a lenient JSONPath library, so this is lenient too: names may hold dashes, and what is inside
brackets is only looked at for quotes and nesting.
"""

from __future__ import annotations

import re

__all__ = ["INTRINSICS", "is_intrinsic", "is_path", "is_reference_path", "looks_dynamic"]

INTRINSICS = frozenset(
    """
    Array ArrayContains ArrayGetItem ArrayLength ArrayPartition ArrayRange ArrayUnique Base64Decode Base64Encode Format
    Hash JsonMerge JsonToString MathAdd MathRandom StringSplit StringToJson UUID
    """.split()  # noqa: SIM905
)
"""The intrinsic functions there are, without ``States.``."""

_ROOT = re.compile(r"\$\$|\$[^\W\d]\w*|\$")
_NAME = re.compile(r"\.\.?[^\s.\[\]()]+(?:\([^()]*\))?")
_REFERENCE_STEP = re.compile(r"\.[^\s.\[\]()@,:?*]+|\[\d+\]|\['(?:[^'\\]|\\.)+'\]|\[\"(?:[^\"\\]|\\.)+\"\]")
_CALL = re.compile(r"States\.(\w+)\(")
_CLOSING = {"[": "]", "(": ")"}


def is_path(text: str) -> bool:
    """Whether this can be a path: of the input (``$``), the context object (``$$``) or a variable (``$name``)."""
    root = _ROOT.match(text)
    if root is None:
        return False
    place = root.end()
    while place < len(text):
        if (step := _NAME.match(text, place)) is not None:
            place = step.end()
            continue
        opening = place + 2 if text.startswith("..[", place) else place
        end = _closed(text, opening) if text.startswith("[", opening) else None
        if end is None or not text[opening + 1 : end].strip():
            return False
        place = end + 1
    return True


def _closed(text: str, opening: int) -> int | None:
    """Where the bracket that opens here is closed; ``None`` when it is not."""
    waiting: list[str] = []
    quote = ""
    place = opening
    while place < len(text):
        char = text[place]
        if quote:
            if char == "\\":
                place += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in _CLOSING:
            waiting.append(_CLOSING[char])
        elif char in "])":
            if waiting.pop() != char:
                return None
            if not waiting:
                return place
        place += 1
    return None


def is_reference_path(text: str, *, context: bool = False, variables: bool = True) -> bool:
    """Whether this can be a path to one place: names and indexes only, no filters, wildcards or slices.

    Parameters:
        text: the path
        context: whether the context object (``$$``) may be meant
        variables: whether a variable (``$name``) may be meant
    """
    root = _ROOT.match(text)
    if root is None or (root[0] == "$$" and not context) or (root[0] not in ("$", "$$") and not variables):
        return False
    place = root.end()
    while place < len(text):
        if (step := _REFERENCE_STEP.match(text, place)) is None:
            return False
        place = step.end()
    return True


def is_intrinsic(text: str) -> bool:
    """Whether this can be a call of an intrinsic function, as in ``States.Format('{}', $.name)``."""
    text = text.strip()
    call = _CALL.match(text)
    return call is not None and call[1] in INTRINSICS and _closed(text, call.end() - 1) == len(text) - 1


def looks_dynamic(text: str) -> bool:
    """Whether somebody surely meant this to be evaluated."""
    return (text.startswith(("$.", "$[", "$$.")) and is_path(text)) or is_intrinsic(text)
