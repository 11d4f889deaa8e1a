"""Names of states: the tasks' names, unique, and stable under edits elsewhere in the canvas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sfini_celery.errors import CompileError
from sfini_celery.names import LONGEST_NAME

__all__ = ["StateNames"]


class StateNames:
    """Hands out the names of one machine's states, nested ones included, since AWS wants them unique in the whole.

    Where two states would have one name, the later one gets a number: ``proj.add (2)``. An edit elsewhere renames a
    state only if it adds or removes one of the same name before it; ``sfn_name`` settles that too.
    """

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}
        self._last: dict[str, int] = {}
        self._repeating = False

    @contextmanager
    def repeating(self) -> Iterator[None]:
        """While the same node is turned into states a second time: names that the user chose get a number."""
        before, self._repeating = self._repeating, True
        try:
            yield
        finally:
            self._repeating = before

    def give(self, wanted: str, path: str, *, chosen: str | None = None) -> str:
        """A name for a state.

        Parameters:
            wanted: what describes it, made unique with a number
            path: where it stands
            chosen: the user's own choice (``sfn_name``), which is taken as it is

        Raises:
            CompileError: the user's choice is taken, or is too long
        """
        place = path or "canvas"
        if chosen is not None:
            return self._chosen(chosen, place)
        name, number = _fitted(wanted, ""), self._last.get(wanted, 1)
        while name in self._taken:
            number += 1
            name = _fitted(wanted, f" ({number})")
        self._last[wanted] = number
        self._taken[name] = place
        return name

    def _chosen(self, chosen: str, place: str) -> str:
        if not isinstance(chosen, str) or not 0 < len(chosen) <= LONGEST_NAME:
            length = f", not of {len(chosen)}" if isinstance(chosen, str) else ""
            raise CompileError(
                place, f"sfn_name {chosen!r} must be text of 1 to {LONGEST_NAME} characters{length}", "shorten it"
            )
        if self._repeating:
            return self.give(chosen, place)
        if chosen in self._taken:
            raise CompileError(
                place,
                f"state {chosen!r} is already defined at {self._taken[chosen]}",
                "give one of them another sfn_name",
            )
        self._taken[chosen] = place
        return chosen


def _fitted(wanted: str, suffix: str) -> str:
    """A name cut to the length AWS allows: of a dotted name the end says more, of a sentence the beginning."""
    room = LONGEST_NAME - len(suffix)
    if len(wanted) <= room:
        return wanted + suffix
    cut = wanted[: room - 3] + "..." if " " in wanted else "..." + wanted[-(room - 3) :]
    return cut + suffix
