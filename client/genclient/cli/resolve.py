"""Where the value of an option comes from: the command line, else the environment, else the configuration file.

`GENCLIENT_SAMPLE_N` is for one command, `GENCLIENT_N` for all that have the option. An error about a value says where
that came from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from genclient.cli import config
from genclient.cli.config import ConfigFile, Entry
from genclient.errors import UsageError

PREFIX = "GENCLIENT_"

_EVERYTHING = "genclient.help_all"
_WHICH_MODEL = ("target", "model")

EPILOG = (
    "Options may also come from the environment (GENCLIENT_NAME) and from a file; "
    "`genclient config show` says where each value is from."
)

# What the library calls an argument, where the option has another name.
_LIBRARY_NAMES = {"names": "map", "headers": "header", "retry_seconds": "retry", "seconds": "timeout"}


class Command(click.Command):
    """A command whose options may also come from the environment and the configuration file."""

    def __init__(self, *arguments: Any, common: Collection[str] | None = None, **settings: Any) -> None:
        """Name the variables of each option; `common` are the parameters that `--help` shows, `--help-all` has all."""
        settings.setdefault("epilog", EPILOG)
        super().__init__(*arguments, **settings)
        self._common = common
        self.params.append(
            click.Option(
                ["--help-all"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_all,
                help="Show all options.",
            )
        )
        # Not click's auto_envvar_prefix: a variable for all commands, if named too, would go before the command's own.
        for option in settable(self):
            own = (option.name or "").upper()
            option.envvar = [f"{PREFIX}{(self.name or '').upper()}_{own}", f"{PREFIX}{own}"]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse with the file's values as defaults; one that cannot be read does not keep help from being shown."""
        problem: UsageError | None = None
        if not ctx.resilient_parsing:
            try:
                ctx.default_map = dict(self._from_file(ctx))
            except UsageError as error:
                problem = error
        try:
            rest = super().parse_args(ctx, args)
        except click.BadParameter as error:
            where = origin(ctx, error.param)[1] if isinstance(error.param, click.Option) else ""
            raise UsageError(f"{where}: {error.message}") if where else error from None
        if problem is not None:
            raise problem
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; the message of an error about a value also says where that came from."""
        try:
            return super().invoke(ctx)
        except UsageError as error:
            where = self._origin_of(ctx, str(error))
            raise UsageError(f"{error} ({where})") if where else error from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options that are needed most, or all of them in groups: the command's own come first."""
        groups: dict[str, list[tuple[str, str]]] = {}
        everything = ctx.meta.get(_EVERYTHING, False)
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None and (everything or self._is_common(parameter)):
                group = getattr(parameter, "group", "Options") if everything else "Options"
                groups.setdefault(group, []).append(record)
        for name in sorted(groups, key=lambda name: name != "Options"):
            with formatter.section(name):
                formatter.write_dl(groups[name])

    def _is_common(self, option: click.Parameter) -> bool:
        """Whether `--help` shows an option: those of `common`, else the command's own, and which model is meant."""
        if getattr(option, "is_eager", False):
            return True
        if self._common is not None:
            return option.name in self._common
        return getattr(option, "group", "Options") == "Options" or option.name in _WHICH_MODEL

    def _from_file(self, ctx: click.Context) -> Iterator[tuple[str, Any]]:
        entries = config_file(ctx).of(self.name or "")
        for option in settable(self):
            if option.name in entries:
                yield option.name, _fitting(option, entries[option.name])

    def _origin_of(self, ctx: click.Context, message: str) -> str:
        match = re.match(r"-{0,2}([a-z][a-z_-]*)", message)
        name = match[1].replace("-", "_") if match else ""
        name = _LIBRARY_NAMES.get(name, name)
        option = next((option for option in settable(self) if option.name == name), None)
        return origin(ctx, option)[1] if option is not None else ""


def _show_all(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_EVERYTHING] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


