"""`genclient sample`: images by seed, into an image grid, an archive, a folder, shards or stdout."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.console import Console
from genclient.cli.inputs import input_option, read_inputs
from genclient.cli.like import read_like
from genclient.cli.options import (
    clip_rate_option,
    command,
    generator_options,
    image_set_options,
    label_option,
    out_option,
    output_options,
)
from genclient.cli.placing import place_of, rate_of
from genclient.cli.resolve import is_default, nearest
from genclient.cli.run import Run, check_stdout, grid_of, print_plan
from genclient.cli.server import Server
from genclient.cli.source import Source, open_source
from genclient.cli.texts import check_texts, read_texts, text_options
from genclient.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genclient.latents.file import Latents
    from genclient.outputs.image_set import ImageSet
    from genclient.outputs.output import Places

DEFAULT_N = 16

COMMON = ("n", "seed", "seeds", "text", "label", "truncation", "out", "grid", "target", "model", "tflite")
"""Options that --help shows."""


@command(common=COMMON)
@click.option(
    "-n",
    "--n",
    type=int,
    metavar="COUNT",
    help=f"Number of images; with --label all, of each class.  [default: {DEFAULT_N}]",
)
@click.option(
    "--seed",
    type=int,
    metavar="SEED",
    help="Seed of the first image; each further one has the next seed.  [default: 0]",
)
@click.option("--seeds", metavar="LIST", help="Seeds, such as 0,3-5, instead of --n and --seed.")
@click.option("--latents", metavar="FILE", help="Latents (N, Z) of a .npy, or of a .npz of this command; - is stdin.")
@click.option("--like", metavar="FILE", help="Repeat a picture of this command, a PNG, by what is written in it.")
@input_option
@click.option("--save-latents", is_flag=True, help="Also write the latents of the seeds to the .npz.")
@text_options
@label_option("Class, by index or name, or all: every class of each seed.")
@out_option(
    "out.png",
    "An image grid (.png), arrays (.npz), a folder, img_%05d.png, %06d.tar, %06d.tfrecord, or -: grid on stdout; "
    "of clips also .gif, .webp, .apng or .mp4.",
)
@clip_rate_option("clips")
@image_set_options(
    caption="its seed, text and class",
    overwrites="another set of images in the same folder",
    scale="to about 512 pixels",
)
@generator_options
@output_options
@click.pass_context
def sample(context: click.Context, /, out: str, server: Server, console: Console, **options: Any) -> None:
    """Generate images, and print the paths of the files written.

    \b
    --out grid.png          one picture with all images, nearly square or as --grid says
    --out images.npz        arrays images (uint8, N×H×W×C) and seeds (int64), and labels where there are classes
    --out pictures/         one seed0006.png for each seed, and manifest.json
    --out img_%05d.png      one picture for each seed, with its number in the name
    --out shards/%06d.tar   WebDataset: seed0006.png and seed0006.json for each image, 1024 images a file
    --out %05d.tfrecord     tf.train.Example: image/encoded (PNG), seed, label
    --out -                 the image grid on stdout
    --out clips.gif         of a model of clips: all of them side by side (.webp, .apng and .mp4 too)
    --out clips/            of such a model: one seed0006.webp for each seed; clip%04d.gif too

    Folders and shards resume: run the same command again after an interruption, and only what is missing is fetched.
    """
    options = nearest(context, options, ("n", "seed"), ("seeds",), ("latents",), ("like",))
    options = nearest(context, options, ("text",), ("text_file",))
    grid = grid_of(options["grid"])
    check_stdout(out, console)
    like = None if options["like"] is None else read_like(options["like"])
    if like is not None:
        like.fill(options)
    with open_source(context, server, options) as source:
        if like is not None:
            like.check(source, console)
        image_set = _image_set(source, options, grid)
        latent_size = _latent_size(source, image_set, options["save_latents"])
        output = place_of(out, image_set, source, {**options, "grid": grid}, latent_size=latent_size)
        if options["dry_run"]:
            print_plan(source, output, console)
            return
        check_texts(source, image_set.texts, console)
        batches = functools.partial(stream, source, image_set)
        Run(source, output, out, console, batches, options["show"], rate_of(source, options)).go()


def stream(source: Source, image_set: ImageSet, places: Places) -> Any:
    """The images of some places of a set.

    Raises:
        UsageError: the images and the generator do not fit.
        ClientError: the generator cannot be reached.
    """
    numbers, labels = image_set.numbers[places], image_set.image_labels
    label = image_set.label if labels is None or image_set.label is not None else labels[places]
    given: dict[str, Any] = (
        {"seeds": numbers} if image_set.latents is None else {"latents": image_set.latents.array[numbers]}
    )
    if image_set.texts:
        given["texts"] = image_set.texts_of(places)
    if image_set.inputs:
        given["inputs"] = image_set.inputs_of(places)
    return source.stream(truncation=image_set.truncation, label=label, **given)


def _image_set(source: Source, options: dict[str, Any], grid: tuple[int, int] | None) -> ImageSet:
    from genclient.latents.seeds import MAX_IMAGES
    from genclient.outputs.image_set import ImageSet

    label: int | None = None
    labels: tuple[int, ...] = ()
    each: tuple[int, ...] = ()
    texts = read_texts(options)
    if options["label"] == "all" and "all" not in source.classes.names:
        labels = source.classes.all()
        if len(texts) > 1:
            raise UsageError("--label: found all beside several texts, expected one of them")
    elif options.get("labels"):
        labels = options["labels"]
    elif options["label"] is not None:
        label = source.classes.index(options["label"])
    latents = _latents(options)
    seeds = _seeds(options, grid, latents)
    if latents is not None:
        if latents.truncation is not None and is_default("truncation"):
            options["truncation"] = latents.truncation
        if latents.labels is not None and options["label"] is None:
            seeds, labels, each = _as_they_were(latents)
    if len(texts) * len(seeds) > MAX_IMAGES:
        raise UsageError(f"--text: found {len(texts)} texts of {len(seeds)} images each, expected {MAX_IMAGES} in all")
    if grid is not None and (labels or len(texts) > 1):
        what = "--label all" if labels else "several texts"
        raise UsageError(f"--grid: found it beside {what}, whose grid has a row for each")
    if grid is not None and len(seeds) > grid[0] * grid[1]:
        raise UsageError(f"--grid: found {options['grid']} for {len(seeds)} images, expected a place for each")
    return ImageSet(
        source.model,
        seeds,
        options["truncation"],
        label,
        labels,
        source.classes.names,
        latents,
        source.model_sha256,
        read_inputs(options, source.inputs(), len(seeds)) if options["input"] else (),
        texts,
        each,
    )


def _as_they_were(latents: Latents) -> tuple[NDArray[np.int64], tuple[int, ...], tuple[int, ...]]:
    """Indices of latents, and the classes that an archive's images were of: those of all of them, or one for each."""
    import numpy as np

    from genclient.latents.seeds import seed_range

    assert latents.labels is not None
    classes = tuple(dict.fromkeys(latents.labels.tolist()))
    n, first = len(latents.array) // len(classes), latents.array[: len(latents.array) // len(classes)]
    in_rows = np.array_equal(latents.labels, np.repeat(classes, n))
    if in_rows and np.array_equal(latents.array, np.tile(first, (len(classes), 1))):  # as of --label all
        return seed_range(0, n), classes, ()
    return seed_range(0, len(latents.array)), (), tuple(latents.labels.tolist())


