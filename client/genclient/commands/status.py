"""`genclient status`: the versions of a model and their states."""

from __future__ import annotations

import click

from genclient.cli.console import Console
from genclient.cli.options import command, output_options
from genclient.cli.server import Server, server_options
from genclient.model.describe import version_facts, version_line


@command()
@server_options
@output_options
@click.pass_context
def status(context: click.Context, /, server: Server, console: Console) -> None:
    """List the versions of a model and their states. Exit code 0 when one is AVAILABLE, else 1."""
    with server.client() as client:
        versions = client.status()
    available = [version.version for version in versions if version.state == "AVAILABLE"]
    console.result(
        "".join(f"{version_line(version)}\n" for version in versions),
        {"model": server.model, "versions": [version_facts(version) for version in versions]},
        "".join(f"{version}\n" for version in available),
    )
    if not available:
        context.exit(1)
