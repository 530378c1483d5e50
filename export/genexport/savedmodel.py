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

from genexport.signatures import Signature


def write(endpoints: Mapping[str, Signature], folder: Path) -> None:
    """Write functions of a Keras model as the signatures of a SavedModel."""
    # No `archive.track(model)`: it is for lookup tables, and it stores every variable a second time.
    archive = keras.export.ExportArchive()
    for name, (function, specs) in endpoints.items():
        archive.add_endpoint(name, function, specs)
    archive.write_out(str(folder), verbose=False)


class ServingSession:
    """A SavedModel in a fresh v1 session: `with ServingSession(folder) as model: model.run(…)`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tf.get_logger().setLevel("ERROR")  # the loader announces its deprecation, which TensorFlow Serving ignores too

    def __enter__(self) -> ServingSession:
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.loader.load(self.session, ["serve"], str(self.folder))
        self.signatures = meta_graph.signature_def
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def run(self, signature: str, inputs: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """The one output of a signature.

        Raises:
            tf.errors.OpError: whatever the graph raises.
        """
        definition = self.signatures[signature]
        (output,) = definition.outputs.values()
        feeds = {definition.inputs[name].name: value for name, value in inputs.items()}
        return np.asarray(self.session.run(output.name, feeds))
