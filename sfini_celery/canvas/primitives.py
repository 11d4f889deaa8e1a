"""The steps that Celery lacks, as signatures: they compose with ``|``, serialise, and run eagerly.

Celery itself cannot run them on a worker; ``app.sfn.delay(canvas)`` or a workflow does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, ClassVar, NoReturn

from celery import current_app
from celery.canvas import Signature, maybe_signature
from celery.result import EagerResult
from celery.utils import uuid

from sfini_celery.canvas.prev import Condition, Expression
from sfini_celery.errors import ConfigurationError

_REFUSED: Any = object()

__all__ = ["Primitive", "asl", "catch", "choice", "each", "loop", "wait", "when"]


class Primitive(Signature):
    """A step that is no task. Its parameters are in ``kwargs``, so that it survives Celery's serializer."""

    NAME: ClassVar[str]
    PARTS: ClassVar[tuple[str, ...]] = ()
    """Which parameters hold signatures."""

    def __init__(self, parameters: Mapping[str, Any], *, app: Any = None, **options: Any) -> None:
        super().__init__(f"sfini.{self.NAME}", (), dict(parameters), options, app=app)
        self["subtask_type"] = f"sfini.{self.NAME}"

    @classmethod
    def from_dict(cls, d: Mapping[str, Any], app: Any = None) -> Primitive:
        """The primitive of its dict, as Celery asks for it."""
        made = cls.__new__(cls)
        Primitive.__init__(made, d["kwargs"], app=app, **d.get("options", {}))
        made["args"], made["immutable"] = tuple(d.get("args") or ()), bool(d.get("immutable"))
        return made

    @property
    def app(self) -> Any:
        """The app of a part of it, or the current one."""
        if self._app is not None:
            return self._app
        for part in self.PARTS:
            if isinstance(signature := self["kwargs"].get(part), Signature):
                return signature.app
        return current_app

    def part(self, name: str) -> Signature:
        """A parameter that is a signature, as one."""
        return maybe_signature(self["kwargs"][name], app=self._app, clone=True)

    def apply(self, args: Any = None, kwargs: Any = None, **options: Any) -> EagerResult:
        """Run it here and now, as Celery's own signatures do; for tests."""
        from sfini_celery.canvas.eager import run_eagerly

        partial = (*(args or ()), *self["args"])
        try:
            value = run_eagerly(self, partial, kwargs or {})
        except Exception as exc:
            return EagerResult(uuid(), exc, "FAILURE", name=self["task"])
        return EagerResult(uuid(), value, "SUCCESS", name=self["task"])

    def apply_async(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: Celery cannot run it."""
        raise ConfigurationError(
            f"{self.NAME}(...) is a step of Step Functions, Celery cannot run it: start the canvas with "
            "app.sfn.delay(canvas), or name it with app.workflow(...)"
        )

    def __repr__(self) -> str:
        inner = ", ".join(f"{key}={value!r}" for key, value in self["kwargs"].items() if value is not None)
        return f"{self.NAME}({inner})"


def _signature(value: Any, what: str) -> Signature:
    if not isinstance(value, Mapping) or "task" not in value:
        raise ConfigurationError(f"{what} must be a signature such as task.s(), not {value!r}")
    return maybe_signature(value)


@Signature.register_type("sfini.each")
class each(Primitive):  # noqa: N801 - named as Celery names chain and group
    """Run a canvas for every item of the previous result; the results are a list, in order.

    Parameters:
        body: what runs with each item as its previous result
        concurrency: runs at once at most; as many as AWS allows without it. Over 40 makes it distributed
        tolerate: a failed item fails nothing, its place holds ``{"error": ..., "message": ..., "traceback": ...}``
        distributed: run items as executions of their own: for long lists

    Example:
        >>> list_packages.s() | each(count_lines.s(), concurrency=10) | total.s()
    """

    NAME, PARTS = "each", ("body",)

    def __init__(
        self, body: Any, *, concurrency: int | None = None, tolerate: bool = False, distributed: bool = False
    ) -> None:
        if concurrency is not None and (
            isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1
        ):
            raise ConfigurationError(f"each: concurrency must be 1 or more, not {concurrency!r}")
        super().__init__(
            {
                "body": _signature(body, "each: the body"),
                "concurrency": concurrency,
                "tolerate": bool(tolerate),
                "distributed": bool(distributed),
            }
        )


def when(condition: Condition, canvas: Any) -> tuple[Condition, Signature]:
    """One branch of a :class:`choice`.

    Parameters:
        condition: made of :data:`prev` with Python's operators
        canvas: what runs when it holds
    """
    if not isinstance(condition, Condition):
        raise ConfigurationError(
            f"when: the condition must be made of prev, as in prev['total'] > 100, not {condition!r}"
        )
    return condition, _signature(canvas, "when: the branch")


@Signature.register_type("sfini.choice")
class choice(Primitive):  # noqa: N801
    """Run the first branch whose condition holds on the previous result.

    Parameters:
        branches: from :func:`when`, in order
        otherwise: what runs when none holds; without it the previous result passes on unchanged

    Example:
        >>> choice(when(prev["total"] > 100, review.s()), otherwise=ship.s())
    """

    NAME, PARTS = "choice", ("otherwise",)

    def __init__(self, *branches: tuple[Condition, Signature], otherwise: Any = None) -> None:
        if not branches:
            raise ConfigurationError("choice: give it branches, as in choice(when(prev['total'] > 100, review.s()))")
        for branch in branches:
            if not (isinstance(branch, tuple) and len(branch) == 2 and isinstance(branch[0], Condition)):
                raise ConfigurationError(f"choice: a branch is when(condition, canvas), not {branch!r}")
        super().__init__(
            {
                "branches": [{"when": condition, "then": canvas} for condition, canvas in branches],
                "otherwise": None if otherwise is None else _signature(otherwise, "choice: otherwise"),
            }
        )


@Signature.register_type("sfini.loop")
class loop(Primitive):  # noqa: N801
    """Run a canvas again and again on its own result, at least once.

    Parameters:
        body: what runs, each time with the result of the time before
        until: condition on its result that ends the loop
        at_most: how often it runs; when the condition still does not hold, the execution fails with
            ``sfini.LoopExhausted``. No limit without it

    Example:
        >>> submit.s() | loop(wait(seconds=30) | poll.s(), until=prev["state"] == "done", at_most=100)
    """

    NAME, PARTS = "loop", ("body",)

    def __init__(self, body: Any, *, until: Condition, at_most: int | None = None) -> None:
        if not isinstance(until, Condition):
            raise ConfigurationError(f"loop: until must be made of prev, as in prev['state'] == 'done', not {until!r}")
        if at_most is not None and (isinstance(at_most, bool) or not isinstance(at_most, int) or at_most < 1):
            raise ConfigurationError(f"loop: at_most must be 1 or more, not {at_most!r}")
        super().__init__({"body": _signature(body, "loop: the body"), "until": until, "at_most": at_most})


@Signature.register_type("sfini.wait")
class wait(Primitive):  # noqa: N801
    """Wait in the state machine, occupying no worker; the previous result passes on unchanged.

    Parameters:
        seconds: how long, rounded up to whole seconds; or an expression of :data:`prev`
        until: a time with a zone; or an expression of :data:`prev` that is RFC 3339 text

    Example:
        >>> remind.s() | wait(seconds=3600) | remind.s()
    """

    NAME = "wait"

    def __init__(
        self, *, seconds: float | Expression | None = None, until: datetime | Expression | None = None
    ) -> None:
        if (seconds is None) == (until is None):
            raise ConfigurationError("wait: give either seconds or until")
        if until is not None and not isinstance(until, Expression):
            if not isinstance(until, datetime) or until.tzinfo is None:
                raise ConfigurationError(f"wait: until must be a time with a zone, not {until!r}")
            until = until.astimezone(timezone.utc)
        if seconds is not None and not isinstance(seconds, Expression):
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
                raise ConfigurationError(f"wait: seconds must be a number, 0 or more, not {seconds!r}")
            seconds = math.ceil(seconds)
        super().__init__({"seconds": seconds, "until": until})


Errors = type[BaseException] | str


@Signature.register_type("sfini.catch")
class catch(Primitive):  # noqa: N801
    """Run a canvas, and another one when it fails.

    Parameters:
        canvas: what may fail
        handlers: by exception class or error name, the canvas that runs instead of what is left of ``canvas``; it gets
            ``{"error", "message", "traceback", "input"}``, the input being that of the step that failed. A base class
            catches its subclasses; ``Exception`` catches all but time-outs

    Example:
        >>> catch(charge.s(), {CardDeclined: notify.s(), "States.Timeout": retry_later.s()}) | ship.s()
    """

    NAME, PARTS = "catch", ("body",)

    def __init__(self, canvas: Any, handlers: Mapping[Errors | tuple[Errors, ...], Any]) -> None:
        if not handlers:
            raise ConfigurationError("catch: give it handlers, as in catch(task.s(), {ValueError: other.s()})")
        listed = [
            {**_errors(errors), "handler": _signature(handler, "catch: a handler")}
            for errors, handler in handlers.items()
        ]
        super().__init__({"body": _signature(canvas, "catch: the canvas"), "handlers": listed})


def _errors(errors: Any) -> dict[str, Any]:
    """Error names, and what is known of their classes: names of base classes, by which a base class is told apart."""
    names: list[str] = []
    ancestors: dict[str, list[str]] = {}
    for error in errors if isinstance(errors, tuple) else (errors,):
        if isinstance(error, type) and issubclass(error, BaseException):
            names.append("States.TaskFailed" if error in (Exception, BaseException) else error.__name__)
            above = [base.__name__ for base in error.__mro__[1:] if base not in (Exception, BaseException, object)]
            if above:
                ancestors[error.__name__] = above
        elif isinstance(error, str) and error:
            names.append(error)
        else:
            raise ConfigurationError(f"catch: errors are exception classes or error names, not {error!r}")
    if not names:
        raise ConfigurationError("catch: a handler without any error")
    if "States.ALL" in names and len(names) > 1:
        raise ConfigurationError("catch: States.ALL matches every error, so it stands alone")
    return {"errors": list(dict.fromkeys(names)), "ancestors": ancestors}


@Signature.register_type("sfini.asl")
class asl(Primitive):  # noqa: N801
    """Any state of the states language as a step, such as a call of an AWS service.

    Parameters:
        state: a state of :mod:`sfini_celery.asl`, or its definition without ``Next`` and ``End``; its input is the
            previous result, what it puts out is the next one
        eager: what it returns when the canvas is run eagerly, in tests; refused without it

    Example:
        >>> total.s() | asl({"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {...}})
    """

    NAME = "asl"

    def __init__(self, state: Any, *, eager: Any = _REFUSED) -> None:
        definition = state.to_dict() if hasattr(state, "to_dict") else state
        if not isinstance(definition, Mapping) or not isinstance(definition.get("Type"), str):
            raise ConfigurationError(f"asl: a state is a value of sfini_celery.asl or its definition, not {state!r}")
        written = {key: value for key, value in definition.items() if key not in ("Next", "End")}
        super().__init__({"state": written, **({} if eager is _REFUSED else {"eager": eager})})
