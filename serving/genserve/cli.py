"""The genserve command: parses flags, handles signals and prints errors as one line.

TensorFlow is only imported once there is something to serve; `genserve --help` works without it.
"""

from __future__ import annotations

from genserve import interrupts  # first: see there

# isort: split
import dataclasses
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import click

from genserve import quiet
from genserve.errors import ServeError
from genserve.network import tls
from genserve.network.port import check_addresses
from genserve.options.flags import WITHOUT_EFFECT, FlagError, Flags, unknown_flag
from genserve.repository import versions

log = logging.getLogger(__name__)

HELP = """Serve SavedModels over gRPC and REST, compatible with TensorFlow Serving.

The model folder contains one subfolder per version, named by its number. The latest version is served; a new version
is loaded while the old one serves, and replaces it without a failed request. SIGTERM and Ctrl-C let requests in flight
finish. The flags are those of tensorflow_model_server.

\b
Example:
  genserve --model_name digits --model_base_path models/digits --port 8500
  genserve --model_name digits --model_base_path s3://models/digits --file_system_poll_wait_seconds 30
  genserve --model_config_file models.config --enable_batching --rest_api_port=8501
"""

_TYPES = {"str": str, "int": int, "float": float}
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_EXTRAS = {"ai_edge_litert": "device"} | dict.fromkeys(("grpc_health", "uvicorn", "h11", "orjson"), "serve")


def flag_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for every field of Flags, and hidden ones for flags of TF Serving that have no effect."""
    for name in WITHOUT_EFFECT:
        command = click.option(f"--{name}", is_flag=False, flag_value="true", hidden=True)(command)
    for field in reversed(dataclasses.fields(Flags)):
        command = _option(field)(command)
    return command


def _option(field: dataclasses.Field[Any]) -> Callable[..., Any]:
    """`--name=value` and `--name value`; a boolean may go without its value, as in TensorFlow's flag parser."""
    help_options = {"show_default": field.default != "", **field.metadata}
    if field.type == "bool":
        kind = click.Choice(list(_BOOLEANS), case_sensitive=False)
        options = {"is_flag": False, "flag_value": "true", "default": str(field.default).lower(), "metavar": "BOOL"}
        return click.option(f"--{field.name}", type=kind, callback=_boolean, **{**help_options, **options})
    return click.option(f"--{field.name}", type=_TYPES[str(field.type)], default=field.default, **help_options)


def _boolean(context: click.Context, parameter: click.Parameter, value: str) -> bool:
    return _BOOLEANS[value]


@click.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})
@flag_options
@click.version_option(package_name="genline")
def cli(**options: Any) -> None:
    without_effect = {name: options.pop(name) for name in WITHOUT_EFFECT}
    try:
        flags = Flags(**options)
        logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
        for name, value in without_effect.items():
            if value is not None:
                log.warning("--%s has no effect here: %s", name, WITHOUT_EFFECT[name])
        run(flags)
    except FlagError as error:
        raise click.UsageError(str(error)) from error
    except ModuleNotFoundError as error:
        raise click.ClickException(missing(error)) from error
    except ServeError as error:
        raise click.ClickException(error.line) from error
    # Leaving by the usual way would wait for a load or a request that has outlived the grace period.
    logging.shutdown()
    os._exit(0)


def run(flags: Flags) -> None:
    """Serve until a signal comes."""
    stop = stop_on_signals()
    check(flags)
    quiet.import_tensorflow()
    from genserve import server

    server.serve(flags, stop)


def check(flags: Flags) -> None:
    """Check what can be checked before TensorFlow and the models take seconds to load.

    Raises:
        FlagError: the SSL config cannot be used.
        ModuleNotFoundError: a flag asks for a package that is not installed.
        ServeError: an address is in use, or the package for a bucket is not installed.
    """
    if not flags.model_config_file:
        versions.place(flags.model_base_path)
    check_addresses(flags.port, flags.grpc_socket_path, flags.rest_api_port, flags.keep_socket_in_use, flags.host)
    if flags.ssl_config_file:
        tls.credentials(flags.ssl_config_file)
    if flags.prefer_tflite_model:
        importlib.import_module("ai_edge_litert.interpreter")
    if flags.enable_grpc_healthcheck_service:
        importlib.import_module("grpc_health.v1.health")


def missing(error: ModuleNotFoundError) -> str:
    """What to install for a missing module."""
    for module, extra in _EXTRAS.items():
        if (error.name or "").split(".")[0] == module:
            return f"{error.name} is not installed; in genline's checkout: pip install '.[{extra}]'"
    return "needs TensorFlow; in genline's checkout: pip install '.[serve]'"


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set; a second one ends the process at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


def main() -> None:
    """Run the command; every error becomes one line on stderr and an exit code."""
    try:
        sys.exit(cli.main(prog_name="genserve", standalone_mode=False) or 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.NoSuchOption as error:
        click.echo(f"genserve: {unknown_flag(error.option_name.lstrip('-'))}", err=True)
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"genserve: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    finally:
        interrupts.leave_at_once()


interrupts.raise_again()
