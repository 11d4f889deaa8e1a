"""The names users import are a list, and importing the package costs next to nothing."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sfini_celery
from sfini_celery import asl

SURFACE = """
    AWSSession Activity ActivityRegistration And BooleanEquals BooleanEqualsPath CLI Choice Fail IsBoolean IsNull
    IsNumeric IsPresent IsString IsTimestamp Lambda Map Not NumericEquals NumericEqualsPath NumericGreaterThan
    NumericGreaterThanEquals NumericGreaterThanEqualsPath NumericGreaterThanPath NumericLessThan NumericLessThanEquals
    NumericLessThanEqualsPath NumericLessThanPath Or Parallel Pass SfiniCelery SfiniError StateMachine StepFunctions
    StringEquals StringEqualsPath StringGreaterThan StringGreaterThanEquals StringGreaterThanEqualsPath
    StringGreaterThanPath StringLessThan StringLessThanEquals StringLessThanEqualsPath StringLessThanPath StringMatches
    Succeed Task TimestampEquals TimestampEqualsPath TimestampGreaterThan TimestampGreaterThanEquals
    TimestampGreaterThanEqualsPath TimestampGreaterThanPath TimestampLessThan TimestampLessThanEquals
    TimestampLessThanEqualsPath TimestampLessThanPath Wait Worker WorkerCancel catch choice
    construct_state_machine each loop prev wait when
""".split()


def test_the_public_names_change_only_on_purpose() -> None:
    assert sorted(sfini_celery.__all__) == SURFACE


@pytest.mark.parametrize("name", SURFACE)
def test_every_public_name_can_be_had_and_is_listed_by_dir(name: str) -> None:
    value = getattr(sfini_celery, name)
    assert value is sfini_celery.canvas.prev if name == "prev" else value.__name__ == name
    assert name in dir(sfini_celery)


def test_asl_is_the_module_of_states_and_the_step_of_a_canvas_is_beside_the_other_steps() -> None:
    from sfini_celery import asl as module
    from sfini_celery.canvas import asl as step

    assert module is sfini_celery.asl
    assert module.Task is sfini_celery.Task
    assert step.NAME == "asl"


def test_type_checkers_see_the_names_that_are_there_at_run_time() -> None:
    tree = ast.parse(Path(sfini_celery.__file__).read_text(encoding="utf-8"))
    guard = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.asname or alias.name for node in guard.body for alias in node.names}  # type: ignore[attr-defined]
    assert imported == {*SURFACE, "asl", "errors"}


def test_every_state_and_choice_rule_of_the_states_language_is_handed_on() -> None:
    states = {kind.__name__ for kind in asl.State.__subclasses__()} | {"Task", "Parallel", "Map", "Pass", "Wait"}
    rules = {name for name in asl.__all__ if name.startswith(("Boolean", "Is", "Numeric", "String", "Timestamp"))}
    assert (states & set(asl.__all__)) - {"State"} <= set(SURFACE)
    assert rules | {"And", "Or", "Not"} <= set(SURFACE)


def test_an_unknown_name_is_an_attribute_error_and_an_import_error() -> None:
    assert not hasattr(sfini_celery, "no_such_name")
    with pytest.raises(ImportError):
        exec("from sfini_celery import no_such_name")
    assert sfini_celery.__version__.count(".") >= 1
    assert sfini_celery.errors.SfiniError is sfini_celery.SfiniError


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_imports_neither_boto3_nor_aiohttp_nor_celery() -> None:
    loaded = _run("import sys, sfini_celery; print(*sys.modules)").split()
    assert not {name.partition(".")[0] for name in loaded} & {
        "aiohttp",
        "boto3",
        "botocore",
        "celery",
        "click",
        "kombu",
    }
    assert [name for name in loaded if name.startswith("sfini_celery")] == ["sfini_celery"]


def test_the_states_language_is_had_without_boto3_aiohttp_or_celery() -> None:
    loaded = _run("import sys; from sfini_celery import Task, Choice, NumericLessThan; print(*sys.modules)").split()
    assert not {name.partition(".")[0] for name in loaded} & {
        "aiohttp",
        "boto3",
        "botocore",
        "celery",
        "click",
        "kombu",
    }


def test_declaring_activities_and_machines_imports_neither_boto3_nor_aiohttp() -> None:
    code = """
import sys, sfini_celery as sfini
activities = sfini.ActivityRegistration(prefix="test")
@activities.activity("add")
def add(data): return data
sm = sfini.StateMachine("testAdding")
sm.start_at(sm.task("add", add))
worker = sfini.Worker(add)
print(*sys.modules)
"""
    assert not {name.partition(".")[0] for name in _run(code).split()} & {"aiohttp", "boto3", "botocore", "celery"}


def test_importing_the_package_takes_under_fifty_milliseconds() -> None:
    # Of processor time: a busy machine must not fail this.
    code = "import time; t = time.process_time(); import sfini_celery; print(time.process_time() - t)"
    assert min(float(_run(code)) for _ in range(5)) < 0.05
