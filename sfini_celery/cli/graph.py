"""``graph``: a definition to look at."""

from __future__ import annotations

import json
from typing import Any

import click

from sfini_celery.cli.app_option import Invocation, aws_options
from sfini_celery.cli.targets import definition_of, target_names, without_aws
from sfini_celery.errors import DefinitionError

__all__ = ["graph"]


@click.command()
@click.argument("target", metavar="WORKFLOW|MODULE:ATTRIBUTE|FILE|-", required=False)
@click.option(
    "--format",
    "language",
    type=click.Choice(["mermaid", "dot"]),
    default="mermaid",
    show_default=True,
    help="Mermaid is drawn by GitHub, GitLab and https://mermaid.live; dot is Graphviz's.",
)
@click.option("--left-to-right", is_flag=True, help="Draw from left to right and not from top to bottom.")
@aws_options
def graph(asked: Invocation, target: str | None, language: str, left_to_right: bool) -> None:
    """Draw a workflow, or any definition, as text: the states, where they lead, and what is inside them.

    Nothing is asked of AWS. Without a name it is the app's workflow, where that is only one.

    \b
    Example:
      sfini-celery -A proj graph orders >> README.md
      sfini-celery -A proj graph orders --format dot | dot -Tsvg > orders.svg
    """
    from sfini_celery.render import dot, mermaid

    with without_aws():
        definition = only_definition(asked, target)
    if language == "dot":
        click.echo(dot(definition, direction="LR" if left_to_right else "TB"))
    else:
        click.echo(mermaid(definition, direction="LR" if left_to_right else "TD"))


def only_definition(asked: Invocation, target: str | None) -> dict[str, Any]:
    """The definition of this name, or the app's only one.

    Raises:
        click.UsageError: none is named, and the app has several
        DefinitionError: it is no JSON object
    """
    names = target_names(asked, (target,) if target else ())
    if len(names) > 1:
        raise click.UsageError(f"which workflow? There are {', '.join(sorted(names))}")
    found = definition_of(asked, names[0])
    try:
        definition = json.loads(found) if isinstance(found, str) else dict(found)
    except (ValueError, RecursionError) as error:
        raise DefinitionError(f"{names[0]} is not JSON: {error}") from None
    if not isinstance(definition, dict):
        raise DefinitionError(f"{names[0]} is not a definition: a {type(definition).__name__} and not an object")
    return definition
