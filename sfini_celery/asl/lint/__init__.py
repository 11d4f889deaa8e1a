"""What AWS would say about a definition, before AWS sees it."""

from sfini_celery.asl.lint.definition import lint
from sfini_celery.asl.lint.findings import CODES, Finding

__all__ = ["CODES", "Finding", "lint"]
