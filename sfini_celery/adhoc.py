"""Canvases that nobody named: one state machine for each shape, made when it is first needed, deleted when idle.

Starting comes first: that the machine is missing shows in AWS's answer. So no process has to remember which machines
there are, one that was deleted meanwhile is made again, and CreateStateMachine, of which AWS allows one a second, is
called once for a shape and not once for a process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    from sfini_celery.execution import Execution, ExecutionResult

__all__ = ["REDRIVE_DAYS", "apply_async", "idle_machines"]

logger = get_logger(__name__)

REDRIVE_DAYS = 14
"""So many days after its end, an execution can be redriven (RedriveExecution, API reference)."""

_TAG, _TAG_OF_APP = "sfini:adhoc", "sfini:app"
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
    compiled = compile_canvas(canvas, sfn, name="adhoc", adhoc=True, comment=f"A canvas of {_app_of(sfn)}, run ad hoc")
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


def _create(sfn: StepFunctions, machine: str, compiled: Compiled) -> None:
    from sfini_celery.deploy import patiently, role_for

    control, settings = sfn.control, sfn.settings
    role = role_for(machine, settings.role_arn, control)
    if settings.create_missing_activities:
        for name in sorted(compiled.activities):
            try:
                patiently(partial(control.create_activity, name))
            except AccessDenied as exc:
                logger.warning(
                    "sfini_activities_not_created: this process may not create activities (%s); the workers do it when "
                    "they start, or `sfini-celery register` does",
                    exc,
                )
                break
    tags = {_TAG: "shape", _TAG_OF_APP: _app_of(sfn)}
    try:
        patiently(lambda: control.create_state_machine(machine, compiled.text, role, tags=tags))
    except AlreadyExists:
        # The name says what is in it: it was written in another order, or somebody else was faster.
        logger.debug("sfini_adhoc_there: %s", machine)
    else:
        logger.info("sfini_adhoc_created: %s", machine)


def _prefix(sfn: StepFunctions) -> str:
    return f"{sfn.settings.prefix}adhoc-"


def _app_of(sfn: StepFunctions) -> str:
    return str(sfn.celery.main or "celery")


# -- what is idle


def idle_machines(
    sfn: StepFunctions, *, idle_days: float = REDRIVE_DAYS, now: Callable[[], datetime] | None = None
) -> Iterator[str]:
    """Names of the app's ad-hoc machines that nothing needs any more.

    None of their executions runs or ended within so many days, and they were made before that.

    Parameters:
        sfn: the app
        idle_days: days; with fewer than 14, failed executions are lost that could still be redriven
        now: the time, timezone-aware; for tests
    """
    from sfini_celery.deploy import patiently

    control = sfn.control
    since = (now or _now)() - timedelta(days=idle_days)
    for machine in control.list_state_machines():
        prefix, _, shape = machine["name"].rpartition("-")
        if f"{prefix}-" != _prefix(sfn) or not _SHAPE.fullmatch(shape) or machine["creationDate"] > since:
            continue
        arn = machine["stateMachineArn"]
        try:
            tags = patiently(partial(control.tags, arn))
            is_ours = _TAG in tags and tags.get(_TAG_OF_APP) == _app_of(sfn)
            if is_ours and not patiently(partial(_is_used, control, arn, since)):
                yield machine["name"]
        except NotFound:
            continue  # deleted meanwhile


def _is_used(control: ControlPlane, machine: str, since: datetime) -> bool:
    # Newest first by their start: one that ended lately may come after many that ended long ago.
    return any(
        execution.get("stopDate") is None or execution["stopDate"] > since
        for execution in control.list_executions(machine)
    )


def _now() -> datetime:
    return datetime.now(timezone.utc)
