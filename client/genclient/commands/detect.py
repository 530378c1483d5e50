"""`genclient detect`: how real pictures look to the discriminator of a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.console import Console, Meter
from genclient.cli.options import (
    classes_option,
    command,
    label_index,
    label_option,
    output_options,
    value_range_option,
    value_ranges,
)
from genclient.cli.server import Server, request_options, server_options, version_label_option
from genclient.errors import RpcError, printable

if TYPE_CHECKING:
    from pathlib import Path

    from genclient.client.client import Client

AT_A_TIME = 64
"""Pictures in memory."""

SORTS = ("score", "name", "none")


@command()
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option("--discriminator", metavar="NAME", help="Model to score with.  [default: --model with -critic after it]")
@click.option(
    "--discriminator-signature", default="auto", show_default=True, metavar="NAME", help="Its signature to call."
)
@click.option("--critic", hidden=True)  # the old name of --discriminator
@click.option("--critic-signature", hidden=True)
@label_option("Class of all pictures, by index or name, where the discriminator is conditional.")
@classes_option
@value_range_option
@click.option("--sort", type=click.Choice(SORTS), default="score", show_default=True, help="Order of the table.")
@click.option("--top", type=click.IntRange(1), metavar="COUNT", help="Show only the first COUNT.")
@server_options
@version_label_option
@request_options
@output_options
@click.pass_context
def detect(
    context: click.Context,
    /,
    images: tuple[str, ...],
    sort: str,
    top: int | None,
    server: Server,
    console: Console,
    **options: Any,
) -> None:
    """Score pictures with the discriminator, the most real first.

    A score says how real a picture looks to the discriminator, in [0, 1] if genexport published it. IMAGE is a file
    that Pillow reads, or a folder that is searched at any depth. Pictures are preprocessed as in training. Those that
    cannot be read are reported, and the exit code is then 1.
    """
    for name in ("discriminator", "discriminator_signature"):
        options[name] = options.pop(name.replace("discriminator", "critic")) or options[name]
    options["label"] = label_index(options["label"], options["classes"])
    from genclient.images import pictures

    options["ranges"] = value_ranges(options.pop("value_range"))
    paths = list(pictures.find(images))
    with server.client() as client, console.meter(len(paths), "pictures") as meter:
        all_results = list(_scored(client, paths, options, meter))
    scored = [result for result in all_results if "score" in result]
    failed = [result for result in all_results if "error" in result]
    key = {"score": lambda result: -result["score"], "name": lambda result: result["path"], "none": None}[sort]
    results = (sorted(scored, key=key) if key else scored)[:top]
    data = {"model": options["discriminator"] or f"{server.model}-critic", "images": results, "failed": failed}
    console.result(_table(results), data, "".join(f"{_score(result)}\t{result['path']}\n" for result in results))
    for result in failed:
        console.note(f"{result['path']}: {result['error']}")
    if failed:
        context.exit(1)


def _scored(client: Client, paths: list[Path], options: dict[str, Any], meter: Meter) -> Iterator[dict[str, Any]]:
    """A row for each picture, in the order in which they are found: with its score, or with what is wrong with it."""
    from genclient.images import pictures

    model, signature = options["discriminator"], options["discriminator_signature"]
    arguments = {"model": model, "label": options["label"], "signature": signature}
    done = 0
    for some in _parts(paths, AT_A_TIME):
        loaded = pictures.load(some, options["ranges"])
        good = [content for content in loaded if isinstance(content, bytes)]
        scores = iter(_scores(client, good, arguments))
        for path, content in zip(some, loaded, strict=True):
            result = content if isinstance(content, str) else next(scores)
            key = "error" if isinstance(result, str) else "score"
            yield {"path": str(path), key: printable(result) if isinstance(result, str) else result}
        done += len(some)
        meter.at(done)


def _scores(client: Client, files: list[bytes], arguments: dict[str, Any]) -> list[float | str]:
    """A score for each file, or why the server refuses it; a refused request is cut until the one at fault is found."""
    if not files:
        return []
    try:
        return [float(score) for score in client.score_files(files, **arguments)]
    except RpcError as error:
        if error.code.name != "INVALID_ARGUMENT":
            raise
        if len(files) == 1:
            return [f"the server refuses it: {error.details}"]
    half = len(files) // 2
    return _scores(client, files[:half], arguments) + _scores(client, files[half:], arguments)


def _parts(paths: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(paths)
    while some := list(itertools.islice(rest, size)):
        yield some


def _table(results: list[dict[str, Any]]) -> str:
    return "".join(f"{_score(result):>8}  {printable(result['path'])}\n" for result in results)


def _score(result: dict[str, Any]) -> str:
    return f"{result['score']:.4g}" if abs(result["score"]) < 1e-3 else f"{result['score']:.4f}"
