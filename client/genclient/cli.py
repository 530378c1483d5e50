"""The genclient command: options in, one call of the library, results on stdout, progress on stderr.

Everything heavy is imported inside the commands, so that help and version appear at once. How a request is made and
what a reply means is the library's; here options are read, files named and errors worded.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from genclient.errors import ClientError, UsageError, one_line, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genclient.client import Batch, VersionStatus
    from genclient.device import DeviceGenerator
    from genclient.generator import ModelInfo, SignatureSpec

DEFAULT_N = 16
OTHER_FILES = {".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".npy", ".zip", ".mp4"}

Command = Callable[..., Any]


def server_options(command: Command) -> Command:
    """The options that say where a generator is served."""
    for option in (
        click.option("--timeout", type=float, default=60.0, show_default=True, metavar="SECONDS", help="Per request."),
        click.option("--model", default="digits", show_default=True, metavar="NAME", help="Name it is served under."),
        click.option(
            "--target",
            default="localhost:8500",
            show_default=True,
            metavar="HOST:PORT",
            help="gRPC address, or unix:PATH.",
        ),
    ):
        command = option(command)
    return command


def tflite_option(command: Command) -> Command:
    """The option that takes a file in place of a server."""
    help_text = "Use this file on this machine instead of a server."
    return click.option("--tflite", metavar="FILE", help=help_text)(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(package_name="genline", prog_name="genclient")
@click.pass_context
def cli(context: click.Context) -> None:
    """Fetch images from a generator, over gRPC or from a TFLite file.

    \b
    genclient wait --model digits
    genclient sample --n 16 --seed 0 --out sheet.png
    genclient sample --seeds 0,3-5 --truncation 0.7 --out pictures/
    genclient sample --n 1000 --signature uint8 --out images.npz
    genclient sample --tflite digits-float32.tflite --out - | display
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command()
@click.option("--n", type=int, metavar="COUNT", help=f"Images.  [default: {DEFAULT_N}]")
@click.option("--seed", type=int, metavar="SEED", help="Seed of the first image; the next has the next.  [default: 0]")
@click.option("--seeds", metavar="LIST", help="Seeds, such as 0,3-5, instead of --n and --seed.")
@click.option("--truncation", type=float, default=1.0, show_default=True, metavar="PSI", help="Factor on the latents.")
@click.option("--label", metavar="INDEX", help="Class, where there are classes; with --tflite also by its name.")
@click.option(
    "--signature",
    default="serving_default",
    show_default=True,
    metavar="NAME",
    help="Function to call: serving_default, uint8, png or seeds.",
)
@tflite_option
@click.option("--threads", type=int, metavar="COUNT", help="Images at a time, with --tflite.  [default: by processors]")
@server_options
@click.option(
    "--out",
    default="out.png",
    show_default=True,
    metavar="PATH",
    help="A sheet (.png), arrays (.npz), a folder of pictures, or - for a sheet on stdout.",
)
@click.pass_context
def sample(context: click.Context, /, out: str, **options: Any) -> None:
    """Make images, and print the paths of the files they are in.

    \b
    --out sheet.png    one picture with all images, nearly square
    --out images.npz   arrays images (uint8, N×H×W×C) and seeds (int64), and labels where there are classes
    --out pictures/    one seed0006.png for each seed
    --out -            the sheet on stdout
    """
    save = _saver(out)
    seeds = _seeds(options["n"], options["seed"], options["seeds"])
    condition: dict[str, Any] = {"truncation": options["truncation"]}
    if options["tflite"] is not None:
        _refuse_server_options(context)
        device = _load(options["tflite"], options["threads"])
        condition["label"] = _label(options["label"], device.class_names)
        batches = device.stream(seeds, **condition)
        _tell(device.notes)
        save(_shown(batches, len(seeds)), _text(device.info().name, condition))
        return
    if options["threads"] is not None:
        raise UsageError(f"--threads: found {options['threads']} without --tflite, expected only with a file")
    condition["label"] = _label(options["label"], ())
    from genclient.client import Client

    with Client(options["target"], options["model"], timeout_seconds=options["timeout"]) as client:
        batches = client.stream(seeds, signature=options["signature"], **condition)
        save(_shown(batches, len(seeds)), _text(options["model"], condition))