class GroupedOption(click.Option):
    """An option that help shows in a group of its own."""

    def __init__(self, *arguments: Any, group: str = "Options", **settings: Any) -> None:
        """Take the group's name."""
        super().__init__(*arguments, **settings)
        self.group = group


def settable(command: click.Command) -> Iterator[click.Option]:
    """The options that the environment and the file can set: all but `--help` and the like."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.is_eager and parameter.name:
            yield parameter


def config_file(ctx: click.Context) -> ConfigFile:
    """The configuration file of this run, read and checked once.

    Raises:
        UsageError: it cannot be read, or has keys that mean nothing.
    """
    root = ctx.find_root()
    if not isinstance(root.obj, ConfigFile):
        path, named = config_path(ctx)
        file = config.read(path, must_exist=named)
        if file.shared or file.commands:
            file.check(_known(root))
        root.obj = file
    return root.obj


def config_path(ctx: click.Context) -> tuple[Path, bool]:
    """Where the file is or would be, and whether it was named."""
    named = ctx.find_root().params.get("config")
    return (Path(named), True) if named else (config.default_path(), False)


def origin(ctx: click.Context, option: click.Option) -> tuple[str, str]:
    """Where an option's value comes from: `flag`, `environment`, `file` or `default`; and which variable or line."""
    name = option.name or ""
    source = ctx.get_parameter_source(name)
    if source == ParameterSource.COMMANDLINE:
        return "flag", ""
    if source == ParameterSource.ENVIRONMENT:
        return "environment", next(variable for variable in option.envvar or () if os.environ.get(variable))
    if source == ParameterSource.DEFAULT_MAP:
        return "file", config_file(ctx).of(ctx.command.name or "")[name].where
    return "default", ""


def is_default(name: str) -> bool:
    """Whether nobody gave an option of the command that runs."""
    return click.get_current_context().get_parameter_source(name) in (None, ParameterSource.DEFAULT)


def nearest(ctx: click.Context, values: dict[str, Any], *groups: tuple[str, ...]) -> dict[str, Any]:
    """`values` of options, of which groups exclude each other: without those that a nearer place says otherwise.

    `--seeds` on the command line counts, and a `seed` in the file does not; two flags are both left to be refused.
    """
    ranks = {ParameterSource.COMMANDLINE: 3, ParameterSource.ENVIRONMENT: 2, ParameterSource.DEFAULT_MAP: 1}
    sources = {name: ctx.get_parameter_source(name) for group in groups for name in group}
    near = {name: ranks.get(source, 0) if source else 0 for name, source in sources.items()}
    most = [max(near[name] for name in group) for group in groups]
    beaten = {name for group, its in zip(groups, most, strict=True) if its < max(most) for name in group}
    return {name: None if name in beaten else value for name, value in values.items()}


def _known(root: click.Context) -> dict[str, list[str]]:
    """The options of every command."""
    group = root.command
    assert isinstance(group, click.Group)
    commands = {name: group.get_command(root, name) for name in group.list_commands(root)}
    return {
        name: [option.name or "" for option in settable(command)]
        for name, command in commands.items()
        if command is not None
    }


def _fitting(option: click.Option, entry: Entry) -> Any:
    """A value of the file as text, as from a command line, which is then checked like one: click takes 1.5 for 1.

    Raises:
        UsageError: its type is not what the option can have.
    """
    value = entry.value
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{entry.where}: found {_shown(value)}, expected true or false")
        return value
    if option.multiple and isinstance(value, dict):
        value = [f"{name}={inner}" for name, inner in value.items()]
    if option.multiple or option.nargs > 1:
        values = value if isinstance(value, list) else [value]
        return [_text(inner, entry) for inner in values]
    return _text(value, entry)


def _text(value: Any, entry: Entry) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise UsageError(f"{entry.where}: found {_shown(value)}, expected text or a number")
    return str(value)


def _shown(value: Any) -> str:
    kinds = {bool: str(value).lower(), list: "an array", dict: "a table", str: repr(value)}
    return kinds.get(type(value), str(value))
