"""A TFLite file without signatures: its graph as one function, with matching SignatureDefs.

Early converters wrote no signatures. TF Serving expects SignatureDefs in the metadata of the file, or builds one from
the tensor names of the graph; so does this module. tflite.py runs files with signatures.
Source: TF Serving's servables/tensorflow/tflite_session.cc (Create, FixTfLiteTensorName); TensorFlow's
lite/tools/signature/signature_def_util.cc for the format of the metadata.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import flexbuffers
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2

from genserve.errors import internal, invalid_argument

METADATA = b"signature_defs_metadata"


class GraphRunner:
    """The graph of an interpreter as a signature runner whose inputs and outputs go by the names of their tensors."""

    def __init__(self, interpreter: Interpreter) -> None:
        """Look at the graph's inputs and outputs."""
        self._interpreter = interpreter
        self._shapes: dict[str, tuple[int, ...]] = {}  # that the inputs have been given

    def get_input_details(self) -> dict[str, Any]:
        """Inputs by tensor name."""
        return {detail["name"]: detail for detail in self._interpreter.get_input_details()}

    def get_output_details(self) -> dict[str, Any]:
        """Outputs by tensor name."""
        return {detail["name"]: detail for detail in self._interpreter.get_output_details()}

    def __call__(self, **arrays: np.ndarray) -> dict[str, np.ndarray]:
        """Give each input the shape of its array, and run."""
        inputs = self.get_input_details()
        shapes = {name: array.shape for name, array in arrays.items()}
        if self._shapes != shapes:
            self._shapes = {}  # a shape that the graph cannot have is not to be taken for one that it has
            for name, shape in shapes.items():
                self._interpreter.resize_tensor_input(inputs[name]["index"], shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for name, array in arrays.items():
            self._interpreter.set_tensor(inputs[name]["index"], array)
        self._interpreter.invoke()
        outputs = self.get_output_details().items()
        return {name: self._interpreter.get_tensor(detail["index"]) for name, detail in outputs}


def signature_defs(content: bytes, runner: GraphRunner) -> dict[str, Any]:
    """The SignatureDefs in a file's metadata, by key; nothing where there are none.

    Raises:
        ServeError: INVALID_ARGUMENT for metadata that are none, INTERNAL for a tensor that the graph has not.
    """
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    try:
        found = {key: meta_graph_pb2.SignatureDef.FromString(value) for key, value in _metadata(content).items()}
    except (DecodeError, ValueError, TypeError, IndexError, struct.error) as error:
        raise invalid_argument(f"Invalid SignatureDefs found in TfLite model: {error}") from error
    for signature in found.values():
        _name_tensors("input", signature.inputs, inputs)
        _name_tensors("output", signature.outputs, outputs)
    return found


def _metadata(content: bytes) -> dict[str, bytes]:
    """The map in the metadata: serialised SignatureDefs by key."""
    model = schema.Model.GetRootAs(content, 0)
    for entry in map(model.Metadata, range(model.MetadataLength())):
        if entry.Name() == METADATA:
            root = flexbuffers.GetRoot(bytes(model.Buffers(entry.Buffer()).DataAsNumpy())).AsMap
            return {key.AsKey: value.AsStringBytes for key, value in zip(root.Keys, root.Values, strict=True)}
    return {}


def _name_tensors(kind: str, infos: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    """Name each tensor as the graph does: early converters left `:0` away."""
    for alias, info in infos.items():
        name = next((name for name in (info.name, plain(info.name)) if name in tensors), None)
        if name is None:
            raise internal(f"Unknown tensor '{info.name}'. Signature {kind} {alias} references an unknown tensor")
        info.name = name


def plain(name: str) -> str:
    """A tensor's name without `:0`."""
    return name.partition(":")[0]