@cli.command()
@tflite_option
@server_options
@click.pass_context
def info(context: click.Context, /, target: str, model: str, timeout: float, tflite: str | None) -> None:
    """Describe a generator: its versions, Z, image shape and signatures."""
    if tflite is not None:
        _refuse_server_options(context)
        device = _load(tflite)
        classes = [f"class      {label}  {name}" for label, name in enumerate(device.class_names)]
        notes = [f"note       {note}" for note in device.notes]
        described = _description(device.info(), [], device.generator())
        _emit(described + "".join(f"{printable(line)}\n" for line in classes + notes))
        return
    from genclient.client import Client

    with Client(target, model, timeout_seconds=timeout) as client:
        _emit(_description(client.info(), client.status()))


@cli.command()
@server_options
@click.pass_context
def status(context: click.Context, /, target: str, model: str, timeout: float) -> None:
    """List the versions of a model and their states; exit code 0 when one is AVAILABLE, else 1."""
    from genclient.client import Client

    with Client(target, model, timeout_seconds=timeout) as client:
        versions = client.status()
    _emit("".join(f"{_version_line(version)}\n" for version in versions))
    if not any(version.state == "AVAILABLE" for version in versions):
        context.exit(1)


@cli.command()
@server_options
def wait(target: str, model: str, timeout: float) -> None:
    """Return when a model is AVAILABLE and print the version; the server need not run yet. --timeout is for it all."""
    from genclient.client import Client

    with Client(target, model, timeout_seconds=timeout) as client, _progress() as show:
        show(f"waiting for {model} at {target}")
        version = client.wait(timeout)
    _emit(f"{version}\n")


def _seeds(n: int | None, seed: int | None, text: str | None) -> NDArray[np.int64]:
    from genclient.seeds import parse_seeds, seed_range

    if text is None:
        return seed_range(seed or 0, DEFAULT_N if n is None else n)
    if seed is not None:
        raise UsageError("--seed and --seeds: found both, expected one of them")
    seeds = parse_seeds(text)
    if n is not None and n != len(seeds):
        raise UsageError(f"--n: found {n} beside --seeds {text} of {len(seeds)} images, expected one of the options")
    return seeds


def _refuse_server_options(context: click.Context) -> None:
    for name in ("target", "model", "timeout", "signature"):
        if name in context.params and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise UsageError(f"--{name}: found beside --tflite, expected only with a server")


def _label(text: str | None, names: Sequence[str]) -> int | None:
    """The index of a class that is given by index, or by one of `names`."""
    if text is None or re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        return None if text is None else int(text)
    if text in names:
        return names.index(text)
    among = f" or one of {', '.join(names)}" if names else ", since nothing here has names for them"
    raise UsageError(f"--label: found {text!r}, expected the index of a class{among}")


def _load(path: str, threads: int | None = None) -> DeviceGenerator:
    from genclient.device import DeviceGenerator
    from genclient.rehearsal import rehearse

    with _silent_stderr():
        rehearse(path)
        return DeviceGenerator(path, threads=threads)


