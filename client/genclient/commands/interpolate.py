"""`genclient interpolate`: an animation that walks from seed to seed."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.console import Console, emit
from genclient.cli.inputs import read_inputs, single_input_option
from genclient.cli.keyframes import DEFAULT_KEYS, keyframe_texts, movement, traversal_seeds, traversals
from genclient.cli.options import (
    command,
    dry_run_option,
    generator_options,
    label_option,
    out_option,
    output_options,
    scale_option,
)
from genclient.cli.placing import clip_frames, rate_of
from genclient.cli.resolve import nearest
from genclient.cli.server import Server
from genclient.cli.source import Source, open_source
from genclient.cli.texts import check_texts, single_text_option
from genclient.errors import UsageError, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genclient.images.arrays import GivenImages
    from genclient.latents.interpolation import Traversals, Walks

DEFAULT_FRAMES, DEFAULT_FPS = 20, 20.0

COMMON = ("n", "seeds", "frames", "fps", "out", "direction", "start", "end", "target", "model")
"""Options that --help shows."""


@command(common=COMMON)
@click.option("-n", "--n", type=int, metavar="COUNT", help=f"Keyframes of each walk.  [default: {DEFAULT_KEYS}]")
@click.option(
    "--seed",
    type=int,
    metavar="SEED",
    help="Seed of the first keyframe; each further one has the next seed.  [default: 0]",
)
@click.option(
    "--seeds", metavar="LIST", help="Seeds of the keyframes, such as 0,3-5, instead; shared out to the walks in order."
)
@click.option("--latents", metavar="FILE", help="Keyframes from a .npy file or sample's .npz, instead of seeds.")
@single_input_option
@click.option(
    "--direction",
    metavar="NUMBER|class:NAME",
    help="Traverse this direction instead: 1 is the strongest, class:cat leads to cats.",
)
@click.option(
    "--from", "start", type=float, default=-3.0, show_default=True, metavar="STEP", help="Where the traversal starts."
)
@click.option(
    "--to", "end", type=float, default=3.0, show_default=True, metavar="STEP", help="Where the traversal ends."
)
@click.option(
    "--directions",
    type=click.Path(),
    metavar="FILE",
    help="manifest.json, or a version's folder, that has the directions.  [default: the one of --tflite]",
)
@click.option(
    "--image-grid", is_flag=True, help="With --direction: one picture, a row for each seed; --frames 6 has 7 steps."
)
@click.option("--sheet", is_flag=True, hidden=True)  # the old name of --image-grid
@label_option("Class of all frames, by index or name.")
@single_text_option
@click.option("--texts", metavar="TEXT;…", help="Texts of the keyframes, such as 'sun;moon'.")
@click.option("--labels", metavar="LIST", help="Classes of the keyframes, such as 0,rain,4-6, or all.")
@click.option(
    "--frames",
    type=int,
    metavar="COUNT",
    help=f"Frames from keyframe to keyframe.  [default: {DEFAULT_FRAMES}; of clips as often as they play once]",
)
@click.option(
    "--fps",
    type=float,
    metavar="RATE",
    help=f"Frames per second.  [default: {DEFAULT_FPS:g}; of clips theirs, else 12]",
)
@click.option("--loop/--no-loop", default=True, show_default=True, help="Return to the first keyframe, and repeat.")
@click.option("--walks", default="1", show_default=True, metavar="COLSxROWS", help="Walks side by side.")
@scale_option("frames", "to about 512 pixels; in a folder: 1")
@out_option("out.gif", "An animation (.gif, .webp, .png, .mp4), or a folder or frame%05d.png for pictures.")
@dry_run_option
@generator_options
@output_options
@click.pass_context
def interpolate(context: click.Context, /, out: str, server: Server, console: Console, **options: Any) -> None:
    """Make an animation that interpolates from seed to seed (slerp), and print its path.

    \b
    genclient interpolate --seeds 0-7 --out walk.webp
    genclient interpolate --walks 4x2 --n 6 --frames 30 --fps 30 --out wall.mp4
    genclient interpolate --labels all --seed 3 --out classes.gif
    genclient interpolate --direction 2 --from -3 --to 3 --seeds 7 --directions models/digits/1
    genclient interpolate --direction class:3 --from 0 --to 4 --seeds 0-7 --image-grid --directions models/digits/1
    """
    from genclient.outputs.animation import open_animation

    options["image_grid"] |= options.pop("sheet")
    options = nearest(context, options, ("n", "seed"), ("seeds",), ("latents",))
    _check(context, options)
    if options["image_grid"]:
        _write_grid(context, server, console, out, options)
        return
    options = nearest(context, options, ("label",), ("labels",))
    options = nearest(context, options, ("text",), ("texts",))
    grid, written = _grid(options["walks"]), Written(console)
    animation = open_animation(
        out, DEFAULT_FPS if options["fps"] is None else options["fps"], options["loop"], written.add
    )
    options["scale"] = options["scale"] or (None if animation.enlarged else 1)
    with open_source(context, server, options) as source:
        options["images"] = _images(source, options)
        _settle_motion(source, options)
        animation.fps = options["fps"]
        walks, grid = movement(source, options, grid)
        if options["dry_run"]:
            _print_plan(source, walks, grid, out, options, console)
            return
        source.resolve_version()
        _check_texts(source, options, console)
        text = _text(source, walks, options)
        with closing(_frames(source, walks, grid, options, console)) as frames:
            files = animation.save(frames, {key: str(value) for key, value in text.items()})
        written.result(files, {**_figures(walks, grid, options), **text})


def _settle_motion(source: Source, options: dict[str, Any]) -> None:
    """Rate and frames that are not requested: those of clips, so that they play as they are and begin with each key."""
    unset = [name for name in ("fps", "frames") if options[name] is None]
    count = clip_frames(source, options["dry_run"]) if unset else 0
    if "fps" in unset:
        options["fps"] = rate_of(source, options) if count else DEFAULT_FPS
    if "frames" in unset:
        options["frames"] = count * max(1, round(DEFAULT_FRAMES / count)) if count else DEFAULT_FRAMES


class Written:
    """The files that are written: paths as each is finished, or all at the end with `--format json`."""

    def __init__(self, console: Console) -> None:
        """Begin with none."""
        self._console = console
        self._files: list[str] = []

    def add(self, path: Path) -> None:
        """Take a file that is finished."""
        if self._console.style == "json":
            self._files.append(str(path))
        else:
            emit(f"{path}\n")

    def result(self, files: Sequence[Path], about: dict[str, Any]) -> None:
        """Print the files that were not reported one by one, and for programs what is in them."""
        lines = "".join(f"{file}\n" for file in files)
        self._console.result(lines, {"files": self._files + [str(file) for file in files], **about}, lines)


def _figures(walks: Walks | Traversals, grid: tuple[int, int], options: dict[str, Any]) -> dict[str, Any]:
    """How many images and frames there are, and how long they last."""
    frames = len(walks)
    return {"images": frames * grid[0] * grid[1], "frames": frames, "seconds": frames / options["fps"]}


def _print_plan(
    source: Source,
    walks: Walks | Traversals,
    grid: tuple[int, int],
    out: str,
    options: dict[str, Any],
    console: Console,
) -> None:
    """What would be fetched and written."""
    about = {**_figures(walks, grid, options), **_text(source, walks, options)}
    human = f"fetch      {about['images']} images of {source.model}\nwrite      {out}, {len(walks)} frames\n"
    console.result(human, {"fetch": about["images"], "files": [out], **about}, f"{out}\n")


def _frames(
    source: Source, walks: Walks | Traversals, grid: tuple[int, int], options: dict[str, Any], console: Console
) -> Generator[NDArray[np.uint8], None, None]:
    """Frames (H, W, C), each of an image of every walk."""
    import numpy as np

    from genclient.images.grid import laid_out
    from genclient.latents.interpolation import Walks

    count, done, rest = grid[0] * grid[1], 0, None
    labels = walks.frame_labels()
    label = options["label"] if labels is None else labels
    if isinstance(label, str):
        label = source.classes.index(label)
    given = {"latents": walks.latents(source.z), "truncation": _truncation(options), "label": label}
    texts = keyframe_texts(options)
    given["texts"] = options["text"]
    if texts is not None and isinstance(walks, Walks):
        given["texts"] = [texts[key] for key in walks.nearest_keys().tolist()]
    batches = source.stream(**given, **_input_arguments(options))
    for note in source.notes():
        console.note(note)
    with console.meter(len(walks), "frames") as meter, closing(batches):  # type: ignore[type-var]
        for batch in batches:
            images = batch.images if rest is None else np.concatenate([rest, batch.images])
            whole = len(images) // count * count
            for start in range(0, whole, count):
                shown = frames_of(images[start : start + count], done + start // count)
                yield laid_out(shown, *grid, scale=options["scale"])
            rest = images[whole:]
            done += whole // count
            meter.at(done)


def frames_of(images: NDArray[np.uint8], frame: int) -> NDArray[np.uint8]:
    """Images as they are; of clips (N, T, H, W, C) the frame whose turn it is, so that their motion goes on."""
    return images[:, frame % images.shape[1]] if images.ndim == 5 else images


def _check_texts(source: Source, options: dict[str, Any], console: Console) -> None:
    """As `check_texts`, of the text of all images or those of keyframes."""
    check_texts(source, keyframe_texts(options) or ([] if options["text"] is None else [options["text"]]), console)


def _images(source: Source, options: dict[str, Any]) -> tuple[GivenImages, ...]:
    """Pictures that the model takes besides, the same for all frames."""
    return read_inputs(options, source.inputs(), None) if options["input"] else ()


def _input_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """The same as arguments of `stream`."""
    return {"inputs": {given.name: given.array for given in options["images"]}} if options["images"] else {}


def _text(source: Source, walks: Walks | Traversals, options: dict[str, Any]) -> dict[str, Any]:
    """What gives the same animation again."""
    from genclient.latents.interpolation import Traversals
    from genclient.latents.seeds import format_seeds

    text = {"model": source.model, "version": source.version}
    text |= {f"{given.name}_sha256": given.sha256 for given in options["images"]}
    text |= {name: printable(options[name]) for name in ("text", "texts") if options[name] is not None}
    if isinstance(walks, Traversals):
        text |= {name: options[name] for name in ("direction", "start", "end", "label", "truncation")}
        if walks.labels is not None:
            text["label"] = ",".join(map(str, walks.labels.tolist()))
        if options["latents"] is not None:
            return {**text, "latents": f"0-{len(walks.keys) - 1}"}
        return {**text, "seeds": options["seeds"] or format_seeds(traversal_seeds(options))}
    text["seeds" if walks.given is None else "latents"] = format_seeds(walks.seeds.reshape(-1))
    if walks.labels is not None:
        text["labels"] = format_seeds(walks.labels)
    text.update(label=options["label"], truncation=options["truncation"], frames_per_key=walks.frames)
    return {key: value for key, value in text.items() if value is not None}


def _check(context: click.Context, options: dict[str, Any]) -> None:
    """See that options of a direction stand beside one, and those of walks do not."""

    def given(name: str) -> bool:
        return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE

    flags = {"start": "from", "end": "to", "image_grid": "image-grid"}
    if options["direction"] is None:
        for name in ("start", "end", "directions", "image_grid", "sheet"):
            if given(name):
                raise UsageError(f"--{flags.get(name, name)}: found it without --direction, expected both")
    else:
        for name in ("labels", "texts", "walks"):
            if given(name):
                raise UsageError(f"--{name}: found it beside --direction, expected one of them")
        if options["frames"] is not None and not 1 <= options["frames"] <= 100_000:
            raise UsageError(f"--frames: found {options['frames']}, expected 1 to 100000")
        if not all(-1000 <= options[name] <= 1000 for name in ("start", "end")):
            raise UsageError("--from and --to: found steps beyond 1000, expected -1000 to 1000")


def _truncation(options: dict[str, Any]) -> float:
    """Factor on latents that are requested: a direction is not scaled, so that its seeds are beforehand."""
    return 1.0 if options["direction"] is not None else float(options["truncation"])


def _write_grid(context: click.Context, server: Server, console: Console, out: str, options: dict[str, Any]) -> None:
    """One picture: a row for each seed, a column for each step along the direction."""
    import numpy as np

    from genclient.files.whole import save_bytes
    from genclient.images.grid import laid_out, png

    if options["frames"] is None:
        options["frames"] = 6
    out = "out.png" if context.get_parameter_source("out") is click.core.ParameterSource.DEFAULT else out
    if not out.lower().endswith(".png"):
        raise UsageError(f"--out: found {out}, expected a name that ends in .png with --image-grid")
    with open_source(context, server, options) as source:
        source.resolve_version()
        _check_texts(source, options, console)
        options["images"] = _images(source, options)
        moving = traversals(source, options)
        text = _text(source, moving, options)
        if not options["dry_run"]:
            label: Any = moving.frame_labels()
            if label is None and options["label"] is not None:
                label = source.classes.index(options["label"])
            given = {"latents": moving.latents(source.z), "truncation": 1.0, "label": label, "texts": options["text"]}
            batches = source.stream(**given, **_input_arguments(options))
            images = np.concatenate([frames_of(batch.images, 0) for batch in batches])
            order = np.arange(len(images)).reshape(len(moving), -1).T.reshape(-1)
            captions = [f"{step:+.3g}" for step in moving.steps] * len(moving.keys)
            drawn = laid_out(images[order], len(moving), scale=options["scale"], captions=captions)
            save_bytes(Path(out), png(drawn, {key: str(value) for key, value in text.items() if value is not None}))
    console.result(f"{out}\n", {"files": [out], **text}, f"{out}\n")


def _grid(text: str) -> tuple[int, int]:
    """Columns and rows of walks; a number alone is columns."""
    match = re.fullmatch(r"([1-9]\d{0,2})(?:\s*[xX×*]\s*([1-9]\d{0,2}))?", text.strip())
    if match is None:
        raise UsageError(f"--walks: found {text!r}, expected columns and rows such as 4x2")
    return int(match[1]), int(match[2] or 1)
