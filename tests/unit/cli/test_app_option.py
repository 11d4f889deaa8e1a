from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sfini_celery.cli.app_option import Invocation, find_app
from sfini_celery.errors import ConfigurationError, UnknownSetting

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module into the current folder; forgotten again after the test."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)

    def module(name: str, source: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)

    yield module
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def refusal(name: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        find_app(name)
    return str(refused.value)


@pytest.mark.parametrize(
    "name", ["opt_a", "opt_a:app", "opt_a.app", "opt_pkg", "opt_pkg.celery", "opt_pkg.celery:other"]
)
def test_an_app_is_found_the_way_celery_finds_it(write: Write, name: str) -> None:
    write("opt_a.py", "from celery import Celery\napp = Celery('found')")
    write("opt_pkg/__init__.py", "")
    write("opt_pkg/celery.py", "from celery import Celery\nother = app = Celery('found')")
    assert find_app(name).main == "found"


def test_a_module_that_is_not_there_says_from_where_it_was_looked_for(write: Write, tmp_path: Path) -> None:
    said = refusal("opt_missing.tasks")
    assert "there is no module 'opt_missing'" in said
    assert str(tmp_path) in said
    assert "--workdir" in said


def test_a_file_name_instead_of_a_module_says_to_leave_the_ending_out(write: Write) -> None:
    write("opt_b.py", "")
    assert "leave out the .py" in refusal("opt_b.py")


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import opt_no_such_dependency", "No module named 'opt_no_such_dependency'"),
        ("1/0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("None.nothing", "AttributeError"),
    ],
)
def test_a_module_that_does_not_import_says_what_it_failed_with(write: Write, source: str, what: str) -> None:
    write("opt_c.py", source)
    said = refusal("opt_c")
    assert what in said
    assert "--traceback" in said


def test_a_module_without_an_app_says_how_to_name_one(write: Write) -> None:
    write("opt_d.py", "x = 1")
    said = refusal("opt_d")
    assert "no Celery app" in said
    assert "-A MODULE:NAME" in said


def test_a_wrong_attribute_names_the_app_that_is_there(write: Write) -> None:
    write("opt_e.py", "from celery import Celery\nmine = Celery('x')")
    assert "write -A opt_e:mine" in refusal("opt_e:app")


def test_something_that_is_no_app_is_not_taken_for_one(write: Write) -> None:
    write("opt_f.py", "app = 3")
    assert "that is a int, not a Celery app" in refusal("opt_f:app")


@pytest.mark.parametrize("name", [":app", ".proj"])
def test_a_name_without_a_module_is_refused(name: str) -> None:
    assert "name a module" in refusal(name)


def test_a_plain_celery_app_says_how_to_join_it_to_step_functions(write: Write) -> None:
    write("opt_g.py", "from celery import Celery\napp = Celery('proj')")
    with pytest.raises(ConfigurationError, match=r"'proj' is not joined to Step Functions; .*StepFunctions\(app\)"):
        _ = Invocation(app_name="opt_g").sfn


def test_no_app_at_all_says_how_to_name_one() -> None:
    with pytest.raises(ConfigurationError, match="no Celery app was named; name it with -A"):
        _ = Invocation().app


def test_a_mistyped_setting_is_found_before_anything_runs(write: Write) -> None:
    write("opt_h.py", "from sfini_celery.app import SfiniCelery\napp = SfiniCelery('x')\napp.conf.sfn_pols = 3")
    with pytest.raises(UnknownSetting, match="did you mean 'sfn_polls'"):
        _ = Invocation(app_name="opt_h").sfn


def test_aws_options_win_over_the_apps_own_settings(write: Write) -> None:
    write("opt_i.py", "from sfini_celery.app import SfiniCelery\napp = SfiniCelery('x')\napp.conf.sfn_region = 'a'")
    asked = Invocation(app_name="opt_i")
    options = {"region": "eu-west-1", "profile": None, "endpoint_url": "http://127.0.0.1:1", "name": "kept"}
    asked.use_aws(options)
    assert options == {"name": "kept"}
    settings = asked.sfn.settings
    assert (settings.region, settings.profile, settings.endpoint_url) == ("eu-west-1", None, "http://127.0.0.1:1")


def test_activities_of_included_modules_are_there_before_a_command_looks(write: Write) -> None:
    write("opt_j.py", "from sfini_celery.app import SfiniCelery\napp = SfiniCelery('x', include=['opt_j_tasks'])")
    write("opt_j_tasks.py", "from opt_j import app\n@app.activity\ndef found(x): return x")
    assert Invocation(app_name="opt_j").sfn.activities.names() == ["opt_j_tasks.found"]
