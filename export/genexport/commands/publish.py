"""`genexport publish`: a run or any Keras generator becomes a version of the repository."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genexport.commands.common import Clock, import_tensorflow, print_parity, repository_option

if TYPE_CHECKING:
    from genexport.generator import Generator
    from genexport.parity import Limits

LIMITS_HELP = (
    "What a file may differ from Keras by, instead of the default. Largest error of a pixel in [0, 1]: "
    "savedmodel=1e-5, float32=1e-5 (TFLite and ONNX), float16=5e-3. Least PSNR: dynamic_db=40, int8_db=30. "
    "Rise of the Fréchet distance: frechet_rise=0.1. May be repeated."
)


@click.command()
@click.argument("source", metavar="RUN_OR_KERAS_FILE", type=click.Path(path_type=Path))
@repository_option
@click.option("--name", required=True, help="The model's name: a folder of the repository.")
@click.option("--version", type=click.IntRange(min=1), help="Its number; the next one unless given.")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="K",
    help="Afterwards remove old versions but the newest K; the one published stays.  [default: all stay]",
)
@click.option(
    "--snapshot",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Of a run that was measured while it trained; of any other, best is the last too.",
)
@click.option(
    "--output-range",
    type=click.Choice(["auto", "-1..1", "0..1", "0..255"]),
    default="auto",
    show_default=True,
    help="The generator's own lowest and highest pixel; auto judges by 64 images.",
)
@click.option(
    "--import",
    "imports",
    multiple=True,
    metavar="MODULE",
    help="Import this first: it registers layers or models of your own with Keras. RUNS ITS CODE. May be repeated.",
)
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help=LIMITS_HELP)
@click.option("--onnx/--no-onnx", default=None, help="An ONNX file too.  [default: where the extra onnx is installed]")
@click.option(
    "--critic/--no-critic",
    default=True,
    show_default=True,
    help="The run's critic too, as NAME-critic under the same number.",
)
@click.option("--batching", is_flag=True, help="Also write NAME/batching_parameters.txt for TensorFlow Serving.")
@click.option("--licence", "--license", default="", metavar="TEXT", help="Of the data, for MODEL_CARD.md: cc-by-4.0.")
def publish(
    source: Path,
    repository: Path,
    name: str,
    version: int | None,
    snapshot: str,
    output_range: str,
    imports: tuple[str, ...],
    limits: tuple[str, ...],
    **options: Any,
) -> None:
    """Export the generator of a run, or any Keras generator, check every file of it, and publish it whole.

    \b
    genexport publish runs/digits --name digits
    genexport publish my_generator.keras --name mine --import my_layers --limit dynamic_db=35
    """
    from genexport.repository import check_name

    check_name(name)
    parsed = parse_limits(limits)
    clock = Clock()
    import_tensorflow()
    from genexport import manifest
    from genexport.generator import load
    from genexport.options import Options
    from genexport.publish import publish as publish_generator

    for module in imports:
        clock.tell(f"--import {module}: its code is run")
    generator = load(source, output_range, snapshot, imports)
    clock.tell(f"{generator.path}: {_about(generator)}")
    for note in generator.notes:
        clock.tell(note)
    run = source if source.is_dir() else None
    chosen = Options(limits=parsed, **options)
    folder = publish_generator(generator, repository, name, version, clock.tell, run, chosen)
    print_parity(manifest.read(folder), err=True)
    clock.tell("done")
    click.echo(folder)  # alone on stdout, for scripts


def parse_limits(texts: tuple[str, ...]) -> Limits:
    """`name=value` texts → Limits.

    Raises:
        click.BadParameter: no such limit, or a value that is not a number of 0 or more.
    """
    from genexport.parity import Limits

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


def _about(generator: Generator) -> str:
    low, high = generator.output_range
    height, width, channels = generator.image_shape
    classes = f", {generator.class_count} classes" if generator.conditional else ""
    return f"{width}×{height}×{channels} from {generator.latent_size} latents{classes}, pixels from {low:g} to {high:g}"
