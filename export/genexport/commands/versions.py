"""`genexport list`, `show`, `verify` and `rollback`: what is in a repository, and is it still what was published?"""

from __future__ import annotations

from pathlib import Path

import click

from genexport.commands.common import (
    Clock,
    import_tensorflow,
    model_folder,
    newest,
    print_parity,
    repository_option,
)
from genexport.errors import ExportError

LIST_HEADER = ("name", "version", "created", "size", "images", "quality")


@click.command(name="list")
@click.argument("name", required=False, metavar="[NAME]")
@repository_option
def list_(name: str | None, repository: Path) -> None:
    """List the versions of all models, or of NAME.

    Oldest first; the newest version of each model, which servers load, is marked with *.
    """
    from genexport.describe.tables import aligned
    from genexport.repository.store import models, versions

    if name is None and not repository.is_dir():
        raise ExportError(
            f"{repository}: no such folder; create it with: genexport publish RUN --name NAME --repository {repository}"
        )
    bases = [repository / model for model in models(repository)] if name is None else [model_folder(name, repository)]
    rows = [_row(base, number, number == versions(base)[-1]) for base in bases for number in versions(base)]
    if not rows:
        place = repository if name is None else bases[0]
        raise ExportError(f"{place}: no versions in it; publish one with: genexport publish RUN --name NAME")
    click.echo("\n".join(aligned([LIST_HEADER, *rows], left=len(LIST_HEADER))))


def _row(base: Path, number: int, is_newest: bool) -> tuple[str, ...]:
    from genexport import kinds
    from genexport.describe import tables
    from genexport.repository import manifest

    label = f"{number} *" if is_newest else str(number)
    try:
        entries = manifest.read(base / str(number))
        copied = f" (copy of {entries['copy_of']['version']})" if "copy_of" in entries else ""
        quality = kinds.of(entries).quality(entries)
        size = tables.bytes_text(tables.total_bytes(entries))
        return base.name, label, entries["created"] + copied, size, tables.shape_text(entries), quality
    except (ExportError, KeyError, TypeError, ValueError):
        return (
            base.name,
            label,
            "?",
            "?",
            "?",
            f"not published by genexport, or damaged: no readable {manifest.MANIFEST}",
        )


@click.command()
@click.argument("version", type=click.Path(path_type=Path))
def show(version: Path) -> None:
    """Show what is in a version.

    VERSION is a folder such as models/digits/1, or models/digits for the newest one in it.
    """
    from genexport import kinds
    from genexport.describe import tables
    from genexport.repository import manifest

    folder = newest(version)
    entries = manifest.read(folder)
    click.echo(f"{folder}: {tables.shape_text(entries)} {kinds.of(entries).takes(entries)}, {entries['created']}")
    if "copy_of" in entries:
        click.echo(f"copy of     version {entries['copy_of']['version']}, {entries['copy_of']['created']}")
    if quality := tables.quality_text(entries):
        click.echo(f"quality     {quality}")
    if entries.get("class_count"):
        click.echo(f"classes     {', '.join(entries['class_names']) or entries['class_count']}")
    for name, signature in entries["signatures"].items():
        click.echo(f"{name:16}{tables.inputs_outputs(signature)}")
    print_parity(entries)
    for what, text in tables.remarks(entries):
        click.echo(f"{what}: {text}")
    runtimes = {variant: needs["runtime"] for variant, needs in entries.get("tflite", {}).items()}
    if runtimes:
        click.echo(f"TFLite from {', '.join(f'{version} ({variant})' for variant, version in runtimes.items())}")
    for name, file in entries["files"].items():
        click.echo(f"{file['bytes']:>12,}  {name}")
    sealed = (folder / manifest.SEAL).is_file() and manifest.sha256(folder / manifest.MANIFEST)
    click.echo(f"{manifest.MANIFEST} has the SHA-256 {sealed}" if sealed else f"{manifest.MANIFEST} has no seal")


@click.command()
@click.argument("version", type=click.Path(path_type=Path))
def verify(version: Path) -> None:
    """Check that a version is intact and still gives its images.

    VERSION is a folder such as models/digits/1, or models/digits for the newest one in it. The SHA-256 of every file
    is checked, then each file is run and its images are compared.
    """
    from genexport.repository import manifest

    folder = newest(version)
    manifest.check(folder)  # before TensorFlow is imported, which takes longer
    clock = Clock()
    import_tensorflow()
    from genexport.verify import verify as verify_version

    differences = verify_version(folder, clock.report)
    print_parity(manifest.read(folder), {what: difference.as_json() for what, difference in differences.items()})
    click.echo(f"{folder}: intact")


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@repository_option
def rollback(name: str, version: int, repository: Path) -> None:
    """Publish a copy of an old version as the newest.

    Every SHA-256 is checked before and after copying.

    \b
    genexport rollback digits 1
    genexport rollback models/digits 1
    """
    from genexport.repository.rollback import rollback as roll_back
    from genexport.repository.store import versions

    base = model_folder(name, repository)
    folder = roll_back(base, version)
    critic = base.with_name(f"{base.name}-critic")
    if version in versions(critic)[:-1]:
        click.echo(
            f"the discriminator stays as it is; to roll it back too: genexport rollback {critic} {version}", err=True
        )
    click.echo(folder)
