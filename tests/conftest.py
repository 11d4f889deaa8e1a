"""What every test shares: a reproducible Hypothesis, no AWS of the user, the brokers there are."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"

_common = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", derandomize=True, max_examples=100, **_common)
settings.register_profile("long", max_examples=5000, **_common)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(autouse=True)
def _no_aws_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads the profile, the credentials or the endpoint of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "SFN_", "CELERY_")) and name != "AWS_CA_BUNDLE":
            monkeypatch.delenv(name)
    nowhere = tmp_path_factory.getbasetemp() / "no-aws"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(nowhere))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(autouse=True)
def _tasks_end_with_their_test() -> Iterator[None]:
    """Celery gives every task to every later app of the process; tasks of one name in two tests would clash."""
    from celery import _state

    before = set(_state._on_app_finalizers)
    yield
    _state._on_app_finalizers.intersection_update(before)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _broker(name: str, port: int, url: str) -> str:
    if _listens(port):
        return url
    reason = f"no {name} listens on 127.0.0.1:{port}"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}, and CI is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def redis_url() -> str:
    """A real Redis; use a key prefix of your own."""
    return _broker("Redis", 6379, "redis://127.0.0.1:6379/0")


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """A real RabbitMQ; use queue names of your own."""
    return _broker("RabbitMQ", 5672, "amqp://guest:guest@127.0.0.1:5672//")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED.name}/ beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def npm(pytestconfig: pytest.Config) -> Callable[..., Path]:
    """A folder with packages of npm's in it, such as ``npm("asl-validator@4")``; installed once per checkout.

    Where there is no node, or npm cannot install them, the test is skipped.
    """

    def installed(*packages: str) -> Path:
        if not (shutil.which("node") and shutil.which("npm")):
            pytest.skip("needs node and npm")
        folder = pytestconfig.cache.mkdir("npm-" + "-".join(packages).replace("/", "_"))
        if not (folder / "complete").exists():
            (folder / "package.json").write_text('{"private": true}')
            command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
            try:
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
            except subprocess.TimeoutExpired:
                pytest.skip(f"npm takes too long to install {' '.join(packages)}")
            if done.returncode:
                pytest.skip(f"npm cannot install {' '.join(packages)}: {done.stderr.strip().splitlines()[-1:]}")
            (folder / "complete").touch()
        return folder

    return installed


@pytest.fixture
def cfn_lint(tmp_path: Path) -> Callable[..., list[str]]:
    """What cfn-lint says about a CloudFormation template, a line each; ``ignore=`` leaves rules out."""

    def lines(template: Mapping[str, Any], *, ignore: Iterable[str] = ()) -> list[str]:
        path = tmp_path / "template.json"
        path.write_text(json.dumps(template))
        ignored = ["--ignore-checks", *ignore] if ignore else []
        command = [str(Path(sysconfig.get_path("scripts"), "cfn-lint")), "-t", str(path), "--include-checks", "I"]
        done = subprocess.run([*command, "-f", "parseable", *ignored], capture_output=True, text=True, timeout=100)
        assert not done.stderr, done.stderr
        return done.stdout.splitlines()

    return lines


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]
