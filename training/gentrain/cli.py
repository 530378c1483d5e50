"""The gentrain command."""

from __future__ import annotations

import sys

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="genline")
def cli() -> None:
    """Fetch images from a generator, over gRPC or from a TFLite file."""


def main() -> None:
    """Run the command; every error becomes one line on stderr and an exit code."""
    try:
        sys.exit(cli.main(prog_name="gentrain", standalone_mode=False) or 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        click.echo(f"gentrain: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
