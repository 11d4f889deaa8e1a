"""What the states of a definition call: services, functions, other machines, buckets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Call", "calls_in"]


@dataclass(frozen=True)
class Call:
    """One thing that a state makes AWS do.

    Attributes:
        machine: name of the state machine
        state: name of the state
        resource: the ARN in its ``Resource``; ``"distributed"`` for a distributed Map itself
        service: of an integrated service, as in ``sqs`` or ``aws-sdk:s3``; empty for anything else
        action: of the service, as in ``sendMessage``
        pattern: ``""``, ``sync``, ``sync:2`` or ``waitForTaskToken``
        parameters: ``Parameters`` or ``Arguments``
        role: literal ``RoleArn`` of the state's ``Credentials``; empty where it is known only at run time, None without
        member: ``Resource``, ``ItemReader`` or ``ResultWriter``
        config: of an ItemReader
    """

    machine: str
    state: str
    resource: str
    service: str = ""
    action: str = ""
    pattern: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    role: str | None = None
    member: str = "Resource"
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """For a message."""
        return f"{self.machine}/{self.state}"

    def literal(self, *names: str) -> str | None:
        """The first of these parameters that is a text known now; None where there is none."""
        return next((value for name in names if is_literal(value := self.parameters.get(name))), None)


def is_literal(value: object) -> bool:
    """Whether a value is a text that nothing evaluates at run time."""
    return isinstance(value, str) and bool(value) and not value.lstrip().startswith("{%")


def calls_in(machine: str, definition: Mapping[str, Any]) -> Iterator[Call]:
    """Every call of a definition, those inside its states included.

    Parameters:
        machine: its name in AWS
        definition: in the states language
    """
    todo: list[object] = [definition]
    while todo:
        scope = todo.pop(0)
        states = scope.get("States") if isinstance(scope, Mapping) else None
        for name, state in states.items() if isinstance(states, Mapping) else ():
            if not isinstance(state, Mapping):
                continue
            if state.get("Type") == "Task":
                yield _call(machine, str(name), state, role=_role(state))
            elif state.get("Type") == "Map":
                yield from _distributed(machine, str(name), state)
            branches = state.get("Branches")
            todo.extend(branches if isinstance(branches, list) else ())
            todo.extend(state[key] for key in ("ItemProcessor", "Iterator") if key in state)


def _distributed(machine: str, name: str, state: Mapping[str, Any]) -> Iterator[Call]:
    processor = state.get("ItemProcessor")
    config = processor.get("ProcessorConfig") if isinstance(processor, Mapping) else None
    if not isinstance(config, Mapping) or config.get("Mode") != "DISTRIBUTED":
        return
    yield Call(machine, name, "distributed")
    for key in ("ItemReader", "ResultWriter"):
        if isinstance(state.get(key), Mapping) and "Resource" in state[key]:
            yield _call(machine, name, state[key], member=key)


def _call(
    machine: str, name: str, holder: Mapping[str, Any], *, role: str | None = None, member: str = "Resource"
) -> Call:
    resource = str(holder.get("Resource", ""))
    parameters = holder.get("Arguments", holder.get("Parameters"))
    config = holder.get("ReaderConfig")
    service, action, pattern = _integration(resource)
    return Call(
        machine,
        name,
        resource,
        service,
        action,
        pattern,
        parameters if isinstance(parameters, Mapping) else {},
        role,
        member,
        config if isinstance(config, Mapping) else {},
    )


def _integration(resource: str) -> tuple[str, str, str]:
    """``arn:aws:states:::aws-sdk:s3:getObject`` is a call of ``aws-sdk:s3``, its action and no pattern."""
    parts = resource.split(":", 5)
    if len(parts) < 6 or parts[2:5] != ["states", "", ""]:
        return "", "", ""
    head, _, rest = parts[5].partition(":")
    if head == "aws-sdk":
        name, _, rest = rest.partition(":")
        head = f"aws-sdk:{name}"
    action, _, pattern = rest.partition(".")
    return head, action, pattern


def _role(state: Mapping[str, Any]) -> str | None:
    credentials = state.get("Credentials")
    if credentials is None:
        return None
    role = credentials.get("RoleArn") if isinstance(credentials, Mapping) else None
    return str(role) if is_literal(role) else ""
