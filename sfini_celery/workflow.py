"""A workflow: a named canvas or state machine of an app; registered, started, and a Celery task as well."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from celery import Task, states
from celery.canvas import Signature, maybe_signature
from celery.result import EagerResult
from celery.utils import uuid

from sfini_celery.errors import AlreadyExists, ConfigurationError
from sfini_celery.names import check_name

if TYPE_CHECKING:
    from sfini_celery.app import StepFunctions
    from sfini_celery.asl import StateMachine
    from sfini_celery.compiler import Compiled
    from sfini_celery.execution import Execution, ExecutionResult

__all__ = ["TASK_PREFIX", "InputForm", "Workflow", "meaningful", "run_here"]

InputForm = Literal["args", "result"]

TASK_PREFIX = "sfini.workflow."
"""Before the name of a workflow, the name of the Celery task that it is."""

# How a message is published, and what Celery writes into one: nothing is published here.
_OF_PUBLISHING = frozenset(
    {"serializer", "compression", "connection", "producer", "publisher", "retry", "retry_policy", "delivery_mode",
     "mandatory", "immediate", "add_to_parent", "ignore_result", "shadow", "argsrepr", "kwargsrepr", "declare",
     "route_name", "router", "result_cls", "root_id", "parent_id", "reply_to", "app"}
)  # fmt: skip
# Seconds for which executions of a machine that was just updated may still run what it was before; AWS says "seconds".
_UPDATES_TAKE = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE, _GROWTH = 1.0, 30.0, 1.5


class Workflow:
    """A named canvas or state machine of an app; made by :meth:`StepFunctions.workflow`.

    A canvas is compiled when its definition is first wanted, so that its tasks may be decorated later.

    Attributes:
        name: its name, without the prefix
        canvas: the canvas; None for a state machine
        input: what an execution's input is: ``"args"`` or ``"result"``, see :meth:`StepFunctions.workflow`

    Example:
        >>> orders = app.workflow("orders", add.s(2) | add.s(3))
        >>> orders.register(role_arn="arn:aws:iam::123456789012:role/orders")
        >>> orders.delay(40).get(timeout=60)
        45
    """

    def __init__(
        self,
        sfn: StepFunctions,
        name: str,
        canvas: Any,
        *,
        input: InputForm = "args",
        comment: str | None = None,
        timeout: int | None = None,
    ) -> None:
        self._sfn = sfn
        self.name = check_name("workflow name", name)
        self.canvas = canvas if isinstance(canvas, Mapping) and "task" in canvas else None
        if self.canvas is None and not hasattr(canvas, "to_dict"):
            raise ConfigurationError(
                f"workflow {name!r}: give it a canvas such as task.s() | other.s(), or a state machine, not {canvas!r}"
            )
        if input not in ("args", "result"):
            raise ConfigurationError(f"workflow {name!r}: input must be 'args' or 'result', not {input!r}")
        self._machine: StateMachine | None = canvas if self.canvas is None else None
        self.input: InputForm = input if self.canvas is not None else "result"
        self.comment = comment
        self.timeout = timeout
        self._compiled: tuple[Any, Compiled] | None = None
        self._registered: tuple[str, float] | None = None
        # Lazily, as Celery's own decorator does it: making the task now would read the app's configuration too early.
        sfn.celery.task(name=self.task_name, base=_WorkflowTask, bind=True, shared=False, workflow=self)(_run_workflow)

    @property
    def full_name(self) -> str:
        """The state machine's name in AWS: the setting ``sfn_prefix`` and the name."""
        prefix = self._sfn.settings.prefix
        return check_name("workflow name", prefix + self.name, remedy=f"prefix {prefix!r} and the name are one")

    @property
    def arn(self) -> str:
        """The state machine's ARN; asks AWS for the account once."""
        return self._sfn.control.arn("stateMachine", self.full_name)

    @property
    def machine(self) -> StateMachine:
        """Its states; raises CompileError where the canvas cannot be expressed."""
        return self._compile().machine if self._machine is None else self._machine

    def definition(self) -> dict[str, Any]:
        """The definition as it is sent to AWS.

        Raises:
            CompileError: something in the canvas cannot be expressed; says where and what to write instead
        """
        if self._machine is None:
            return self._compile().definition()
        definition = self._machine.to_dict()
        if self.comment is not None:
            definition["Comment"] = self.comment
        if self.timeout is not None:
            definition["TimeoutSeconds"] = self.timeout
        return definition

    def _compile(self) -> Compiled:
        activities = self._sfn.activities
        basis = activities, self._sfn.retries, frozenset(self._sfn.workflows)
        if self._compiled is None or self._compiled[0] != basis:
            from sfini_celery.compiler import compile_canvas

            compiled = compile_canvas(
                self.canvas,
                self._sfn,
                name=self.full_name,
                input=self.input,
                comment=self.comment,
                timeout=self.timeout,
            )
            self._compiled = basis, compiled
        return self._compiled[1]

    def register(self, role_arn: str | None = None, *, publish: bool = False, alias: str | None = None) -> str | None:
        """Create or update this state machine, and the activities of the app that are missing.

        On AWS an update takes effect a little later. With ``publish``, an execution that this process starts within the
        next minute runs what was registered all the same: by its version.

        Parameters:
            role_arn: IAM role the machine runs under; the setting ``sfn_role_arn`` without it
            publish: publish a version, if the newest is not this one
            alias: let this alias lead to the version; implies ``publish``
        Returns:
            the version's ARN; None without ``publish``
        Raises:
            CompileError: the canvas cannot be expressed; nothing was changed
            DefinitionError: the machine would be refused; nothing was changed
            ConfigurationError: there is no role, or another app has a state machine of this name
            ServiceError: AWS refused; the error tells what was done before it
        """
        from sfini_celery.deploy import Machine, apply, make_plan

        sfn = self._sfn
        plan = make_plan(
            sfn.control,
            activities=sfn.activities.names(),
            machines=[Machine.of(self.full_name, self.definition(), sfn.settings, role_arn=role_arn)],
            owner=sfn.owner,
            publish=publish,
            alias=alias,
        )
        done = apply(plan, sfn.control)
        machines = [item for item in (*done, *plan.items) if item.kind == "state machine"]
        version = machines[0].version
        self._registered = None if version is None else (version, time.monotonic())
        return version

    def deregister(self) -> None:
        """Delete the state machine; AWS ends its running executions at their next state. The activities stay.

        Raises:
            ConfigurationError: it does not have this app's tags
        """
        from sfini_celery.deploy import Action, apply, plan_removal

        plan = plan_removal(self._sfn.control, self._sfn.owner, machines=[self.full_name], even_running=True)
        for item in plan.items:
            if item.action is not Action.DELETE:
                raise ConfigurationError(f"{item.kind} {item.name!r}: {item.note}")
        apply(plan, self._sfn.control)

    # starting, as Step Functions has it

    def start(
        self,
        input: Any = None,
        *,
        name: str | None = None,
        alias: str | None = None,
        version: int | None = None,
    ) -> Execution:
        """Start an execution with this input, whatever it is.

        Parameters:
            input: what the first state gets, any JSON; ``{}`` without it. A canvas gets its arguments from it as its
                ``input`` says; :meth:`delay` writes it
            name: the execution's name, for idempotency: the same name and input return the same running execution. Made
                from the workflow's name and the time without it
            alias: start the version that this alias leads to
            version: start this published version
        Raises:
            NotFound: the workflow is not registered, or has no such alias or version
            ConfigurationError: both an alias and a version are given
            AlreadyExists: the name was used with another input, or by an execution that has ended
            InvalidInput: the input is not JSON
        """
        from sfini_celery.aws import execution_name
        from sfini_celery.execution import Execution

        value = {} if input is None else input
        made = name or execution_name(self.full_name)
        return Execution(made, self._target(alias, version), value, control=self._sfn.control).start()

    def _target(self, alias: str | None, version: int | None) -> str:
        """The ARN to start."""
        if alias is not None and version is not None:
            raise ConfigurationError(f"workflow {self.name!r}: give either an alias or a version")
        which = alias if version is None else version
        if which is not None:
            return f"{self.arn}:{which}"
        if self._registered is not None and time.monotonic() - self._registered[1] < _UPDATES_TAKE:
            return self._registered[0]
        return self.arn

    def executions(self, status: str | None = None) -> Iterator[Execution]:
        """The executions of this workflow, newest first.

        Parameters:
            status: only those RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED
        """
        from sfini_celery.execution import Execution

        for item in self._sfn.control.list_executions(self.arn, status=status):
            yield Execution.from_list_item(item, control=self._sfn.control)

    # starting, as Celery has it

    def delay(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Start an execution with these partial arguments; see :meth:`apply_async`."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        **options: Any,
    ) -> ExecutionResult:
        """Start an execution with these partial arguments.

        Where the setting ``task_always_eager`` is on, the canvas runs here and now instead, without AWS.

        Parameters:
            args, kwargs: Celery's partial arguments; with ``input="result"``, and for a state machine, the one argument
                is the whole input
            task_id: name of the execution, for idempotency: the same name and arguments return the same running
                execution
            options: those of Celery that concern how a message is published are ignored, as nothing is

        Raises:
            ConfigurationError: an option that an execution cannot have
            NotFound: the workflow is not registered
            AlreadyExists: the name was used with other arguments, or by an execution that has ended
            CompileError, InvalidInput: the arguments are not JSON, or too large
        """
        if refused := meaningful(options):
            raise ConfigurationError(
                f"workflow {self.name!r}: an execution has no {', '.join(sorted(refused))}; set it on the tasks of the "
                "canvas, or put wait(...) before it"
            )
        if self._sfn.celery.conf.task_always_eager:
            eager: Any = self.apply(args, kwargs, task_id=task_id)
            return eager  # type: ignore[no-any-return]  # of Celery's, with the same names
        from sfini_celery.aws import execution_name
        from sfini_celery.execution import Execution, ExecutionResult

        value = self._input(tuple(args or ()), dict(kwargs or {}))
        made = task_id or execution_name(self.full_name)
        return ExecutionResult(Execution(made, self._target(None, None), value, control=self._sfn.control).start())

    def apply(
        self, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> EagerResult:
        """Run the canvas here and now, without AWS, as Celery's own ``apply`` does; for tests.

        Raises:
            ConfigurationError: it is a state machine
        """
        if self.canvas is None:
            raise ConfigurationError(f"workflow {self.name!r} is a state machine: only Step Functions can run it")
        return run_here(self._sfn.celery, self.canvas, args, kwargs, task_id=options.get("task_id"))

    def result(self, id: str) -> ExecutionResult:
        """The result of an execution of this workflow, found again; asks nobody.

        Parameters:
            id: its name, as given with ``task_id=``, or its ARN
        """
        if id.startswith("arn:"):
            return self._sfn.result(id)
        return self._sfn.result(f"{self.arn.replace(':stateMachine:', ':execution:')}:{id}")

    def _input(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._machine is None:
            return self._compile().execution_input(args, kwargs)
        if kwargs or len(args) > 1:
            raise ConfigurationError(f"workflow {self.name!r} is a state machine: its input is the one argument")
        return args[0] if args else {}

    # as a Celery task

    @property
    def task_name(self) -> str:
        """The name of the Celery task that it is."""
        return TASK_PREFIX + self.name

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        """A signature of it, for a canvas.

        In a canvas that Step Functions runs, it is a nested execution. In one that Celery runs, it is a task that
        starts an execution, named by the task's id, and has Celery retry it until that has ended: it occupies no
        worker meanwhile. Its result is the execution's either way.

        Example:
            >>> billing = app.workflow("billing", fetch.s() | group(charge.s(), receipt.s()) | close.s())
            >>> orders = app.workflow("orders", check.s() | billing.s() | ship.s())
        """
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        """A signature of it that takes no previous result."""
        return self.signature(args, kwargs, immutable=True)

    def signature(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Signature:
        """A signature of it; see :meth:`s`."""
        immutable = bool(options.pop("immutable", False))
        app = self._sfn.celery
        return Signature(self.task_name, tuple(args), dict(kwargs or {}), options, immutable=immutable, app=app)

    def __repr__(self) -> str:
        return f"<Workflow {self.name!r}>"


def meaningful(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of ``apply_async`` without those that only concern how a message is published."""
    return {key: value for key, value in options.items() if key not in _OF_PUBLISHING and value is not None}


def run_here(
    app: Any,
    canvas: Any,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    *,
    task_id: str | None = None,
) -> EagerResult:
    """Run a canvas here and now; what Celery's ``apply`` gives."""
    from sfini_celery.canvas import run_eagerly

    signature = maybe_signature(canvas, app=app)
    name = signature["task"]
    try:
        value = run_eagerly(signature, tuple(args or ()), kwargs)
    except Exception as exc:
        if app.conf.task_eager_propagates:
            raise
        return EagerResult(task_id or uuid(), exc, states.FAILURE, name=name)
    return EagerResult(task_id or uuid(), value, states.SUCCESS, name=name)


class _WorkflowTask(Task):
    """The Celery task that a workflow is."""

    abstract = True
    acks_late = True  # an execution named by the task's id is not started twice
    max_retries = None
    workflow: Workflow

    def apply(self, args: Any = None, kwargs: Any = None, **options: Any) -> EagerResult:
        """Run the canvas here and now."""
        return self.workflow.apply(args, kwargs, **options)


def _run_workflow(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Start an execution, and come back until it has ended."""
    request, workflow = self.request, self.workflow
    if request.called_directly:
        return workflow.delay(*args, **kwargs).get(disable_sync_subtasks=False)
    outcome = workflow.result(request.id)
    if not request.retries:
        with suppress(AlreadyExists):  # delivered again, after the execution's end
            outcome = workflow.apply_async(args, kwargs, task_id=request.id)
    if not outcome.ready():
        raise self.retry(countdown=min(_FIRST_PAUSE * _GROWTH**request.retries, _LONGEST_PAUSE))
    return outcome.get(disable_sync_subtasks=False)
