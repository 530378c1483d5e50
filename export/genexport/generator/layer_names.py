"""From the name of a graph's node to the Keras layer that it comes from."""

from __future__ import annotations

import re
from typing import Any

import keras

from genexport.generator import rebuild


def find(model: Any, nodes: str) -> str | None:
    """The layer behind a node such as `gan_1/conv2d_3_1/convolution`, or None.

    TFLite joins the names of fused nodes with `;`. A layer with a kernel is then the one that is meant, not the norm or
    the activation that was folded into it.
    """
    known = {layer.name: layer for layer in (*_operations(model), *rebuild.layers_of(model))}
    layers = [layer for node in nodes.split(";") if (layer := _innermost(node, known)) is not None]
    layers.sort(key=lambda layer: not has_kernel(layer))
    return label(layers[0]) if layers else None


def label(layer: Any) -> str:
    """A layer as messages name it."""
    kind = type(layer)
    return f"{layer.name} ({kind.__bases__[0].__name__ if kind.__module__ == rebuild.__name__ else kind.__name__})"


def has_kernel(layer: Any) -> bool:
    """Whether a layer multiplies by a matrix of weights, which is what is quantized."""
    return any(len(weight.shape) > 1 for weight in getattr(layer, "weights", []))


def _operations(model: Any) -> list[Any]:
    """keras.ops in functional models, of sub-models too."""
    layers = []
    for operation in getattr(model, "operations", []):
        layers += _operations(operation) if isinstance(operation, keras.Model) else [operation]
    return layers


def _innermost(node: str, known: dict[str, Any]) -> Any:
    for part in reversed(node.split("@")[0].split("/")):
        # TensorFlow numbers the scopes of a name, and Keras opens every layer's twice: dense_3 is in dense_3_1.
        for name in (re.sub(r"_\d+$", "", part), part):
            if name in known:
                return known[name]
    return None
