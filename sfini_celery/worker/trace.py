"""What runs where a task's body runs: in a pool's child process, in a thread, in the worker itself.

The main process learns of a success only through a shortened repr, so the JSON output is written here, and so is a
failure's error and cause, while the real exception and its traceback are at hand. Both travel back with the pool's
result as an :class:`Outcome`. A retry that the task asks for travels the same way and never goes to the broker.

Pool children import this module (by name, when they are spawned): nothing here imports boto3 or aiohttp, and no task
token comes here.
"""

from __future__ import annotations

import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import billiard.pool
import celery.app.trace
from billiard.einfo import ExceptionInfo
from celery import current_app, states
from celery.app.trace import trace_task
from celery.exceptions import WorkerShutdown, WorkerTerminate
from kombu.utils import json as kombu_json

from sfini_celery.activity import failure_of, write_cause, write_output
from sfini_celery.errors import Ending, OutputNotSerializable

__all__ = ["HIDDEN", "Asked", "Outcome", "Work", "keeping_retries", "traced", "write_ending"]

HIDDEN = "<hidden>"
"""Stands for arguments and results of sensitive activities in logs, events and answers to ``inspect``."""

_KILLS = frozenset({"GreenletExit", "Timeout"})  # of gevent and eventlet, not importable without them


@dataclass(frozen=True)
class Work:
    """One attempt of a task, as it is sent to the pool.

    Attributes:
        task: the Celery task's name
        id: the Celery task id
        request: the request's dictionary, what becomes ``self.request``
        body: positional arguments, keyword arguments and embedded callbacks
        typed: write the output as Celery's serializer does
        matches: error names that the state's Retry and Catch list
        sensitive: keep arguments and result out of logs
        parent: process id of the worker
    """

    task: str
    id: str
    request: dict[str, Any] = field(repr=False)
    body: tuple[Any, Any, Any] = field(repr=False)
    typed: bool = False
    matches: tuple[str, ...] = ()
    sensitive: bool = False
    parent: int = 0


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended, in strings that any pool can carry back.

    Attributes:
        output: JSON text of the return value
        error: error and cause of the failure
        retry: JSON text of what the task asked to be retried with
        escaped: the exception came past Celery's own handling, which therefore has not recorded it
    """

    output: str | None = field(default=None, repr=False)
    error: tuple[str, str] | None = field(default=None, repr=False)
    retry: str | None = field(default=None, repr=False)
    escaped: bool = False


def traced(work: Work) -> tuple[int, Any, float, Outcome]:
    """The pool's target: run the task under Celery's own trace function.

    Returns:
        what Celery's target returns (whether it failed, repr or exception, seconds) and the :class:`Outcome`
    """
    task = current_app.tasks[work.task]
    args, kwargs, embed = work.body
    request = {**work.request, "args": args, "kwargs": kwargs, "is_eager": False, **(embed or {})}
    with _quiet(work.sensitive), keeping_retries(task, work.id) as asked:
        try:
            result, info, runtime, text = trace_task(task, work.id, args, kwargs, request, app=current_app)
        except (WorkerShutdown, WorkerTerminate):
            raise
        except BaseException as exc:
            if os.getpid() != work.parent or _ends_the_thread(exc):
                raise  # billiard reports it to the main process; gevent's pool counts on it
            return _escaped(exc, work.matches)
    if asked.retry is not None:
        outcome = Outcome(retry=asked.retry)
    elif info is None:
        outcome = _success(task, work, result, text)
    elif info.state == states.FAILURE or info.state == states.RETRY:
        outcome = Outcome(error=_failure(info.retval, work.matches))
    else:  # ignored or rejected: the main process tells them apart
        outcome = Outcome()
    if info is not None:
        return 1, result, runtime, outcome
    return 0, HIDDEN if work.sensitive else text, runtime, outcome


def _success(task: Any, work: Work, result: Any, text: str | None) -> Outcome:
    if text is None:  # Celery had a success stored under this id and did not run it again
        result = task.AsyncResult(work.id).result
    try:
        return Outcome(output=write_output(result, typed=work.typed))
    except OutputNotSerializable as exc:
        why = str(exc)
    except Exception as exc:  # an object whose own code fails while it is written
        why = f"the return value cannot be written: {type(exc).__name__}"
    ending = Ending.OUTPUT_NOT_SERIALIZABLE
    return Outcome(error=(ending.value, write_ending(ending, why)))


def write_ending(ending: Ending, message: str) -> str:
    """The cause of an ending of the bridge's own."""
    return write_cause(ending.value, "sfini_celery", message, [], "")


