"""`genclient invert`: the latents that a generator draws a user's pictures of."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.console import Console
from genclient.cli.given import collected
from genclient.cli.options import (
    classes_option,
    command,
    out_option,
    output_options,
    source_options,
    value_range_option,
    value_ranges,
)
from genclient.cli.server import Server
from genclient.cli.source import Source, open_source
from genclient.cli.translating import AT_A_TIME, Picture
from genclient.errors import ClientError, RpcError, UsageError, printable

if TYPE_CHECKING:
    from genclient.client.inversion import Inversion

COMMON = ("out", "target", "model", "tflite")
"""Options that --help shows."""


@command(common=COMMON)
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@out_option("latents.npz", "Where the latents go: an archive that sample and interpolate take with --latents.")
@classes_option
@value_range_option
@source_options
@output_options
@click.pass_context
def invert(
    context: click.Context, /, pictures: tuple[str, ...], out: str, server: Server, console: Console, **options: Any
) -> None:
    """Find the latents of each PICTURE by the model's encoder, and print the path of the archive.

    \b
    genclient invert me.jpg you.jpg --model faces --out us.npz
    genclient sample --model faces --latents us.npz --out us.png
    genclient interpolate --model faces --latents us.npz --out walk.gif
    genclient invert photos/ --tflite models/faces/1/tflite/faces-invert-float32.tflite --out us.npz

    PICTURE is a file that Pillow reads, a folder that is searched at any depth, or - for stdin, of any size. Those that
    cannot be read are reported, and the exit code is then 1. The archive has `latents` float32 (N, Z), `files` (N,),
    and `labels` int32 (N,) where there are classes. gentrain project finds latents that come nearer, in seconds each.
    """
    if not out.lower().endswith(".npz"):
        raise UsageError(f"--out: found {out}, expected a name that ends in .npz")
    ranges = value_ranges(options["value_range"])
    given = list(collected(pictures, out))
    with open_source(context, server, options) as source:
        source.resolve_version()
        with console.meter(len(given), "pictures") as meter:
            found = _Found(source)
            for start in range(0, len(given), AT_A_TIME):
                found.add(given[start : start + AT_A_TIME], ranges)
                meter.at(min(len(given), start + AT_A_TIME))
        for line in found.failed:
            console.note(line)
        if not found.shown:
            raise ClientError(f"found no picture that can be read, of {len(given)}")
        found.save(out)
        images = [{"path": path, **classed} for path, classed in zip(found.shown, found.classes(), strict=True)]
        about = {"files": [out], "model": source.model, "version": source.version}
    console.result(f"{out}\n", {**about, "images": images, "failed": found.failed}, f"{out}\n")
    if console.style == "human":
        for image in images:
            if "label" in image:
                console.note(printable(f"{image['path']}: class {image.get('name', image['label'])}"))
    if found.failed:
        context.exit(1)


class _Found:
    """The latents of pictures so far, and what was wrong with others."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._parts: list[Inversion] = []
        self.shown: list[str] = []
        self.failed: list[str] = []

    def add(self, some: list[Picture], ranges: Any) -> None:
        """Take further pictures."""
        from genclient.images import pictures

        loaded = list(zip(some, pictures.load([picture.file for picture in some], ranges), strict=True))
        self.failed += [f"{printable(p.shown)}: {printable(text)}" for p, text in loaded if isinstance(text, str)]
        self._invert([(picture, content) for picture, content in loaded if isinstance(content, bytes)])

    def _invert(self, loaded: list[tuple[Picture, bytes]]) -> None:
        """A refused request is cut until the picture at fault is found."""
        if not loaded:
            return
        try:
            self._parts.append(self._source.invert([content for _, content in loaded]))
            self.shown += [picture.shown for picture, _ in loaded]
            return
        except RpcError as error:
            if error.code.name != "INVALID_ARGUMENT":
                raise
            if len(loaded) == 1:
                self.failed.append(f"{printable(loaded[0][0].shown)}: the server refuses it: {error.details}")
                return
        half = len(loaded) // 2
        self._invert(loaded[:half])
        self._invert(loaded[half:])

    def classes(self) -> list[dict[str, Any]]:
        """Of each picture the class, where there are any, with its name where that is known."""
        names = self._source.classes.names
        labels = [label for part in self._parts if part.labels is not None for label in part.labels.tolist()]
        if not labels:
            return [{} for _ in self.shown]
        return [{"label": label, **({"name": names[label]} if label < len(names) else {})} for label in labels]

    def save(self, out: str) -> None:
        """Write the archive, whole or not at all."""
        import numpy as np

        from genclient.files.whole import save_bytes

        arrays: dict[str, Any] = {
            "latents": np.concatenate([part.latents for part in self._parts]),
            "files": np.asarray([os.fspath(shown) for shown in self.shown]),
        }
        labels = [part.labels for part in self._parts if part.labels is not None]
        if labels:
            arrays["labels"] = np.concatenate(labels).astype(np.int32)
        if self._source.model_sha256 is None:  # on a server it is the very model that draws, a file has another name
            arrays["model"] = np.asarray(self._source.model)
        if self._source.version is not None:
            arrays["version"] = np.asarray(self._source.version, np.int64)
        content = io.BytesIO()
        np.savez(content, **arrays)
        save_bytes(Path(out), content.getvalue())
