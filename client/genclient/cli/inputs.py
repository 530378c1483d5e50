"""Further inputs of a model, which `--input NAME=PATH` gives: images, one for all examples or one for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from genclient.cli.options import value_range_option, value_ranges
from genclient.cli.server import Function
from genclient.cli.types import Pairs
from genclient.errors import UsageError

if TYPE_CHECKING:
    from genclient.images.arrays import GivenImages
    from genclient.model.signature import TensorSpec

_OTHERWISE = ("latents", "seeds", "labels")
"""Inputs that have options of their own."""


def _option(pictures: str) -> Callable[[Function], Function]:
    """The options `--input` and `--value-range`; the command takes `input` and `value_range`."""
    text = f"Further input of the model: {pictures}."
    option = click.option("--input", multiple=True, type=Pairs(","), metavar="NAME=PATH", help=text)
    return lambda function: option(value_range_option(function))


input_option = _option("one picture for all images, or a folder or .npy with one for each")
single_input_option = _option("one picture, the same throughout")


def read_inputs(options: dict[str, Any], known: Mapping[str, TensorSpec], count: int | None) -> tuple[GivenImages, ...]:
    """What the options give, by the names of the model's inputs.

    Args:
        options: of the command.
        known: the model's inputs.
        count: of the examples; None: one picture is for all of them.

    Raises:
        UsageError: the model has no such input, or there is another number of pictures.
        ClientError: a file cannot be read.
    """
    from genclient.images.arrays import read_images

    ranges, inputs = value_ranges(options["value_range"]), []
    for name, place in options["input"]:
        if name not in known or name in _OTHERWISE:
            names = sorted(set(known) - set(_OTHERWISE))
            raise UsageError(f"--input: found {name}, expected {' or '.join(names) or 'none, by this model'}")
        shape = known[name].shape
        images = read_images(name, place, shape[-1] if shape else None, ranges)
        if count is None and images.count == 1:
            images = images.only()
        if images.count not in (None, count):
            expected = "one, for all images" if count is None else f"one, or one for each of {count} seeds"
            raise UsageError(f"--input: found {images.count} in {place}, expected {expected}")
        inputs.append(images)
    return tuple(inputs)
