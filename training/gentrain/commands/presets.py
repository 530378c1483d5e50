"""`gentrain presets`: where the settings of a training can start from."""

from __future__ import annotations

import click


@click.command()
def presets() -> None:
    """List the presets, with what each is for and how long it takes."""
    from gentrain.presets import PRESETS

    for name, preset in PRESETS.items():
        click.echo(f"{name:8} {(preset.__doc__ or '').strip()}")