def _tell(notes: Iterable[str]) -> None:
    for note in notes:
        click.echo(f"genclient: {printable(note)}", err=True)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep what C++ writes to stderr off the terminal: LiteRT reports its start there. Errors arrive as exceptions."""
    if sys.stderr is None:  # closed: no descriptor to save
        yield
        return
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


Saver = Callable[[Iterable["Batch"], dict[str, str]], None]


def _saver(out: str) -> Saver:
    """What to do with batches of images and their text fields, by what --out looks like."""
    path = Path(out)
    if out == "-":
        if sys.stdout is None or sys.stdout.isatty():
            raise UsageError(
                "--out -: found a terminal or nothing on stdout, expected a pipe or a file for the picture"
            )
        return lambda batches, text: _emit(_sheet(batches, text))
    if not out:
        raise UsageError(f"--out: found {out!r}, expected a path or -")
    if out.endswith("/") or os.path.isdir(out):
        return lambda batches, text: _save_pictures(path, batches, text)
    suffix = path.suffix.lower()
    if suffix == ".png":
        return lambda batches, text: _save_sheet(path, batches, text)
    if suffix == ".npz":
        return lambda batches, text: _save_arrays(path, batches, text)
    if suffix in OTHER_FILES:
        raise UsageError(f"--out: found {out}, expected a name that ends in .png or .npz, a folder, or -")
    return lambda batches, text: _save_pictures(path, batches, text)


def _save_sheet(path: Path, batches: Iterable[Batch], text: dict[str, str]) -> None:
    from genclient import sheets

    sheets.save_bytes(path, _sheet(batches, text))
    _emit(f"{path}\n")


def _save_pictures(folder: Path, batches: Iterable[Batch], text: dict[str, str]) -> None:
    from genclient import sheets

    for batch in batches:
        for seed, image in zip(batch.seeds.tolist(), batch.images, strict=True):
            path = folder / sheets.picture_name(seed)
            sheets.save_bytes(path, sheets.png(image, {"seed": str(seed), **_version_text(batch), **text}))
            _emit(f"{path}\n")


def _save_arrays(path: Path, batches: Iterable[Batch], text: dict[str, str]) -> None:
    import numpy as np

    from genclient import sheets

    seeds, images, _ = _joined(batches)
    arrays: dict[str, NDArray[Any]] = {"images": images, "seeds": seeds}
    if "label" in text:
        arrays["labels"] = np.full(len(seeds), int(text["label"]), np.int32)
    sheets.save_npz(path, arrays)
    _emit(f"{path}\n")


def _sheet(batches: Iterable[Batch], text: dict[str, str]) -> bytes:
    from genclient import sheets
    from genclient.seeds import format_seeds

    seeds, images, version = _joined(batches)
    return sheets.png(sheets.grid(images), {"seeds": format_seeds(seeds), **version, **text})


def _joined(batches: Iterable[Batch]) -> tuple[NDArray[np.int64], NDArray[np.uint8], dict[str, str]]:
    import numpy as np

    whole = list(batches)
    seeds = np.concatenate([batch.seeds for batch in whole])
    return seeds, np.concatenate([batch.images for batch in whole]), _version_text(whole[-1])


def _version_text(batch: Batch) -> dict[str, str]:
    return {} if batch.version is None else {"version": str(batch.version)}


def _text(model: str, condition: dict[str, Any]) -> dict[str, str]:
    """Text fields of a picture: what gives the same one again."""
    label = {} if condition["label"] is None else {"label": str(condition["label"])}
    return {"model": printable(model), "truncation": str(condition["truncation"]), **label}


def _description(model: ModelInfo, versions: list[VersionStatus], generator: SignatureSpec | None = None) -> str:
    """A model for people: one fact a line; what it makes, from all its signatures unless one is the generator."""
    signatures = [generator] if generator else list(model.signatures.values())
    z = next((signature.z for signature in signatures if signature.z), "unknown")
    shape = next((signature.image_shape for signature in signatures if signature.image_shape), None)
    images = "unknown" if shape is None else " × ".join("?" if size is None else str(size) for size in shape)
    conditional = any(signature.conditional for signature in signatures)
    lines = [f"model      {model.name}"]
    lines += [f"version    {_version_line(version)}" for version in versions]
    lines += [f"latents    {z}", f"images     {images}", f"labels     {'yes' if conditional else 'no'}"]
    width = max((len(name) for name in model.signatures), default=0)
    lines += [f"signature  {name:<{width}}  {signature}" for name, signature in sorted(model.signatures.items())]
    return "".join(f"{printable(line)}\n" for line in lines)


def _version_line(version: VersionStatus) -> str:
    return one_line(f"{version.version} {version.state} {version.message}")


def _shown(batches: Iterable[Batch], total: int) -> Iterator[Batch]:
    """The batches, with a count of the images on stderr while they come."""
    done = 0
    with _progress() as show:
        show(f"0 of {total} images")
        for batch in batches:
            done += len(batch.seeds)
            show("")  # paths may go to the same terminal meanwhile
            yield batch
            show(f"{done} of {total} images")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line on stderr that says how far things are, gone at the end; none unless stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda text: None
        return
    line = "\r\x1b[K"
    try:
        yield lambda text: click.echo(line + text, nl=False, err=True)
    finally:
        click.echo(line, nl=False, err=True)


def _emit(content: str | bytes) -> None:
    """Write to stdout, unbuffered, so that an error is reported here and not when Python ends."""
    if sys.stdout is None:
        raise ClientError("cannot write to standard output: it is closed")
    rest = memoryview(content.encode(errors="surrogateescape") if isinstance(content, str) else content)
    try:
        while rest:
            rest = rest[os.write(sys.stdout.fileno(), rest) :]
    except BrokenPipeError:
        sys.exit(141)  # as a program that SIGPIPE ends: the reader has had enough, which is no error to report
    except OSError as error:
        raise ClientError(f"cannot write to standard output: {error.strerror}") from None


def main() -> None:
    """Run the command; every error becomes one line on stderr and an exit code."""
    # gRPC's core writes its own account of a failed connection to stderr; the error that is raised says it all.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        sys.exit(cli.main(prog_name="genclient", standalone_mode=False) or 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except ClientError as error:
        _fail(str(error), error.exit_code)
    except MemoryError:
        _fail("not enough memory for so many images; a folder as --out needs less", 1)


def _fail(message: str, exit_code: int) -> None:
    click.echo(f"genclient: {one_line(message)}", err=True)
    sys.exit(exit_code)
