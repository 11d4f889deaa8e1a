"""A canvas becomes a state machine.

    signatures --reading--> nodes --emission--> fragments of states --close--> machine --lint, limits--> Compiled

*Named* workflows keep their literals in the definition: they can be started from the console, and a diff shows them.
*Ad-hoc* canvases lift their literals into the execution input, so that canvases of one shape share one machine.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from sfini_celery.asl import MISSING, StateMachine, lint
from sfini_celery.compiler.emission import Emitter, Frame, Previous, close, known_errors
from sfini_celery.compiler.limits import check_definition, check_events, check_input
from sfini_celery.compiler.literals import Shapes, lifted, size_of, to_json
from sfini_celery.compiler.nodes import Node, expressions_in
from sfini_celery.compiler.reading import Reader
from sfini_celery.compiler.view import AppView
from sfini_celery.errors import CompileError, DefinitionError

__all__ = ["AppView", "Compiled", "compile_canvas"]

_log = logging.getLogger(__name__)

InputForm = Literal["args", "result"]


@dataclass(frozen=True)
class Compiled:
    """A compiled canvas.

    Attributes:
        machine: the state machine
        text: its definition as JSON, as it was measured and checked
        activities: names in AWS of the activities it uses
        literals: the lifted literals of an ad-hoc canvas, None for a named workflow
        input: ``"args"``: an execution's input is ``{"args": [...], "kwargs": {...}}``; ``"result"``: the whole input
            is the first step's previous result
    """

    machine: StateMachine
    text: str = field(repr=False)
    activities: frozenset[str]
    literals: Any = field(repr=False)
    input: InputForm
    _node: Node = field(repr=False)

    def definition(self) -> dict[str, Any]:
        """The definition in the states language."""
        definition: dict[str, Any] = json.loads(self.text)
        return definition

    @cached_property
    def shape(self) -> str:
        """What two canvases of one shape have in common: 16 hexadecimal digits."""
        text = json.dumps(self.definition(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def execution_input(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """The input that starts an execution with these partial arguments.

        Raises:
            CompileError: they are not JSON, or the input would be over 256 KiB
        """
        if self.input == "result":
            if len(args) > 1 or kwargs:
                raise CompileError("canvas", "it takes one value, the first step's previous result", "pass that alone")
            return to_json(args[0] if args else None, "", "the input")
        written: dict[str, Any] = {
            "args": to_json(list(args), "", "args"),
            "kwargs": to_json(dict(kwargs or {}), "", "kwargs"),
        }
        if self.literals is not None:
            written["lit"] = self.literals
        check_input(self._node, size_of(written))
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
        canvas: a signature, chain, group, chord, map, starmap or chunks, a step of ours, or the dict of one
        view: the app whose tasks it names
        name: of the machine
        adhoc: lift the literals into the execution input
        input: what an execution's input is, see :class:`Compiled`; of an ad-hoc canvas always ``"args"``
        comment: of the machine
        timeout: seconds an execution may take

    Raises:
        CompileError: something in it cannot be expressed; says where and what to write instead

    Example:
        >>> compile_canvas(add.s(2) | group(add.s(3), add.s(4)) | total.s(), app.sfn).definition()
    """
    node = Reader(view.celery, _tell_ignored).read(canvas)
    shapes = Shapes()
    check_events(node, shapes if adhoc else None)
    literals = lifted(node) if adhoc else None
    if adhoc:
        check_input(node, size_of(literals))
    frame = Frame(literals="$$.Execution.Input.lit" if adhoc else None)
    references = frozenset(expression.step for expression in expressions_in(node) if expression.step is not None)
    emitter = Emitter(view, shapes, ancestors=known_errors(node, view), references=references)
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
    if errors:  # a mistake of ours, or a state of the user's in asl(...)
        raise DefinitionError(f"the machine compiled from {name!r} would be refused", errors)
    return Compiled(machine, text, frozenset(emitter.used), literals, "args" if adhoc else input, node)


def _tell_ignored(path: str, names: list[str]) -> None:
    _log.warning("sfini_options_ignored %s: %s: these options mean nothing to a state machine", path, ", ".join(names))
