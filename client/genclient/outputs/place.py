"""Reads what `--out` means: which kind of place it names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from genclient.errors import UsageError
from genclient.outputs.archive import Archive
from genclient.outputs.grid import Grid, PairGrid
from genclient.outputs.image_set import ImageSet
from genclient.outputs.output import Output
from genclient.outputs.pictures import Pictures
from genclient.outputs.shards import RecordShards, TarShards
from genclient.outputs.template import parse_template

_SHARDS: dict[str, type[TarShards] | type[RecordShards]]
_SHARDS = {".tar": TarShards, ".tfrecord": RecordShards, ".tfrecords": RecordShards}
_OTHER = {
    *(".jpg", ".jpeg", ".gif", ".webp", ".apng", ".bmp", ".tif", ".tiff", ".mp4", ".npy", ".zip", ".gz", ".tgz"),
    *(".json", ".pt", ".h5", ".parquet"),
}
_EXPECTED = "a name that ends in .png or .npz, .tar or .tfrecord, a folder, or -"


def open_output(
    out: str,
    image_set: ImageSet,
    send: Callable[[bytes], None],
    *,
    grid: tuple[int, int] | None = None,
    shard_size: int | None = None,
    overwrite: bool = False,
    scale: int | None = None,
    captions: bool = False,
    latent_size: int | None = None,
    beside: bool = False,
) -> Output:
    """The place that `out` names.

    Args:
        out: a path, or -.
        image_set: the images that go there.
        send: what takes a picture for stdout.
        grid: columns and rows of a grid.
        shard_size: images of a shard.
        overwrite: whether files of another set may go.
        scale: how wide a pixel of a grid is; None: so that the grid is about 512 pixels wide or high.
        latent_size: of seeds, where an archive is to have their latents too.
        captions: whether a grid says the seed and the class of each image.
        beside: whether a grid shows what each image was made of.

    Raises:
        UsageError: it names no place for images, or not with these settings.
    """
    path, suffix = Path(out), Path(out).suffix.lower()
    if not out or "\0" in out:
        raise UsageError(f"--out: found {out!r}, expected a path or -")
    is_folder = out.endswith(("/", os.sep)) or os.path.isdir(out)
    is_grid = out == "-" or (suffix == ".png" and not is_folder and parse_template(out, 1) is None)
    for option, given in (("grid", grid is not None), ("scale", scale is not None), ("captions", captions)):
        if given and not is_grid:
            raise UsageError(f"--{option}: found it beside --out {out}, expected an image grid, a .png file or -")
    if latent_size is not None and (suffix != ".npz" or is_folder):
        raise UsageError(f"--save-latents: found it beside --out {out}, expected it with an archive, a .npz file")
    if shard_size is not None and (is_folder or suffix not in _SHARDS):
        raise UsageError(f"--shard-size: found it beside --out {out}, expected it with .tar or .tfrecord")
    if is_grid:
        kind = PairGrid if beside else Grid
        return kind(image_set, None if out == "-" else path, send, grid, scale, captions)
    if is_folder:
        return Pictures(image_set, path, None, overwrite)
    if suffix == ".npz":
        return Archive(image_set, path, latent_size)
    if suffix in _SHARDS:
        return _SHARDS[suffix](image_set, path, parse_template(out, 2), shard_size, overwrite)
    if suffix == ".png":
        return Pictures(image_set, path.parent, parse_template(out, 1), overwrite)
    if suffix in _OTHER or parse_template(out, 0):
        raise UsageError(f"--out: found {out}, expected {_EXPECTED}")
    return Pictures(image_set, path, None, overwrite)