_MACHINERY = frozenset({__file__, celery.app.trace.__file__, billiard.pool.__file__})


def _failure(exc: BaseException, matches: tuple[str, ...]) -> tuple[str, str]:
    frames = exc.__traceback__
    while frames is not None and frames.tb_next is not None and frames.tb_frame.f_code.co_filename in _MACHINERY:
        frames = frames.tb_next  # a trace begins where the user's code does
    try:
        return failure_of(exc, matches=matches, trace="".join(traceback.format_exception(type(exc), exc, frames)))
    except Exception as broken:  # reporting less is better than reporting nothing
        kind = type(exc)
        message = f"<the exception cannot be written: {type(broken).__name__}>"
        return kind.__name__, write_cause(kind.__name__, kind.__module__, message, [], "")


def _ends_the_thread(exc: BaseException) -> bool:
    """Whether an exception is not the task's but meant for what runs it."""
    if isinstance(exc, KeyboardInterrupt):
        return threading.current_thread() is threading.main_thread()
    return type(exc).__name__ in _KILLS


def _escaped(exc: BaseException, matches: tuple[str, ...]) -> tuple[int, Any, float, Outcome]:
    """What a child process would have had reported for it; a thread's pool drops it and the request with it."""
    if isinstance(exc, Exception):
        try:
            raise exc
        except Exception:
            einfo = ExceptionInfo()
    else:
        try:
            raise RuntimeError(f"the task raised {type(exc).__name__}") from exc
        except RuntimeError:  # Celery would take a SystemExit for a lost worker process, or raise it in the worker
            einfo = ExceptionInfo()
    return 1, einfo, 0.0, Outcome(error=_failure(exc, matches), escaped=True)


# -- retries that stay in the worker


class Asked:
    """What one attempt asked for while it ran.

    Attributes:
        id: the Celery task id
        retry: JSON text of the arguments and options that ``self.retry()`` would have published
    """

    def __init__(self, id: str) -> None:
        self.id = id
        self.retry: str | None = None


_running = threading.local()


@contextmanager
def keeping_retries(task: Any, id: str) -> Iterator[Asked]:
    """Catch what ``task`` would publish, from this thread, to retry the request ``id``."""
    if "signature_from_request" not in vars(task):
        # On the task, once per process: a child that was spawned has tasks of its own.
        task.signature_from_request = _keep_retry(task.signature_from_request)
    asked, outer = Asked(id), getattr(_running, "asked", None)
    _running.asked = asked
    try:
        yield asked
    finally:
        _running.asked = outer


def _keep_retry(make: Callable[..., Any]) -> Callable[..., Any]:
    def signature_from_request(*args: Any, **kwargs: Any) -> Any:
        signature = make(*args, **kwargs)
        asked: Asked | None = getattr(_running, "asked", None)
        if asked is not None and signature.options.get("task_id") == asked.id:

            def apply_async(*_: Any, **__: Any) -> None:
                asked.retry = _write_retry(signature)

            signature.apply_async = apply_async
        return signature

    return signature_from_request


_RETRY_OPTIONS = ("countdown", "eta", "expires", "retries", "time_limit", "soft_time_limit", "priority")


def _write_retry(signature: Any) -> str:
    """A retry as text, by Celery's own serializer, so that its arguments are what a broker would have brought back."""
    options = {name: signature.options.get(name) for name in _RETRY_OPTIONS}
    return str(kombu_json.dumps({"args": list(signature.args), "kwargs": signature.kwargs, **options}))


# -- sensitive activities


class _Quiet(logging.Filter):
    """Hides what Celery's trace logs of the arguments and the result of a sensitive activity, in its thread."""

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(_running, "quiet", False) and isinstance(record.args, dict):
            hidden = dict.fromkeys({"return_value", "args", "kwargs"} & record.args.keys(), HIDDEN)
            record.args = {**record.args, **hidden}
            data = getattr(record, "data", None)
            if isinstance(data, dict):
                record.__dict__["data"] = {**data, **hidden}
        return True


_FILTER = _Quiet()


@contextmanager
def _quiet(sensitive: bool) -> Iterator[None]:
    if not sensitive:
        yield
        return
    logging.getLogger("celery.app.trace").addFilter(_FILTER)  # once: a filter is added only when it is not there
    _running.quiet = True
    try:
        yield
    finally:
        _running.quiet = False
