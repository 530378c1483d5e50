"""A SavedModel, or a model of Keras 2, as a Keras layer: its graph with the weights in it, run as it is.

Everything behind sees a functional model of one layer. Of such a layer nothing is rebuilt: its ops are what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import convert_to_constants

from genexport.errors import ExportError

SIGNATURE = "serving_default"


class FrozenGraph(keras.layers.Layer):
    """A concrete function without variables: tensors in the order of its inputs → a list of outputs."""

    def __init__(self, function: Any, outputs: Sequence[str], **keywords: Any) -> None:
        """Run `function`, a WrappedFunction; `outputs` are the names of what it gives."""
        super().__init__(**keywords)
        self._function = function
        self.output_labels = list(outputs)

    @property
    def graph_outputs(self) -> list[Any]:
        """The outputs in its graph."""
        return list(self._function.outputs)

    def call(self, inputs: Any) -> Any:
        """Tensors → tensors."""
        tensors = [tf.cast(value, spec.dtype) for value, spec in zip(inputs, self._function.inputs, strict=True)]
        return list(self._function(*tensors))


def read_saved_model(path: Path) -> Any:
    """The signature `serving_default` (or the only one) of a SavedModel, of TensorFlow 1 or 2, as a Keras model.

    Raises:
        ExportError: it has no such signature, or cannot be loaded.
    """
    try:
        stored = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        graph = min(stored.meta_graphs, key=lambda graph: list(graph.meta_info_def.tags) != ["serve"])
        signature = _signature(path, graph.signature_def)
        if graph.HasField("object_graph_def"):
            loaded = tf.saved_model.load(str(path), list(graph.meta_info_def.tags))  # holds the variables
            function = loaded.signatures[signature]
            return of_function(path, function, function._arg_keywords, sorted(function.structured_outputs))
        return _of_session(path, list(graph.meta_info_def.tags), graph.signature_def[signature])
    except ExportError:
        raise
    except Exception as error:  # whatever TensorFlow raises for a damaged one
        raise ExportError(f"{path}: a SavedModel that cannot be loaded: {_last_words(error)}") from error


def _of_session(path: Path, tags: list[str], signature: Any) -> Any:
    """A signature of TensorFlow 1, whose variables live in a session."""
    inputs, outputs = sorted(signature.inputs.items()), sorted(signature.outputs.items())
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.compat.v1.saved_model.loader.load(session, tags, str(path))
        nodes = sorted({info.name.partition(":")[0] for _, info in outputs})
        constants = convert_to_constants.convert_variables_to_constants_from_session_graph(
            session, graph.as_graph_def(), nodes
        )
    whole = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(constants, name=""), [])
    element = whole.graph.as_graph_element
    function = whole.prune([element(info.name) for _, info in inputs], [element(info.name) for _, info in outputs])
    return _model(path, function, [name for name, _ in inputs], [name for name, _ in outputs])


def of_function(path: Path, function: Any, names: Sequence[str], outputs: Sequence[str]) -> Any:
    """A traced function with variables as a Keras model whose graph holds their values."""
    return _model(path, convert_to_constants.convert_variables_to_constants_v2(function), names, outputs)


def _model(path: Path, function: Any, names: Sequence[str], outputs: Sequence[str]) -> Any:
    inputs = []
    for name, tensor in zip(names, function.inputs, strict=True):
        if tensor.shape.rank is None or tensor.shape.rank == 0:
            raise ExportError(f"{path}: input {name} has no declared shape; export it with one, (None, Z)")
        inputs.append(keras.Input(tuple(tensor.shape[1:]), dtype=tensor.dtype.name, name=name))
    tensors = FrozenGraph(function, outputs, name="graph")(inputs)
    model = keras.Model(inputs, dict(zip(outputs, tensors, strict=True)))
    model.output_names = list(outputs)
    return model


def _signature(path: Path, signatures: Any) -> str:
    keys = [key for key in signatures if not key.startswith("__")]
    if SIGNATURE in keys or len(keys) == 1:
        return SIGNATURE if SIGNATURE in keys else keys[0]
    found = ", ".join(sorted(keys)) or "none"
    raise ExportError(f"{path}: a SavedModel needs the signature {SIGNATURE}; found {found} (model.export writes one)")


def _last_words(error: BaseException, length: int = 300) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= length else "…" + text[-length:]
