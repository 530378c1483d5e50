"""The genexport command: options in, one call of `publish` or `verify`, results on stdout, progress on stderr."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from genexport.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="genline")
def cli() -> None:
    """Publish a generator as a version that TensorFlow Serving, genserve and devices can run."""


@cli.command()
@click.argument("source", metavar="RUN_OR_KERAS_FILE", type=click.Path(path_type=Path))
@click.option("--repository", required=True, type=click.Path(path_type=Path), help="The folder that holds all models.")
@click.option("--name", required=True, help="The model's name: a folder of the repository.")
@click.option("--version", type=click.IntRange(min=1), help="Its number; the next one unless given.")
@click.option(
    "--output-range",
    type=click.Choice(["auto", "-1..1", "0..1", "0..255"]),
    default="auto",
    show_default=True,
    help="The generator's own lowest and highest pixel; auto judges by 64 images.",
)
@click.option(
    "--snapshot",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Of a run that was measured while it trained; of any other, best is the last too.",
)
def publish(source: Path, repository: Path, name: str, version: int | None, output_range: str, snapshot: str) -> None:
    """Export the generator of a run, or any Keras generator, check every file of it, and publish it whole.

    \b
    genexport publish runs/digits --repository models --name digits
    genexport publish my_generator.keras --repository models --name mine
    """
    from genexport.repository import check_name

    check_name(name)
    started = time.perf_counter()
    _import_tensorflow()
    from genexport.generator import load
    from genexport.publish import publish as publish_generator

    generator = load(source, output_range, snapshot)
    _tell(f"{generator.path}: loaded")
    low, high = generator.output_range
    height, width, channels = generator.image_shape
    classes = f", {generator.class_count} classes" if generator.conditional else ""
    _tell(f"{width}×{height}×{channels} from {generator.latent_size} latents{classes}, pixels from {low:g} to {high:g}")
    folder = publish_generator(generator, repository, name, version, _tell)
    _tell(f"published in {time.perf_counter() - started:.1f} s")
    click.echo(folder)


@cli.command()
@click.argument("version", type=click.Path(path_type=Path))
def show(version: Path) -> None:
    """Tell what is in a VERSION, such as models/digits/1, or in the newest one of models/digits."""
    from genexport.repository import read_manifest

    folder = _newest(version)
    manifest = read_manifest(folder)
    height, width, channels = manifest["image_shape"]
    click.echo(f"{folder}: {width}×{height}×{channels} from {manifest['latent_size']} latents, {manifest['created']}")
    if manifest["class_count"]:
        click.echo(f"classes     {', '.join(manifest['class_names']) or manifest['class_count']}")
    for name, signature in manifest["signatures"].items():
        inputs, outputs = (
            ", ".join(f"{key} {_spec(spec)}" for key, spec in signature[side].items()) for side in ("inputs", "outputs")
        )
        click.echo(f"{name:16}{inputs} → {outputs}")
    _print_parity(manifest["parity"])
    for name, file in manifest["files"].items():
        click.echo(f"{file['bytes']:>12,}  {name}")


@cli.command()
@click.argument("version", type=click.Path(path_type=Path))
def verify(version: Path) -> None:
    """Check a VERSION, such as models/digits/1: every SHA-256, and the images that every file of it gives."""
    from genexport.repository import read_manifest

    folder = _newest(version)
    read_manifest(folder)
    _import_tensorflow()
    from genexport.publish import verify as verify_version

    differences = verify_version(folder)
    _print_parity({what: difference.as_json() for what, difference in differences.items()})
    click.echo(f"{folder}: intact")


def _newest(folder: Path) -> Path:
    """`folder` itself, or the newest version in it."""
    from genexport.repository import versions

    found = versions(folder)
    return folder / str(found[-1]) if found else folder


def _spec(spec: Mapping[str, object]) -> str:
    shape = spec["shape"]
    assert isinstance(shape, list)
    return f"{spec['dtype']} ({', '.join('N' if size is None else str(size) for size in shape)})"


def _print_parity(parity: Mapping[str, Mapping[str, float | None]]) -> None:
    click.echo(f"{'against Keras':24}{'max error':>12}{'mean error':>12}{'PSNR':>12}")
    for what, difference in parity.items():
        psnr = difference["psnr_db"]
        decibels = "identical" if psnr is None else f"{psnr:.1f} dB"
        click.echo(f"{what:24}{difference['max_error']:>12.1e}{difference['mean_error']:>12.1e}{decibels:>12}")


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _import_tensorflow() -> None:
    from genexport.quiet import import_tensorflow

    import_tensorflow()


def main() -> None:
    """Run the command; every error becomes one line on stderr and an exit code."""
    try:
        sys.exit(cli.main(prog_name="genexport", standalone_mode=False) or 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except ExportError as error:
        _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("genexport"):
            raise
        _fail(f"needs {error.name}: pip install 'genline[export]'", 1)


def _fail(message: str, code: int) -> None:
    click.echo("genexport: " + " ".join(message.split()), err=True)
    sys.exit(code)
