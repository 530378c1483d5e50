"""A picture to be translated, as `image` float32 (N, H, W, C): the generator starts from it, the discriminator sees it
beside what became of it, and the setting `l1` keeps the generator near the right answer.

Source: "Image-to-Image Translation with Conditional Adversarial Networks", arXiv 1611.07004.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gentrain.conditions.base import Array, Condition, Tensors
from gentrain.errors import TrainError

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.networks.parts import Initializers
    from gentrain.settings import Settings


class Image(Condition):
    """The inputs of a data set of pairs, uint8 (N, H, W, C); of the targets' size, with channels of their own."""

    name = "image"
    task = "image-to-image"
    learns_by = ("l1",)

    def __init__(self, pictures: Array, input_from: str = "") -> None:
        self.pictures, self.input_from = pictures, input_from

    @classmethod
    def of(cls, dataset: Dataset) -> Image:
        if "image" not in dataset.columns:
            raise TrainError(
                f"{dataset.source}: has no inputs to translate; pairs:INPUTS,TARGETS brings them, and --from outline, "
                "grey, blur, small or mask makes them of the images"
            )
        return cls(dataset.columns["image"])

    def configure(self, settings: Settings) -> None:
        self.input_from = settings.input_from

    def columns(self, dataset: Dataset) -> Mapping[str, Array]:
        return {"image": dataset.columns["image"]}

    def prepare(self, batch: Mapping[str, Any]) -> Tensors:
        import tensorflow as tf

        return {"image": tf.cast(batch["image"], tf.float32) / 127.5 - 1.0}

    def examples(self, most: int) -> Mapping[str, Array]:
        return {"image": self.pictures[:most]}

    def augment(self, tensors: Tensors, change: Callable[[Any], Any]) -> Tensors:
        return tensors | {"image": change(tensors["image"])}

    def inputs(self) -> Tensors:
        import keras

        return {"image": keras.Input(self.pictures.shape[1:], name="image")}

    def interface(self) -> list[dict[str, Any]]:
        shape = [None, *self.pictures.shape[1:]]
        about = {"name": "image", "role": "image", "dtype": "float32", "shape": shape, "range": [-1, 1]}
        return [about | ({"made_by": self.input_from} if self.input_from else {})]

    def starts_from(self, inputs: Tensors) -> list[Any]:
        return [inputs["image"]]

    def see_images(self, images: Any, inputs: Tensors, init: Initializers) -> Any:
        from keras import layers

        return layers.Concatenate()([images, inputs["image"]])
