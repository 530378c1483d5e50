"""`genclient translate`: pictures that an image-to-image model makes of a user's pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.console import Console, emit
from genclient.cli.given import collected, protect, surveyed
from genclient.cli.options import (
    command,
    image_set_options,
    out_option,
    output_options,
    source_options,
    value_range_option,
    value_ranges,
)
from genclient.cli.run import Run, check_stdout, grid_of, print_plan
from genclient.cli.server import Server
from genclient.cli.source import Source, open_source
from genclient.cli.translating import Picture, TiledTranslator, Translator
from genclient.errors import ClientError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genclient.client.translation import Variations
    from genclient.outputs.animation import Animation
    from genclient.outputs.translation import Original, Translation

ANIMATIONS = (".gif", ".webp", ".apng", ".mp4")
"""Endings of animations, whose frames are translated one by one."""

FPS = 10.0
"""Of several pictures that become one animation."""

COMMON = ("out", "hints", "tile", "n", "seed", "beside", "grid", "overwrite", "target", "model", "tflite")
"""Options that --help shows."""


@command(common=COMMON)
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@out_option(
    "out.png",
    "An image grid (.png), an animation (.gif), arrays (.npz), a folder, %06d.tar, %06d.tfrecord, or -: stdout.",
)
@click.option("--hints", type=click.Path(), metavar="FILE", help="PNG whose opaque pixels are colour hints.")
@click.option("--tile", is_flag=True, help="Translate pictures at full size, in overlapping tiles without seams.")
@click.option("--n", type=int, metavar="COUNT", help="Variations of each picture, if the model takes latents.")
@click.option("--seed", type=int, metavar="NUMBER", help="Seed of the first variation.  [default: 0]")
@click.option(
    "--latents", metavar="FILE", help="Latents (N, Z) of the variations: a .npy, or sample's .npz; - is stdin."
)
@value_range_option
@click.option(
    "--beside/--no-beside",
    default=None,
    help="Show each picture beside its translation in a grid.  [default: beside; on stdout: no-beside]",
)
@image_set_options(
    caption="the picture's name",
    overwrites="other files of the same names",
    scale="to about 512 pixels; on stdout 1",
)
@source_options
@output_options
@click.pass_context
def translate(
    context: click.Context, /, pictures: tuple[str, ...], out: str, server: Server, console: Console, **options: Any
) -> None:
    """Translate each PICTURE with an image-to-image model, and print the paths of the files written.

    \b
    genclient translate sketch.png --model sketches --out grid.png
    genclient translate photos/ --model night --out nights/
    genclient translate large.jpg --model night --tile --no-beside --out large.png
    genclient translate clip.gif --model night --out night.gif
    genclient translate - --out - < sketch.png > picture.png

    PICTURE is a file that Pillow reads, a folder that is searched at any depth, or - for stdin. Pictures of any size
    are taken: a model that takes files resizes them as training did. Those that cannot be read are reported, the
    others are translated, and the exit code is then 1. Folders and shards resume: run the same command again.
    """
    from genclient.client.translation import check_result

    options["grid"] = grid_of(options["grid"])
    ranges = value_ranges(options["value_range"])
    check_stdout(out, console)
    given = list(collected(pictures, out))
    hints = _content(options["hints"]) if options["hints"] else None
    variations = _variations(options)
    animation, seen = _animation(out, given, options)
    with open_source(context, server, options) as source:
        if not options["dry_run"]:
            source.resolve_version()
        check_result(source.binding(), source.model, clips=False)
        variations.given(source.binding(), 1)  # or refuses them
        good, originals, failed = surveyed(source, seen, ranges, _tiled(out, options), console)
        for line in failed:
            console.note(line)
        if not good:
            raise ClientError(f"found no picture that can be read, of {len(seen)}")
        is_grid = out == "-" or (out.lower().endswith(".png") and "%" not in out and not os.path.isdir(out))
        in_one = is_grid or animation is not None
        image_set = _image_set(source, originals, hints, variations, options, is_grid=in_one)
        protect(out, image_set, given, options["overwrite"])
        kind = TiledTranslator if options["tile"] else Translator
        translator = kind(source, good, ranges, hints, variations, is_grid=in_one)
        if animation is not None:
            _save(animation, translator, image_set, source, console, options)
        else:
            _write(out, image_set, translator, source, console, options, is_grid=is_grid)
    if failed:
        context.exit(1)


def _tiled(out: str, options: dict[str, Any]) -> str | None:
    """As `surveyed` takes it."""
    if not options["tile"]:
        return None
    if options["hints"]:
        raise UsageError("--hints: found it beside --tile, expected one of them")
    whole = not os.path.isdir(out) and "%" not in out and out.lower().endswith((".png", ".npz", *ANIMATIONS))
    return out if whole or out == "-" else ""


def _image_set(
    source: Source,
    originals: list[Original],
    hints: bytes | None,
    variations: Variations,
    options: dict[str, Any],
    *,
    is_grid: bool,
) -> Translation:
    """The set of what is made; outside a grid each variation is an image of its own."""
    import hashlib

    from genclient.latents.seeds import format_seeds, seed_range
    from genclient.outputs.translation import Original, translation, variation_names

    settings: list[tuple[str, Any]] = [("tile", True)] if options["tile"] else []
    if hints:
        settings.append(("hints_sha256", hashlib.sha256(hints).hexdigest()))
    seeds = seed_range(variations.seed, variations.n)
    marks = [f"seed{seed}" for seed in seeds.tolist()]
    if variations.latents is not None:
        settings.append(("latents_sha256", hashlib.sha256(variations.latents.tobytes()).hexdigest()))
        marks = [f"latents{number}" for number in range(variations.n)]
    elif is_grid and (options["n"], options["seed"]) != (None, None):
        settings.append(("seeds", format_seeds(seeds)))
    if not is_grid and any(options[name] is not None for name in ("n", "seed", "latents")):
        originals = [
            Original(name, original.sha256) for original in originals for name in variation_names(original.name, marks)
        ]
    return translation(source.model, originals, source.model_sha256, settings)


def _variations(options: dict[str, Any]) -> Variations:
    """Which pictures are made of each."""
    from genclient.client.translation import Variations

    if options["latents"] is None:
        return Variations.of(1 if options["n"] is None else options["n"], options["seed"] or 0, None)
    from genclient.latents.file import read_latents

    if (options["n"], options["seed"]) != (None, None):
        raise UsageError("--latents: found it beside --n or --seed, expected one of them")
    return Variations.of(1, 0, read_latents(options["latents"]).array)


def _animation(out: str, given: list[Picture], options: dict[str, Any]) -> tuple[Animation | None, list[Picture]]:
    """The animation that is to be made, if any, and its frames: those of one animated picture, or all pictures."""
    if not out.lower().endswith(ANIMATIONS) or os.path.isdir(out):
        return None, given
    for option in ("grid", "shard_size", "captions", "show"):
        if options[option]:
            raise UsageError(f"--{option.replace('_', '-')}: found it beside --out {out}, an animation")
    from genclient.images import frames
    from genclient.outputs.animation import MOST_GIF_FPS, open_animation

    alone = given[0].file if len(given) == 1 else b""
    sequence = frames.read(alone if isinstance(alone, bytes) else _content(str(alone), given[0].shown))
    if sequence is None:
        return open_animation(out, FPS, True, lambda path: None), given
    seconds = sum(sequence.milliseconds) / 1000
    animation = open_animation(
        out, min(MOST_GIF_FPS, max(0.1, len(sequence.frames) / seconds)), sequence.loops, lambda path: None
    )
    animation.milliseconds = sequence.milliseconds
    shown = given[0].shown
    return animation, [
        Picture(f"{shown}, frame {number}", f"frame{number:05d}.png", frame)
        for number, frame in enumerate(sequence.frames)
    ]


def _write(
    out: str,
    image_set: Translation,
    translator: Translator,
    source: Source,
    console: Console,
    options: dict[str, Any],
    *,
    is_grid: bool,
) -> None:
    """Make the images and write them where `--out` says, or say what would be written."""
    from genclient.outputs.place import open_output

    alone = out == "-" and not options["beside"]
    output = open_output(
        out,
        image_set,
        emit,
        grid=options["grid"],
        shard_size=options["shard_size"],
        overwrite=options["overwrite"],
        scale=options["scale"] or (1 if alone else None),
        captions=options["captions"],
        beside=is_grid and not alone and options["beside"] is not False,
    )
    if options["dry_run"]:
        print_plan(source, output, console)
    else:
        Run(source, output, out, console, translator.batches, options["show"]).go()


def _save(
    animation: Animation,
    translator: Translator,
    image_set: Translation,
    source: Source,
    console: Console,
    options: dict[str, Any],
) -> None:
    """Make the frames of an animation, and say where it is."""
    import numpy as np

    from genclient.images.grid import GAP, laid_out

    count, path = len(image_set), str(animation.path)
    if options["dry_run"]:
        human = f"fetch      {count} images of {source.model}\nwrite      {path}, {count} frames\n"
        console.result(human, {"fetch": count, "files": [path]}, f"{path}\n")
        return

    def drawn() -> Iterator[NDArray[np.uint8]]:
        with console.meter(count, "frames") as meter:
            for batch in translator.batches(np.arange(count)):
                images, originals = batch.outputs["images"], batch.outputs["originals"]
                if options["beside"]:
                    gap = np.full((*images.shape[:2], GAP, images.shape[-1]), 255, np.uint8)
                    images = np.concatenate([originals, gap, images], axis=2)
                for image in images:
                    yield laid_out(image[np.newaxis], 1, 1, scale=options["scale"])
                meter.at(int(batch.seeds[-1]) + 1)

    files = [str(file) for file in animation.save(drawn(), image_set.grid_text(source.version))]
    about = {"files": files, "images": count, "model": source.model, "version": source.version}
    console.result("".join(f"{file}\n" for file in files), about, "\n".join([*files, ""]))


def _content(path: str, of: str = "--hints") -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ClientError(f"{of}: cannot read {path}: {error.strerror or error}") from None
