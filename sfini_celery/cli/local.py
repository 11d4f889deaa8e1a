"""``local``: the embedded Step Functions, on this machine."""

from __future__ import annotations

import ipaddress
import os
import shlex

import click

from sfini_celery.cli.app_option import json_option
from sfini_celery.cli.output import echo_json

__all__ = ["local"]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8083, show_default=True, help="0 for any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--account", metavar="ID", default="123456789012", show_default=True, help="Account ID in its ARNs.")
@click.option("--region", default="us-east-1", show_default=True, help="Region in its ARNs.")
@json_option
def local(port: int, host: str, account: str, region: str, as_json: bool) -> None:
    """Serve Step Functions on this machine, for development and tests, until Ctrl-C.

    Prints lines for a shell that point any AWS SDK at it.

    \b
    Example:
      sfini-celery local --port 8083
      export AWS_ENDPOINT_URL=http://127.0.0.1:8083    # as it prints, in another terminal
      sfini-celery -A proj worker
    """
    from sfini_celery.local import environment, serve

    if not (len(account) == 12 and account.isascii() and account.isdigit()):
        raise click.BadParameter("must be 12 digits", param_hint="--account")
    if not is_loopback(host):
        click.echo(
            f"Warning: --host {host}: other machines can reach it, and the server asks nobody who they are",
            err=True,
        )

    def on_ready(url: str) -> None:
        variables = environment(url, region)
        if as_json:
            echo_json({"url": url, "environment": variables}, indent=None)
            return
        click.echo(f"# Step Functions at {url}, account {account}, region {region}. Ctrl-C stops it.")
        click.echo("# Point AWS SDKs at it:")
        for name, value in variables.items():
            click.echo(f"export {name}={shlex.quote(value)}")

    try:
        serve(host=host, port=port, account=account, region=region, on_ready=on_ready)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise click.UsageError(f"cannot listen on {host}:{port}: {reason}; --port 0 takes a free one") from error
