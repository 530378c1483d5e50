"""`genclient models`: which models a server has, as far as it says."""

from __future__ import annotations

import click

from genclient.cli.console import Console
from genclient.cli.options import command, output_options
from genclient.cli.server import Server, server_options
from genclient.errors import ClientError, RpcError, printable
from genclient.model.describe import version_facts, version_line
from genclient.rpc.status import VersionStatus
from genclient.rpc.target import GRPC_PORT

REST_PORT = 8501
"""Where TensorFlow Serving's examples have REST."""

GUESS_SECONDS = 2.0

Models = dict[str, list[VersionStatus]]


@command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--rest",
    metavar="HOST:PORT",
    help=f"Where genserve's REST API is.  [default: :{REST_PORT} beside a target on :{GRPC_PORT}]",
)
@server_options
@output_options
@click.pass_context
def models(
    context: click.Context, /, names: tuple[str, ...], rest: str | None, server: Server, console: Console
) -> None:
    """List models and the states of their versions.

    genserve lists its models over REST. TensorFlow Serving has no such list: name the models, or see --model and its
    discriminator. The exit code is 0 if each model has an AVAILABLE version, else 1.
    """
    by_name = _states_of(server, names) if names else _listed(server, rest, console)
    lines = [f"{name}\t{version_line(version)}" for name, versions in by_name.items() for version in versions]
    lines += [f"{name}\tno version" for name, versions in by_name.items() if not versions]
    available = [name for name, versions in by_name.items() if any(v.state == "AVAILABLE" for v in versions)]
    data = [
        {"model": name, "versions": [version_facts(version) for version in versions]}
        for name, versions in by_name.items()
    ]
    width = max((len(name) for name in by_name), default=0)
    split = [line.partition("\t") for line in lines]
    console.result(
        "".join(f"{printable(f'{name:<{width}}  {rest}')}\n" for name, _, rest in split),
        {"target": server.target, "models": data},
        "".join(f"{printable(name)}\n" for name in available),
    )
    if len(available) < len(by_name) or not by_name:
        context.exit(1)


def _states_of(server: Server, names: tuple[str, ...]) -> Models:
    """The versions of models by name; none of one that the server does not know."""
    by_name: Models = {}
    with server.client() as client:
        for name in dict.fromkeys(names):
            try:
                by_name[name] = client.status(name)
            except RpcError as error:
                if error.code.name != "NOT_FOUND":
                    raise
                by_name[name] = []
    return by_name


def _listed(server: Server, rest: str | None, console: Console) -> Models:
    """All models by REST; else those that can be guessed."""
    from genclient.rpc.rest import list_models

    security = server.security()
    if rest is not None:
        return list_models(rest, server.timeout, security)
    try:
        return list_models(_rest_address(server.target), min(GUESS_SECONDS, server.timeout), security)
    except ClientError as error:
        console.note(f"{error}; looking up {server.model} and its discriminator at {server.target}")
    return {
        name: versions
        for name, versions in _states_of(server, _guesses(server)).items()
        if versions or name == server.model
    }


def _guesses(server: Server) -> tuple[str, str]:
    from genclient.client.base import DISCRIMINATOR_SUFFIX

    return server.model, f"{server.model}{DISCRIMINATOR_SUFFIX}"


def _rest_address(target: str) -> str:
    """The port of REST beside gRPC's usual one, at the first host of a target.

    Raises:
        ClientError: the target is no such host; what is beside another port may be another server.
    """
    from genclient.rpc.target import parse_target

    parsed = parse_target(target)
    hosts = parsed.hosts
    if not hosts or not parsed.text.split(",")[0].endswith(f":{GRPC_PORT}"):
        raise ClientError(f"the REST address of {target} is not known; give it with --rest")
    return f"[{hosts[0]}]:{REST_PORT}" if ":" in hosts[0] else f"{hosts[0]}:{REST_PORT}"
