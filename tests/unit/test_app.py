"""The composition root: every spelling of ``activity``, workflows, and an app without a broker."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import celery
import pytest

from sfini_celery import asl
from sfini_celery.app import SfiniCelery, StepFunctions, find
from sfini_celery.brokerless import private_folder
from sfini_celery.errors import ActivityNotFound, ConfigurationError, DuplicateName, InvalidName, UnknownSetting


@pytest.fixture
def app() -> SfiniCelery:
    return SfiniCelery("proj", broker="memory://", set_as_current=False)


def test_bare_decorator_makes_a_celery_task_that_still_runs(app: SfiniCelery) -> None:
    @app.activity
    def add_2(x: int, y: int) -> int:
        return x + y

    assert add_2(1, 2) == 3
    assert add_2.apply((1, 2)).get() == 3
    assert app.sfn.activities.of_task(add_2.name).name == add_2.name
    assert add_2.name in app.tasks


def test_options_of_both_sides_reach_their_side(app: SfiniCelery) -> None:
    @app.activity(heartbeat=30, timeout=90, activity="adder", name="sum.two", max_retries=7, queues=["fast"])
    def add_3(x: int, y: int) -> int:
        return x + y

    found = app.sfn.activities.of_task("sum.two")
    assert (found.name, found.heartbeat, found.timeout, found.queues) == ("adder", 30, 90, ("fast",))
    assert (add_3.name, add_3.max_retries) == ("sum.two", 7)


def test_bound_task_gets_itself_and_its_parameters_exclude_it(app: SfiniCelery) -> None:
    @app.activity(bind=True, autoretry_for=(KeyError,))
    def add_4(self: Any, x: int, y: int = 1) -> tuple[str, int]:
        return self.name, x + y

    assert add_4(1, 2) == (add_4.name, 3)
    assert app.sfn.parameters(add_4.name).names == ("x", "y")


def test_existing_task_becomes_an_activity_and_stays_the_same_object(app: SfiniCelery) -> None:
    @app.task(name="old.one")
    def one_5() -> int:
        return 1

    assert app.activity(one_5) is one_5
    assert app.sfn.activities.of_task("old.one").name == "old.one"

    @app.activity(heartbeat=9)
    @app.task
    def two_5() -> int:
        return 2

    assert app.sfn.activities.of_task(two_5.name).heartbeat == 9


def test_decorating_a_lazy_task_does_not_read_the_configuration(app: SfiniCelery) -> None:
    @app.activity
    @app.task
    def later() -> None: ...

    assert not app.configured
    app.conf.sfn_prefix = "dev-"
    assert app.sfn.activities.of_task(later.name).name == "dev-" + later.name


def test_class_based_tasks_as_class_and_as_instance(app: SfiniCelery) -> None:
    @app.activity(activity="upper")
    class Upper(celery.Task):
        name = "proj.upper"

        def run(self, text: str) -> str:
            return text.upper()

    class Lower(celery.Task):
        name = "proj.lower"

        def run(self, text: str) -> str:
            return text.lower()

    lower = app.activity(Lower())
    assert Upper("a") == "A"
    assert lower("A") == "a"
    assert app.sfn.activities.names() == ["proj.lower", "upper"]
    assert app.sfn.parameters("proj.upper").names == ("text",)


def test_base_class_of_the_users_own_is_kept(app: SfiniCelery) -> None:
    class Counting(celery.Task):
        seen = 0

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            type(self).seen += 1
            return super().__call__(*args, **kwargs)

    @app.activity(base=Counting)
    def one_8() -> int:
        return 1

    one_8()
    assert type(one_8._get_current_object()).seen == 1


def test_shared_task_can_be_an_activity() -> None:
    app = SfiniCelery("shared", broker="memory://")
    try:

        @celery.shared_task(name="lib.task")
        def task() -> int:
            return 5

        app.activity(task)
        assert app.sfn.activities.names() == ["lib.task"]
    finally:
        app.close()


def test_plain_celery_app_gets_the_same_object_as_sfn() -> None:
    plain = celery.Celery("plain", broker="memory://", set_as_current=False)
    sfn = StepFunctions(plain)

    @sfn.activity(heartbeat=12)
    def add_10(x: int) -> int:
        return x

    @plain.task
    def old_10() -> None: ...

    sfn.activity(old_10)
    assert plain.sfn is sfn is find(plain)
    assert sorted(activity.task for activity in sfn.activities) == sorted([add_10.name, old_10.name])
    with pytest.raises(ConfigurationError, match="already"):
        StepFunctions(plain)


def test_app_without_step_functions_is_told_how_to_get_them() -> None:
    with pytest.raises(ConfigurationError, match="StepFunctions"):
        find(celery.Celery("plain", set_as_current=False))


def test_too_long_name_is_an_error_at_decoration_and_registers_nothing(app: SfiniCelery) -> None:
    with pytest.raises(InvalidName, match=r"activity='\.\.\.'"):

        @app.activity(name="x" * 81)
        def add_12() -> None: ...

    assert len(app.sfn.activities) == 0
    assert "x" * 81 not in app.tasks


def test_prefix_given_to_the_app_counts_at_decoration() -> None:
    app = SfiniCelery("proj", broker="memory://", sfn_prefix="p" * 70, set_as_current=False)
    with pytest.raises(InvalidName, match="prefix"):

        @app.activity(name="proj.a.b.c.d.e")
        def add_13() -> None: ...


def test_two_activities_of_one_name_are_an_error_at_decoration(app: SfiniCelery) -> None:
    @app.activity(name="a", activity="same")
    def one_14() -> None: ...

    with pytest.raises(DuplicateName, match="'a'"):

        @app.activity(name="same")
        def two_14() -> None: ...


@pytest.mark.parametrize(
    "options", [{"queues": "fast"}, {"heartbeat": 1}, {"input": "xml"}, {"timeout": 5, "heartbeat": 5}]
)
def test_wrong_options_are_errors_at_decoration(app: SfiniCelery, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):

        @app.activity(**options)
        def add_16() -> None: ...


def test_celery_options_for_an_existing_task_are_refused_and_not_dropped(app: SfiniCelery) -> None:
    @app.task
    def add_17() -> None: ...

    with pytest.raises(ConfigurationError, match="max_retries"):
        app.activity(add_17, max_retries=3)
    assert len(app.sfn.activities) == 0


@pytest.mark.parametrize("target", [7, "add"])
def test_what_is_no_function_is_refused(app: SfiniCelery, target: object) -> None:
    with pytest.raises(ConfigurationError, match="function or a Celery task"):
        app.activity(target)


def test_default_heartbeat_comes_from_the_setting_and_gives_way_to_the_timeout(app: SfiniCelery) -> None:
    @app.activity(name="a")
    def a() -> None: ...

    @app.activity(name="b", timeout=20)
    def b() -> None: ...

    app.conf.sfn_heartbeat = 90
    assert app.sfn.activities.of_task("a").heartbeat == 90
    assert app.sfn.activities.of_task("b").heartbeat == 19


def test_unknown_settings_are_found() -> None:
    app = SfiniCelery("proj", broker="memory://", sfn_polls=9, sfn_pols=8, set_as_current=False)
    assert app.sfn.settings.polls == 9
    with pytest.raises(UnknownSetting, match="sfn_polls"):
        app.sfn.settings.check()


def test_workflow_is_found_by_name_and_named_once(app: SfiniCelery) -> None:
    machine = asl.StateMachine("inner")
    machine.start_at(machine.succeed("done"))
    workflow = app.workflow("orders", machine, timeout=60, comment="the orders")
    assert app.sfn.workflows == {"orders": workflow}
    assert workflow.definition() == {
        "StartAt": "done",
        "States": {"done": {"Type": "Succeed"}},
        "Comment": "the orders",
        "TimeoutSeconds": 60,
    }
    with pytest.raises(DuplicateName):
        app.workflow("orders", machine)
    with pytest.raises(InvalidName):
        app.workflow("or ders", machine)


def test_unknown_task_as_resource_is_told(app: SfiniCelery) -> None:
    with pytest.raises(ActivityNotFound):
        app.sfn.resource("proj.nothing")


def test_app_without_a_broker_uses_a_private_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    app = SfiniCelery("no broker/here", set_as_current=False)
    assert app.conf.broker_url == "filesystem://"
    options = app.conf.broker_transport_options
    folder = Path(options["data_folder_in"])
    assert options["data_folder_out"] == options["data_folder_in"]
    assert tmp_path in folder.parents
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    @app.task(name="ping")
    def ping() -> None: ...

    ping.delay()
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("setting", [{"broker": "redis://h"}, {"broker_read_url": "redis://h"}])
def test_a_configured_broker_is_left_alone(setting: dict[str, str]) -> None:
    app = SfiniCelery("proj", set_as_current=False, **setting)
    assert app.conf.broker_url != "filesystem://"


def test_a_broker_of_the_environment_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere")
    app = SfiniCelery("proj", set_as_current=False)
    assert "elsewhere" in app.connection_for_write().as_uri()


def test_folder_that_others_may_write_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    root = tmp_path / f"sfini-celery-{os.getuid()}"
    root.mkdir()
    root.chmod(0o777)
    with pytest.raises(ConfigurationError, match="only this user"):
        private_folder("proj")


def test_a_resource_is_made_without_aws_and_without_the_configuration(app: SfiniCelery) -> None:
    @app.activity(name="a.b", heartbeat=33, timeout=99)
    def ab() -> None: ...

    resource = app.sfn.resource(ab)
    assert not app.configured
    app.conf.sfn_prefix = "dev-"
    assert (resource.name, resource.heartbeat_seconds, resource.timeout_seconds) == ("dev-a.b", 33, 99)
    assert resource == app.sfn.resource("a.b")


def test_an_account_in_the_settings_makes_arns_without_credentials(app: SfiniCelery) -> None:
    app.conf.update(sfn_account="222233334444", sfn_region="eu-west-1")
    assert app.sfn.control.arn("activity", "add") == "arn:aws:states:eu-west-1:222233334444:activity:add"
