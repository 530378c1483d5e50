"""The genexport command: its subcommands are in `commands/`; every error is reported in one line."""

from __future__ import annotations

from genexport.commands import interrupts  # first: see there

# isort: split
import sys

import click

from genexport.commands.publish import publish
from genexport.commands.versions import list_, rollback, show, verify
from genexport.errors import ExportError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="genline")
def cli() -> None:
    """Publish a generator as a version that TensorFlow Serving, genserve and devices can run."""


for command in (publish, list_, show, verify, rollback):
    cli.add_command(command)


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
        _fail(f"needs {error.name}; in genline's checkout: pip install '.[export]'", 1)
    finally:
        interrupts.leave_at_once()


def _fail(message: str, code: int) -> None:
    click.echo("genexport: " + " ".join(message.split()), err=True)
    sys.exit(code)


interrupts.raise_again()
