"""The census of a folder of Python source: three activities, and the state machine that strings them together.

    list packages --> analyse each (a Map: one activity task per package) --> summarise

A worker serves it with ``sfini-celery -A tasks worker``; ``python examples/census`` does that and all the rest.
"""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sfini_celery import SfiniCelery, asl

app = SfiniCelery("census")

MOST_PACKAGES = (
    600  # what Step Functions hands from state to state is 256 KiB at most, and a package's result is 300 bytes
)
LONGEST_TEXT = 80
TOP_LEVEL = "."
NOT_SOURCE = {"__pycache__", "site-packages", "dist-packages", "node_modules"}
TEST_FOLDERS = {"test", "tests", "idle_test"}

Package = dict[str, Any]


@app.activity
def list_packages(folder: str, tests: bool = False) -> list[Package]:
    """Every folder of Python files below ``folder``, each a package; small ones are folded into their parents."""
    root = Path(folder)
    if not root.is_dir():
        raise NotADirectoryError(folder)
    found = {name: {"name": name, "whole": False} for name in sorted(_packages(root, tests=tests))}
    depth = max((name.count(".") for name in found), default=0)
    while len(found) > MOST_PACKAGES and depth:
        for name in [name for name in found if name.count(".") == depth and name != TOP_LEVEL]:
            parent = name.rpartition(".")[0]
            found[parent] = {"name": parent, "whole": True}
            del found[name]
        depth -= 1
    return [found[name] for name in sorted(found)]


@app.activity
def analyse(folder: str, name: str, whole: bool = False, tests: bool = False) -> Package:
    """Parse every file of a package; a file that does not parse is counted, and stops nothing."""
    root = Path(folder)
    start = root if name == TOP_LEVEL else root.joinpath(*name.split("."))
    package: Package = dict.fromkeys(("files", "broken", "lines", "functions", "classes"), 0)
    longest: Package = {"lines": 0, "name": "", "where": ""}
    for file in sorted(_files(start, whole=whole, tests=tests)):
        package["files"] += 1
        try:
            source = file.read_bytes()
            package["lines"] += len(source.splitlines())
            tree = _parse(source)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            package["broken"] += 1
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                package["classes"] += 1
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                package["functions"] += 1
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > longest["lines"]:
                    where = f"{file.relative_to(root)}:{node.lineno}"
                    longest = {"lines": lines, "name": node.name[:LONGEST_TEXT], "where": where[-LONGEST_TEXT:]}
    return {"name": name, **package, "longest": longest, "process": os.getpid()}


@app.activity
def summarise(packages: list[Package], top: int = 10) -> Package:
    """The totals, and the ``top`` packages by lines."""
    largest = sorted(packages, key=lambda package: (-package["lines"], package["name"]))
    totals = {
        key: sum(package[key] for package in packages) for key in ("files", "broken", "lines", "functions", "classes")
    }
    longest = max((package["longest"] for package in packages), key=lambda found: found["lines"], default=None)
    return {
        "top": largest[:top],
        "total": {"name": "total", **totals, "longest": longest},
        "packages": len(packages),
        "processes": len({package["process"] for package in packages}),
    }


def _packages(root: Path, *, tests: bool) -> Iterator[str]:
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if _is_source(name, tests=tests)]
        if any(name.endswith(".py") for name in files):
            yield ".".join(Path(folder).relative_to(root).parts) or TOP_LEVEL


def _files(start: Path, *, whole: bool, tests: bool) -> Iterator[Path]:
    for folder, below, files in os.walk(start):
        below[:] = [name for name in below if whole and _is_source(name, tests=tests)]
        yield from (Path(folder, name) for name in files if name.endswith(".py"))


def _is_source(name: str, *, tests: bool) -> bool:
    return name.isidentifier() and name not in NOT_SOURCE and (tests or name not in TEST_FOLDERS)


def _parse(source: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other people's escape sequences are not what is counted
        return ast.parse(source)


def _retried(task: asl.Task) -> asl.Task:
    """Try again what was nobody's fault: a worker that died, stopped, or could not start the task."""
    task.retry_for(["sfini.WorkerLost", "States.HeartbeatTimeout"], max_attempts=3, jitter="FULL")
    task.retry_for(["sfini.WorkerShutdown", "sfini.NotStarted"], max_attempts=10, jitter="FULL")
    return task


def _machine() -> asl.StateMachine:
    packages = _retried(asl.Task("list packages", list_packages, result_path="$.packages"))
    each = asl.Map(
        "analyse each",
        asl.construct_state_machine("one package", _retried(asl.Task("analyse", analyse))),
        items_path="$.packages",
        item_selector={
            "folder.$": "$.folder",
            "tests.$": "$.tests",
            "name.$": "$$.Map.Item.Value.name",
            "whole.$": "$$.Map.Item.Value.whole",
        },
        result_path="$.packages",
    )
    table = asl.Task(
        "summarise",
        summarise,
        parameters={"packages.$": "$.packages", "top.$": "$.top"},
    )
    # the first state gets the execution's whole input; it has no use for the size of the table
    packages.parameters = {"folder.$": "$.folder", "tests.$": "$.tests"}
    packages.goes_to(each).goes_to(_retried(table))
    return asl.construct_state_machine("census", packages)


census = app.workflow("census", _machine(), timeout=3600)
