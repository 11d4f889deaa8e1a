"""What a workflow can do that Celery's canvas cannot: steps that compose with ``|`` like Celery's own.

    orders = fetch.s() | each(price.s()) | choice(when(prev["total"] > 100, review.s()), otherwise=ship.s())

They compile to states (:mod:`sfini_celery.compiler`), survive Celery's serializer, and run eagerly with ``apply()``.
"""

from sfini_celery.canvas.eager import run_eagerly
from sfini_celery.canvas.prev import Comparison, Condition, Every, Expression, Negation, Some, TypeTest, prev
from sfini_celery.canvas.primitives import Primitive, asl, catch, choice, each, loop, wait, when

__all__ = [
    # steps
    "asl",
    "catch",
    "choice",
    "each",
    "loop",
    "wait",
    "when",
    "Primitive",
    "run_eagerly",
    # expressions
    "prev",
    "Expression",
    # conditions
    "Comparison",
    "Condition",
    "Every",
    "Negation",
    "Some",
    "TypeTest",
]
