"""What the commands share: where the repository is, progress on stderr, and a quiet import of TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import click

REPOSITORY = "models"

repository_option = click.option(
    "--repository",
    type=click.Path(path_type=Path),
    default=REPOSITORY,
    show_default=True,
    help="Folder that holds all models.",
)


class Clock:
    """Reports progress on stderr, each line with the seconds since the start."""

    def __init__(self) -> None:
        self.started = perf_counter()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return perf_counter() - self.started

    def report(self, text: str) -> None:
        """One line."""
        click.echo(f"{self.seconds:6.1f} s  {text}", err=True)


def import_tensorflow() -> None:
    """Without its log; a missing TensorFlow is reported as a missing extra."""
    from genexport.quiet import import_tensorflow as quietly

    quietly()


def model_folder(model: str, repository: Path) -> Path:
    """The folder of a model, given as NAME in the repository, or as a path such as models/digits."""
    if "/" in model:
        return Path(model)
    from genexport.repository.store import check_name

    check_name(model, "NAME")
    return repository / model


def newest(folder: Path) -> Path:
    """`folder` itself, or the newest version in it."""
    from genexport.repository.store import versions

    numbers = versions(folder)
    return folder / str(numbers[-1]) if numbers else folder


def print_parity(
    manifest: Mapping[str, Any], parity: Mapping[str, Mapping[str, Any]] | None = None, err: bool = False
) -> None:
    """The table of a version's artifacts beside Keras: what was measured at first, unless `parity` is given."""
    from genexport import kinds
    from genexport.describe import tables

    header = [kinds.of(manifest).compared]
    rows = [[*header, *tables.PARITY_HEADER[1:]], *tables.parity_rows(manifest, parity)]
    if not any(row[4] for row in rows[1:]):  # no feature net at hand
        rows = [row[:4] + row[5:] for row in rows]
    click.echo("\n".join(tables.aligned(rows)), err=err)
