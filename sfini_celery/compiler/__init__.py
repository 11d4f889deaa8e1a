"""A canvas becomes a state machine.

    signatures --Reader--> nodes --Emitter--> fragments of states --close--> machine --lint, limits--> Compiled

*Named* workflows keep their literals in the definition: they can be started from the console, and a diff shows them.
*Ad-hoc* canvases lift their literals into the execution input, so that canvases of one shape share one machine.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sfini_celery.asl import MISSING, StateMachine, lint
from sfini_celery.compiler import primitives  # noqa: F401 - registers how they are turned into states
from sfini_celery.compiler.emit import Emitter
from sfini_celery.compiler.fragment import close
from sfini_celery.compiler.frame import Frame, Previous
from sfini_celery.compiler.limits import check_definition, check_events, check_payload
from sfini_celery.compiler.literals import expressions_in, lifted, to_json
from sfini_celery.compiler.reader import Reader
from sfini_celery.compiler.view import AppView
from sfini_celery.errors import DefinitionError

__all__ = ["AppView", "Compiled", "compile_canvas"]

_log = logging.getLogger(__name__)

InputForm = Literal["args", "result"]


@dataclass(frozen=True)
class Compiled:
    """A compiled canvas.

    Attributes:
        machine: the state machine
        activities: names in AWS of the activities it uses
        literals: the lifted literals of an ad-hoc canvas, None for a named workflow
        input: ``"args"``: an execution's input is ``{"args": [...], "kwargs": {...}}``; ``"result"``: the whole input
            is the first step's previous result
    """

    machine: StateMachine
    activities: frozenset[str]
    literals: Any
    input: InputForm

    def definition(self) -> dict[str, Any]:
        """The definition in the states language."""
        return self.machine.to_dict()

    @property
    def shape(self) -> str:
        """What two canvases of one shape have in common: 16 hexadecimal digits."""
        text = json.dumps(self.definition(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def execution_input(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """The input that starts an execution with these partial arguments.

        Raises:
            CompileError: they are not JSON, or the input would be over 256 KiB
        """
        written: dict[str, Any] = {
            "args": to_json(list(args), "", "args"),
            "kwargs": to_json(dict(kwargs or {}), "", "kwargs"),
        }
        if self.literals is not None:
            written["lit"] = self.literals
        check_payload(written, "the execution's input", "keep large data in S3 and pass its key")
        return written


def compile_canvas(
    canvas: Any,
    view: AppView,
    *,
    name: str = "canvas",
    adhoc: bool = False,
    input: InputForm = "args",
    comment: str | None = None,
    timeout: int | None = None,
) -> Compiled:
    """Compile a canvas to a state machine.

    Parameters:
        canvas: a signature, chain, group, chord, map, starmap or chunks, or the dict of one
        view: the app whose tasks it names
        name: of the machine
        adhoc: lift the literals into the execution input
        input: what an execution's input is, see :class:`Compiled`
        comment: of the machine
        timeout: seconds an execution may take

    Raises:
        CompileError: something in it cannot be expressed; says where and what to write instead

    Example:
        >>> compile_canvas(add.s(2) | group(add.s(3), add.s(4)) | total.s(), app.sfn).definition()
    """
    node = Reader(view.celery, _tell_ignored).read(canvas)
    check_events(node, adhoc=adhoc)
    literals = lifted(node) if adhoc else None
    frame = Frame(literals="$$.Execution.Input.lit" if adhoc else None)
    emitter = Emitter(view, references=frozenset(e.step for e in expressions_in(node) if e.step is not None))
    previous = Previous.RESULT if input == "result" and not adhoc else Previous.START
    machine = close(
        emitter.emit(node, frame, previous),
        frame,
        name,
        comment=MISSING if comment is None else comment,
        timeout=MISSING if timeout is None else timeout,
    )
    text = machine.to_json()
    check_definition(text)
    errors = [finding for finding in lint(text) if finding.severity == "error"]
    if errors:  # a mistake of ours: no canvas should get here
        raise DefinitionError(f"the machine compiled from {name!r} would be refused", errors)
    return Compiled(machine, frozenset(emitter.used), literals, "args" if adhoc else input)


def _tell_ignored(path: str, names: list[str]) -> None:
    _log.warning("sfini_options_ignored %s: %s: these options mean nothing to a state machine", path, ", ".join(names))
