"""`labels` int32 (N,): the class of each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from genexport.roles.role import Feed, Role
from genexport.roles.tensor import Tensor

LISTED = 20


class Labels(Role):
    """Classes from 0 on; `range` and `classes` of the tensor say how many there are and what they are called."""

    name = "labels"
    facts = {"class_count": 0, "class_names": []}  # noqa: RUF012
    option = " --label 0"

    def feed(self, tensor: Tensor, signature: str) -> Feed:
        return Feed("labels", tf.int32)

    def examples(self, tensor: Tensor, count: int, first: int) -> tf.Tensor:
        return tf.range(count, dtype=tf.int32) % max(class_count(tensor), 1)  # every class in turn

    def facts_of(self, tensor: Tensor) -> dict[str, Any]:
        return {"class_count": class_count(tensor), "class_names": list(tensor.classes)}

    def note(self, tensor: Tensor) -> str:
        known = tensor.range or tensor.classes
        return "" if known else "the model does not say how many classes it has: only label 0 is checked"

    def words(self, shape: tuple[int | None, ...], manifest: Mapping[str, Any]) -> str:
        count, names = manifest["class_count"], manifest["class_names"]
        return f"{count} classes" + (f" ({_listed(names)})" if names else "")


def class_count(tensor: Tensor) -> int:
    """How many classes there are; at least 1."""
    return int(tensor.range[1]) + 1 if tensor.range else max(len(tensor.classes), 1)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
