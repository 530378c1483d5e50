"""The examples of a call, cut into requests as they are needed: a column for each input of the model.

A call may be of any length, so nothing is made for the whole of it: example i is known from i.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genclient.errors import UsageError
from genclient.model.binding import Binding
from genclient.model.role import Column, Given, Inputs, Repeated


@dataclass(frozen=True)
class Examples:
    """The examples of a call.

    Attributes:
        count: how many examples.
        columns: by genline's names of the inputs.
    """

    count: int
    columns: Mapping[str, Column]

    def inputs(self, start: int, stop: int) -> Inputs:
        """Arrays by genline's names, of the examples from one to another."""
        return {name: column.at(start, stop) for name, column in self.columns.items()}

    def numbers(self, start: int, stop: int) -> NDArray[np.int64]:
        """int64 numbers (N,) of the same examples: seeds, or where there are none, places."""
        at = next((column.numbers for column in self.columns.values() if column.numbers), None)
        return np.arange(start, stop, dtype=np.int64) if at is None else at(start, stop)

    def labels(self, start: int, stop: int) -> NDArray[np.int64] | None:
        """int64 (N,), where the model takes any."""
        return self.columns["labels"].at(start, stop) if "labels" in self.columns else None

    @property
    def example_bytes(self) -> int | None:
        """Of the largest example, where that is known."""
        return next((column.example_bytes for column in self.columns.values() if column.example_bytes), None)


def examples(binding: Binding, given: Given) -> Examples:
    """The examples that a call's arguments mean.

    Raises:
        UsageError: arguments do not fit each other or the model.
    """
    columns: dict[str, Column] = {}
    count: int | None = None
    for name, role in binding.inputs.items():
        if name not in binding.spec.inputs:
            role.refuse(given)
            continue
        spec, argument = binding.spec.inputs[name], given.get(name)
        if isinstance(argument, Repeated):
            column = argument.column(role, spec, given)
        else:
            column = role.column(spec, given, count)
        columns[name] = column
        if None not in (count, column.count) and count != column.count:
            raise UsageError(f"{name}: found {column.count}, expected {count}, one for each example, or one for all")
        count = column.count if count is None else count
    if count is None:
        raise UsageError(f"found nothing that says how many examples are meant, expected {', '.join(columns)}")
    for name in given:
        if name not in binding.inputs and name not in ("seeds", "truncation") and given[name] is not None:
            raise UsageError(f"{name}: found some, expected {', '.join(columns)}, which this model takes")
    return Examples(count, columns)
