"""``versions`` and ``rollback``: what was published of a workflow, and going back to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sfini_celery.cli.app_option import Invocation, aws_options, json_option, machine_arn
from sfini_celery.cli.output import agreed, echo_json, moment, use_colours

if TYPE_CHECKING:
    from sfini_celery.deploy import Version

__all__ = ["rollback", "versions"]


@click.command()
@click.argument("workflow")
@click.option("--alias", required=True, metavar="NAME", help="The alias to lead elsewhere.")
@click.option("--to", type=click.IntRange(min=1), metavar="N", help="The version; the one before without it.")
@json_option
@aws_options
def rollback(asked: Invocation, workflow: str, alias: str, to: int | None, as_json: bool) -> None:
    """Let an alias of WORKFLOW lead to an earlier version. Executions that run go on with theirs.

    \b
    Example:
      sfini-celery -A proj rollback orders --alias live
      sfini-celery -A proj rollback orders --alias live --to 3
    """
    from sfini_celery.deploy import roll_back

    done = roll_back(asked.control, machine_arn(asked, workflow), alias, to=to)
    if as_json:
        echo_json({"alias": done.alias, "before": done.before, "after": done.after})
        return
    before = ", ".join(f"{number}{'' if share == 100 else f' ({share}%)'}" for number, share in done.before.items())
    click.echo(f"alias {alias} of {workflow}: version {before} -> {done.after}")


@click.group(invoke_without_command=True)
@click.pass_context
def versions(ctx: click.Context, /) -> None:
    """List the published versions of a workflow, or delete old ones.

    \b
    Example:
      sfini-celery -A proj versions list orders
      sfini-celery -A proj versions delete orders --keep 10
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@versions.command("list")
@click.argument("workflow")
@json_option
@aws_options
def list_(asked: Invocation, workflow: str, as_json: bool) -> None:
    """List the versions of WORKFLOW, newest first, with the aliases that lead to them.

    \b
    Example:
      sfini-celery -A proj versions list orders
    """
    from sfini_celery.deploy import list_versions

    found = list_versions(asked.control, machine_arn(asked, workflow))
    if as_json:
        echo_json([_told(each) for each in found])
        return
    from sfini_celery.render import Column, table

    columns = [Column("version", right=True), Column("published"), Column("aliases")]
    rows = [(each.number, moment(each.created), _aliases(each)) for each in found]
    click.echo(table(columns, rows, colours=use_colours(asked)) if rows else "no versions")


@versions.command()
@click.argument("workflow")
@click.argument("numbers", nargs=-1, type=click.IntRange(min=1), metavar="[VERSION]...")
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="All but the newest N and those of aliases.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@aws_options
def delete(
    asked: Invocation, workflow: str, numbers: tuple[int, ...], keep: int | None, yes: bool, as_json: bool
) -> None:
    """Delete versions of WORKFLOW: by their numbers, or all but the newest.

    A version that an alias leads to is never deleted. Executions that a deleted version has started go on.

    \b
    Example:
      sfini-celery -A proj versions delete orders 1 2 3
      sfini-celery -A proj versions delete orders --keep 10 --yes
    """
    from sfini_celery.deploy import delete_versions, list_versions

    if bool(numbers) == (keep is not None):
        raise click.UsageError("say which: either the versions' numbers, or --keep")
    machine = machine_arn(asked, workflow)
    found = list_versions(asked.control, machine)
    if keep is not None:
        chosen = [each.number for each in found[keep:] if not each.aliases]
    else:
        used = [each for each in found if each.number in numbers and each.aliases]
        if used:
            what = "; ".join(f"{_aliases(each)} to version {each.number}" for each in used)
            raise click.UsageError(f"aliases lead there, {what}: move them first, as with `rollback`")
        chosen = [each.number for each in found if each.number in numbers]
    if chosen and not as_json:
        click.echo(f"- versions {', '.join(map(str, chosen))} of {workflow}")
    if not chosen or not agreed("Delete these?", yes=yes):
        if as_json or not chosen:
            _echo_deleted([], as_json=as_json)
        return
    delete_versions(asked.control, machine, chosen)
    _echo_deleted(chosen, as_json=as_json)


def _echo_deleted(numbers: list[int], *, as_json: bool) -> None:
    if as_json:
        echo_json({"deleted": numbers})
    else:
        click.echo(f"deleted: {len(numbers)}")


def _aliases(version: Version) -> str:
    return ", ".join(name if share == 100 else f"{name} ({share}%)" for name, share in version.aliases.items())


def _told(version: Version) -> dict[str, object]:
    return {
        "version": version.number,
        "arn": version.arn,
        "published": version.created,
        "aliases": dict(version.aliases),
    }
