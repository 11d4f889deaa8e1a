from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sfini_celery.errors import NoCredentials, service_error
from sfini_celery.worker.provision import FIRST_PAUSE, LONGEST_PAUSE, find_activities, persist


class Control:
    def __init__(self, *there: str, refuse: str = "") -> None:
        self.there, self.refuse = list(there), refuse
        self.calls: list[str] = []

    def arn(self, kind: str, name: str) -> str:
        return f"arn:{kind}:{name}"

    def create_activity(self, name: str) -> str:
        self._called("create")
        self.there.append(name)
        return f"arn:created:{name}"

    def list_activities(self) -> Iterator[dict[str, object]]:
        self._called("list")
        yield from ({"name": name} for name in self.there)

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if what in self.refuse:
            raise service_error(what, "AccessDeniedException")


def test_only_what_is_missing_is_created() -> None:
    control = Control("a", "other")
    assert find_activities(control, ["a", "b"], create=True) == {"a": "arn:activity:a", "b": "arn:created:b"}
    assert control.calls == ["list", "create"]


def test_a_fleet_that_starts_together_makes_one_call_each_when_all_are_there() -> None:
    control = Control("a", "b")
    find_activities(control, ["a", "b"], create=True)
    assert control.calls == ["list"]


def test_nothing_is_created_or_listed_where_the_setting_says_so() -> None:
    control = Control()
    assert find_activities(control, ["a"], create=False) == {"a": "arn:activity:a"}
    assert control.calls == []


def test_worker_that_may_only_poll_polls(caplog: pytest.LogCaptureFixture) -> None:
    control = Control(refuse="list create")
    assert find_activities(control, ["a", "b"], create=True) == {"a": "arn:activity:a", "b": "arn:activity:b"}
    assert caplog.text.count("sfini_activities_not_created") == 1


def test_worker_that_may_create_but_not_list_creates() -> None:
    control = Control(refuse="list")
    assert find_activities(control, ["a"], create=True) == {"a": "arn:created:a"}


class Patience(threading.Event):
    """Waits no time, remembers how long it would have, and gives up after some."""

    def __init__(self, attempts: int = 99) -> None:
        super().__init__()
        self.waited: list[float] = []
        self.attempts = attempts

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout or 0)
        if len(self.waited) >= self.attempts:
            self.set()
        return self.is_set()


def failing(times: int, exc: Exception) -> Any:
    left = [exc] * times

    def attempt() -> str:
        if left:
            raise left.pop()
        return "found"

    return attempt


@pytest.mark.parametrize("exc", [NoCredentials(), RuntimeError("a bug")])
def test_setup_is_tried_until_it_succeeds_and_every_failure_is_told(
    exc: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    stop = Patience()
    assert persist("polling cannot start", failing(9, exc), stop, rng=lambda: 1.0) == "found"
    assert stop.waited == [min(FIRST_PAUSE * 2**n, LONGEST_PAUSE) for n in range(9)]
    assert caplog.text.count("sfini_setup_failed: polling cannot start") == 9


def test_setup_ends_when_the_worker_does() -> None:
    assert persist("x", failing(99, NoCredentials()), Patience(attempts=3)) is None
    told = threading.Event()
    told.set()
    assert persist("x", lambda: pytest.fail("tried"), told) is None
