"""AWS's rules for the names of activities, state machines, executions and states.

Source: the API reference of CreateActivity and CreateStateMachine; ``Quotas`` in the developer guide.
"""

from __future__ import annotations

from sfini_celery.errors import InvalidName

__all__ = ["LONGEST_NAME", "check_name", "check_state_name", "is_valid_name"]

LONGEST_NAME = 80
_FORBIDDEN = frozenset('?*<>{}[]"#%\\^|~`$&,;:/')


def _wrong_character(name: str) -> str | None:
    for char in name:
        if char in _FORBIDDEN or char.isspace() or ord(char) < 0x20 or 0x7F <= ord(char) <= 0x9F:
            return char
    return None


def is_valid_name(name: object) -> bool:
    """Whether AWS accepts this as the name of an activity, state machine or execution."""
    return isinstance(name, str) and 0 < len(name) <= LONGEST_NAME and _wrong_character(name) is None


def check_name(what: str, name: object, *, remedy: str = "") -> str:
    """Return ``name``, or raise :class:`InvalidName` saying what to change.

    Parameters:
        what: what is being named, for the message, as in ``"activity name"``
        name: the name, prefix included
        remedy: what the user should write, added to the message
    """
    if not isinstance(name, str):
        why = f"must be a string, not {type(name).__name__}"
    elif not name:
        why = "must not be empty"
    elif len(name) > LONGEST_NAME:
        why = f"is {len(name)} characters long, AWS allows {LONGEST_NAME}"
    elif (char := _wrong_character(name)) is not None:
        why = f"contains {char!r}, which AWS does not allow in a name"
    else:
        return name
    raise InvalidName(what, name, f"{why}{f': {remedy}' if remedy else ''}")


def check_state_name(name: object) -> str:
    """Return ``name``, or raise :class:`InvalidName`: state names may hold anything but are 1 to 80 characters."""
    if isinstance(name, str) and 0 < len(name) <= LONGEST_NAME:
        return name
    raise InvalidName("state name", name, f"must be a string of 1 to {LONGEST_NAME} characters")
