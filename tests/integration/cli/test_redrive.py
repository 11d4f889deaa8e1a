"""``executions redrive`` and the filters of ``executions list``: the real commands against the embedded server."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable

import pytest

from sfini_celery.cli.errors import ExitCode

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def names(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return [item["name"] for item in json.loads(done.stdout)]


def test_failed_executions_are_redriven_one_by_one_and_those_that_cannot_be_are_told(registered: Run) -> None:
    for workflow, name in (("failing", "failing_1"), ("echo", "echo_1")):
        registered("start", workflow, "--name", name, "--wait")
    done = registered("executions", "redrive", "failing_1")
    assert (done.returncode, done.stdout) == (0, "failing_1 redriven\n"), done.stderr
    shown = json.loads(registered("executions", "show", "failing_1", "--json").stdout)
    assert shown["status"] == "FAILED"
    events = registered("executions", "history", "failing_1", "--events").stdout
    assert "ExecutionRedriven" in events
    refused = registered("executions", "redrive", "echo_1")
    assert refused.returncode == ExitCode.REFUSED
    assert "SUCCEEDED" in refused.stderr
    two = registered("executions", "redrive", "echo_1", "failing_1", "--json")
    assert two.returncode == ExitCode.REFUSED
    told = json.loads(two.stdout)
    assert ["error" in each for each in told] == [True, False]


def test_all_that_failed_since_a_time_are_redriven_after_a_yes(registered: Run) -> None:
    for number in range(3):
        registered("start", "failing", "--name", f"failing_{number}", "--wait")
    registered("start", "echo", "--name", "echo_1", "--wait")
    unasked = registered("executions", "redrive", "--failed-since", "1h")
    assert (unasked.returncode, "--yes" in unasked.stderr) == (ExitCode.USAGE, True)
    done = registered("executions", "redrive", "--failed-since", "1h", "--workflow", "failing", "--yes")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if "redriven" in line] == [
        f"failing_{number} redriven" for number in range(3)
    ]
    none = registered("executions", "redrive", "--failed-since", "2100-01-01", "--yes", "--json")
    assert (none.returncode, json.loads(none.stdout)) == (0, [])


@pytest.mark.parametrize("args", [[], ["echo_1", "--failed-since", "1h"], ["--failed-since", "yesterday"]])
def test_what_to_redrive_must_be_said_once_and_clearly(registered: Run, args: list[str]) -> None:
    assert registered("executions", "redrive", *args).returncode == ExitCode.USAGE


def test_listing_goes_page_by_page_without_losing_or_repeating_any(registered: Run) -> None:
    for number in range(5):
        registered("start", "echo", "--name", f"echo_{number}")
    seen: list[str] = []
    more: list[str] = []
    for _ in range(5):
        page = registered("executions", "list", "echo", "--limit", "2", "--json", *more)
        seen += names(page)
        hint = re.search(r"--before (\S+),", page.stderr)
        if hint is None:
            break
        more = ["--before", hint[1]]
    assert seen == [f"echo_{number}" for number in reversed(range(5))]
    assert names(registered("executions", "list", "echo", "--limit", "1", "--all", "--json")) == seen
    assert names(registered("executions", "list", "--since", "1h", "--json")) == seen
    assert names(registered("executions", "list", "--since", "2100-01-01", "--json")) == []


def test_listing_by_alias_shows_what_it_has_started(sfini: Run) -> None:
    assert sfini("register", "--yes", "--alias", "live").returncode == 0
    sfini("start", "echo", "--name", "plain", "--wait")
    started = sfini("start", "echo", "--name", "by-alias", "--alias", "live", "--wait")
    assert started.returncode == 0, started.stderr
    assert names(sfini("executions", "list", "echo", "--alias", "live", "--json")) == ["by-alias"]
    assert names(sfini("executions", "list", "--alias", "live", "--json")) == ["by-alias"]
    assert names(sfini("executions", "list", "--alias", "none", "--json")) == []
    assert sfini("executions", "list", "echo", "--alias", "none").returncode == ExitCode.REFUSED
    assert names(sfini("executions", "list", "echo", "--json")) == ["by-alias", "plain"]
