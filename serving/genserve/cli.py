"""The genserve command: reads flags, answers signals, and says in one line what went wrong.

TensorFlow is imported only once there is something to serve: `genserve --help` needs none.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator

import click

from genserve.errors import ServeError
from genserve.flags import FlagError, Flags
from genserve.port import check_port_is_free

HELP = """Serve the SavedModels under a folder, over gRPC, as TensorFlow Serving does.

The folder holds one folder for each version, named by its number. The latest version is served; a new one is loaded
beside it and takes over without a failed request. SIGTERM and Ctrl-C finish what is in flight.

\b
Example:
  genserve --model_name digits --model_base_path models/digits --port 8500
"""


@click.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--model_base_path", required=True, metavar="DIR", help="Folder of versions, such as models/digits.")
@click.option("--model_name", default=Flags.model_name, show_default=True, metavar="NAME", help="Name clients ask for.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=Flags.port,
    show_default=True,
    metavar="PORT",
    help="Port for gRPC.",
)
@click.option(
    "--rest_api_port",
    type=int,
    default=Flags.rest_api_port,
    show_default=True,
    metavar="PORT",
    help="Port for REST, which is not built yet: only 0, for none.",
)
@click.option(
    "--file_system_poll_wait_seconds",
    type=float,
    default=Flags.file_system_poll_wait_seconds,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two looks for versions; 0 looks only once.",
)
@click.version_option(package_name="genline")
def cli(**options: object) -> None:
    try:
        flags = Flags(**options)  # type: ignore[arg-type]
    except FlagError as error:
        raise click.UsageError(str(error)) from error
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = stop_on_signals()
    try:
        check_port_is_free(flags.port)
        with quiet_tensorflow():
            from genserve import server
        server.serve(flags, stop)
    except ModuleNotFoundError as error:
        raise click.ClickException("needs TensorFlow: pip install 'genline[serve]'") from error
    except ServeError as error:
        raise click.ClickException(error.line) from error
    # Leaving by the usual way would wait for a load or a request that has outlived the grace period.
    logging.shutdown()
    os._exit(0)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; a second one ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Keep TensorFlow's C++ lines off the terminal; TF_CPP_MIN_LOG_LEVEL=0 shows them.

    TensorFlow 2.21 writes some while it is imported, whatever that variable says, straight to file descriptor 2.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with open(os.devnull, "wb") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def main() -> None:
    """Run the command; every error becomes one line on stderr and an exit code."""
    try:
        sys.exit(cli.main(prog_name="genserve", standalone_mode=False) or 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        click.echo(f"genserve: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
