"""What a Task state can name as its resource: activities, alone or in groups, and Lambda functions."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import math
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from sfini_celery.activity import Activity as ServedActivity
from sfini_celery.activity import Call, InputConvention, Parameters, read_input
from sfini_celery.errors import ConfigurationError, DuplicateName, InvalidName
from sfini_celery.names import check_name
from sfini_celery.sfini.session import AWSSession

__all__ = ["Activity", "ActivityRegistration", "CallableActivity", "Lambda", "SmartCallableActivity", "TaskResource"]

_log = logging.getLogger(__name__)

AnyCallable = TypeVar("AnyCallable", bound="CallableActivity")

SPARE_HEARTBEAT = 5
"""HeartbeatSeconds of a state, less the seconds between beats of the activity it names."""


class TaskResource:
    """Something that carries out the tasks of a Task state.

    Parameters:
        name: of the resource
        session: the account and region it is in; the ordinary AWS configuration without it

    Attributes:
        service: what kind of resource it is, as ARNs say it
    """

    service: ClassVar[str]

    def __init__(self, name: str, *, session: AWSSession | None = None) -> None:
        self.name = name
        self.session = session or AWSSession()

    @property
    def arn(self) -> str:
        """Its ARN, made of the session's region and account; asks STS for the account once."""
        return self.session.control.arn(self.service, self.name)

    def __str__(self) -> str:
        return f"{self.name} [{self.service}]"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Lambda(TaskResource):
    """A Lambda function as the resource of a Task state.

    Parameters:
        name: the function's name, with ``:alias`` or ``:version`` after it where one is meant
        session: the account and region it is in; the ordinary AWS configuration without it

    Example:
        >>> resize = Task("resize", Lambda("resizeImage"), timeout=30)
    """

    service = "function"

    def __init__(self, name: str, *, session: AWSSession | None = None) -> None:
        if not isinstance(name, str) or not name:
            raise InvalidName("Lambda function name", name, "must be a string that is not empty")
        super().__init__(name, session=session)

    @property
    def arn(self) -> str:
        """``arn:aws:lambda:REGION:ACCOUNT:function:NAME``."""
        return self.session.control.arn(self.service, self.name).replace(":states:", ":lambda:", 1)


class Activity(TaskResource):
    """An activity, whoever serves it.

    Parameters:
        name: its name in AWS, unique in the account and region
        session: the account and region it is in; the ordinary AWS configuration without it

    Raises:
        InvalidName: AWS would refuse the name
    """

    service = "activity"

    def __init__(self, name: str, *, session: AWSSession | None = None) -> None:
        super().__init__(check_name("activity name", name), session=session)

    def register(self) -> None:
        """Create the activity in AWS; nothing happens where it is there already."""
        arn = self.session.control.create_activity(self.name)
        _log.info("sfini_activity_registered %s", arn)

    def is_registered(self) -> bool:
        """Whether AWS has the activity."""
        arn = self.arn
        return any(item["activityArn"] == arn for item in self.session.control.list_activities())

    def deregister(self) -> None:
        """Delete the activity from AWS; nothing happens where there is none."""
        self.session.control.delete_activity(self.arn)
        _log.info("sfini_activity_deregistered %s", self.arn)


class CallableActivity(Activity):
    """An activity that a function of this process serves; it gets the whole input as its one argument.

    It can be called like the function.

    Parameters:
        name: the activity's name in AWS
        fn: the function
        heartbeat: seconds between two signs of life while it runs; HeartbeatSeconds of the states is five more
        session: the account and region it is in; the ordinary AWS configuration without it

    Raises:
        InvalidName: AWS would refuse the name
        ConfigurationError: the function is none, or a coroutine function, or the heartbeat is no positive number
    """

    input: ClassVar[InputConvention] = "data"

    def __init__(
        self, name: str, fn: Callable[..., Any], heartbeat: float = 20, *, session: AWSSession | None = None
    ) -> None:
        super().__init__(name, session=session)
        if not callable(fn):
            raise ConfigurationError(f"activity {name!r}: a function is needed, not {fn!r}")
        if inspect.iscoroutinefunction(fn):
            raise ConfigurationError(f"activity {name!r}: the function must be an ordinary one, not `async def`")
        if not isinstance(heartbeat, (int, float)) or isinstance(heartbeat, bool) or not 0 < heartbeat < math.inf:
            raise ConfigurationError(f"activity {name!r}: heartbeat must be a positive number, not {heartbeat!r}")
        self.fn = fn
        self.heartbeat = heartbeat
        self._served = ServedActivity(
            name=name,
            task=f"{getattr(fn, '__module__', '')}.{getattr(fn, '__qualname__', type(fn).__name__)}",
            heartbeat=math.ceil(heartbeat) + SPARE_HEARTBEAT,
            input=self.input,
        )
        self._parameters = Parameters.of(fn)

    @classmethod
    def decorate(
        cls: type[AnyCallable], name: str, heartbeat: float = 20, *, session: AWSSession | None = None
    ) -> Callable[[Callable[..., Any]], AnyCallable]:
        """Make the decorated function an activity; the parameters are the class's.

        Example:
            >>> @CallableActivity.decorate("addActivity")
            ... def add(data):
            ...     return data["a"] + data["b"]
            >>> add({"a": 3, "b": 42})
            45
        """
        check_name("activity name", name)

        def wrap(fn: Callable[..., Any]) -> AnyCallable:
            activity = cls(name, fn, heartbeat, session=session)
            functools.update_wrapper(activity, fn, updated=())
            return activity

        return wrap

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)

    def read(self, text: str) -> Call:
        """How the function is called for an activity task.

        Parameters:
            text: the task's input, JSON
        Raises:
            InvalidInput: it does not fit the function
        """
        return read_input(text, (self._served,), lambda _: self._parameters)

    def call_with(self, task_input: Any) -> Any:
        """Call the function as a worker does.

        Parameters:
            task_input: the input of the Task state
        Raises:
            InvalidInput: it does not fit the function
        """
        call = self.read(json.dumps(task_input))
        return self.fn(*call.args, **call.kwargs)


