"""What the result of a whole execution and that of a part of it have in common: Celery's words for how it ended."""

from __future__ import annotations

from typing import Any

from celery import states
from celery.result import ResultBase

__all__ = ["Outcome"]


class Outcome(ResultBase):
    """How something ended, in the names of Celery's AsyncResult. What it is about says its state, value and failure."""

    @property
    def state(self) -> str:
        """In Celery's words."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Whether it has ended."""
        return bool(self.state in states.READY_STATES)

    def successful(self) -> bool:
        """Whether it has ended well."""
        return bool(self.state == states.SUCCESS)

    def failed(self) -> bool:
        """Whether it failed or timed out."""
        return bool(self.state == states.FAILURE)

    @property
    def result(self) -> Any:
        """What it returned; the exception where it failed; None before it has ended."""
        if not self.ready():
            return None
        failure = self._failure()
        return self._value() if failure is None else failure

    info = result

    @property
    def traceback(self) -> str | None:
        """The traceback of the task that failed, as text; None where no task did."""
        return getattr(self._failure() if self.ready() else None, "remote_traceback", None)

    def _value(self) -> Any:
        raise NotImplementedError

    def _failure(self) -> BaseException | None:
        raise NotImplementedError
