"""`genclient detect`: how real pictures look to the critic of a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from genclient.console import Console
from genclient.errors import ClientError, printable
from genclient.options import (
    Server,
    classes_option,
    command,
    label_index,
    output_options,
    request_options,
    server_options,
)

if TYPE_CHECKING:
    from genclient.client import Client
    from genclient.pictures import Frame

AT_A_TIME = 256
"""Pictures in memory."""

FITS = ("crop", "pad", "stretch")
SORTS = ("score", "name", "none")


@command()
@click.argument("images", nargs=-1, required=True, type=click.Path(), metavar="IMAGE...")
@click.option("--critic", metavar="NAME", help="Model that scores.  [default: --model with -critic after it]")
@click.option("--critic-signature", default="auto", show_default=True, metavar="NAME", help="Function of it to call.")
@click.option("--label", metavar="NAME|INDEX", help="Class of all pictures, where the critic is conditional.")
@classes_option
@click.option(
    "--fit", type=click.Choice(FITS), default="crop", show_default=True, help="Pictures of other proportions."
)
@click.option("--sort", type=click.Choice(SORTS), default="score", show_default=True, help="Order of the table.")
@click.option("--top", type=click.IntRange(1), metavar="COUNT", help="Show only so many.")
@server_options
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
    """Score pictures by the critic. The best come first.

    A score says how real a picture looks to it, in [0, 1] if genexport published it. IMAGE is a file, or a folder whose
    pictures are taken at any depth. They are brought to the critic's size and channels. A picture that cannot be
    read is reported, and the exit code is 1 then.
    """
    options["label"] = label_index(options["label"], options["classes"])
    with server.client() as client, console.progress() as show:
        found = list(_scored(client, images, options, show))
    scored = [row for row in found if "score" in row]
    failed = [row for row in found if "error" in row]
    key = {"score": lambda row: -row["score"], "name": lambda row: row["path"], "none": None}[sort]
    rows = (sorted(scored, key=key) if key else scored)[:top]
    data = {"model": options["critic"] or f"{server.model}-critic", "images": rows, "failed": failed}
    console.result(_table(rows), data, "".join(f"{_score(row)}\t{row['path']}\n" for row in rows))
    for row in failed:
        console.note(f"{row['path']}: {row['error']}")
    if failed:
        context.exit(1)


def _scored(client: Client, images: tuple[str, ...], options: dict[str, Any], show: Any) -> Iterator[dict[str, Any]]:
    """A row for each picture, in the order in which they are found: with its score, or with what is wrong with it."""
    from genclient import pictures

    paths = list(pictures.find(images))
    critic = options["critic"] or f"{client.model}-critic"
    signature, frame = _frame(client, critic, options["critic_signature"], options["fit"])
    done = 0
    show(f"0 of {len(paths)} pictures")
    for some in _parts(paths, AT_A_TIME):
        loaded = list(pictures.load(some, frame))
        yield from _rows(client, loaded, critic, signature, options["label"])
        done += len(loaded)
        show(f"{done} of {len(paths)} pictures")


def _rows(
    client: Client, loaded: list[tuple[Any, Any]], critic: str, signature: str, label: int | None
) -> Iterator[dict[str, Any]]:
    import numpy as np

    good = [pixels for _, pixels in loaded if not isinstance(pixels, str)]
    scores = iter(client.score(np.stack(good), model=critic, signature=signature, label=label) if good else ())
    for path, pixels in loaded:
        if isinstance(pixels, str):
            yield {"path": str(path), "error": printable(pixels)}
        else:
            yield {"path": str(path), "score": float(next(scores))}


def _frame(client: Client, critic: str, signature: str, fit: str) -> tuple[str, Frame]:
    """Which signature to call, and what pictures it takes."""
    from genclient.pictures import Frame
    from genclient.reading import read_critic
    from genclient.settings import CRITIC_SIGNATURE

    info = client.info(critic)
    if signature == "auto":
        signature = CRITIC_SIGNATURE if CRITIC_SIGNATURE in info.signatures else "serving_default"
    spec = read_critic(info, signature, client.names).spec.inputs["images"]
    sizes = spec.shape[1:] if spec.shape is not None and len(spec.shape) == 4 else (None,)
    if None in sizes or sizes[-1] not in (1, 3, 4) or not all(0 < (size or 0) <= 2**14 for size in sizes):
        raise ClientError(
            f"model {critic!r} takes images {spec}, expected a size (N, H, W, C) with C 1, 3 or 4 to bring pictures to"
        )
    height, width, channels = (int(size or 0) for size in sizes)
    return signature, Frame(height, width, channels, fit)


def _parts(paths: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(paths)
    while some := list(itertools.islice(rest, size)):
        yield some


def _table(rows: list[dict[str, Any]]) -> str:
    return "".join(f"{_score(row):>8}  {printable(row['path'])}\n" for row in rows)


def _score(row: dict[str, Any]) -> str:
    return f"{row['score']:.4g}" if abs(row["score"]) < 1e-3 else f"{row['score']:.4f}"
