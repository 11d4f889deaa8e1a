"""What a command reads definitions from: workflows of the app, values in modules, files, stdin."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sfini_celery.cli.app_option import Invocation, import_module, workflow_named
from sfini_celery.errors import ConfigurationError

__all__ = ["PLACEHOLDERS", "definition_of", "target_names", "without_aws"]

PLACEHOLDERS = {"SFN_ACCOUNT": "000000000000", "SFN_REGION": "us-east-1"}
"""Stand in for the account and the region where nothing is asked of AWS and the app names none."""


@contextmanager
def without_aws() -> Iterator[None]:
    """Make ARNs inside without asking AWS for the account, so that no credentials are needed."""
    added = {name: value for name, value in PLACEHOLDERS.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def target_names(asked: Invocation, given: tuple[str, ...]) -> list[str]:
    """What was named, or else every workflow of the app.

    Raises:
        ConfigurationError: nothing was named, and there is no app or it has no workflow
    """
    if given:
        return list(given)
    names = list(asked.sfn.workflows)
    if not names:
        raise ConfigurationError(f"the app {asked.app.main!r} has no workflows; name a file or MODULE:ATTRIBUTE")
    return names


def definition_of(asked: Invocation, target: str) -> Mapping[str, Any] | str:
    """The definition behind a name: as a value, or as the text of a file.

    Parameters:
        asked: for the app, where it takes one
        target: a workflow's name; ``MODULE:ATTRIBUTE`` for a workflow, a machine, a canvas or a definition; a file's
            path; ``-`` for stdin

    Raises:
        click.UsageError: there is no such thing
        ConfigurationError: a module cannot be imported, or a workflow is named without an app
        DefinitionError, CompileError: it is there and no definition can be made of it
    """
    if target == "-":
        return sys.stdin.read()
    if is_file(target):
        try:
            return Path(target).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"cannot read {target}: {error}") from None
    if ":" in target:
        return _definition_in(asked, target)
    definition: Mapping[str, Any] = workflow_named(asked.sfn, target).definition()
    return definition


def is_file(target: str) -> bool:
    """Whether a path is meant, and no workflow: names of those have no slash."""
    return "/" in target or os.sep in target or target.endswith((".json", ".asl")) or Path(target).is_file()


def _definition_in(asked: Invocation, target: str) -> Mapping[str, Any] | str:
    module_name, _, path = target.partition(":")
    found: Any = import_module(module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise click.UsageError(f"{target}: module {module_name!r} has no {path!r}") from None
    if isinstance(found, Mapping) and "States" in found:  # a canvas is a mapping as well, of other keys
        return found
    if isinstance(found, str):
        return found
    definition = getattr(found, "definition", None) or getattr(found, "to_dict", None)
    if callable(definition):
        made = definition()
        if isinstance(made, Mapping):
            return made
    if hasattr(found, "apply_async") and isinstance(found, Mapping):
        from sfini_celery.app import find
        from sfini_celery.compiler import compile_canvas

        app = asked.app if asked.names_app else found.app  # type: ignore[attr-defined]
        return compile_canvas(found, find(app), name=path).definition()
    kind = type(found).__name__
    raise click.UsageError(f"{target} is a {kind}; name a workflow, a state machine, a canvas or a definition")
