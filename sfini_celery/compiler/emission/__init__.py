"""Nodes -> states."""

from sfini_celery.compiler.emission import (  # noqa: F401 - they register what they emit
    failures,
    flow,
    groups,
    nested,
    raw,
    steps,
)
from sfini_celery.compiler.emission.emitter import Emitter, emits, known_errors
from sfini_celery.compiler.emission.fragment import close
from sfini_celery.compiler.emission.frame import Frame, Previous

__all__ = ["Emitter", "Frame", "Previous", "close", "emits", "known_errors"]
