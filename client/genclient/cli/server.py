"""Where a model is served and how to talk to it: the options, and the client made from them.

A command under `@server_options` takes `server: Server`; `@request_options` and `@version_label_option` below it add to
the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.resolve import GroupedOption
from genclient.cli.types import BatchSize, Pairs
from genclient.errors import ClientError, UsageError

if TYPE_CHECKING:
    from genclient.client.client import Client
    from genclient.rpc.security import Security

Function = Callable[..., Any]
Options = tuple[Callable[[Function], Function], ...]


@dataclass(frozen=True)
class Server:
    """Where a generator is served and how to talk to it, as the options say.

    Attributes:
        target: the address, as given.
        model: the name it is served under.
        timeout: seconds, as given.
        settings: the other arguments of `Client`, by its names.
        on_wait: what is told while it is not ready: why, and the seconds left.
    """

    target: str
    model: str
    timeout: float
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    on_wait: Callable[[str, float], None] | None = None

    def having(self, **settings: Any) -> Server:
        """The same with more of the arguments of `Client`."""
        return replace(self, settings={**self.settings, **settings})

    def client(self, **changes: Any) -> Client:
        """A client for it; `changes` replace arguments of `Client`.

        Raises:
            UsageError: options cannot be meant as they are.
            ClientError: a certificate cannot be read.
        """
        from genclient.client.client import Client

        arguments = {"model": self.model, "timeout_seconds": self.timeout, **self.settings, **changes}
        client = Client(self.target, **arguments)
        client.on_wait = self.on_wait
        return client

    def security(self) -> Security:
        """How connections to it that are not gRPC's are to be encrypted."""
        from genclient.rpc.security import Security

        names = ("tls", "ca_file", "certificate_file", "key_file", "server_name")
        return Security(**{name: self.settings[name] for name in names if name in self.settings})


_connection = functools.partial(click.option, cls=GroupedOption, group="Connection")
_request = functools.partial(click.option, cls=GroupedOption, group="Requests")

_SERVER: Options = (
    _connection(
        "--target",
        default="localhost:8500",
        show_default=True,
        metavar="HOST:PORT",
        help="gRPC address (port 8500 by default) or unix:PATH; several separated by commas, or dns:///HOST:PORT.",
    ),
    _connection(
        "--model", default="digits", show_default=True, metavar="NAME", help="Name of the model on the server."
    ),
    _connection(
        "--timeout", type=float, default=60.0, show_default=True, metavar="SECONDS", help="Time limit for each request."
    ),
    _connection(
        "--retry",
        type=float,
        metavar="SECONDS",
        help="Retry for up to SECONDS while the server is unavailable; 0: never.  [default: --timeout]",
    ),
    _connection("--tls", is_flag=True, help="Use TLS, and trust the system's certificates."),
    _connection("--ca-file", type=click.Path(), metavar="FILE", help="Use TLS, and trust these certificates (PEM)."),
    _connection("--certificate-file", type=click.Path(), metavar="FILE", help="This client's certificate (PEM)."),
    _connection("--key-file", type=click.Path(), metavar="FILE", help="The key of that certificate (PEM)."),
    _connection("--server-name", metavar="NAME", help="Name in the server's certificate, if not the target's host."),
    _connection("--token", metavar="TEXT", help="Bearer token; better in GENCLIENT_TOKEN or a file."),
    _connection("--token-file", type=click.Path(), metavar="FILE", help="File with the bearer token."),
    _connection("--insecure-token", is_flag=True, help="Allow the token to be sent without TLS."),
    _connection("--plaintext-token", is_flag=True, hidden=True),  # its old name
    _connection("--authority", metavar="HOST", help="Host that requests name, for proxies that route by it."),
    _connection(
        "--header", multiple=True, type=Pairs("\n"), metavar="NAME:VALUE", help="Additional header; repeatable."
    ),
    _connection(
        "--compression",
        type=click.Choice(["none", "gzip", "deflate"]),
        default="none",
        show_default=True,
        help="Compression of requests.",
    ),
    _connection(
        "--max-message-bytes",
        type=int,
        default=2**28,
        show_default=True,
        metavar="BYTES",
        help="Largest request or response.",
    ),
)
_REQUESTS: Options = (
    _request("--concurrency", type=int, default=4, show_default=True, metavar="COUNT", help="Requests in flight."),
    _request("--deadline", type=float, metavar="SECONDS", help="Time limit for all requests together."),
)
_TENSORS: Options = (
    _request(
        "--batch-size",
        type=BatchSize(),
        default="auto",
        show_default=True,
        metavar="COUNT|auto",
        help="Images per request.",
    ),
    _request(
        "--map",
        multiple=True,
        type=Pairs(","),
        metavar="OURS=THEIRS",
        help="The model's own name for a tensor, such as latents=z; repeatable.",
    ),
    _request(
        "--output-range",
        type=(float, float),
        metavar="LOW HIGH",
        help="Lowest and highest pixel value, where the model returns floats.",
    ),
)

