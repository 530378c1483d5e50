"""`gentrain report`: one page on a run, to look at or to send to somebody."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write an HTML page about a run.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the page.  [default: RUN/report.html]")
@click.option(
    "--timelapse",
    type=click.Path(path_type=Path),
    help="Samples over the training, .webp or .gif.  [default: RUN/timelapse.webp]",
)
def report(run: Path, out: Path | None, timelapse: Path | None) -> None:
    """Write a self-contained HTML page with the samples, curves and scores of RUN.

    \b
    gentrain report runs/digits
    gentrain report runs/digits --out digits.html --timelapse digits.gif
    """
    from gentrain.commands import reading
    from gentrain.report import write as pages

    out = out or run / "report.html"
    pages.write(run, out, timelapse or run / "timelapse.webp", reading.read)
    click.echo(out)
