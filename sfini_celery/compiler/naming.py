"""Names of states: the tasks' names, unique, and stable under edits elsewhere in the canvas."""

from __future__ import annotations

from sfini_celery.errors import CompileError
from sfini_celery.names import LONGEST_NAME

__all__ = ["StateNames"]


class StateNames:
    """Hands out the names of one machine's states, nested ones included, since AWS wants them unique in the whole."""

    def __init__(self) -> None:
        self._taken: dict[str, str] = {}
        self.repeating = False

    def give(self, wanted: str, path: str, *, chosen: str | None = None) -> str:
        """A name for a state.

        Parameters:
            wanted: what describes it, made unique with a number
            path: where it stands
            chosen: the user's own choice (``sfn_name``), which is taken as it is

        Raises:
            CompileError: the user's choice is taken, or too long
        """
        place = path or "canvas"
        if chosen is not None:
            if not isinstance(chosen, str) or not 0 < len(chosen) <= LONGEST_NAME:
                raise CompileError(place, f"sfn_name {chosen!r} must be text of 1 to {LONGEST_NAME} characters")
            if self.repeating:
                return self.give(chosen, path)
            if chosen in self._taken:
                raise CompileError(place, f"state {chosen!r} is already defined at {self._taken[chosen]}")
            self._taken[chosen] = place
            return chosen
        number, name = 1, wanted[-LONGEST_NAME:]
        while name in self._taken:
            number += 1
            suffix = f" ({number})"
            name = wanted[-(LONGEST_NAME - len(suffix)) :] + suffix
        self._taken[name] = place
        return name
