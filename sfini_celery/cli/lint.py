"""``lint``: what AWS would say about definitions, before AWS sees them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from sfini_celery.cli.app_option import Invocation, aws_options, json_option
from sfini_celery.cli.errors import ExitCode
from sfini_celery.cli.output import echo_json
from sfini_celery.cli.targets import definition_of, target_names, without_aws
from sfini_celery.errors import CompileError, DefinitionError

if TYPE_CHECKING:
    from sfini_celery.asl import Finding

__all__ = ["lint"]


@click.command()
@click.argument("targets", nargs=-1, metavar="[WORKFLOW|MODULE:ATTRIBUTE|FILE|-]...")
@click.option("--remote", is_flag=True, help="Have AWS validate each one too, by ValidateStateMachineDefinition.")
@click.option("--strict", is_flag=True, help="Exit with 7 for warnings as well.")
@json_option
@aws_options
def lint(asked: Invocation, targets: tuple[str, ...], remote: bool, strict: bool, as_json: bool) -> None:
    """Say what is wrong with definitions: the app's workflows, or those that are named.

    A MODULE:ATTRIBUTE may be a workflow, a state machine, a canvas or a definition; a FILE holds one in JSON, and - is
    stdin. Files need no app; nothing is asked of AWS but with --remote. Exits with 7 where there is an error.

    \b
    Example:
      sfini-celery -A proj lint
      sfini-celery lint machines/*.json
      sfini-celery lint proj.canvases:nightly --remote
    """
    told = [_looked_at(asked, name, remote=remote) for name in target_names(asked, targets)]
    if as_json:
        echo_json(told)
    else:
        _echo(told)
    severities = {finding["severity"] for each in told for finding in each["findings"]}
    if "error" in severities or (strict and severities) or any(each.get("aws") == "FAIL" for each in told):
        raise click.exceptions.Exit(ExitCode.FINDINGS)


def _looked_at(asked: Invocation, name: str, *, remote: bool) -> dict[str, Any]:
    from sfini_celery import asl

    told: dict[str, Any] = {"target": name, "findings": []}
    try:
        if remote:
            definition = definition_of(asked, name)
        else:
            with without_aws():
                definition = definition_of(asked, name)
    except (CompileError, DefinitionError) as error:
        told["findings"] = [asdict(finding) for finding in _unmade(error)]
        return told
    told["findings"] = [asdict(finding) for finding in asl.lint(definition)]
    if remote:
        answer = asked.control.validate_definition(_text(definition))
        told["aws"] = answer["result"]
        told["diagnostics"] = answer.get("diagnostics", [])
    return told


def _unmade(error: CompileError | DefinitionError) -> Iterable[Finding]:
    """Findings about what could not even be made into a definition."""
    from sfini_celery import asl

    if isinstance(error, CompileError):
        remedy = f" ({error.remedy})" if error.remedy else ""
        return [asl.Finding(error.path or "canvas", "NOT_COMPILED", f"{error.why}{remedy}", "error")]
    return error.findings or [asl.Finding("$", "NOT_MADE", str(error), "error")]


def _text(definition: Mapping[str, Any] | str) -> str:
    return definition if isinstance(definition, str) else json.dumps(definition, ensure_ascii=False)


def _echo(told: list[dict[str, Any]]) -> None:
    from sfini_celery.render import printable

    counts: Counter[str] = Counter()
    for each in told:
        for finding in each["findings"]:
            counts[finding["severity"]] += 1
            where = "" if finding["path"] == "$" else f" at {finding['path']}"
            click.echo(
                printable(f"{each['target']}: {finding['severity']} {finding['code']}{where}: {finding['message']}")
            )
        if each.get("aws") == "FAIL":
            counts["refused by AWS"] += 1
            click.echo(printable(f"{each['target']}: AWS would refuse it: {_diagnoses(each['diagnostics'])}"))
    found = ", ".join(
        f"{count} {what}{'s' if count > 1 and what != 'refused by AWS' else ''}" for what, count in counts.items()
    )
    click.echo(f"{len(told)} definition{'' if len(told) == 1 else 's'}: {found or 'nothing found'}")


def _diagnoses(diagnostics: Any) -> str:
    return "; ".join(
        " ".join(str(each[key]) for key in ("code", "location", "message") if key in each)
        for each in diagnostics
        if isinstance(each, Mapping)
    )
