from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import click
import pytest

from sfini_celery.cli import cli
from sfini_celery.cli.errors import ExitCode
from sfini_celery.cli.plugin import COMMANDS, hoist, sfn


class Done(NamedTuple):
    """How a command ended, and what it said."""

    exit_code: int
    output: str
    stderr: str


Call = Callable[..., Done]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command in this process."""

    def called(group: click.Group, *args: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            group.main(list(args), prog_name=group.name)
        shown = capsys.readouterr()
        return Done(int(ended.value.code or 0), shown.out, shown.err)

    return called


PARAMS = [click.Option(["-A", "--app"]), click.Option(["--traceback"], is_flag=True), click.Option(["-b", "--broker"])]


@pytest.mark.parametrize(
    ("typed", "parsed"),
    [
        ("worker -A proj -c 2", "-A proj worker -c 2"),
        ("worker --app proj -c 2", "--app proj worker -c 2"),
        ("worker --app=proj", "--app=proj worker"),
        ("worker -Aproj", "-Aproj worker"),
        ("start x --traceback --wait", "--traceback start x --wait"),
        ("-A proj worker", "-A proj worker"),
        ("-b url worker -b other", "-b url worker -b other"),
        ("worker -- -A proj", "worker -- -A proj"),
        ("worker -A", "-A worker"),
        ("executions list", "executions list"),
    ],
)
def test_the_app_may_be_named_after_the_command(typed: str, parsed: str) -> None:
    assert hoist(typed.split(), PARAMS) == parsed.split()


def test_every_celery_command_stays_fast_loading_the_plugin_imports_nothing_heavy() -> None:
    heavy = ("boto3", "botocore", "aiohttp", "celery", "kombu", "ssl", "asyncio", "socket", "sfini_celery.app")
    script = f"import sys, sfini_celery.cli.plugin; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_gevent_can_patch_before_anything_opens_sockets() -> None:
    script = "import sys, sfini_celery.cli; from celery import maybe_patch_concurrency; print('ssl' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("group", [cli, sfn], ids=["sfini-celery", "celery sfn"])
def test_every_command_has_help_with_an_example_and_needs_no_app_for_it(
    call: Call, group: click.Group, name: str
) -> None:
    shown = call(group, name, "--help")
    assert shown.exit_code == 0, shown.output
    assert "Example:" in shown.output
    assert "sfini-celery" in shown.output


def _commands(command: click.Command, path: str) -> list[tuple[str, click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        with click.Context(command) as ctx:
            for name in command.list_commands(ctx):
                below = command.get_command(ctx, name)
                assert below is not None
                found += _commands(below, f"{path} {name}")
    return found


OURS = [each for each in _commands(cli, "sfini-celery") if each[0] != "sfini-celery worker"]
"""The worker's options are Celery's, which leaves some without a word."""


@pytest.mark.parametrize(("path", "command"), OURS)
def test_every_option_says_what_it_is_for(path: str, command: click.Command) -> None:
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{path} {param.opts[0]}"


def test_every_command_that_talks_to_aws_takes_region_profile_and_endpoint() -> None:
    for path, command in _commands(cli, "sfini-celery"):
        if isinstance(command, click.Group) or path.endswith(" local"):
            continue
        with click.Context(command) as ctx:
            options = {opt for param in command.get_params(ctx) for opt in param.opts}
        assert {"--region", "--profile", "--endpoint-url"} <= options, path


@pytest.mark.parametrize("group", [cli, sfn], ids=["sfini-celery", "celery sfn"])
@pytest.mark.parametrize("args", [["strat"], ["start"], ["start", "--nonsense"], ["--nonsense"]])
def test_a_wrong_command_line_is_one_sentence_and_its_own_exit_code(
    call: Call, group: click.Group, args: list[str]
) -> None:
    ended = call(group, *args)
    assert ended.exit_code == ExitCode.USAGE
    assert ended.stderr.startswith("Error: ")
    assert ended.stderr.count("\n") == 1
    assert "--help" in ended.stderr


def test_a_mistyped_command_is_met_with_the_one_that_was_meant(call: Call) -> None:
    assert "did you mean 'start'?" in call(cli, "strat").stderr


def test_no_command_at_all_shows_what_there_is(call: Call) -> None:
    shown = call(cli)
    assert shown.exit_code == 0
    assert all(name in shown.output for name in COMMANDS)


def test_version_names_what_matters_in_a_bug_report(call: Call) -> None:
    shown = call(cli, "--version")
    assert shown.exit_code == 0
    assert all(name in shown.output for name in ("sfini_celery ", "celery ", "boto3 "))
