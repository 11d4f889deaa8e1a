"""Calls of tasks, their delays and their callbacks."""

from __future__ import annotations

import math
from inspect import getattr_static
from typing import Any

from sfini_celery.activity import Activity
from sfini_celery.asl import MISSING, Parallel, Pass, Task, Wait
from sfini_celery.canvas import Expression
from sfini_celery.compiler.emission.emitter import Emitter, emits
from sfini_celery.compiler.emission.envelope import envelope
from sfini_celery.compiler.emission.fragment import End, Fragment, close, joined, of_state, state_end
from sfini_celery.compiler.emission.frame import Frame, Previous
from sfini_celery.compiler.emission.paths import path_of
from sfini_celery.compiler.emission.retries import add_infrastructure_retries, add_retries, policy_of
from sfini_celery.compiler.literals import link_place, moment
from sfini_celery.compiler.nodes import Delay, Node, Step, Waiting
from sfini_celery.errors import ActivityNotFound, CompileError

__all__ = ["delayed", "finished"]

_MARGIN = 30
"""Seconds that a hard time limit may be late before its state times out, on top of a heartbeat."""


@emits(Step)
def _emit_step(emitter: Emitter, node: Step, frame: Frame, previous: Previous) -> Fragment:
    activity, name = _activity_of(emitter, node)
    emitter.used.add(name)
    task = emitter.view.celery.tasks.get(node.task)
    in_states = emitter.view.retries == "states" and not node.over
    policy = policy_of(task) if in_states and task is not None else None
    listed = () if policy is None else policy.listed
    timeout = activity.timeout or _timeout_from_limit(node, activity, task, retried_here=policy is None)
    state = Task(
        emitter.names.give(node.task, node.path, chosen=node.name),
        emitter.view.arn_of("activity", name),
        comment=f"celery.{node.over}: one activity task for all items" if node.over else MISSING,
        parameters=envelope(node, frame, previous, errors=listed, retry=None if policy is None else policy.told()),
        result_path=frame.result_path,
        heartbeat=activity.heartbeat,
        timeout=MISSING if timeout is None else timeout,
    )
    add_infrastructure_retries(state, at_most_once=activity.at_most_once)
    if policy is not None:
        never = emitter.matching(policy.never_names)
        errors = [error for error in emitter.matching(policy.names) if error not in never]
        if errors:
            add_retries(state, policy, never, errors)
    return finished(emitter, node, frame, previous, state)


def _activity_of(emitter: Emitter, node: Step) -> tuple[Activity, str]:
    """The activity that a step's task is, and its name for the queue that the step is routed to."""
    try:
        activity = emitter.view.activities.of_task(node.task)
    except ActivityNotFound as exc:
        raise CompileError(node.place, str(exc), "decorate the task with @app.activity") from exc
    if node.queue is None or node.queue == emitter.view.queue_of(node.task):
        return activity, activity.name
    if node.queue not in activity.queues:
        declared = f"; declared are {', '.join(activity.queues)}" if activity.queues else ""
        raise CompileError(
            node.place,
            f"task {node.task!r} is routed to queue {node.queue!r}, for which no activity is declared{declared}",
            f"write @app.activity(queues=[{node.queue!r}, ...])",
        )
    return activity, f"{activity.name}@{node.queue}"


def _timeout_from_limit(node: Step, activity: Activity, task: Any, *, retried_here: bool) -> int | None:
    """TimeoutSeconds from the hard time limit, where one attempt in the worker is all that it holds the token for."""
    limit = node.options.get("time_limit")
    if task is not None and not node.over:
        if limit is None:
            limit = task.time_limit
        bound = not isinstance(getattr_static(type(task), "run", None), staticmethod)
        may_retry = task.max_retries != 0 and (bound or (retried_here and getattr(task, "autoretry_for", ())))
        if may_retry or task.rate_limit:  # a rate limit holds the token before the task even runs
            return None
    return None if limit is None else math.ceil(limit) + activity.heartbeat + _MARGIN


