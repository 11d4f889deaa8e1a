from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sfini_celery import SfiniCelery, asl
from sfini_celery.aws import ControlPlane
from sfini_celery.doctor import Check, examine, floors, installed, without_passwords
from sfini_celery.local import LocalServer


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer() as running:
        yield running


@pytest.fixture
def aws(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def app(tmp_path: Path) -> SfiniCelery:
    made = SfiniCelery("examined", broker="memory://", set_as_current=False)

    @made.activity(name="examined.add")
    def add(x: int, y: int) -> int:
        return x + y

    made.workflow("adding", asl.construct_state_machine("adding", asl.Task("add", add)))
    return made


def found(checks: Iterator[Check]) -> dict[str, tuple[str, str]]:
    return {check.name: (str(check.verdict), check.found) for check in checks}


def test_all_is_looked_at_and_what_is_missing_is_seen(app: SfiniCelery, aws: None) -> None:
    checks = found(examine(app.sfn, app.sfn.control, patience=0.1))
    assert list(checks) == [
        *("versions", "settings", "region", "endpoint", "clock", "credentials", "activities", "workflows"),
        *("broker", "workers", "open files", "poll budget"),
    ]
    assert checks["workflows"] == ("fail", "adding: not registered")
    bad = {name for name, (verdict, _) in checks.items() if verdict != "ok"}
    assert bad == {"activities", "workflows", "workers"}


def test_what_is_registered_is_seen(app: SfiniCelery, aws: None) -> None:
    app.sfn.workflows["adding"].register()
    checks = found(examine(app.sfn, app.sfn.control, patience=0.1))
    assert checks["activities"] == ("ok", "1 declared, all registered")
    assert checks["workflows"] == ("ok", "1 registered as declared")


def test_without_a_region_nothing_is_asked_of_aws_and_the_rest_is_still_looked_at(app: SfiniCelery) -> None:
    checks = found(examine(app.sfn, app.sfn.control, patience=0.1))
    assert checks["region"][0] == "fail"
    assert not {"endpoint", "credentials", "activities"} & set(checks)
    assert checks["broker"][0] == "ok"


def test_without_credentials_the_endpoint_and_its_clock_are_still_looked_at(server: LocalServer) -> None:
    control = ControlPlane(endpoint_url=server.url, region="us-east-1")
    checks = found(examine(None, control))
    assert [checks[name][0] for name in ("endpoint", "clock", "credentials")] == ["ok", "ok", "fail"]
    assert checks["credentials"][1] == "none were found"


def test_an_endpoint_that_is_away_is_said_within_seconds(free_port: int) -> None:
    control = ControlPlane(endpoint_url=f"http://127.0.0.1:{free_port}", region="us-east-1")
    checks = found(examine(None, control))
    assert checks["endpoint"][0] == "fail"
    assert f"http://127.0.0.1:{free_port}/ does not answer" in checks["endpoint"][1]


def test_without_an_app_that_is_said_and_no_failure(aws: None) -> None:
    checks = found(examine(None, ControlPlane()))
    assert checks["app"][0] == "warn"
    assert "fail" not in {verdict for verdict, _ in checks.values()}


def test_a_setting_that_does_not_exist_is_a_failure_and_no_crash(app: SfiniCelery, aws: None) -> None:
    app.conf.sfn_pols = 3
    checks = found(examine(app.sfn, app.sfn.control, patience=0.1))
    assert checks["settings"][0] == "fail"
    assert "did you mean 'sfn_polls'" in checks["settings"][1]


def test_eager_tasks_are_noted(app: SfiniCelery, aws: None) -> None:
    app.conf.task_always_eager = True
    assert found(examine(app.sfn, app.sfn.control, patience=0.1))["settings"][0] == "warn"


@pytest.mark.parametrize(
    "url", ["redis://:s3cr%40t@127.0.0.1:{port}/0", "amqp://u:s3cr%40t@127.0.0.1:{port}//", "x://a:s3cr%40t@h"]
)
def test_a_broker_that_is_away_is_said_without_its_password(app: SfiniCelery, free_port: int, url: str) -> None:
    app.conf.broker_url = url.format(port=free_port)
    verdict, text = found(examine(app.sfn, app.sfn.control, patience=0.1))["broker"]
    assert verdict == "fail"
    assert "s3cr" not in text


def test_a_password_is_taken_out_of_whatever_quotes_it() -> None:
    url = "amqp://u:a%2Fb@h//"
    assert without_passwords(f"cannot use {url} with a/b", url) == "cannot use amqp://u:**@h// with **"
    assert without_passwords("nothing", None) == without_passwords("nothing", ["memory://"]) == "nothing"


def test_the_floors_are_this_packages_own() -> None:
    assert {"python", "aiohttp", "boto3", "celery", "click", "kombu"} <= set(floors())
    assert not {"pytest", "cfn-lint"} & set(floors())
    assert floors()["python"] == "3.10"
    assert all(installed()[name] for name in floors())
