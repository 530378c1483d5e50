"""Classes, as `labels` int32 (N,): an embedding beside the latents, and a projection discriminator.

Source: "cGANs with Projection Discriminator", arXiv 1802.05637.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.conditions.base import Array, Condition, Tensors
from gentrain.errors import TrainError

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.networks.parts import Initializers


class Labels(Condition):
    """So many classes, with their names where these are known."""

    name = "labels"

    def __init__(self, classes: int, names: Sequence[str] = ()) -> None:
        self.classes, self.names = classes, tuple(names)

    @classmethod
    def of(cls, dataset: Dataset) -> Labels:
        if dataset.labels is None or len(dataset.class_names) < 2:
            raise TrainError(
                f"{dataset.source}: has no classes, which a conditional generator needs: sub-folders, or labels"
            )
        return cls(len(dataset.class_names), dataset.class_names)

    def columns(self, dataset: Dataset) -> Mapping[str, Array]:
        assert dataset.labels is not None
        return {"labels": dataset.labels}

    def examples(self, most: int) -> Mapping[str, Array]:
        return {"labels": np.arange(min(self.classes, most), dtype=np.int32)}

    def inputs(self) -> Tensors:
        import keras

        return {"labels": keras.Input((), dtype="int32", name="labels")}

    def interface(self) -> list[dict[str, Any]]:
        about = {"name": "labels", "role": "labels", "dtype": "int32", "shape": [None], "range": [0, self.classes - 1]}
        return [about | ({"classes": list(self.names)} if self.names else {})]

    def enter_latents(self, latents: Any, inputs: Tensors, init: Initializers) -> Any:
        from keras import layers

        embeddings = layers.Embedding(
            self.classes, latents.shape[-1], embeddings_initializer=init.normal(), name="classes"
        )
        return layers.Concatenate()([latents, embeddings(inputs["labels"])])

    def see_features(self, features: Any, inputs: Tensors, init: Initializers) -> Any:
        from keras import layers

        size = features.shape[-1]
        expected = layers.Embedding(self.classes, size, embeddings_initializer=init.normal(size**-0.5), name="classes")
        return layers.Dot(axes=1, dtype="float32")([features, expected(inputs["labels"])])
