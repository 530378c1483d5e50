"""`gentrain data`: what would be trained on, before any training."""

from __future__ import annotations

import click

from gentrain.progress import summary


@click.command()
@click.argument("source")
@click.option("--resolution", type=int, default=32, show_default=True, help="The longest side in pixels.")
def data(source: str, resolution: int) -> None:
    """Read a SOURCE of images and tell what is in it, and which files had to be skipped and why."""
    from gentrain import sources
    from gentrain.dataset import Frame
    from gentrain.settings import Settings

    Settings(resolution=resolution)  # refuses a resolution out of range
    dataset = sources.read(source, Frame(resolution))
    click.echo(summary(dataset))
    for name, count in dataset.class_counts().items():
        click.echo(f"  {count:6} {name}")
    for skipped in dataset.skipped:
        click.echo(f"skipped {skipped.file}: {skipped.reason}")
