"""Models of Keras 2 (HDF5, and `.keras` files from before Keras 3) as models of Keras 3.

Keras 3 reads most HDF5 files itself. For the rest tf-keras, which is Keras 2, reads them: through HDF5 into Keras 3
where the layers are known there, else as a frozen graph.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from genexport.errors import ExportError
from genexport.generator import frozen

INSTALL = "pip install tf-keras"


def read_hdf5(path: Path, classes: dict[str, Any]) -> Any:
    """The model of an HDF5 file.

    Raises:
        ExportError: it is damaged, or needs code that is not in it.
    """
    try:
        return _keras3(path, classes)
    except Exception as error:  # Keras raises by whatever is wrong inside the file
        return read_old(path, classes, error)


def read_old(path: Path, classes: dict[str, Any], cause: Exception | None = None) -> Any:
    """The model of a file that only Keras 2 reads.

    Raises:
        ExportError: tf-keras is not installed, or cannot read it either.
    """
    try:
        import tf_keras
    except ModuleNotFoundError as error:
        why = f" ({_one_line(cause)})" if cause else ""
        raise ExportError(f"{path}: a model of Keras 2, which needs tf-keras here: {INSTALL}{why}") from error
    try:
        old = tf_keras.models.load_model(path, custom_objects=classes, compile=False)
    except Exception as error:  # as above
        raise ExportError(f"{path}: a model of Keras 2 that cannot be loaded: {_one_line(error)}") from error
    try:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "model.h5"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a format that is old
                old.save(copy)
            return _keras3(copy, classes)
    except Exception:
        return _frozen(path, old)


class _Conv2DTranspose:
    """What reads Keras 2's Conv2DTranspose, which says `groups`, an argument that Keras 3's has not."""

    @staticmethod
    def from_config(config: dict[str, Any]) -> Any:
        """Keras 3's layer; TypeError where the groups are several."""
        grouped = {} if config.get("groups", 1) == 1 else {"groups": config["groups"]}
        return keras.layers.Conv2DTranspose(
            **{key: value for key, value in config.items() if key != "groups"}, **grouped
        )


def _keras3(path: Path, classes: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of arguments that had other names
        known = {"Conv2DTranspose": _Conv2DTranspose, **classes}
        return keras.models.load_model(path, custom_objects=known, compile=False)


def _frozen(path: Path, old: Any) -> Any:
    specs = [tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, tensor.name) for tensor in old.inputs]
    structure = old.inputs[0] if len(old.inputs) == 1 else old.input

    def call(*tensors: Any) -> Any:
        packed = tf.nest.pack_sequence_as(structure, list(tensors)) if len(tensors) > 1 else tensors[0]
        return tf.nest.flatten(old(packed, training=False))

    function = tf.function(call, input_signature=specs).get_concrete_function()
    return frozen.of_function(path, function, [tensor.name for tensor in old.inputs], list(old.output_names))


def _one_line(error: BaseException | None, length: int = 300) -> str:
    """The end of an error's text, where its cause stands."""
    text = " ".join(str(error).split())
    return text if len(text) <= length else "…" + text[-length:]
