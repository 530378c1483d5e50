"""`genclient reload`: gives a running server another configuration of models, or reads it back."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from genclient.cli.console import Console
from genclient.cli.options import command, output_options
from genclient.cli.server import Server, server_options
from genclient.errors import ClientError, UsageError, printable

MAX_BYTES = 2**24


@command()
@click.argument("file", type=click.Path(), metavar="[FILE|-]", required=False)
@click.option(
    "--merge", is_flag=True, help="Add or change the models in FILE and keep the server's others (genserve only)."
)
@click.option("--remove", metavar="NAME", help="Stop serving this model and keep the others (genserve only).")
@click.option("--show", is_flag=True, help="Print the server's configuration, as a FILE (genserve only).")
@click.option("-n", "--dry-run", is_flag=True, help="Read the file and show what would be sent.")
@server_options
@output_options
def reload(
    file: str | None, merge: bool, remove: str | None, show: bool, dry_run: bool, server: Server, console: Console
) -> None:
    """Replace, extend or print the model config of a running server.

    Returns once the new models are available, for up to --timeout. FILE is TensorFlow Serving's model config as text;
    it replaces the server's whole config, unless --merge is given:

    \b
    model_config_list {
      config { name: "digits" base_path: "/models/digits" model_platform: "tensorflow" }
    }
    """
    if sum([file is not None, remove is not None, show]) != 1 or (merge and file is None):
        raise UsageError("expected one of FILE (with --merge or without), --remove NAME and --show")
    if file is not None:
        _send(file, merge, dry_run, server, console)
    elif show:
        with server.client() as client:
            text = client.config()
        console.result(text, {"target": server.target, "config": text}, text)
    else:
        if not dry_run:
            with server.client() as client:
                client.remove(str(remove))
        data = {"target": server.target, "removed": remove, "dry_run": dry_run}
        console.result(f"removed {printable(str(remove))}\n", data, f"{printable(str(remove))}\n")


def _send(file: str, merge: bool, dry_run: bool, server: Server, console: Console) -> None:
    text = _text(file)
    models = _models(text, file)
    start = time.perf_counter()
    if not dry_run:
        with server.client() as client, console.progress() as show:
            show(f"waiting for {len(models)} models at {server.target}")
            (client.merge if merge else client.reload)(text)
    data = {"target": server.target, "models": models, "dry_run": dry_run}
    if not dry_run:
        data["seconds"] = round(time.perf_counter() - start, 3)
    names = "".join(f"{printable(model['name'])}\n" for model in models)
    console.result("".join(f"{printable(_line(model))}\n" for model in models), data, names)


def _text(file: str) -> str:
    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except (OSError, AttributeError) as error:
        raise ClientError(f"cannot read {file}: {getattr(error, 'strerror', None) or 'stdin is closed'}") from None
    if len(content) > MAX_BYTES:
        raise UsageError(f"{file}: found more than {MAX_BYTES} bytes, expected a model config")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{file}: found bytes that are not UTF-8, expected a model config as text") from None


def _models(text: str, file: str) -> list[dict[str, Any]]:
    from genclient.client.server_config import server_config

    try:
        config = server_config(text).model_config_list.config
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from None
    if not config:
        raise UsageError(f"{file}: found no models, expected model_config_list {{ config {{ … }} }}")
    return [{"name": model.name, "base_path": model.base_path} for model in config]


def _line(model: dict[str, Any]) -> str:
    return f"{model['name']}  {model['base_path']}"
