"""A dynamic file's weights one by one: each can be in float32 again, and its op computes as in the float32 file.

Which have to is found by `kept_floats.within`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ai_edge_litert.tools import flatbuffer_utils

from genexport.tflite.float16 import FLOAT32, copy_tensor, op_kinds, read_model

INT8 = 9  # TensorType in TFLite's schema


def in_int8(small: bytes, whole: bytes) -> list[str]:
    """The names, as the float32 file has them, of the weights that are int8 in the dynamic file; none where the two
    files are not of the same ops.
    """
    model, original = read_model(small), read_model(whole)
    return list(dict.fromkeys(_name(original, number) for _, _, number in _places(model, original)))


def restored(small: bytes, whole: bytes, names: Sequence[str]) -> bytes:
    """The dynamic file with the weights of these names as they are in the float32 file."""
    model, original = read_model(small), read_model(whole)
    graph, copies = model.subgraphs[0], dict[int, int]()
    for op, slot, number in _places(model, original):
        if _name(original, number) in names:
            if number not in copies:
                copies[number] = copy_tensor(model, original, number)
            op.inputs[slot] = copies[number]
    held = {graph.tensors[i].buffer for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0}
    for unread in {tensor.buffer for tensor in graph.tensors} - held:
        model.buffers[unread].data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _places(model: Any, original: Any) -> Iterator[tuple[Any, int, int]]:
    """Op of the dynamic file, place among its inputs, tensor of the float32 file: wherever weights are read in int8."""
    graph, floats = model.subgraphs[0], original.subgraphs[0]
    if op_kinds(model, graph.operators) != op_kinds(original, floats.operators):
        return
    for op, same in zip(graph.operators, floats.operators, strict=True):
        for slot, (i, j) in enumerate(zip(op.inputs, same.inputs, strict=True)):
            if i >= 0 and j >= 0 and (graph.tensors[i].type, floats.tensors[j].type) == (INT8, FLOAT32):
                yield op, slot, j


def _name(original: Any, number: int) -> str:
    return str(original.subgraphs[0].tensors[number].name.decode())
