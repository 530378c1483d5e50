"""The genclient command: a group whose commands are loaded when they are called, and errors told in one line.

Help and version appear at once, since everything heavy is imported inside the commands. How a request is made and what
a response means is the library's; here errors become exit codes.
"""

from __future__ import annotations

from genclient.cli import interrupts  # first: see there

# isort: split
import difflib
import importlib
import os
import sys

import click

from genclient.cli import config
from genclient.cli.console import print_note
from genclient.errors import ClientError

COMMANDS = (
    *(
        "sample",
        "interpolate",
        "detect",
        "translate",
        "animate",
        "invert",
        "info",
        "models",
        "status",
        "wait",
        "reload",
    ),
    *("bench", "config", "completion"),
)
"""Each is the attribute of its name in the module of its name in `genclient.commands`."""

ALIASES = {"score": "detect"}
"""Other name → command."""


class Commands(click.Group):
    """Loads a command when it is requested."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which help shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        cmd_name = ALIASES.get(cmd_name, cmd_name)
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"genclient.commands.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; of one that there is not, what may have been meant."""
        if args and args[0] not in (*COMMANDS, *ALIASES) and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, cutoff=0.7)
            hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command {args[0]!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    invoke_without_command=True,
)
@click.version_option(package_name="genline", prog_name="genclient")
@click.option("--config", metavar="FILE", envvar=config.VARIABLE, help="Configuration file, instead of the user's.")
@click.pass_context
def cli(context: click.Context, config: str | None) -> None:
    """Fetch images from a generator, over gRPC or from a TFLite file.

    \b
    genclient wait --model digits
    genclient sample --n 16 --seed 0 --out grid.png
    genclient sample --seeds 0,3-5 --truncation 0.7 --out pictures/
    genclient sample --n 100000 --out shards/%06d.tar
    genclient sample --tflite digits-float32.tflite --out - | display
    genclient interpolate --seeds 0,5,9 --out walk.webp
    genclient invert me.jpg --out me.npz
    genclient translate sketch.png --model sketches --out grid.png
    genclient animate photo.png --model alive --out photo.gif
    genclient detect photos/ --target gpu-box:8500
    genclient bench --concurrency 1:16:2x --report load.svg
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Run the command; every error becomes one line on stderr and an exit code."""
    # gRPC's core writes its own account of a failed connection to stderr; the error that is raised says it all.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        sys.exit(cli.main(prog_name="genclient", standalone_mode=False) or 0)
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        # What a command has to say about going on later is the argument of the interrupt that it raises.
        for text in (error.__cause__ or error).args:
            print_note(str(text))
        sys.exit(130)
    except click.ClickException as error:
        _fail(error.format_message(), error.exit_code)
    except ClientError as error:
        _fail(str(error), error.exit_code)
    except MemoryError:
        _fail("not enough memory for so many images; a folder as --out needs less", 1)
    finally:
        interrupts.leave_at_once()


def _fail(message: str, exit_code: int) -> None:
    print_note(message)
    sys.exit(exit_code)


interrupts.raise_again()
