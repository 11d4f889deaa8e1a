"""Aligned tables, safe to print whatever an execution put into them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Column", "colour", "printable", "table"]

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_GAP = "  "
_CUT = "..."


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading
        right: aligned to the right, as numbers are
        widest: characters at most; longer texts are cut
        styles: text of a cell to the style it is shown in when colours are on
    """

    title: str
    right: bool = False
    widest: int | None = None
    styles: Mapping[str, str] = field(default_factory=dict)


def printable(text: object) -> str:
    """Text that cannot steer a terminal: control and invisible formatting characters are written as escapes.

    Names, causes and outputs come from executions, so anybody's data ends up on an operator's screen.

    Example:
        >>> print(printable("red \\x1b[31m, and a new\\nline"))
        red \\x1b[31m, and a new\\nline
    """
    return "".join(map(_shown, str(text)))


def _shown(char: str) -> str:
    # Cc: controls; Cf: among others what turns the direction of writing; Cs: half characters that no terminal takes
    if char == " " or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return char
    return char.encode("unicode_escape").decode("ascii")


def colour(text: str, style: str | None) -> str:
    """Text in a style of a terminal: bold, dim, red, green, yellow or cyan."""
    code = _STYLES.get(style or "")
    return f"\x1b[{code}m{text}\x1b[0m" if code else text


def table(columns: Sequence[Column | str], rows: Iterable[Sequence[object]], *, colours: bool = False) -> str:
    """Rows below headings, each column as wide as it must be; no spaces at the ends of lines.

    Parameters:
        columns: a :class:`Column`, or only its title
        rows: a cell per column; None is an empty one
        colours: use the columns' styles, and bold headings
    Example:
        >>> print(table(["name", Column("seconds", right=True)], [["add", 2], ["multiply", 13]]))
        name      seconds
        add             2
        multiply       13
    """
    heads = [Column(column) if isinstance(column, str) else column for column in columns]
    titles = [printable(head.title) for head in heads]
    cells = [[_cell(value, head) for value, head in zip(row, heads, strict=True)] for row in rows]
    widths = [max([_width(title), *(_width(row[place]) for row in cells)]) for place, title in enumerate(titles)]

    def line(texts: Sequence[str], styles: Sequence[str | None]) -> str:
        parts = []
        for text, style, width, head in zip(texts, styles, widths, heads, strict=True):
            space = " " * (width - _width(text))
            shown = colour(text, style) if colours else text
            parts.append(space + shown if head.right else shown + space)
        return _GAP.join(parts).rstrip()

    lines = [line(titles, ["bold"] * len(heads))]
    lines += [
        line(row, [head.styles.get(text.strip()) for text, head in zip(row, heads, strict=True)]) for row in cells
    ]
    return "\n".join(lines)


def _cell(value: object, column: Column) -> str:
    text = "" if value is None else printable(value)
    if column.widest is not None and _width(text) > column.widest:
        while text and _width(text) > column.widest - len(_CUT):
            text = text[:-1]
        text += _CUT
    return text


def _width(text: str) -> int:
    """Columns of a terminal: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
