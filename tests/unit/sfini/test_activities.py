from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

from sfini_celery.asl import Task
from sfini_celery.errors import ConfigurationError, DuplicateName, InvalidInput, InvalidName
from sfini_celery.sfini.activities import (
    Activity,
    ActivityRegistration,
    CallableActivity,
    Lambda,
    SmartCallableActivity,
    TaskResource,
)


@pytest.fixture
def activities(session: Any) -> ActivityRegistration:
    return ActivityRegistration(prefix="test", session=session)


def test_the_prefix_is_put_before_a_given_name_and_before_a_functions_own(activities: Any) -> None:
    @activities.activity("addActivity")
    def add(data):
        return data

    @activities.smart_activity()
    def resize(width):
        return width

    assert (add.name, resize.name) == ("testaddActivity", "testresize")
    assert activities.activities == {"testaddActivity": add, "testresize": resize}
    assert add.arn == "arn:aws:states:eu-west-1:123456789012:activity:testaddActivity"


def test_a_decorated_function_can_still_be_called_and_read_like_one(activities: Any) -> None:
    @activities.activity("addActivity")
    def add(data: dict[str, int]) -> int:
        """Add up."""
        return data["a"] + data["b"]

    @activities.smart_activity("area")
    def area(width: int, height: int = 2) -> int:
        return width * height

    assert add({"a": 3, "b": 42}) == 45
    assert (area(3), area(3, height=5)) == (6, 15)
    assert (add.__name__, add.__doc__, list(inspect.signature(area).parameters)) == (
        "add",
        "Add up.",
        ["width", "height"],
    )


def test_a_function_with_attributes_named_like_ours_does_not_change_the_activity(session: Any) -> None:
    def fn(data):
        return data

    fn.name, fn.heartbeat = "other", "never"  # type: ignore[attr-defined]
    decorated = CallableActivity.decorate("mine", heartbeat=7, session=session)(fn)
    assert (decorated.name, decorated.heartbeat) == ("mine", 7)


def test_the_whole_input_is_the_one_argument_even_if_it_looks_like_an_envelope(activities: Any) -> None:
    @activities.activity("show")
    def show(data):
        return data

    for value in ({"sfini": 1, "task": "x"}, [1, 2], None, "text", {"data": 1}):
        assert show.call_with(value) == value


def test_smart_activities_drop_members_without_a_parameter_unless_they_take_any(activities: Any) -> None:
    @activities.smart_activity("some")
    def some(a, b=2):
        return a, b

    @activities.smart_activity("rest")
    def rest(a, **others):
        return a, others

    assert some.call_with({"a": 1, "c": 3}) == (1, 2)
    assert rest.call_with({"a": 1, "c": 3}) == (1, {"c": 3})


@pytest.mark.parametrize("value", [{"b": 1}, [1], "text", None])
def test_a_smart_activity_says_what_its_input_lacks(activities: Any, value: Any) -> None:
    @activities.smart_activity("some")
    def some(a, b=2):
        return a, b

    with pytest.raises(InvalidInput, match=r"'a'|\(a, b\)"):
        some.call_with(value)


@pytest.mark.parametrize("name", ["with space", "x" * 77, "slash/ed", ""])
def test_a_name_aws_would_refuse_is_refused_where_it_is_written(session: Any, name: str) -> None:
    with pytest.raises(InvalidName):
        ActivityRegistration(prefix="test" if name else "", session=session).activity(name)(lambda data: data)
    if len(name) != 77:
        with pytest.raises(InvalidName):
            Activity(name, session=session)


def test_a_decorator_without_parentheses_is_an_error_and_not_a_lost_function(activities: Any) -> None:
    with pytest.raises(InvalidName, match="parentheses"):

        @activities.activity
        def add(data):
            return data


def test_a_second_activity_of_one_name_is_refused_and_the_first_one_stays(activities: Any) -> None:
    @activities.activity("add")
    def add(data):
        return data

    with pytest.raises(DuplicateName, match="testadd") as caught:

        @activities.smart_activity("add")
        def other(a):
            return a

    assert isinstance(caught.value, ValueError)
    assert "'add'" not in caught.value.second
    assert activities.activities == {"testadd": add}


@pytest.mark.parametrize("heartbeat", [0, -1, math.nan, math.inf, "20", True, None])
def test_a_heartbeat_that_is_no_positive_number_is_refused_at_decoration(activities: Any, heartbeat: Any) -> None:
    with pytest.raises(ConfigurationError, match="heartbeat"):
        activities.activity("add", heartbeat=heartbeat)(lambda data: data)


def test_a_coroutine_function_is_refused_since_nobody_would_await_it(activities: Any) -> None:
    with pytest.raises(ConfigurationError, match="async def"):

        @activities.activity("add")
        async def add(data):
            return data


@pytest.mark.parametrize(("heartbeat", "seconds"), [(20, 25), (1, 6), (2.5, 8)])
def test_a_states_heartbeat_is_five_seconds_more_than_the_time_between_beats(
    activities: Any, heartbeat: float, seconds: int
) -> None:
    fn = activities.activity("add", heartbeat=heartbeat)(lambda data: data)
    assert Task("add", fn).to_dict()["HeartbeatSeconds"] == seconds


def test_registering_a_group_creates_each_activity_once(activities: Any, control: Any) -> None:
    activities.activity("a")(lambda data: data)
    other = Activity("other", session=activities.session)
    activities.add_activity(other)
    assert not other.is_registered()
    activities.register()
    assert control.calls == ["create activity testa", "create activity other"]
    assert other.is_registered()
    other.deregister()
    assert not other.is_registered()


def test_deregistering_a_group_leaves_what_is_not_of_the_group(activities: Any, control: Any) -> None:
    activities.activity("a")(lambda data: data)
    activities.add_activity(Activity("mine", session=activities.session))
    activities.register()
    for name in ("testGoneFromTheCode", "attest", "mineToo"):
        control.create_activity(name)
    activities.deregister()
    assert sorted(control.activities.values()) == ["attest", "mineToo"]


def test_deregistering_a_group_without_a_prefix_leaves_everything_else_in_the_account(
    session: Any, control: Any
) -> None:
    group = ActivityRegistration(session=session)
    group.activity("a")(lambda data: data)
    group.register()
    control.create_activity("somebodyElses")
    group.deregister()
    assert list(control.activities.values()) == ["somebodyElses"]


def test_a_lambda_function_is_a_resource_by_its_arn(session: Any) -> None:
    assert Lambda("resize:live", session=session).arn == ("arn:aws:lambda:eu-west-1:123456789012:function:resize:live")
    assert "HeartbeatSeconds" not in Task("resize", Lambda("resize", session=session)).to_dict()
    with pytest.raises(InvalidName):
        Lambda("")


def test_activities_made_without_a_session_ask_nobody_until_they_must() -> None:
    group = ActivityRegistration("test")
    fn = group.activity("a")(lambda data: data)
    assert isinstance(fn, SmartCallableActivity | CallableActivity) and isinstance(Lambda("f"), TaskResource)
    assert (repr(fn), str(fn), str(group)) == ("CallableActivity('testa')", "testa [activity]", "'test' activities")
    assert "control" not in vars(group.session)
