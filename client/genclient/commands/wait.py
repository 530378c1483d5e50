"""`genclient wait`: for scripts that start a server and then use it."""

from __future__ import annotations

from genclient.cli.console import Console
from genclient.cli.options import command, output_options
from genclient.cli.server import Server, server_options


@command()
@server_options
@output_options
def wait(server: Server, console: Console) -> None:
    """Wait until a model is AVAILABLE and print the version.

    The server need not be running yet. --timeout limits the whole wait.
    """
    with server.client() as client, console.progress() as show:
        show(f"waiting for {server.model} at {server.target}")
        version = client.wait(server.timeout)
    console.result(f"{version}\n", {"model": server.model, "version": version}, f"{version}\n")
