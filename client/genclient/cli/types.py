"""Values of options that are more than text or a number, for click."""

from __future__ import annotations

from typing import Any

import click


class Pairs(click.ParamType):  # type: ignore[type-arg]
    """NAME=VALUE or NAME: VALUE; several in an environment variable, on lines of their own or between splitters."""

    name = "pair"

    def __init__(self, splitter: str) -> None:
        """Take what stands between pairs in the environment."""
        self.splitter = splitter

    def split_envvar_value(self, rv: str) -> list[str]:
        """The pairs in a variable."""
        return [part.strip() for part in rv.replace("\n", self.splitter).split(self.splitter) if part.strip()]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The name and the value."""
        if isinstance(value, tuple):
            return value
        places = [place for place in (value.find("="), value.find(":")) if place > 0]
        if not places:
            self.fail(f"found {value!r}, expected NAME=VALUE", param, ctx)
        return value[: min(places)].strip(), value[min(places) + 1 :].strip()


class BatchSize(click.ParamType):  # type: ignore[type-arg]
    """A number of images, or `auto`, which is None."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """The number."""
        if value == "auto":
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"found {value!r}, expected a number of images or auto", param, ctx)


class Lines(click.ParamType):  # type: ignore[type-arg]
    """A text; several in an environment variable, on lines of their own."""

    name = "text"

    def split_envvar_value(self, rv: str) -> list[str]:
        """The texts in a variable."""
        return [line.strip() for line in rv.splitlines()]
