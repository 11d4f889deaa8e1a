"""What must be known before polling can start: the activities' ARNs, and that the activities exist."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from celery.utils.log import get_logger

from sfini_celery.errors import AccessDenied, SfiniError

__all__ = ["Control", "find_activities", "persist"]

logger = get_logger(__name__)

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds


class Control(Protocol):
    """What is needed of the control plane."""

    def arn(self, kind: str, name: str) -> str:
        """The ARN that something of this name has."""

    def create_activity(self, name: str) -> str:
        """Create an activity unless there is one; its ARN."""

    def list_activities(self) -> Iterable[dict[str, object]]:
        """Those there are."""


def find_activities(control: Control, names: Iterable[str], *, create: bool) -> dict[str, str]:
    """The ARN of each activity, those that are missing created if ``create``.

    Raises:
        SfiniError: AWS cannot be reached or asked; not for lack of the right to list or create, since a worker may be
            allowed to poll and report only
    """
    arns = {name: control.arn("activity", name) for name in names}
    if not create:
        return arns
    try:
        # One call for a fleet that starts together, where a CreateActivity for each would be throttled for minutes.
        there = {str(activity["name"]) for activity in control.list_activities()}
    except AccessDenied:
        there = set()
    missing = [name for name in arns if name not in there]
    for name in missing:
        try:
            arns[name] = control.create_activity(name)
        except AccessDenied as exc:
            logger.warning(
                "sfini_activities_not_created: this worker may not create activities (%s); it polls them all the same, "
                "register them with an account that may, or set sfn_create_missing_activities = False",
                exc,
            )
            return arns
    if missing:
        logger.info("sfini_activities_created: %s", ", ".join(missing))
    return arns


def persist(
    what: str, attempt: Callable[[], T], stop: threading.Event, *, rng: Callable[[], float] = random.random
) -> T | None:
    """Try until it succeeds, saying each time why not; None when told to stop.

    Parameters:
        what: for the log, as in ``"polling cannot start"``
        attempt: raises a SfiniError while it cannot be done
        stop: set to give up
    """
    pause = FIRST_PAUSE
    while not stop.is_set():
        try:
            return attempt()
        except SfiniError as exc:
            wait = pause * (0.5 + rng() / 2)
            logger.error("sfini_setup_failed: %s; next attempt in %.0f s: %s", what, wait, exc)
        except Exception:
            wait = pause * (0.5 + rng() / 2)
            logger.exception("sfini_setup_failed: %s; next attempt in %.0f s", what, wait)
        if stop.wait(wait):
            break
        pause = min(pause * 2, LONGEST_PAUSE)
    return None
