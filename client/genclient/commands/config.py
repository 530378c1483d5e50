"""`genclient config`: where the values of options come from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import click

from genclient.cli.console import Console, emit
from genclient.cli.options import command, output_options
from genclient.cli.resolve import PREFIX, Command, config_file, config_path, origin, settable
from genclient.cli.server import request_options, server_options
from genclient.errors import UsageError, printable

SECRET = ("token", "header")
HIDDEN = "(hidden)"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def config() -> None:
    """Show where the values of options come from.

    A flag goes before the environment, that before the file, that before the default.

    \b
    target = "gpu-box:8500"      # in the file: for every command that has the option
    [sample]
    truncation = 0.7             # for one command
    """


@config.command()
@click.pass_context
def path(context: click.Context) -> None:
    """Print the path of the configuration file, whether it is there or not."""
    emit(f"{config_path(context)[0]}\n")


@config.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND] [OPTION]...")
@click.pass_context
def show(context: click.Context, arguments: tuple[str, ...]) -> None:
    """List options with their values and where these come from.

    Without COMMAND those that all commands share, and those of commands that are set. Options that follow are taken as
    COMMAND would take them.
    """
    name, rest = _named(context, arguments)
    if name is not None:
        chosen = _resolved(context, _command(context, name), name, rest)
        rows = list(_rows(chosen))
    else:
        chosen = _resolved(context, shared, "", rest)
        rows = [*_rows(chosen), *_set_elsewhere(context, {option.name for option in settable(shared)})]
    file, _ = config_path(context)
    unknown = _unknown_variables(context)
    console = Console(chosen.params["format"])
    for variable in unknown:
        console.note(f"{variable}: no command has this option")
    data = {"file": str(file), "exists": os.path.exists(file), "options": rows, "unknown_variables": unknown}
    console.result(_table(data), data, "".join(f"{_title(row)}={_text(row['value'])}\n" for row in rows))


@command("")
@server_options
@request_options
@output_options
def shared(**options: object) -> None:
    """The options that commands share."""


def _named(context: click.Context, arguments: tuple[str, ...]) -> tuple[str | None, list[str]]:
    if not arguments or arguments[0].startswith("-"):
        if {"-h", "--help"} & set(arguments[:1]):
            click.echo(context.get_help())
            context.exit()
        return None, list(arguments)
    if arguments[0] not in _commands(context):
        raise UsageError(f"config show: found {arguments[0]!r}, expected one of {', '.join(_commands(context))}")
    return arguments[0], list(arguments[1:])


def _commands(context: click.Context) -> list[str]:
    """The names of the commands that have options which can be set."""
    root = context.find_root()
    assert isinstance(root.command, click.Group)
    commands = ((name, root.command.get_command(root, name)) for name in root.command.list_commands(root))
    return [name for name, command in commands if isinstance(command, Command)]


def _command(context: click.Context, name: str) -> click.Command:
    root = context.find_root()
    assert isinstance(root.command, click.Group)
    command = root.command.get_command(root, name)
    assert command is not None
    return command


def _resolved(context: click.Context, command: click.Command, name: str, arguments: list[str]) -> click.Context:
    """The context in which the command would run, without its arguments and without running it."""
    bare = Command(name, params=list(settable(command)))
    return bare.make_context(name, arguments, parent=context.find_root())


def _rows(context: click.Context) -> Iterator[dict[str, Any]]:
    """Option, value and source, a row each, in the order of the help."""
    for option in settable(context.command):
        source, where = origin(context, option)
        if option.hidden and source == "default":
            continue
        value = context.params[option.name or ""]
        if option.name in SECRET and value:
            value = {key: HIDDEN for key, _ in value} if option.multiple else HIDDEN
        elif option.multiple:
            value = dict(value) if all(isinstance(pair, tuple) for pair in value) else list(value)
        elif value is None and isinstance(option.default, str):
            value = option.default  # a word, such as auto
        yield {
            "command": context.info_name or None,
            "option": (option.name or "").replace("_", "-"),
            "value": value,
            "source": source,
            "where": where or None,
        }


def _set_elsewhere(context: click.Context, known: set[str | None]) -> Iterator[dict[str, Any]]:
    """Rows of commands' own options that are not as they are by default."""
    for name in _commands(context):
        rows = _rows(_resolved(context, _command(context, name), name, []))
        own = set(config_file(context).commands.get(name, {}))
        for row in rows:
            option = row["option"].replace("-", "_")
            ours = str(row["where"]).startswith(f"{PREFIX}{name.upper()}_")
            if row["source"] != "default" and (option not in known or option in own or ours):
                yield row


def _unknown_variables(context: click.Context) -> list[str]:
    variables = {f"{PREFIX}CONFIG"}
    for name in _commands(context):
        for option in settable(_command(context, name)):
            variables |= set(option.envvar or ())
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in variables)


def _table(data: dict[str, Any]) -> str:
    rows = [("file", data["file"], "" if data["exists"] else "(not there)")]
    rows += [(_title(row), _text(row["value"]), _source(row)) for row in data["options"]]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    widths[1] = min(widths[1], 40)
    return "".join(f"{_line(row, widths)}\n" for row in rows)


def _line(row: tuple[str, str, str], widths: Iterable[int]) -> str:
    first, second = widths
    return printable(f"{row[0]:<{first}}  {row[1]:<{second}}  {row[2]}".rstrip())


def _title(row: dict[str, Any]) -> str:
    return f"{row['command']}.{row['option']}" if row["command"] else str(row["option"])


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={inner}" for key, inner in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(inner) for inner in value) or "-"
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value is None else str(value)


def _source(row: dict[str, Any]) -> str:
    return f"{row['source']} {row['where']}" if row["where"] else str(row["source"])