class SmartCallableActivity(CallableActivity):
    """An activity that a function of this process serves; the members of the input are its arguments, by name.

    Members that the function has no parameter for are dropped, unless it takes ``**kwargs``. The parameters are those
    of :class:`CallableActivity`.
    """

    input = "kwargs"


class ActivityRegistration:
    """A group of activities with a common beginning of their names.

    Parameters:
        prefix: put before every name that the decorators make
        session: the account and region they are in; the ordinary AWS configuration without it

    Attributes:
        activities: the activities, by their names in AWS

    Example:
        >>> activities = ActivityRegistration(prefix="foo")
        >>> @activities.activity("MyActivity")
        ... def fn(data):
        ...     return data["a"]
        >>> fn.name
        'fooMyActivity'
    """

    def __init__(self, prefix: str = "", *, session: AWSSession | None = None) -> None:
        self.prefix = prefix
        self.session = session or AWSSession()
        self.activities: dict[str, Activity] = {}

    def activity(
        self, name: str | None = None, heartbeat: float = 20
    ) -> Callable[[Callable[..., Any]], CallableActivity]:
        """Make the decorated function an activity that gets the input of its Task state as its one argument.

        Parameters:
            name: put after the prefix; the function's own name without it
            heartbeat: seconds between two signs of life while it runs
        Raises:
            InvalidName: AWS would refuse the name
            DuplicateName: an activity of this group has it
        """
        return self._decorator(CallableActivity, name, heartbeat)

    def smart_activity(
        self, name: str | None = None, heartbeat: float = 20
    ) -> Callable[[Callable[..., Any]], SmartCallableActivity]:
        """Make the decorated function an activity whose arguments are the members of the input, by name.

        Parameters and errors are those of :meth:`activity`.
        """
        return self._decorator(SmartCallableActivity, name, heartbeat)

    def _decorator(
        self, kind: type[AnyCallable], name: str | None, heartbeat: float
    ) -> Callable[[Callable[..., Any]], AnyCallable]:
        if callable(name):
            raise InvalidName(
                "activity name", name, "must be a string; write the decorator with parentheses: @....activity()"
            )

        def wrap(fn: Callable[..., Any]) -> AnyCallable:
            suffix = getattr(fn, "__name__", "") if name is None else name
            full_name = check_name(
                "activity name",
                self.prefix + suffix if isinstance(suffix, str) else suffix,
                remedy=f"it is made of prefix {self.prefix!r} and {suffix!r}; give a shorter or plainer one",
            )
            activity = kind.decorate(full_name, heartbeat, session=self.session)(fn)
            self.add_activity(activity)
            return activity

        return wrap

    def add_activity(self, activity: Activity) -> None:
        """Add an activity under its own name; the prefix is not put before it.

        Raises:
            DuplicateName: an activity of this group has its name
        """
        if (there := self.activities.get(activity.name)) is not None:
            raise DuplicateName(
                "activity name",
                activity.name,
                first=_what(there),
                second=_what(activity),
                remedy="give one of them another name",
            )
        self.activities[activity.name] = activity

    def register(self) -> None:
        """Create the group's activities in AWS; those that are there already stay as they are."""
        for activity in self.activities.values():
            activity.register()

    def deregister(self) -> None:
        """Delete from AWS the group's activities, and every other one whose name begins with the prefix.

        The latter, as in sfini, so that activities which the code no longer has go as well. Without a prefix only the
        group's own are deleted.
        """
        control = self.session.control
        for item in list(control.list_activities()):
            name = item["name"]
            if name in self.activities or (self.prefix and name.startswith(self.prefix)):
                control.delete_activity(item["activityArn"])
                _log.info("sfini_activity_deregistered %s", item["activityArn"])

    def __str__(self) -> str:
        return f"'{self.prefix}' activities"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.prefix!r}, {len(self.activities)} activities)"


def _what(activity: Activity) -> str:
    fn = getattr(activity, "fn", None)
    return f"function {getattr(fn, '__qualname__', fn)!r}" if fn is not None else repr(activity)
