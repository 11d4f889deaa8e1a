"""Whose a state machine or an activity is: two tags say it, and only what has them is ever deleted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ADHOC_TAG", "APP_TAG", "MANAGED_TAG", "Owner"]

APP_TAG = "sfini:app"
MANAGED_TAG = "sfini:managed"
ADHOC_TAG = "sfini:adhoc"
"""On machines of canvases that nobody named; they are deleted when idle, and not because no workflow declares them."""

_REFUSED_IN_TAGS = re.compile(r"[^\w\s.:/=+@-]")
_LONGEST_VALUE = 256


@dataclass(frozen=True)
class Owner:
    """The app that things belong to.

    Attributes:
        app: its name
        prefix: the setting ``sfn_prefix``: one app under two prefixes, as for production and staging in one account,
            is two owners
    """

    app: str
    prefix: str = ""

    @property
    def tags(self) -> dict[str, str]:
        """What everything that is registered for it has."""
        return {APP_TAG: _value(self.app), MANAGED_TAG: _value(f"prefix={self.prefix}")}

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether what has these tags was registered for it."""
        return ADHOC_TAG not in tags and all(tags.get(key) == value for key, value in self.tags.items())

    def missing_from(self, tags: Mapping[str, str]) -> dict[str, str]:
        """The tags to add to what it declares and does not own yet."""
        return {key: value for key, value in self.tags.items() if tags.get(key) != value}

    def stranger(self, tags: Mapping[str, str]) -> str | None:
        """The other app that what has these tags belongs to, None where it is nobody's or this one's."""
        app = tags.get(APP_TAG)
        return None if app is None or app == self.tags[APP_TAG] else app


def _value(text: str) -> str:
    """What AWS accepts as the value of a tag."""
    return _REFUSED_IN_TAGS.sub("_", text)[:_LONGEST_VALUE]
