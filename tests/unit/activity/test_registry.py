"""Activities and their registry."""

from __future__ import annotations

from typing import Any

import pytest

from sfini_celery.activity import Activity, ActivityRegistry, activity_name
from sfini_celery.errors import ActivityNotFound, ConfigurationError, DuplicateName, InvalidName


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "a b"}, "' '"),
        ({"name": "x" * 81}, "81 characters"),
        ({"name": "a", "queues": ("q" * 80,)}, "82 characters"),
        ({"heartbeat": 2}, "3 or more"),
        ({"heartbeat": 2.5}, "whole number"),
        ({"timeout": 60, "heartbeat": 60}, "smaller than timeout"),
        ({"timeout": 0}, "1 or more"),
        ({"input": "pickle"}, "auto, data, kwargs"),
        ({"polls": 0}, "1 or more"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_the_activity(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Activity(**{"name": "a", "task": "proj.a", **options})


def test_prefix_and_name_together_must_fit() -> None:
    assert activity_name("proj.add", prefix="dev-") == "dev-proj.add"
    with pytest.raises(InvalidName, match="prefix 'pppp"):
        activity_name("x" * 70, prefix="p" * 20)


def test_two_activities_of_one_name_are_refused_with_both_culprits() -> None:
    registry = ActivityRegistry()
    registry.add(Activity(name="add", task="a.add"))
    with pytest.raises(DuplicateName) as caught:
        registry.add(Activity(name="add", task="b.add"))
    assert "a.add" in str(caught.value)
    assert "b.add" in str(caught.value)
    assert len(registry) == 1


def test_a_name_for_a_queue_counts_as_a_name() -> None:
    registry = ActivityRegistry()
    registry.add(Activity(name="add", task="a.add", queues=("fast",)))
    with pytest.raises(DuplicateName):
        registry.add(Activity(name="add@fast", task="b.add"))
    assert registry.names() == ["add", "add@fast"]


def test_tasks_share_an_activity_only_when_both_say_so_and_agree() -> None:
    registry = ActivityRegistry()
    registry.add(Activity(name="pool", task="a", shared=True))
    registry.add(Activity(name="pool", task="b", shared=True))
    assert [activity.task for activity in registry.serving("pool")] == ["a", "b"]
    with pytest.raises(ConfigurationError, match="differ in heartbeat"):
        registry.add(Activity(name="pool", task="c", shared=True, heartbeat=30))
    with pytest.raises(DuplicateName):
        registry.add(Activity(name="pool", task="d"))


def test_the_same_declaration_twice_is_one_since_modules_are_imported_twice() -> None:
    registry = ActivityRegistry()
    registry.add(Activity(name="a", task="a"))
    registry.add(Activity(name="a", task="a"))
    assert len(registry) == 1
    with pytest.raises(DuplicateName):
        registry.add(Activity(name="b", task="a"))


def test_an_unknown_name_is_told() -> None:
    registry = ActivityRegistry()
    with pytest.raises(ActivityNotFound, match="known: none"):
        registry.serving("a")
    with pytest.raises(ActivityNotFound):
        registry.of_task("a")
