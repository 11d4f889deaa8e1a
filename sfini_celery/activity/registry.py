"""An activity as a value, and the activities of one app."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from sfini_celery.errors import ActivityNotFound, ConfigurationError, DuplicateName
from sfini_celery.names import check_name

__all__ = ["Activity", "ActivityRegistry", "InputConvention", "activity_name"]

InputConvention = Literal["auto", "data", "kwargs"]


@dataclass(frozen=True, kw_only=True)
class Activity:
    """A task's place among the activities.

    Attributes:
        name: the activity's name in AWS, prefix included
        task: the Celery task (or function) that serves it
        heartbeat: HeartbeatSeconds of its states, in seconds; the worker beats at a third of it
        timeout: TimeoutSeconds of its states, in seconds; None for none
        input: how a raw input becomes a call, see the module
        at_most_once: only ``sfini.NotStarted`` is retried for infrastructure's sake
        sensitive: keep arguments and result out of logs, events and results
        queues: Celery queues for which the activity also exists as ``name@queue``
        polls: open polls at most, per worker; None for the setting ``sfn_polls``
        shared: the name was given on purpose, so other tasks may share it
    """

    name: str
    task: str
    heartbeat: int = 60
    timeout: int | None = None
    input: InputConvention = "auto"
    at_most_once: bool = False
    sensitive: bool = False
    queues: tuple[str, ...] = ()
    polls: int | None = None
    shared: bool = False

    def __post_init__(self) -> None:
        check_name("activity name", self.name, remedy="give the activity another name with activity='...'")
        for queue in self.queues:
            check_name("activity name", f"{self.name}@{queue}", remedy="shorten the activity's or the queue's name")
        if self.input not in get_args(InputConvention):
            raise ConfigurationError(
                f"activity {self.name!r}: input must be one of {', '.join(get_args(InputConvention))}, "
                f"not {self.input!r}"
            )
        if not is_whole(self.heartbeat) or self.heartbeat < 3:
            raise ConfigurationError(
                f"activity {self.name!r}: heartbeat must be a whole number of seconds, 3 or more, "
                f"not {self.heartbeat!r}"
            )
        if self.timeout is not None:
            if not is_whole(self.timeout) or self.timeout < 1:
                raise ConfigurationError(
                    f"activity {self.name!r}: timeout must be a whole number of seconds, 1 or more, "
                    f"not {self.timeout!r}"
                )
            if self.timeout <= self.heartbeat:
                raise ConfigurationError(
                    f"activity {self.name!r}: heartbeat ({self.heartbeat} s) must be smaller than timeout "
                    f"({self.timeout} s)"
                )
        if self.polls is not None and (not is_whole(self.polls) or self.polls < 1):
            raise ConfigurationError(f"activity {self.name!r}: polls must be 1 or more, not {self.polls!r}")

    @property
    def heartbeat_seconds(self) -> int:
        """HeartbeatSeconds itself (the states language reads it from a Task's resource)."""
        return self.heartbeat

    @property
    def names(self) -> tuple[str, ...]:
        """Every activity in AWS that this one stands for: its own, and one for each declared queue."""
        return (self.name, *(f"{self.name}@{queue}" for queue in self.queues))


def is_whole(value: object) -> bool:
    """Whether JSON would call this an integer."""
    return isinstance(value, int) and not isinstance(value, bool)


def activity_name(task_name: str, *, name: str | None = None, prefix: str = "") -> str:
    """The activity's name in AWS: ``prefix`` and then ``name``, or the task's own name where none is given.

    Raises:
        InvalidName: AWS would refuse it; the message says what to change
    """
    remedy = f"it is made of prefix {prefix!r} and {'the given name' if name else 'the task name'}; "
    remedy += "give a shorter or plainer one with activity='...'"
    return check_name("activity name", prefix + (name or task_name), remedy=remedy)


class ActivityRegistry:
    """The activities of one app: by task and by name.

    Tasks may share an activity when each names it on purpose (``activity="name"``); an envelope then says which task
    is meant. Any other clash of names is an error at once, not the day the second task is called.
    """

    def __init__(self) -> None:
        self._by_task: dict[str, Activity] = {}

    def add(self, activity: Activity) -> Activity:
        """Register an activity.

        Raises:
            DuplicateName: its name is taken by another task, or its task by another activity
        """
        if (same := self._by_task.get(activity.task)) is not None:
            if same == activity:
                return same
            raise DuplicateName(
                "task",
                activity.task,
                first=f"activity {same.name!r}",
                second=f"activity {activity.name!r}",
                remedy="a task is one activity; decorate it once",
            )
        for other in self._by_task.values():
            if not set(other.names) & set(activity.names):
                continue
            if not (other.shared and activity.shared):
                raise DuplicateName(
                    "activity name",
                    activity.name,
                    first=f"task {other.task!r}",
                    second=f"task {activity.task!r}",
                    remedy="give one of them another with activity='...', or the same to both to share it",
                )
            if (other.heartbeat, other.queues, other.polls) != (activity.heartbeat, activity.queues, activity.polls):
                raise ConfigurationError(
                    f"tasks {other.task!r} and {activity.task!r} share the activity {activity.name!r} but differ in "
                    "heartbeat, queues or polls; these belong to the activity: write the same on both"
                )
        self._by_task[activity.task] = activity
        return activity

    def of_task(self, task: str) -> Activity:
        """The activity of a task; raises ActivityNotFound."""
        try:
            return self._by_task[task]
        except KeyError:
            raise ActivityNotFound(task, self._by_task) from None

    def serving(self, name: str) -> tuple[Activity, ...]:
        """The activities behind one name in AWS (several when tasks share it); raises ActivityNotFound."""
        found = tuple(activity for activity in self._by_task.values() if name in activity.names)
        if not found:
            raise ActivityNotFound(name, self.names())
        return found

    def names(self) -> list[str]:
        """Every activity name in AWS, sorted, each once."""
        return sorted({name for activity in self._by_task.values() for name in activity.names})

    def __contains__(self, task: object) -> bool:
        return task in self._by_task

    def __iter__(self) -> Iterator[Activity]:
        return iter(list(self._by_task.values()))

    def __len__(self) -> int:
        return len(self._by_task)
