"""What the compiler must know of an app; ``StepFunctions`` knows it, and so does a few lines in a test."""

from __future__ import annotations

from typing import Protocol

from celery import Celery

from sfini_celery.activity import ActivityRegistry

__all__ = ["AppView"]


class AppView(Protocol):
    """An app as the compiler sees it."""

    @property
    def celery(self) -> Celery:
        """The Celery app whose tasks a canvas names."""

    @property
    def activities(self) -> ActivityRegistry:
        """Its activities."""

    @property
    def retries(self) -> str:
        """The setting ``sfn_retries``: where ``autoretry_for`` happens, ``"worker"`` or ``"states"``."""

    def arn_of(self, kind: str, name: str) -> str:
        """The ARN of an activity (``"activity"``) or state machine (``"stateMachine"``) by its name in AWS."""

    def queue_of(self, task: str) -> str | None:
        """The queue that a task routes to of its own accord."""

    def workflow_of(self, task: str) -> tuple[str, str]:
        """The workflow that a Celery task starts: its state machine's name in AWS, and what its input is.

        Raises:
            KeyError: the task starts none
        """
