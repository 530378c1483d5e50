"""What every role defines: example values, inputs of signatures, values inside the model, metadata, words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from genexport.roles.tensor import Tensor

Array = np.ndarray[Any, Any]


class Feed(NamedTuple):
    """How a signature takes a tensor.

    Attributes:
        name, dtype: of the signature's input.
        shape: of one example.
        read: a batch of it → the tensor's values as `serving_default` takes them; traced.
        resource: what `read` looks things up in, where it does; it becomes part of the SavedModel.
    """

    name: str
    dtype: tf.DType
    shape: tuple[int, ...] = ()
    read: Callable[[tf.Tensor], tf.Tensor] = lambda values: values
    resource: tf.Module | None = None

    def spec(self, batch: int | None = None) -> tf.TensorSpec:
        """For tracing; any batch unless given."""
        return tf.TensorSpec((batch, *self.shape), self.dtype, name=self.name)


class Steps(NamedTuple):
    """Which values get the 256 steps of an integer file: `range`, where no greater value than `seen` was calibrated."""

    range: tuple[float, float]
    seen: float


class Role(ABC):
    """A role of an input; its *values* are what `serving_default` takes. A new role is a subclass in `roles.ROLES`."""

    name: str
    steps: Steps | None = None
    """Of floats in int8 and micro; without any, calibration finds them."""

    compared = 256
    calibrated = 200
    """On so many examples, at most, the files of a generator with such an input are compared with Keras, and so many
    others calibrate its integers."""

    facts: Mapping[str, Any] = {}
    """What the manifest says where a generator has no input of this role."""

    @abstractmethod
    def feed(self, tensor: Tensor, signature: str) -> Feed:
        """How a signature takes it."""

    @abstractmethod
    def examples(self, tensor: Tensor, count: int, first: int) -> tf.Tensor:
        """Values of the seeds first to first + count − 1, always the same, as various as users' are."""

    def others(self, tensor: Tensor, count: int, first: int) -> dict[str, Any]:
        """Example values of further inputs that some signatures take in its place, by name."""
        return {}

    def inside(self, tensor: Tensor, values: tf.Tensor) -> tf.Tensor:
        """Values → what the Keras model takes; traced."""
        return values

    def facts_of(self, tensor: Tensor) -> dict[str, Any]:
        """What the manifest says of this input, instead of `facts`."""
        return {}

    def metadata(self, tensor: Tensor) -> dict[str, Any]:
        """What a TFLite file says of it beside that."""
        return {}

    def onnx(self, tensor: Tensor) -> dict[str, str]:
        """The same for an ONNX file's metadata."""
        return {}

    def note(self, tensor: Tensor) -> str:
        """What a user should know of how this input was understood, or nothing."""
        return ""

    @abstractmethod
    def words(self, shape: tuple[int | None, ...], manifest: Mapping[str, Any]) -> str:
        """`32 latents`: for people. `manifest` has what `found` gives."""

    option = ""
    """The option of genclient for it, in the card's examples."""
