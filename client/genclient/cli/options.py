"""Options that several commands share, as decorators, and what is made of them: a client, a way to say things.

A command is a function under `@command()`. `@server_options` gives it `server: Server`, `@request_options` adds what
concerns requests for images to the same, and `@output_options` gives it `console: Console`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.console import STYLES, Console, tell
from genclient.cli.resolve import Command, GroupedOption
from genclient.cli.types import BatchSize, Pairs
from genclient.errors import ClientError, UsageError

if TYPE_CHECKING:
    from genclient.client.client import Client
    from genclient.images.value_ranges import ValueRanges
    from genclient.rpc.security import Security

Function = Callable[..., Any]


def command(name: str | None = None, **settings: Any) -> Callable[[Function], click.Command]:
    """`click.command` for a command whose options may also come from the environment and the configuration file."""
    return click.command(name, cls=Command, **settings)


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
_output = functools.partial(click.option, cls=GroupedOption, group="Output")

_SERVER: tuple[Callable[[Function], Function], ...] = (
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
_REQUESTS: tuple[Callable[[Function], Function], ...] = (
    _request("--concurrency", type=int, default=4, show_default=True, metavar="COUNT", help="Requests in flight."),
    _request("--deadline", type=float, metavar="SECONDS", help="Time limit for all requests together."),
)
_TENSORS: tuple[Callable[[Function], Function], ...] = (
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

SERVER_NAMES = (
    *("target", "model", "timeout", "retry", "tls", "ca_file", "certificate_file", "key_file", "server_name", "token"),
    *("token_file", "insecure_token", "plaintext_token", "authority", "header", "compression", "max_message_bytes"),
)
"""Parameters of `server_options`."""

REQUEST_NAMES = ("concurrency", "batch_size", "deadline", "map", "output_range")
"""Parameters of `request_options`."""


def server_options(function: Function) -> Function:
    """The options that say where a generator is served and how to get there; the command takes `server`."""

    @functools.wraps(function)
    def gathered(*arguments: Any, **options: Any) -> Any:
        chosen = {name: options.pop(name) for name in SERVER_NAMES}
        return function(*arguments, server=_server(**chosen), **options)

    return _decorated(gathered, _SERVER)


def tensor_options(function: Function) -> Function:
    """How images travel: --batch-size, --map, --output-range; below `server_options`, whose `server` takes them."""

    @functools.wraps(function)
    def gathered(*arguments: Any, server: Server, **options: Any) -> Any:
        chosen = {name: options.pop(name) for name in ("batch_size", "output_range")}
        chosen["names"] = dict(options.pop("map"))
        return function(*arguments, server=server.having(**chosen), **options)

    return _decorated(gathered, _TENSORS)


def request_options(function: Function) -> Function:
    """The same with --concurrency and --deadline."""

    @functools.wraps(function)
    def gathered(*arguments: Any, server: Server, **options: Any) -> Any:
        chosen = {"concurrency": options.pop("concurrency"), "deadline_seconds": options.pop("deadline")}
        return function(*arguments, server=server.having(**chosen), **options)

    return _decorated(tensor_options(gathered), _REQUESTS)


def output_options(function: Function) -> Function:
    """`--format` and `-v`; the command takes `console`."""

    @functools.wraps(function)
    def gathered(*arguments: Any, format: str, verbose: bool, **options: Any) -> Any:
        if verbose:
            _log_requests()
        console = Console(format)
        if "server" in options:
            options["server"] = replace(options["server"], on_wait=console.waiting)
        return function(*arguments, console=console, **options)

    verbose = _output("-v", "--verbose", is_flag=True, help="Log the bytes and time of each request to stderr.")
    style = _output("--format", type=click.Choice(STYLES), default="human", show_default=True, help="Output format.")
    return style(verbose(gathered))


def version_label_option(function: Function) -> Function:
    """The option that requests a version by its label; below `server_options`, whose `server` takes it."""

    @functools.wraps(function)
    def gathered(*arguments: Any, server: Server, version_label: str | None, **options: Any) -> Any:
        if version_label is not None and options.get("model_version") is not None:
            raise UsageError("--version-label: found it beside --model-version, expected one of them")
        return function(*arguments, server=server.having(version_label=version_label), **options)

    help_text = "Use the version that has this label, such as stable."
    return click.option("--version-label", metavar="LABEL", help=help_text)(gathered)


def tflite_option(function: Function) -> Function:
    """The option that takes a file in place of a server; the command takes `tflite`."""
    help_text = "Run this file on this machine instead of asking a server."
    return click.option("--tflite", type=click.Path(), metavar="FILE", help=help_text)(function)


def classes_option(function: Function) -> Function:
    """The option that names classes; the command takes `classes`, text for `genclient.classes.parse_classes`."""
    help_text = "Names of the classes, their number, or a file: manifest.json, dataset.json, .tflite or text."
    return click.option("--classes", metavar="NAME,…", help=help_text)(function)


def value_range_option(function: Function) -> Function:
    """The option that says what is black and white in deep pictures; the command takes `value_range`."""
    help_text = "What is black and white in pictures of 32 bits or floats: two numbers, or the run's dataset.json."
    return click.option("--value-range", metavar="LOW:HIGH|FILE", help=help_text)(function)


def value_ranges(text: str | None) -> ValueRanges | None:
    """What `--value-range` says.

    Raises:
        UsageError: it cannot be meant.
        ClientError: a file cannot be read.
    """
    if text is None:
        return None
    from genclient.images.value_ranges import parse_value_range

    return parse_value_range(text)


def label_index(label: str | None, classes: str | None) -> int | None:
    """The class that `--label` names, by index or by one of the names of `--classes`.

    Raises:
        UsageError: it is neither, or the classes are none.
        ClientError: a file of classes cannot be read.
    """
    from genclient.model.classes import Classes, parse_classes

    known = Classes() if classes is None else parse_classes(classes)
    return None if label is None else known.index(label)


def refuse_server(context: click.Context, *more: str) -> None:
    """See that no option of a server, nor of those named by `more`, stands beside --tflite on the command line.

    Raises:
        UsageError: one does.
    """
    for name in (*SERVER_NAMES, *REQUEST_NAMES, "version_label", *more):
        if name in context.params and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name.replace('_', '-')}: found beside --tflite, expected only with a server")


def _server(target: str, model: str, timeout: float, **options: Any) -> Server:
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


def _token(text: str | None, path: str | None) -> str | None:
    if path is None or text is not None:
        return text
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ClientError(f"--token-file: cannot read {path}: {getattr(error, 'strerror', None) or error}") from None


class _Lines(logging.Handler):
    """Log lines as the command's notes."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        tell(record.getMessage())


def _log_requests() -> None:
    log = logging.getLogger("genclient")
    log.setLevel(logging.DEBUG)
    log.addHandler(_Lines())


def _decorated(function: Function, options: tuple[Callable[[Function], Function], ...]) -> Function:
    for option in reversed(options):
        function = option(function)
    return function