def finished(
    emitter: Emitter,
    node: Step,
    frame: Frame,
    previous: Previous,
    state: Any,
    *,
    whole: Fragment | None = None,
    main: bool = True,
) -> Fragment:
    """A call's state with what comes around it: countdown or ETA before, callbacks after.

    Parameters:
        node: the call
        frame, previous: where it stands
        state: what runs it
        whole: the state with what else it takes, where it takes more
        main: whether the raw result of the state is the call's
    """
    if previous is Previous.START:
        emitter.first.add(state)
    fragment = of_state(state) if whole is None else whole
    for index, link in enumerate(node.links):
        fragment = joined(fragment, _emit_link(emitter, link, frame.branch(link_place(node, index))))
    if node.delay is not None:
        wait = delayed(emitter, node, node.delay, f"wait for {node.title}", frame.at(1), previous)
        fragment = joined(wait, fragment)
    return Fragment(fragment.start, fragment.ends, fragment.after, state if main else None)


def delayed(emitter: Emitter, node: Node, delay: Delay, title: str, frame: Frame, previous: Previous) -> Fragment:
    """A wait before something; what came before passes on.

    Parameters:
        node: what waits
        delay: for how long
        title: of the state
        frame: that of the delay's literal
        previous: what comes before
    """
    if frame.literals is None:
        name = emitter.names.give(title, node.path, chosen=node.name if isinstance(node, Waiting) else None)
        wait = Wait(name, delay.seconds or 0) if delay.until is None else Wait(name, timestamp=moment(delay))
        return of_state(wait, previous)
    if frame.literals_travel:
        return of_state(_waiting(emitter, node, delay, title, frame.literals), previous)
    if previous is Previous.START and not frame.kept:  # the data is the execution's input itself
        path = frame.literals.replace("$$.Execution.Input", "$", 1)
        return of_state(_waiting(emitter, node, delay, title, path), previous)
    # A wait cannot look into the context object, but at a variable.
    variable = emitter.variable("delay")
    look = Pass(
        emitter.names.give(f"look up {title}", node.path),
        comment="a wait cannot look into the execution's input",
        assign={f"{variable}.$": frame.literals},
    )
    return joined(of_state(look, previous), of_state(_waiting(emitter, node, delay, title, f"${variable}"), previous))


def _waiting(emitter: Emitter, node: Node, delay: Delay, title: str, path: str) -> Wait:
    name = emitter.names.give(title, node.path, chosen=node.name if isinstance(node, Waiting) else None)
    return Wait(name, seconds_path=path) if delay.until is None else Wait(name, timestamp_path=path)


@emits(Waiting)
def _emit_wait(emitter: Emitter, node: Waiting, frame: Frame, previous: Previous) -> Fragment:
    if isinstance(node.delay, Delay):
        title = "wait"
        if frame.literals is None:
            title = f"wait {node.delay.seconds} s" if node.delay.until is None else f"wait until {moment(node.delay)}"
        return delayed(emitter, node, node.delay, title, frame, previous)
    assert isinstance(node.delay, Expression)
    path = path_of(node.delay, frame, previous, node.place)
    name = emitter.names.give(f"wait for {node.delay}", node.path, chosen=node.name)
    return of_state(
        Wait(name, seconds_path=path) if node.kind == "seconds" else Wait(name, timestamp_path=path), previous
    )


def _emit_link(emitter: Emitter, node: Node, frame: Frame) -> Fragment:
    """A callback: it gets the result, and what becomes of it is dropped; the chain waits for it."""
    fragment = emitter.emit(node, frame, Previous.RESULT)
    state: Any = fragment.start
    if isinstance(node, Step) and state is fragment.main and not node.links:
        state.comment = "a callback: its result and its failure are dropped"
    else:
        state = Parallel(
            emitter.names.give(f"callback {node.title}", node.path), comment="its result and its failure are dropped"
        )
        state.add(close(fragment, frame, "callback"))
    state.result_path = None
    emitter.callbacks.add(state)
    failed = End(
        lambda following: state.catch("States.ALL", following, None),
        lambda result: _end_quietly(emitter, node, state, result),
    )
    return Fragment(state, (state_end(state), failed))


def _end_quietly(emitter: Emitter, node: Node, state: Any, result: str) -> None:
    name = emitter.names.give(f"without {state.name}", node.path)
    path: Any = result if result != "$" else MISSING
    state.catch("States.ALL", Pass(name, comment="the callback failed; the result goes on", output_path=path), None)