_VERSION_LABEL: Options = (
    click.option("--version-label", metavar="LABEL", help="Use the version that has this label, such as stable."),
)


def declared(function: Function, options: Options) -> Function:
    """A function with options, which help shows in this order."""
    for option in reversed(options):
        function = option(function)
    return function


def _names(options: Options) -> tuple[str, ...]:
    """The parameters that options set."""
    return tuple(option.name or "" for option in click.command()(declared(lambda: None, options)).params)


def _server_from(options: Options, make: Callable[..., Server]) -> Callable[[Function], Function]:
    """A decorator that declares options and calls the function with the server that `make` makes of their values."""
    names = _names(options)

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*arguments: Any, **values: Any) -> Any:
            own = {name: values.pop(name) for name in names}
            return function(*arguments, server=make(values.pop("server", None), **own), **values)

        return declared(call, options)

    return decorate


def _connected(_: None, target: str, model: str, timeout: float, **options: Any) -> Server:
    settings = {
        "retry_seconds": options["retry"],
        "headers": dict(options["header"]),
        "token": _token(options["token"], options["token_file"]),
        "compression": None if options["compression"] == "none" else options["compression"],
    }
    same = ("tls", "ca_file", "certificate_file", "key_file", "server_name", "authority", "max_message_bytes")
    settings.update({name: options[name] for name in same})
    settings["insecure_token"] = options["insecure_token"] or options["plaintext_token"]
    return Server(target, model, timeout, settings)


def _with_tensors(server: Server, map: tuple[tuple[str, str], ...], **options: Any) -> Server:
    return server.having(names=dict(map), **options)


def _with_requests(server: Server, concurrency: int, deadline: float | None, **options: Any) -> Server:
    return _with_tensors(server.having(concurrency=concurrency, deadline_seconds=deadline), **options)


server_options = _server_from(_SERVER, _connected)
"""Where a model is served and how to get there; the command takes `server`."""

tensor_options = _server_from(_TENSORS, _with_tensors)
"""How images travel: --batch-size, --map, --output-range; below `server_options`."""

request_options = _server_from((*_REQUESTS, *_TENSORS), _with_requests)
"""The same with --concurrency and --deadline; below `server_options`."""

version_label_option = _server_from(_VERSION_LABEL, Server.having)
"""The version by its label; below `server_options`."""

_NAMES = _names((*_SERVER, *_REQUESTS, *_TENSORS, *_VERSION_LABEL))


def refuse_server(context: click.Context, *more: str) -> None:
    """Check that no option of a server, nor one of `more`, stands beside --tflite on the command line.

    Raises:
        UsageError: one does.
    """
    for name in (*_NAMES, *more):
        if name in context.params and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name.replace('_', '-')}: found beside --tflite, expected only with a server")


def _token(text: str | None, path: str | None) -> str | None:
    if path is None or text is not None:
        return text
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ClientError(f"--token-file: cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