def _latent_size(source: Source, image_set: ImageSet, save: bool) -> int | None:
    if not save:
        return None
    return source.z if image_set.latents is None else image_set.latents.array.shape[1]


def _latents(options: dict[str, Any]) -> Latents | None:
    if options["latents"] is None:
        return None
    for name in ("n", "seed", "seeds"):
        if options[name] is not None:
            raise UsageError(f"--{name} and --latents: found both, expected one of them")
    from genclient.latents.file import read_latents

    return read_latents(options["latents"])


def _seeds(options: dict[str, Any], grid: tuple[int, int] | None, latents: Latents | None) -> NDArray[np.int64]:
    """The seeds that are requested, or the indices of latents."""
    from genclient.latents.seeds import parse_seeds, seed_range

    n, seed, text = options["n"], options["seed"], options["seeds"]
    if latents is not None:
        return seed_range(0, len(latents.array))
    if text is None:
        default = DEFAULT_N if grid is None else grid[0] * grid[1]
        return seed_range(seed or 0, default if n is None else n)
    if seed is not None:
        raise UsageError("--seed and --seeds: found both, expected one of them")
    seeds = parse_seeds(text)
    if n is not None and n != len(seeds):
        raise UsageError(f"--n: found {n} beside --seeds {text} of {len(seeds)} images, expected one of the options")
    return seeds
