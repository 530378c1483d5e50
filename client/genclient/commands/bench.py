"""`genclient bench`: how many images a server gives, and how soon, with one request at a time or many."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genclient.bench.levels import parse_levels
from genclient.cli.console import Console, emit
from genclient.cli.inputs import read_inputs, single_input_option
from genclient.cli.options import (
    classes_option,
    command,
    label_index,
    label_option,
    output_options,
    signature_option,
    truncation_option,
)
from genclient.cli.server import Server, server_options, tensor_options, version_label_option
from genclient.cli.texts import single_text_option
from genclient.errors import UsageError, printable

if TYPE_CHECKING:
    from genclient.bench.load import Load
    from genclient.client.call import Batch
    from genclient.client.client import Client

FORMATS = {".csv": "csv", ".json": "json", ".svg": "svg", ".png": "png"}

COLUMNS = ("concurrency", "images/s", "requests/s", "p50 ms", "p90", "p95", "p99", "errors", "waiting", "decoding")


COMMON = (
    *("concurrency", "duration", "warm_up", "signature", "label", "truncation", "report", "target", "model"),
    *("timeout", "batch_size"),
)
"""Options that --help shows."""


@command(common=COMMON)
@click.option("--concurrency", default="1:8:2x", show_default=True, metavar="RANGE", help="Requests in flight.")
@click.option("--duration", type=float, default=5.0, show_default=True, metavar="SECONDS", help="Of each level.")
@click.option("--warm-up", type=float, default=1.0, show_default=True, metavar="SECONDS", help="Before each level.")
@signature_option
@single_text_option
@label_option("Class of all images, by index or name.")
@classes_option
@truncation_option
@click.option("--seed", type=int, default=0, show_default=True, metavar="SEED", help="Seed of the first image.")
@single_input_option
@click.option(
    "--report", multiple=True, type=click.Path(), metavar="FILE", help="Write a .csv, .json, .svg or .png; repeatable."
)
@server_options
@version_label_option
@tensor_options
@output_options
@click.pass_context
def bench(
    context: click.Context,
    /,
    concurrency: str,
    duration: float,
    warm_up: float,
    report: tuple[str, ...],
    server: Server,
    console: Console,
    **request: Any,
) -> None:
    """Load-test a server and print throughput and latency.

    \b
    --concurrency 8          eight requests in flight; also 1,4,16, 1:16 or, doubling, 1:16:2x
    --report load.svg --report load.csv

    Each level keeps that many requests in flight for --duration seconds after --warm-up. Requests are not retried, so
    every failure counts. `waiting` is the share of time spent waiting for a response, `decoding` the share spent
    turning responses into pixels. The exit code is 1 if no request succeeded.
    """
    from genclient.bench.load import Load, LoadRequest

    levels = parse_levels(concurrency)
    request["label"] = label_index(request["label"], request.pop("classes"))
    _check_seconds(duration, warm_up)
    given = {name: request.pop(name) for name in ("input", "value_range")}
    writers = [(Path(path), _format(path)) for path in report]
    if server.settings.get("retry_seconds") is None:
        server = server.having(retry_seconds=0)
    with server.client() as client:
        load = Load(client, LoadRequest(**request, inputs=_inputs(client, request["signature"], given)))
        setup = _setup(server, load, load.probe()) | {"duration": duration, "warm_up": warm_up}
        measured: list[dict[str, Any]] = []
        try:
            _measure(load, levels, setup, console, measured)
        except KeyboardInterrupt:
            _write(writers, setup, measured, console)
            raise KeyboardInterrupt(f"{len(measured)} of {len(levels)} levels measured") from None
    _write(writers, setup, measured, console)
    if not any(level["requests"] for level in measured):
        context.exit(1)


def _inputs(client: Client, signature: str, given: dict[str, Any]) -> dict[str, Any]:
    """What the model takes besides, by name: the same for all requests."""
    if not given["input"]:
        return {}
    from genclient.tasks.registry import choose

    known = choose(client.info(), signature, client.names, result="images")[1].spec.inputs
    return {images.name: images.array for images in read_inputs(given, known, None)}


def _measure(
    load: Load, levels: list[int], setup: dict[str, Any], console: Console, measured: list[dict[str, Any]]
) -> None:
    """Add each level's figures to `measured` as they come, and for people a line to a table."""
    human = console.style == "human"
    if human:
        emit(f"{_heading(setup)}\n{_row(COLUMNS)}\n")
    for level in levels:
        with console.progress() as show:
            show(f"{level} at a time, {setup['duration'] + setup['warm_up']:g} s")
            measured.append(load.level(level, setup["duration"], setup["warm_up"]).summary())
        if human:
            emit(f"{_row(_cells(measured[-1]))}\n")


