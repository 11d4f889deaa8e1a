"""The composition root: ``StepFunctions`` joins a Celery app to AWS, ``SfiniCelery`` is a Celery app with one built in.

    Celery task --activity()--> ActivityRegistry --worker's step--> polls, calls, reports
    canvas, state machine --workflow()--> Workflow --register(), delay(), start()--> ExecutionResult, Execution
    canvas --delay()--> ExecutionResult

Nothing here talks to AWS when it is imported or decorated: the control plane opens its session at the first call.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import celery
from celery.app.task import Context

from sfini_celery.activity import (
    Activity,
    ActivityRegistry,
    InputConvention,
    Parameters,
    activity_name,
    queue_of,
)
from sfini_celery.adhoc import apply_async
from sfini_celery.brokerless import use_folder_without_broker
from sfini_celery.config import SETTINGS, Settings
from sfini_celery.decorating import task_maker, task_name
from sfini_celery.errors import ConfigurationError, DuplicateName
from sfini_celery.workflow import InputForm, Workflow

if TYPE_CHECKING:
    from sfini_celery.aws import ControlPlane
    from sfini_celery.deploy import Owner
    from sfini_celery.execution import ExecutionResult

__all__ = ["ActivityResource", "SfiniCelery", "StepFunctions"]

BRIDGE_STEP = "sfini_celery.worker.bootstep:Bridge"

if not hasattr(Context, "sfn"):
    # ``self.request.sfn`` is the Position in an activity task, None in the same task called any other way. What Context
    # knows by name, Celery also keeps out of ``self.request.headers``, which users hand on to other tasks.
    Context.sfn = None


@dataclass(frozen=True)
class ActivityResource:
    """An activity as the resource of a Task state.

    Everything is looked up when the definition is written, so a module may build its machines while it is imported.
    """

    sfn: StepFunctions = field(repr=False)
    task: str

    @property
    def name(self) -> str:
        """The activity's name in AWS."""
        return self.sfn.activities.of_task(self.task).name

    @property
    def arn(self) -> str:
        """The activity's ARN; asks AWS for the account once."""
        return self.sfn.control.arn("activity", self.name)

    @property
    def heartbeat_seconds(self) -> int:
        """HeartbeatSeconds of the state."""
        return self.sfn.activities.of_task(self.task).heartbeat

    @property
    def timeout_seconds(self) -> int | None:
        """TimeoutSeconds of the state, None for none."""
        return self.sfn.activities.of_task(self.task).timeout


