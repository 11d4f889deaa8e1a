"""Canvases that nobody named: one state machine for each shape, made when it is first needed, deleted when idle.

Starting comes first: that the machine is missing shows in AWS's answer. So no process has to remember which machines
there are, one that was deleted meanwhile is made again, and CreateStateMachine, of which AWS allows one a second, is
called once for a shape and not once for a process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.canvas import maybe_signature
from celery.utils.log import get_logger

from sfini_celery.errors import AccessDenied, AlreadyExists, NotFound
from sfini_celery.names import check_name
from sfini_celery.workflow import meaningful, run_here

if TYPE_CHECKING:
    from sfini_celery.app import StepFunctions
    from sfini_celery.aws import ControlPlane
    from sfini_celery.compiler import Compiled
    from sfini_celery.deploy import Plan
    from sfini_celery.execution import Execution, ExecutionResult

__all__ = ["REDRIVE_DAYS", "apply_async", "plan_idle_removal"]

logger = get_logger(__name__)

REDRIVE_DAYS = 14
"""So many days after its end, an execution can be redriven (RedriveExecution, API reference)."""

_SHAPE = re.compile(r"[0-9a-f]{16}")


def apply_async(
    sfn: StepFunctions,
    canvas: Any,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    *,
    task_id: str | None = None,
    **options: Any,
) -> ExecutionResult:
    """Run a canvas that has no name; see :meth:`StepFunctions.apply_async`."""
    from sfini_celery.compiler import compile_canvas
    from sfini_celery.execution import ExecutionResult

    if isinstance(canvas, Mapping) and (given := meaningful(options)):
        canvas = maybe_signature(canvas, app=sfn.celery).clone().set(**given)
    if sfn.celery.conf.task_always_eager:
        eager: Any = run_here(sfn.celery, canvas, args, kwargs, task_id=task_id)
        return eager  # type: ignore[no-any-return]  # of Celery's, with the same names
    compiled = compile_canvas(canvas, sfn, name="adhoc", adhoc=True, comment=f"A canvas of {sfn.owner.app}, run ad hoc")
    value = compiled.execution_input(tuple(args or ()), dict(kwargs or {}))
    return ExecutionResult(_start(sfn, compiled, value, task_id))


def _start(sfn: StepFunctions, compiled: Compiled, value: Any, name: str | None) -> Execution:
    from sfini_celery.aws import execution_name
    from sfini_celery.execution import Execution

    control = sfn.control
    machine = check_name("state machine name", f"{_prefix(sfn)}{compiled.shape}", remedy="shorten sfn_prefix")
    arn = control.arn("stateMachine", machine)
    execution = Execution(name or execution_name(machine), arn, value, control=control)
    if _started(execution):
        return execution
    with control.creating:  # the threads of a process; between processes, creating is idempotent
        if _started(execution):
            return execution
        _create(sfn, machine, compiled)
    return execution.start()


def _started(execution: Execution) -> bool:
    try:
        execution.start()
    except NotFound as exc:
        if exc.code not in ("StateMachineDoesNotExist", "StateMachineDeleting"):
            raise
        return False
    return True


def _create(sfn: StepFunctions, name: str, compiled: Compiled) -> None:
    from sfini_celery.deploy import Machine, patiently, role_for
    from sfini_celery.deploy.ownership import ADHOC_TAG

    control, settings, tags = sfn.control, sfn.settings, sfn.owner.tags
    machine = Machine.of(name, compiled.definition(), settings)
    role = role_for(name, machine.role_arn, control)
    if settings.create_missing_activities:
        for activity in sorted(compiled.activities):
            try:
                patiently(partial(control.create_activity, activity, tags=tags))
            except AccessDenied as exc:
                logger.warning(
                    "sfini_activities_not_created: this process may not create activities (%s); the workers do it when "
                    "they start, or `sfini-celery register` does",
                    exc,
                )
                break
    create = partial(
        control.create_state_machine,
        name,
        compiled.text,
        role,
        tags={**tags, ADHOC_TAG: "shape"},
        logging=machine.logging,
        tracing=machine.tracing,
    )
    try:
        patiently(create)
    except AlreadyExists:
        # The name says what is in it: it was written in another order, or is logged otherwise.
        logger.debug("sfini_adhoc_there: %s", name)
    else:
        logger.info("sfini_adhoc_created: %s", name)


def _prefix(sfn: StepFunctions) -> str:
    return f"{sfn.settings.prefix}adhoc-"


# -- what is idle


def plan_idle_removal(
    sfn: StepFunctions, *, idle_days: float = REDRIVE_DAYS, now: Callable[[], datetime] | None = None
) -> Plan:
    """What removing the app's ad-hoc machines that nothing needs any more would do.

    None of their executions runs or ended within so many days, and they were made before that. One that is needed again
    is made again.

    Parameters:
        sfn: the app
        idle_days: days; with fewer than 14, failed executions are lost that could still be redriven
        now: the time, timezone-aware; for tests
    """
    from sfini_celery.deploy import Action, Item, Plan, patiently
    from sfini_celery.deploy.ownership import ADHOC_TAG

    control, wanted = sfn.control, {**sfn.owner.tags, ADHOC_TAG: "shape"}
    since = (now or _now)() - timedelta(days=idle_days)
    items = []
    for machine in control.list_state_machines():
        name, arn = machine["name"], machine["stateMachineArn"]
        if not name.startswith(_prefix(sfn)) or not _SHAPE.fullmatch(name[len(_prefix(sfn)) :]):
            continue
        if machine["creationDate"] > since:
            continue
        try:
            is_ours = wanted.items() <= patiently(partial(control.tags, arn)).items()
            if is_ours and not patiently(partial(_is_used, control, arn, since)):
                items.append(Item(Action.DELETE, "state machine", name, arn))
        except NotFound:
            continue  # deleted meanwhile
    return Plan(tuple(items))


def _is_used(control: ControlPlane, machine: str, since: datetime) -> bool:
    # Newest first by their start: one that ended lately may come after many that ended long ago.
    return any(
        execution.get("stopDate") is None or execution["stopDate"] > since
        for execution in control.list_executions(machine)
    )


def _now() -> datetime:
    return datetime.now(timezone.utc)
