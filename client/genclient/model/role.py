"""What a tensor is for: its role, which in genline's own models is its name. Each role is a class.

A role says which declared tensors can have it, how a call's arguments become its examples, what is sent of them, and
what a response's array is read as. Which roles belong together is a task's (genclient/tasks/). genline's own are in
roles.py; any other is a subclass of `Role`, wherever that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from genclient.errors import UsageError
from genclient.images import pixels
from genclient.model.signature import TensorSpec

FLOATS = ("float32", "float16", "float64")
INTEGERS = ("int32", "int64", "uint8", "int8", "int16", "uint16")

Given = Mapping[str, Any]
"""The arguments of a call by name: those of roles, and `truncation`."""

Inputs = dict[str, NDArray[Any]]
At = Callable[[int, int], NDArray[Any]]
Read = Callable[[NDArray[Any], str], NDArray[Any]]


@dataclass(frozen=True)
class Column:
    """An input of a whole call, made part by part: a call may be of any length.

    Attributes:
        at: the array for examples from one place to another.
        count: how many examples there are; None: as many as other columns have.
        numbers: int64 numbers (N,) of the examples, such as their seeds; None: their places.
        example_bytes: of the largest example, where that is known.
    """

    at: At
    count: int | None = None
    numbers: At | None = None
    example_bytes: int | None = None


@dataclass(frozen=True)
class Repeated:
    """An argument that is the same for each of so many examples, such as an image (H, W, C)."""

    example: Any
    count: int

    def column(self, role: Role, spec: TensorSpec, given: Given) -> Column:
        """The input of all examples; of the argument there is one."""
        array = self.example[None] if isinstance(self.example, np.ndarray) else [self.example]
        one = role.column(spec, {**given, role.name: array}, 1)
        return Column(
            lambda start, stop: np.repeat(one.at(0, 1), stop - start, axis=0),
            self.count,
            example_bytes=one.example_bytes,
        )


class Role:
    """A role of a tensor.

    Attributes:
        name: as in signatures that genexport made, and as an argument of `Client.run`.
        expected: what the tensor has to be, in words.
        guessed: whether a tensor of another name is taken for it where no other one fits.
        instead: roles that do the same; a signature has one of them.
        optional: whether models of a task may go without it.
        result: what it is called in results.
        large: whether its bytes decide how many examples a request has.
    """

    name: ClassVar[str] = ""
    expected: ClassVar[str] = ""
    guessed: ClassVar[bool] = True
    instead: ClassVar[tuple[str, ...]] = ()
    optional: ClassVar[bool] = False
    large: ClassVar[bool] = False

    @property
    def result(self) -> str:
        """See `Role`."""
        return self.name

    def fits(self, spec: TensorSpec) -> bool:
        """Whether a tensor, as declared, can have this role."""
        return True

    def fault(self, spec: TensorSpec) -> str | None:
        """What keeps a tensor from having this role, in words, or None."""
        return None if self.fits(spec) else f"expected {self.expected}"

    def column(self, spec: TensorSpec, given: Given, count: int | None) -> Column:
        """Its examples of a call's arguments; by default an array with an example in each entry.

        Args:
            spec: as the model declares it.
            given: the arguments.
            count: examples of the call, where a column before this one says so.

        Raises:
            UsageError: they are missing, or are no such thing.
        """
        array = np.asarray(self.needed(given))
        if not array.ndim or (spec.shape is not None and array.ndim != len(spec.shape)):
            raise UsageError(f"{self.name}: found {array.dtype} {array.shape}, expected {spec}")
        check_size(self.name, array, spec)
        return Column(lambda start, stop: array[start:stop], len(array))

    def needed(self, given: Given) -> Any:
        """The argument of its name.

        Raises:
            UsageError: there is none.
        """
        if given.get(self.name) is None:
            raise UsageError(f"{self.name}: found none, expected some, which this model takes")
        return given[self.name]

    def refuse(self, given: Given) -> None:
        """See that no such argument is given to a model that does not take it.

        Raises:
            UsageError: one is.
        """
        if given.get(self.name) is not None:
            raise UsageError(f"{self.name}: found some, expected none, since this model takes no {self.name}")

    def sent(self, array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
        """An array as the model wants to have it.

        Raises:
            UsageError: a number is beyond what the model's type can hold.
        """
        if spec.dtype in INTEGERS and array.size and array.max() > np.iinfo(spec.dtype).max:
            raise UsageError(f"{self.name}: found {array.max()}, expected numbers that {spec.dtype} can hold")
        return array.astype(spec.dtype, copy=False)

    def reader(self, value_range: pixels.Range | None) -> Read:
        """What reads the arrays of one call's responses, (N, …) and the tensor's name; by default as they are.

        What it gives may raise ClientError: an array is no such thing.
        """
        return lambda array, name: array


def has_rank(spec: TensorSpec, *ranks: int) -> bool:
    """Whether a tensor has so many dimensions, or may have."""
    return spec.shape is None or len(spec.shape) in ranks


def check_size(name: str, array: NDArray[Any], spec: TensorSpec) -> None:
    """See that examples (N, …) have the size that a model declares.

    Raises:
        UsageError: they have another one.
    """
    pairs = zip(spec.shape[1:], array.shape[1:], strict=False) if spec.shape is not None else ()
    if spec.shape is not None and any(want not in (None, got) for want, got in pairs):
        raise UsageError(f"{name}: found {array.shape[1:]}, expected {spec.shape[1:]}")
