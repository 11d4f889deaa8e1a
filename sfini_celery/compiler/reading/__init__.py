"""Signatures -> nodes."""

from sfini_celery.compiler.reading import constructs, primitives  # noqa: F401 - they register what they read
from sfini_celery.compiler.reading.reader import Reader, reads

__all__ = ["Reader", "reads"]