def _setup(server: Server, load: Load, batch: Batch) -> dict[str, Any]:
    """What was measured."""
    return {
        "target": server.target,
        "model": server.model,
        "version": batch.version,
        "signature": load.signature,
        "batch_size": len(batch.images),
        "image_shape": list(batch.images.shape[1:]),
    }


def _heading(setup: dict[str, Any]) -> str:
    version = "" if setup["version"] is None else f" {setup['version']}"
    size = "×".join(map(str, setup["image_shape"]))
    request = f"{setup['signature']}, {setup['batch_size']} images of {size} a request"
    return printable(f"{setup['model']}{version} at {setup['target']}: {request}")


def _cells(figures: dict[str, Any]) -> list[str]:
    latencies = [figures["latency_ms"][name] for name in ("p50", "p90", "p95", "p99")]
    shares = [figures[name] for name in ("waiting_share", "decoding_share")]
    errors = ", ".join(f"{count} {name}" for name, count in figures["errors"].items())
    return [
        str(figures["concurrency"]),
        f"{figures['images_per_second']:.1f}",
        f"{figures['requests_per_second']:.1f}",
        *("-" if latency is None else f"{latency:.1f}" for latency in latencies),
        errors or "0",
        *("-" if share is None else f"{share:.0%}" for share in shares),
    ]


def _row(cells: Any) -> str:
    return "  ".join(f"{cell:>{max(8, len(name))}}" for cell, name in zip(cells, COLUMNS, strict=True)).rstrip()


def _write(
    writers: list[tuple[Path, str]], setup: dict[str, Any], measured: list[dict[str, Any]], console: Console
) -> None:
    """The files, and what goes to stdout beside the table."""
    from genclient.files.whole import save_bytes

    data = {**setup, "levels": measured}
    best = max((level["images_per_second"] for level in measured), default=0.0)
    if console.style != "human":
        console.result("", data, f"{best:.1f}\n")
    for path, kind in writers if measured else ():
        save_bytes(path, _content(kind, data))
        console.note(f"written: {path}")


def _content(kind: str, data: dict[str, Any]) -> bytes:
    if kind == "json":
        return (json.dumps(data, indent=2, allow_nan=False) + "\n").encode()
    if kind == "csv":
        return _csv(data["levels"]).encode()
    from genclient.bench import chart

    shapes = chart.draw(data["levels"], _heading(data).replace("×", "x"))
    return chart.svg(shapes) if kind == "svg" else chart.png(shapes)


def _csv(levels: list[dict[str, Any]]) -> str:
    """A line a level; a latency that is not known is empty, errors are `CODE=COUNT` with spaces between them."""
    flat = []
    for level in levels:
        row = {name: value for name, value in level.items() if name not in ("latency_ms", "errors")}
        row |= {f"latency_{name}_ms": value for name, value in level["latency_ms"].items()}
        row["errors"] = " ".join(f"{code}={count}" for code, count in level["errors"].items())
        flat.append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(flat[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _check_seconds(duration: float, warm_up: float) -> None:
    if not 0 < duration < 1e6:
        raise UsageError(f"duration: found {duration}, expected seconds above 0")
    if not 0 <= warm_up < 1e6:
        raise UsageError(f"warm-up: found {warm_up}, expected seconds, 0 or more")


def _format(path: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"report: found {path!r}, expected a name that ends in {', '.join(FORMATS)}")
    return FORMATS[suffix]
