"""What compiling costs: run ``python tests/benchmarks/compiler.py``, read the figures.

Nothing here passes or fails. A node is one call of a task, one chain or one group. Making the signatures is Celery's
work and not in the figures.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery import chain, group

from sfini_celery import SfiniCelery
from sfini_celery.activity import ActivityRegistry
from sfini_celery.compiler import compile_canvas
from sfini_celery.errors import CompileError

app = SfiniCelery("benchmark", broker="memory://")


@app.activity
def add(x: int = 0, y: int = 0) -> int:
    return x + y


@app.activity
def total(values: list[int]) -> int:
    return sum(values)


class View:
    """The app as the compiler sees it, without AWS."""

    celery = app
    retries = "worker"

    @property
    def activities(self) -> ActivityRegistry:
        return app.sfn.activities

    def arn_of(self, kind: str, name: str) -> str:
        return f"arn:aws:states:us-east-1:123456789012:{kind}:{name}"

    def queue_of(self, task: str) -> str:
        return "celery"

    def workflow_of(self, task: str) -> tuple[str, str]:
        raise KeyError(task)


Make = Callable[[int], Any]
CANVASES: dict[str, tuple[Make, bool]] = {
    "ad-hoc group of N": (lambda n: group(add.s(i, 1) for i in range(n)) | total.s(), True),
    "ad-hoc group of N / 4 chains of four": (
        lambda n: group([chain(add.s(i, 1), add.s(2), add.s(3), add.s(4)) for i in range(n // 4)]) | total.s(),
        True,
    ),
    "ad-hoc groups of 100 in a group": (
        lambda n: group([add.s(k, 1) | group(add.s(i) for i in range(99)) for k in range(n // 100)]),
        True,
    ),
    "named chain of N": (lambda n: chain([add.s(i, 1) if i == 0 else add.s(i) for i in range(n)]), False),
    "named group of N": (lambda n: group(add.s(i, 1) for i in range(n)) | total.s(), False),
}


def measure(make: Make, count: int, *, adhoc: bool) -> None:
    view, canvas = View(), make(count)
    gc.collect()
    began = time.process_time()  # other programs of the machine do not count
    try:
        compiled = compile_canvas(canvas, view, adhoc=adhoc)
        told = f"definition {len(compiled.text):>9,} bytes"
    except CompileError as error:
        told = f"refused: {error.why}"
    seconds = time.process_time() - began
    tracemalloc.start()
    with suppress(CompileError):
        compile_canvas(canvas, view, adhoc=adhoc)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"  N = {count:>6,}  {seconds * 1000:>8,.0f} ms  {peak / 1e6:>7.1f} MB at most  {told}")


def main() -> None:
    measure(CANVASES["named chain of N"][0], 2, adhoc=False)  # imports, caches
    for name, (make, adhoc) in CANVASES.items():
        print(name)
        for count in (100, 1_000, 5_000, 10_000) if adhoc else (100, 500, 1_000, 10_000):
            measure(make, count, adhoc=adhoc)


if __name__ == "__main__":
    main()
