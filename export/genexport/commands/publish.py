"""`genexport publish`: a run or any Keras generator becomes a version of the repository."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genexport.commands.common import Clock, import_tensorflow, print_parity, repository_option

if TYPE_CHECKING:
    from genexport.compare.parity import Limits

LIMITS_HELP = (
    "How much a file may differ from Keras. Maximum error of a pixel in [0, 1]: savedmodel and float32 (TFLite and "
    "ONNX), by default 1e-5 or six times the rounding error, whichever is larger; float16=5e-3. Minimum PSNR: "
    "dynamic_db=40, int8_db=30. Root mean square error of int8 and micro relative to the standard deviation of the "
    "images: int8_spread=0.5. Increase of the Fréchet distance: frechet_rise=0.1. May be repeated."
)
FILES_HELP = (
    "Write exactly these files beside the SavedModel and fail if one of them cannot be made: float32, float16, "
    "dynamic, int8, micro (TFLite), onnx, separated by commas.  [default: all that can be made]"
)


def parse_files(context: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...]:
    """`float32,int8` → names of `options.FILES`.

    Raises:
        click.BadParameter: no such file, or none at all.
    """
    from genexport.options import FILES

    names = tuple(part.strip() for part in text.split(",")) if text is not None else ()
    for name in names:
        if name not in FILES:
            raise click.BadParameter(f"{name!r}: expected one or more of {', '.join(FILES)}, separated by commas")
    return names


def parse_shape(context: click.Context, option: click.Parameter, text: str | None) -> tuple[int, int, int] | None:
    """`28x28x1` (or `28x28`, grey) → (28, 28, 1).

    Raises:
        click.BadParameter: no such shape.
    """
    if text is None:
        return None
    sizes = text.lower().replace("×", "x").replace(",", "x").split("x")
    sizes = [*sizes, "1"] if len(sizes) == 2 else sizes
    if len(sizes) != 3 or not all(size.strip().isdecimal() and int(size) for size in sizes):
        raise click.BadParameter(f"{text!r}: expected HxWxC, such as 28x28x1 or 64x64x3")
    height, width, channels = map(int, sizes)
    return height, width, channels


def parse_range(context: click.Context, option: click.Parameter, text: str | None) -> tuple[float, float] | None:
    """`-1..1` → (-1.0, 1.0)."""
    low, _, high = (text or "").partition("..")
    return (float(low), float(high)) if text else None


@click.command()
@click.argument("source", metavar="RUN_OR_MODEL", type=click.Path(path_type=Path))
@repository_option
@click.option("--name", required=True, help="Name of the model: a folder in the repository.")
@click.option("--version", type=click.IntRange(min=1), help="Version number.  [default: the next free one]")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="K",
    help="After publishing, remove all but the newest K versions (never the new one).  [default: keep all]",
)
@click.option(
    "--snapshot",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Which snapshot of a run to export; a run that was not measured has only the last.",
)
@click.option(
    "--output-range",
    type=click.Choice(["auto", "-1..1", "0..1", "0..255"]),
    default="auto",
    show_default=True,
    help="Lowest and highest pixel value of the generator; auto infers it from 64 images.",
)
@click.option(
    "--output-activation",
    "activation",
    type=click.Choice(["sigmoid", "tanh", "clip"]),
    help="Append an activation: sigmoid or tanh if the model ends in logits, clip if it leaves its range.",
)
@click.option(
    "--latents", type=click.IntRange(min=1), metavar="Z", help="Number of latents in an input that also holds a class."
)
@click.option(
    "--one-hot",
    type=click.IntRange(min=2),
    metavar="CLASSES",
    help="Add a one-hot encoding: the model takes the class so, as an input of its own or after the latents.",
)
@click.option(
    "--image-shape",
    metavar="HxWxC",
    callback=parse_shape,
    help="Shape of images that the model outputs flat, such as 28x28x1; of pictures that it takes in any size.",
)
@click.option(
    "--input-range",
    "pixels",
    type=click.Choice(["-1..1", "0..1", "0..255"]),
    callback=parse_range,
    help="Pixel range that a model of pictures takes.  [default: that of interface.json, or inferred]",
)
@click.option(
    "--examples",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Pictures for a model that takes pictures, best such as it was not trained on: files are compared with Keras "
    "on them, and integers calibrated.  [default: examples.npz of the run]",
)
@click.option("--output", metavar="NAME", help="Which of several outputs holds the images.")
@click.option(
    "--import",
    "imports",
    multiple=True,
    metavar="MODULE",
    help="Import a module that registers your own layers or models with Keras. RUNS ITS CODE. May be repeated.",
)
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help=LIMITS_HELP)
@click.option("--files", metavar="NAME,…", callback=parse_files, help=FILES_HELP)
@click.option(
    "--for",
    "target",
    type=click.Choice(["cpu", "npu"]),
    default="cpu",
    show_default=True,
    help="What the TFLite files are optimized for. cpu: transposed convolutions become ops that CPUs run faster; npu: "
    "the generator's layers stay as they are, since accelerators lack pixel shuffles (see docs/export.md).",
)
@click.option(
    "--onnx/--no-onnx", default=None, help="Also write an ONNX file.  [default: if the extra onnx is installed]"
)
@click.option(
    "--discriminator/--no-discriminator",
    default=True,
    show_default=True,
    help="Also publish the run's discriminator, as NAME-critic under the same number.",
)
@click.option("--critic/--no-critic", default=None, hidden=True)
@click.option("--batching", is_flag=True, help="Also write NAME/batching_parameters.txt for TensorFlow Serving.")
@click.option(
    "--licence", "--license", default="", metavar="TEXT", help="Licence of the training data, for MODEL_CARD.md."
)
def publish(
    source: Path,
    repository: Path,
    name: str,
    version: int | None,
    snapshot: str,
    output_range: str,
    activation: str | None,
    latents: int | None,
    one_hot: int | None,
    image_shape: tuple[int, int, int] | None,
    output: str | None,
    pixels: tuple[float, float] | None,
    examples: Path | None,
    imports: tuple[str, ...],
    limits: tuple[str, ...],
    critic: bool | None,
    **options: Any,
) -> None:
    """Export the generator of a run, or any Keras generator, verify every file, and publish the version atomically.

    RUN_OR_MODEL is a run directory, a .keras or .h5 file (Keras 2 included), or the folder of a SavedModel.

    \b
    genexport publish runs/digits --name digits
    genexport publish my_generator.keras --name mine --import my_layers --limit dynamic_db=35
    genexport publish cgan.keras --name cgan --latents 128 --one-hot 10
    genexport publish pix2pix.keras --name facades --examples photos/
    """
    from genexport.repository.store import check_free, check_name

    check_name(name)
    if version is not None:
        check_free(repository / name, version)
    if options["onnx"] is False and "onnx" in options["files"]:
        raise click.UsageError("--files names onnx, and --no-onnx leaves it out")
    if critic is not None:  # as it was called before
        options["discriminator"] = critic
    parsed = parse_limits(limits)
    clock = Clock()
    import_tensorflow()
    from genexport import kinds
    from genexport.generator.adapt import Choices
    from genexport.generator.source import is_run
    from genexport.kinds.kind import Source
    from genexport.options import Options
    from genexport.publish import publish as publish_model
    from genexport.repository import manifest

    for module in imports:
        clock.report(f"--import {module}: its code is run")
    choices = Choices(latents, one_hot, image_shape, output, activation, pixels)
    kind, model = kinds.load(Source(source, output_range, snapshot, imports, choices, examples))
    clock.report(f"{model.path}: {kind.about(model)}")
    for note in model.notes:
        clock.report(note)
    run = source if is_run(source) else None
    chosen = Options(limits=parsed, **options)
    folder = publish_model(model, repository, name, version, clock.report, run, chosen)
    print_parity(manifest.read(folder), err=True)
    clock.report("done")
    click.echo(folder)  # alone on stdout, for scripts


def parse_limits(texts: tuple[str, ...]) -> Limits:
    """`name=value` texts → Limits.

    Raises:
        click.BadParameter: no such limit, or a value that is not a number of 0 or more.
    """
    from genexport.compare.parity import Limits

    names = [field.name for field in dataclasses.fields(Limits)]
    values = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or name not in names:
            raise click.BadParameter(f"{text!r}: expected NAME=VALUE, NAME being one of {', '.join(names)}")
        try:
            values[name] = float(value)
        except ValueError:
            raise click.BadParameter(f"{text!r}: expected a number, found {value!r}") from None
        if not 0 <= values[name] < float("inf"):
            raise click.BadParameter(f"{text!r}: expected 0 or more, found {value}")
    return Limits(**values)
