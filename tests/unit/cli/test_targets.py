from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from sfini_celery.cli.app_option import Invocation
from sfini_celery.cli.graph import only_definition
from sfini_celery.cli.targets import PLACEHOLDERS, definition_of, target_names, without_aws
from sfini_celery.errors import ConfigurationError, DefinitionError

PROJECT = """
from celery import Celery
from sfini_celery import SfiniCelery, asl
app = SfiniCelery("targets", set_as_current=False)
plain = Celery("plain", set_as_current=False)
@app.activity
def add(x, y):
    return x + y
machine = asl.construct_state_machine("machine", asl.Task("add", add))
orders = app.workflow("orders", machine)
app.workflow("other", machine)
written = orders
text = '{"StartAt": "a"}'
raw = {"StartAt": "a", "States": {}}
canvas = add.s(1, 2) | add.s(3)
class Holder:
    inner = machine
nothing = 3
"""
ADD = "arn:aws:states:us-east-1:000000000000:activity:target_project.add"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """The definition that a name stands for in a project of its own, nothing known of AWS."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "target_project.py").write_text(PROJECT)
    asked = Invocation(app_name="target_project")

    def found(target: str) -> Any:
        with without_aws():
            return definition_of(asked, target)

    yield found
    sys.modules.pop("target_project", None)


@pytest.mark.parametrize(
    "target", ["orders", "target_project:orders", "target_project:machine", "target_project:Holder.inner"]
)
def test_a_definition_needs_neither_credentials_nor_a_region(project: Callable[[str], Any], target: str) -> None:
    assert project(target)["States"]["add"]["Resource"] == ADD


def test_a_canvas_in_a_module_is_compiled(project: Callable[[str], Any]) -> None:
    states = project("target_project:canvas")["States"]
    assert [state["Resource"] for state in states.values()] == [ADD, ADD]


def test_a_definition_in_a_module_is_taken_as_it_is(project: Callable[[str], Any]) -> None:
    assert project("target_project:raw") == {"StartAt": "a", "States": {}}
    assert project("target_project:text") == '{"StartAt": "a"}'


def test_a_file_needs_no_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("machine.json", "plain"):
        (tmp_path / name).write_text("{}")
        assert definition_of(Invocation(), name) == "{}"
    monkeypatch.setattr(sys, "stdin", io.StringIO("[]"))
    assert definition_of(Invocation(), "-") == "[]"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("target_project:gone", "has no 'gone'"),
        ("target_project:Holder.gone", "has no 'Holder.gone'"),
        ("target_project:nothing", "is a int; name a workflow"),
        ("target_project:plain", "is a Celery; name a workflow"),
        ("gone.json", "cannot read gone.json"),
        ("ordres", "did you mean 'orders'"),
    ],
)
def test_what_is_not_there_is_said(project: Callable[[str], Any], target: str, said: str) -> None:
    with pytest.raises(click.UsageError, match=said):
        project(target)


def test_a_module_that_is_not_there_is_said_without_an_option_nobody_gave(project: Callable[[str], Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^gone: there is no module 'gone'"):
        project("gone:orders")


def test_without_a_name_it_is_every_workflow_of_the_app(project: Callable[[str], Any]) -> None:
    asked = Invocation(app_name="target_project")
    assert target_names(asked, ()) == ["orders", "other"]
    assert target_names(asked, ("x",)) == ["x"]
    with pytest.raises(click.UsageError, match="which workflow"):
        only_definition(asked, None)
    with pytest.raises(ConfigurationError, match="no Celery app was named"):
        target_names(Invocation(), ())


def test_an_app_without_workflows_says_what_else_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "target_bare.py").write_text("from sfini_celery import SfiniCelery\napp = SfiniCelery('bare')")
    with pytest.raises(ConfigurationError, match="has no workflows; name a file"):
        target_names(Invocation(app_name="target_bare"), ())


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000])
def test_what_is_no_json_object_cannot_be_drawn(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DefinitionError, match=r"x\.json"):
        only_definition(Invocation(), str(tmp_path / "x.json"))


def test_the_placeholders_are_gone_afterwards_and_give_way_to_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SFN_REGION", "eu-west-1")
    with without_aws():
        assert {name: os.environ[name] for name in PLACEHOLDERS} == {**PLACEHOLDERS, "SFN_REGION": "eu-west-1"}
    assert "SFN_ACCOUNT" not in os.environ
    assert os.environ["SFN_REGION"] == "eu-west-1"
