"""`gentrain presets`: where the settings of a training can start from."""

from __future__ import annotations

import inspect
from itertools import zip_longest

import click


@click.command(short_help="List the presets with measured times and scores.")
def presets() -> None:
    """List the presets: what each is for, how long it takes and how good it gets."""
    from gentrain.presets import PRESETS

    for name, preset in PRESETS.items():
        lines = [line for line in (inspect.getdoc(preset) or "").splitlines() if line]
        click.echo("\n".join(f"{head:12} {line}" for head, line in zip_longest([name], lines, fillvalue="")))