class StepFunctions:
    """Step Functions for an existing Celery app.

    Parameters:
        celery_app: the app; it gets this object as ``.sfn``, and its workers the bridge

    Raises:
        ConfigurationError: the app has such an object already

    Example:
        >>> celery_app = celery.Celery("proj", broker="redis://localhost")
        >>> sfn = StepFunctions(celery_app)
        >>> @sfn.activity(heartbeat=60)
        ... def add(x, y):
        ...     return x + y
    """

    def __init__(self, celery_app: celery.Celery) -> None:
        if getattr(celery_app, "sfn", None) is not None:
            raise ConfigurationError(f"the Celery app {celery_app.main!r} has a StepFunctions already; use its .sfn")
        self.celery = celery_app
        self.workflows: dict[str, Workflow] = {}
        self._declared = ActivityRegistry()
        self._heartbeats: dict[str, int | None] = {}
        self._resolved: tuple[Any, ActivityRegistry] | None = None
        self._control: ControlPlane | None = None
        self._lock = threading.Lock()
        celery_app.sfn = self
        celery_app.steps["consumer"].add(BRIDGE_STEP)

    @property
    def settings(self) -> Settings:
        """The app's ``sfn_*`` settings, each read when asked for."""
        return Settings(self.celery.conf)

    @property
    def owner(self) -> Owner:
        """Whose the things are that are registered for this app: its name and the prefix, as tags in AWS."""
        from sfini_celery.deploy import Owner

        return Owner(str(self.celery.main or "celery"), self.settings.prefix)

    @property
    def control(self) -> ControlPlane:
        """The control plane: made at the first use, one for the app."""
        with self._lock:
            if self._control is None:
                from sfini_celery.aws import ControlPlane

                settings = self.settings
                self._control = ControlPlane(
                    region=settings.region,
                    profile=settings.profile,
                    endpoint_url=settings.endpoint_url,
                    account=settings.account,
                )
            return self._control

    # -- activities

    def activity(
        self,
        task: Any = None,
        *,
        activity: str | None = None,
        heartbeat: int | None = None,
        timeout: int | None = None,
        input: InputConvention = "auto",
        at_most_once: bool = False,
        sensitive: bool = False,
        queues: tuple[str, ...] | list[str] = (),
        polls: int | None = None,
        **task_options: Any,
    ) -> Any:
        """Make a function or a Celery task an activity; as a decorator, bare or with options, or as a call.

        Parameters:
            task: a function, a Celery task, or a Task class; None when used as ``@activity(...)``
            activity: the activity's name in AWS, without the prefix; the task's name without it. Tasks that name
                the same one share it
            heartbeat: HeartbeatSeconds of its states, in seconds; the setting ``sfn_heartbeat`` (60) without it
            timeout: TimeoutSeconds of its states, in seconds; none without it
            input: how a raw input becomes a call: ``"auto"``, ``"data"`` or ``"kwargs"``, see
                :mod:`sfini_celery.activity`
            at_most_once: retry nothing for infrastructure's sake but ``sfini.NotStarted``
            sensitive: keep arguments and result out of logs, events and results
            queues: Celery queues for which the activity also exists as ``name@queue``
            polls: open polls at most per worker; the setting ``sfn_polls`` without it
            task_options: Celery's own, as for ``@app.task``

        Returns:
            the Celery task

        Raises:
            InvalidName, DuplicateName: AWS would refuse the name, or it is taken; nothing is registered then
            ConfigurationError: an option is wrong

        Example:
            >>> @app.activity(heartbeat=60, bind=True)
            ... def add(self, x, y):
            ...     return x + y
        """

        def decorate(function_or_task: Any) -> Any:
            make = task_maker(self.celery, function_or_task, task_options)
            name = task_name(self.celery, function_or_task, task_options)
            declared = Activity(
                name=activity or name,
                task=name,
                heartbeat=self._default_heartbeat(timeout) if heartbeat is None else heartbeat,
                timeout=timeout,
                input=input,
                at_most_once=at_most_once,
                sensitive=sensitive,
                queues=_queue_names(queues),
                polls=polls,
                shared=activity is not None,
            )
            activity_name(name, name=activity, prefix=self._known_prefix())
            self._declared.add(declared)
            self._heartbeats[name] = heartbeat
            self._resolved = None
            return make()

        return decorate if task is None else decorate(task)

    @property
    def activities(self) -> ActivityRegistry:
        """Every activity of the app, with the settings (prefix, heartbeat) applied."""
        settings = self.settings
        basis = (settings.prefix, settings.heartbeat)
        if self._resolved is None or self._resolved[0] != basis:
            registry = ActivityRegistry()
            for declared in self._declared:
                heartbeat = self._heartbeats[declared.task]
                registry.add(
                    replace(
                        declared,
                        name=activity_name(declared.task, name=declared.name, prefix=settings.prefix),
                        heartbeat=_below(declared.timeout, settings.heartbeat) if heartbeat is None else heartbeat,
                    )
                )
            self._resolved = (basis, registry)
        return self._resolved[1]

    def resource(self, task: Any) -> ActivityResource:
        """An activity as the resource of a hand-written Task state.

        Parameters:
            task: the task, or its name
        Raises:
            ActivityNotFound: it is not an activity of this app

        Example:
            >>> asl.Task("add", app.sfn.resource(add))
        """
        name = task if type(task) is str else task_name(self.celery, task, {})  # isinstance would evaluate a lazy task
        return ActivityResource(self, self._declared.of_task(name).task)

    def parameters(self, task_name: str) -> Parameters:
        """What a task can be called with by name."""
        return Parameters.of(self.celery.tasks[task_name].run)

    def _default_heartbeat(self, timeout: int | None) -> int:
        return _below(timeout, int(SETTINGS["sfn_heartbeat"].default))

    def _known_prefix(self) -> str:
        """The prefix as far as it is known while tasks are still being decorated: reading ``conf`` would load it."""
        if self.celery.configured:
            return str(self.settings.prefix)
        return str(Settings(getattr(self.celery, "_preconf", None) or {}).prefix)

    # -- workflows and canvases

    def workflow(
        self,
        name: str,
        canvas: Any,
        *,
        input: InputForm = "args",
        comment: str | None = None,
        timeout: int | None = None,
    ) -> Workflow:
        """Name a canvas, or a state machine, as a workflow of this app.

        Parameters:
            name: its name in AWS, without the prefix
            canvas: a signature, chain, group, chord ...; or a machine of :mod:`sfini_celery.asl`
            input: what the input of an execution is. ``"args"``: an object with ``args`` and ``kwargs``, the canvas's
                partial arguments; ``"result"``: the first step's previous result. A machine's is its own affair
            comment: the description in AWS; a machine's own without it
            timeout: seconds an execution may take; a machine's own without it

        Raises:
            InvalidName, DuplicateName: AWS would refuse the name, or another workflow has it
            ConfigurationError: it is neither a canvas nor a machine

        Example:
            >>> orders = app.workflow("orders", add.s(2) | group(add.s(3), add.s(4)) | total.s(), timeout=3600)
            >>> orders.register()
            >>> orders.delay(40).get(timeout=60)
            91
        """
        if name in self.workflows:
            raise DuplicateName(
                "workflow",
                name,
                first="another workflow of this app",
                second="this one",
                remedy="give one of them another name",
            )
        workflow = Workflow(self, name, canvas, input=input, comment=comment, timeout=timeout)
        self.workflows[name] = workflow
        return workflow

    def delay(self, canvas: Any, /, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Run a canvas that has no name; see :meth:`apply_async`."""
        return self.apply_async(canvas, args, kwargs)

    def apply_async(
        self,
        canvas: Any,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        task_id: str | None = None,
        **options: Any,
    ) -> ExecutionResult:
        """Run a canvas that has no name, as an execution of the state machine that all canvases of its shape share.

        The machine, and the activities it uses, are created when they are missing.

        Parameters:
            canvas: a signature, chain, group, chord ...
            args, kwargs: Celery's partial arguments
            task_id: name of the execution, for idempotency: the same name and canvas return the same running execution
            options: Celery's, set on the canvas: ``countdown``, ``queue``, ``link`` ...

        Raises:
            CompileError: something in it cannot be expressed
            ConfigurationError: there is no role for the machine

        Example:
            >>> app.sfn.delay(add.s(2) | add.s(3), 4).get(timeout=60)
            9
        """
        return apply_async(self, canvas, args, kwargs, task_id=task_id, **options)

    def result(self, id: str) -> ExecutionResult:
        """The result of an execution, found again by its ``id``; like Celery's ``app.AsyncResult(id)``, asks nobody.

        Parameters:
            id: the execution's ARN
        """
        from sfini_celery.execution import Execution, ExecutionResult

        return ExecutionResult(Execution.from_arn(id, control=self.control, look=False))

    # -- what the compiler asks

    @property
    def retries(self) -> str:
        """The setting ``sfn_retries``."""
        return str(self.settings.retries)

    def arn_of(self, kind: str, name: str) -> str:
        """The ARN of what has this name in AWS; asks AWS for the account once."""
        return self.control.arn(kind, name)

    def queue_of(self, task: str) -> str:
        """The queue that a task goes to when it is called without saying where."""
        return queue_of(self.celery, task)

    def workflow_of(self, task: str) -> tuple[str, InputForm]:
        """The name in AWS and the form of input of the workflow behind a Celery task; raises KeyError."""
        workflow = next((each for each in self.workflows.values() if each.task_name == task), None)
        if workflow is None:
            raise KeyError(task)
        return workflow.full_name, workflow.input

    def __repr__(self) -> str:
        return f"<StepFunctions of {self.celery.main!r}: {len(self._declared)} activities>"


def _below(timeout: int | None, heartbeat: int) -> int:
    """HeartbeatSeconds must be smaller than TimeoutSeconds; a default gives way."""
    return heartbeat if timeout is None else max(min(heartbeat, timeout - 1), 1)


def _queue_names(queues: Any) -> tuple[str, ...]:
    if isinstance(queues, str):
        raise ConfigurationError(f"queues must be a list of names, not the text {queues!r}")
    return tuple(str(getattr(queue, "name", queue)) for queue in queues)


class SfiniCelery(celery.Celery):
    """A Celery app whose tasks can be Step Functions activities.

    Takes what :class:`celery.Celery` takes. Without any broker configured it uses a private folder of this machine as
    one (kombu's ``filesystem://``), since Step Functions itself is the queue of activity tasks: ``inspect``,
    ``delay()`` and retries then work on one host with no server at all.

    Attributes:
        sfn: the app's :class:`StepFunctions`

    Example:
        >>> app = SfiniCelery("proj", broker="redis://localhost")
        >>> @app.activity(heartbeat=60)
        ... def add(x, y):
        ...     return x + y
    """

    sfn: StepFunctions

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        StepFunctions(self)  # sets self.sfn
        self.on_after_configure.connect(use_folder_without_broker, sender=self, weak=False)

    def activity(self, task: Any = None, **options: Any) -> Any:
        """Make a function or a Celery task an activity; see :meth:`StepFunctions.activity`."""
        return self.sfn.activity(task, **options)

    def workflow(self, name: str, canvas: Any, **options: Any) -> Workflow:
        """Name a canvas, or a state machine, as a workflow of this app; see :meth:`StepFunctions.workflow`."""
        return self.sfn.workflow(name, canvas, **options)


def find(app: object) -> StepFunctions:
    """The StepFunctions of a Celery app; raises ConfigurationError saying how to get one."""
    sfn = getattr(app, "sfn", None)
    if isinstance(sfn, StepFunctions):
        return sfn
    raise ConfigurationError(
        f"the Celery app {getattr(app, 'main', app)!r} has no Step Functions: make it a SfiniCelery, or add "
        "`sfn = StepFunctions(app)` beside it"
    )
