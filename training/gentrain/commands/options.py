"""What the options of several commands share."""

from __future__ import annotations

from typing import Any

import click

from gentrain.data import sizes


def once(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> str | None:
    """The value of an option that may stand once; of two, one would be dropped silently.

    Raises:
        click.UsageError: it stands there twice.
    """
    if len(values) > 1:
        name = parameter.opts[0]
        raise click.UsageError(f"{name} is given {len(values)} times; put all images in one folder, or take one")
    return values[0] if values else None


class Resolution(click.ParamType):  # type: ignore[type-arg]
    """A number, or WIDTHxHEIGHT; raises UsageError for what is neither."""

    name = "resolution"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int | str:
        """As the settings have it."""
        return value if isinstance(value, int) else sizes.parse(value)
