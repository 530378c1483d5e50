"""Options that several commands have, each declared once. Those of a server are in server.py.

A command is a function under `@command()`; `@output_options` gives it `console: Console`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.console import STYLES, Console, print_note
from genclient.cli.resolve import Command, GroupedOption
from genclient.cli.server import Function, declared, request_options, server_options, version_label_option

if TYPE_CHECKING:
    from genclient.images.value_ranges import ValueRanges

Decorator = Callable[[Function], Function]


def command(name: str | None = None, **settings: Any) -> Callable[[Function], click.Command]:
    """`click.command` for a command whose options may also come from the environment and the configuration file."""
    return click.command(name, cls=Command, **settings)


# The model
tflite_option = click.option(
    "--tflite", type=click.Path(), metavar="FILE", help="Run this file on this machine instead of calling a server."
)
signature_option = click.option(
    "--signature",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="Signature to call: auto (the cheapest there is), or one that `genclient info` lists.",
)
truncation_option = click.option(
    "--truncation",
    type=float,
    default=1.0,
    show_default=True,
    metavar="PSI",
    help="Below 1: more typical, less varied images (0.7 is common).",
)
classes_option = click.option(
    "--classes",
    metavar="NAME,…",
    help="Names of the classes, their number, or a file: manifest.json, dataset.json, .tflite or text.",
)
value_range_option = click.option(
    "--value-range",
    metavar="LOW:HIGH|FILE",
    help="Black and white of pictures with 32 bits or floats: two numbers, or the run's dataset.json.",
)
_model_version = click.option(
    "--model-version", type=click.IntRange(min=0), metavar="NUMBER", help="Model version.  [default: the newest]"
)
_threads = click.option(
    "--threads",
    type=int,
    metavar="COUNT",
    help="Images made in parallel, with --tflite.  [default: one per CPU, up to 8]",
)

# Where images go
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Show what would be fetched and written, without doing it."
)


def label_option(text: str) -> Decorator:
    """`--label`; the command takes `label`."""
    return click.option("--label", metavar="CLASS", help=text)


def out_option(default: str, text: str) -> Decorator:
    """`--out`; the command takes `out`."""
    return click.option("-o", "--out", default=default, show_default=True, metavar="PATH", help=text)


def scale_option(what: str, default: str) -> Decorator:
    """`--scale`; the command takes `scale`."""
    text = f"Enlarge the {what} by this factor; 1: original pixels.  [default: {default}]"
    return click.option("--scale", type=click.IntRange(1, 64), metavar="FACTOR", help=text)


def clip_rate_option(of: str) -> Decorator:
    """`--fps`; the command takes `fps`."""
    text = f"Frames per second of {of}.  [default: the file's where it says so, else 12]"
    return click.option("--fps", type=float, metavar="RATE", help=text)


def image_set_options(*, caption: str, overwrites: str, scale: str) -> Decorator:
    """How a set of images is laid out and written: --grid to --dry-run, as `outputs.place.open_output` takes them."""
    options = (
        click.option("--grid", metavar="COLSxROWS", help="Columns and rows of the image grid, such as 4x4."),
        scale_option("image grid", scale),
        click.option("--captions", is_flag=True, help=f"Caption each image of the grid with {caption}."),
        click.option("--shard-size", type=int, metavar="COUNT", help="Images per shard.  [default: 1024]"),
        click.option("--show", is_flag=True, help="Also draw the images in the terminal."),
        click.option("--overwrite", is_flag=True, help=f"Replace {overwrites}."),
        dry_run_option,
    )
    return lambda function: declared(function, options)


def source_options(function: Function) -> Function:
    """Which model makes images, on a server or in a file; the command takes `server` and what `open_source` needs."""
    options = (
        *(signature_option, _model_version, tflite_option, _threads),
        *(server_options, version_label_option, request_options),
    )
    return declared(function, options)


def generator_options(function: Function) -> Function:
    """The same for images of latents: with --truncation and --classes."""
    return declared(function, (truncation_option, classes_option, source_options))


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

    output = functools.partial(click.option, cls=GroupedOption, group="Output")
    verbose = output("-v", "--verbose", is_flag=True, help="Log the bytes and time of each request to stderr.")
    style = output("--format", type=click.Choice(STYLES), default="human", show_default=True, help="Output format.")
    return style(verbose(gathered))


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


class _Lines(logging.Handler):
    """Log lines as the command's notes."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        print_note(record.getMessage())


def _log_requests() -> None:
    log = logging.getLogger("genclient")
    log.setLevel(logging.DEBUG)
    log.addHandler(_Lines())
