"""The gentrain command: one sub-command a file of `commands/`, and errors in one line."""

from __future__ import annotations

from gentrain import interrupts  # first: see there

# isort: split
import sys

import click

from gentrain.commands.augment import augment
from gentrain.commands.augment_study import augment_study
from gentrain.commands.data import data
from gentrain.commands.detector import detector
from gentrain.commands.encoder import encoder
from gentrain.commands.evaluate import evaluate
from gentrain.commands.fit import fit
from gentrain.commands.presets import presets
from gentrain.commands.project import project
from gentrain.commands.report import report
from gentrain.errors import TrainError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="genline")
def cli() -> None:
    """Train a generator on a folder of images."""


for command in (fit, presets, data, evaluate, report, augment, augment_study, detector, encoder, project):
    cli.add_command(command)


def main() -> None:
    """Run the command; every error becomes one line on stderr and an exit code."""
    try:
        sys.exit(cli.main(prog_name="gentrain", standalone_mode=False) or 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.NoSuchOption as error:
        _fail(_unknown(error), error.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except TrainError as error:
        _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("gentrain"):
            raise
        _fail(f"needs {error.name}; in genline's checkout: pip install '.[train]'", 1)
    finally:
        interrupts.leave_at_once()


def _unknown(error: click.NoSuchOption) -> str:
    """An option that is not there: never is one offered that starts over, least of all to who wants to go on."""
    harmless = [name for name in error.possibilities or () if name != "--fresh"]
    message = click.NoSuchOption(error.option_name, possibilities=harmless).format_message()
    if error.option_name.strip("-").split("-")[0] in ("resume", "continue", "restore", "restart"):
        message += " The same command goes on with a run that was stopped; --init-from starts from another one."
    return message


def _fail(message: str, code: int) -> None:
    click.echo("gentrain: " + " ".join(message.split()), err=True)
    sys.exit(code)


interrupts.raise_again()
