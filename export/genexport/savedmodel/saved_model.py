"""Write a generator as SavedModel and run it as TensorFlow Serving would: the v1 loader and a session.

`keras.export.ExportArchive` tracks the variables that endpoints use. A Keras 3 model held by a plain tf.Module loads in
TensorFlow 2 and fails in TensorFlow Serving's session, so nothing but a v1 session counts as a check.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from genexport.roles import requests
from genexport.roles.tensor import at_once
from genexport.savedmodel.signatures import Signature


def write(endpoints: Mapping[str, Signature], folder: Path) -> None:
    """Write functions of a Keras model as the signatures of a SavedModel."""
    # No `archive.track(model)`: it is for lookup tables, and it stores every variable a second time.
    archive = keras.export.ExportArchive()
    for name, signature in endpoints.items():
        function, specs, resources = Signature(*signature)
        for resource in resources:
            archive.track(resource)
        archive.add_endpoint(name, function, list(specs))
    archive.write_out(str(folder), verbose=False)


def describe(folder: Path) -> dict[str, Any]:
    """Signature → its inputs and outputs with dtypes and shapes, as the SavedModel has them, for the manifest."""
    stored = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    return {
        name: {"inputs": _specs(signature.inputs), "outputs": _specs(signature.outputs)}
        for name, signature in sorted(stored.meta_graphs[0].signature_def.items(), key=_first_the_default)
        if not name.startswith("__")
    }


class ServingSession:
    """A SavedModel in a fresh v1 session: `with ServingSession(folder) as model: model.run(…)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tf.get_logger().setLevel("ERROR")  # the loader announces its deprecation, which TensorFlow Serving ignores too

    def __enter__(self) -> ServingSession:
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.loader.load(self.session, ["serve"], str(self.folder))
        self.signatures = {name: d for name, d in meta_graph.signature_def.items() if not name.startswith("__")}
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def run_all(self, signature: str, inputs: Mapping[str, Any], output: str = "") -> np.ndarray[Any, Any]:
        """An output of a signature for many examples, of whose values it takes those that it knows; as `run`.

        The first example goes alone, so that an image which depends on the others in its batch differs from Keras'.
        """
        feeds = requests.fit({name: info.dtype for name, info in self.signatures[signature].inputs.items()}, inputs)
        count = len(next(iter(feeds.values())))
        batch = self._at_once()
        ends = [1, *range(max(batch, 2), count, batch), count]
        batches = [
            {name: values[start:end] for name, values in feeds.items()}
            for start, end in zip([0, *ends], ends, strict=False)
            if start < end
        ]
        return np.concatenate([self.run(signature, batch, output) for batch in batches])

    def _at_once(self) -> int:
        """Examples of a run: no batch that a server would not use, and no more memory than needed."""
        infos = [info for one in self.signatures.values() for info in (*one.inputs.values(), *one.outputs.values())]
        return at_once([size.size for size in info.tensor_shape.dim[1:]] for info in infos)

    def run(self, signature: str, inputs: Mapping[str, Any], output: str = "") -> np.ndarray[Any, Any]:
        """An output of a signature by its name; none is needed where there is but one.

        Raises:
            tf.errors.OpError: whatever the graph raises.
        """
        definition = self.signatures[signature]
        (found,) = [definition.outputs[output]] if output else definition.outputs.values()
        feeds = {definition.inputs[name].name: value for name, value in inputs.items()}
        return np.asarray(self.session.run(found.name, feeds))


def _specs(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {
            "dtype": tf.as_dtype(tensor.dtype).name,
            "shape": [None if size.size < 0 else size.size for size in tensor.tensor_shape.dim],
        }
        for name, tensor in sorted(tensors.items())
    }


def _first_the_default(signature: tuple[str, Any]) -> tuple[bool, str]:
    return signature[0] != "serving_default", signature[0]
