"""A float16 file whose images are near enough: weights that lose too much by the rounding stay in float32.

Half of the bits are enough for nearly all weights, but on sharp edges a few of them can move a pixel by more than one
would call the same image. On emoji of 32×32 the greatest difference is 0.009; with 8 kB of 686 in float32, 0.0045.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert.tools import flatbuffer_utils

from genexport.progress import Progress

FLOAT32, FLOAT16 = 0, 1  # TensorType in TFLite's schema

SEARCHED = 16
"""Images that the search looks at, those that differ most."""

CANDIDATES = 32
"""Weights that it tries, those that the rounding moves most. So it runs about as many images as four proofs do."""

Array = np.ndarray[Any, Any]
Errors = Callable[[bytes, Array], Array]


def within(
    half: bytes, whole: bytes, errors: Errors, count: int, limit: float, progress: Progress
) -> tuple[bytes, list[str]]:
    """The float16 file, with as few weights in float32 as keep its images within a limit.

    Args:
        half: the file with float16 weights.
        whole: the same in float32.
        errors: a file's greatest difference from Keras, of each of the images with these numbers.
        count: how many images there are.
        limit: what the difference may be.
        progress: reports the weights that were tried.

    Returns:
        The file, and the names of the weights that are float32 in it; as it came where nothing helps or is needed.
    """
    everything = np.arange(count)
    before = errors(half, everything)
    if before.max() <= limit or not halved(half):
        return half, []
    worst = np.argsort(before)[-SEARCHED:]
    names = _most_moved(half, whole)
    alone = {name: errors(restored(half, whole, [name]), worst).max() for name in progress.over(names, "weights")}
    names.sort(key=lambda name: alone[name])
    few, many = 0, len(names)
    while few < many:  # the fewest that do for the worst images
        middle = (few + many) // 2
        enough = errors(restored(half, whole, names[:middle]), worst).max() <= limit
        few, many = (few, middle) if enough else (middle + 1, many)
    for more in sorted({min(few + extra, len(names)) for extra in (0, 1, 4, len(names))}):
        if errors(file := restored(half, whole, names[:more]), everything).max() <= limit:
            return file, names[:more]
    return half, []


def halved(half: bytes) -> list[str]:
    """The names of the tensors that hold weights in float16 in a file."""
    model = read_model(half)
    graph = model.subgraphs[0]
    return [graph.tensors[op.inputs[0]].name.decode() for op in graph.operators if _widens(model, op)]


def restored(half: bytes, whole: bytes, names: list[str]) -> bytes:
    """The float16 file with the weights of these names as they are in the float32 file."""
    model, original = read_model(half), read_model(whole)
    graph = model.subgraphs[0]
    for name, uses in _places(model, original).items():
        if name in names:
            tensor = copy_tensor(model, original, uses[0][2])
            for op, slot, _ in uses:
                op.inputs[slot] = tensor
    read = {i for op in graph.operators for i in op.inputs}
    graph.operators = [op for op in graph.operators if op.outputs[0] in read or not _widens(model, op)]
    held = {graph.tensors[i].buffer for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0}
    for number in {tensor.buffer for tensor in graph.tensors} - held:
        model.buffers[number].data = None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def read_model(content: bytes) -> Any:
    """A file as objects of the schema, which may be changed."""
    return flatbuffer_utils.read_model_from_bytearray(bytearray(content))


def _places(half: Any, whole: Any) -> dict[str, list[tuple[Any, int, int]]]:
    """Weight → (op, place among its inputs, tensor in `whole`) wherever `half` reads it in float16.

    By place and not by value: two weights that are equal in float16 share one tensor there.
    """
    graph, original = half.subgraphs[0], whole.subgraphs[0]
    widened = {op.outputs[0] for op in graph.operators if _widens(half, op)}
    ops = [op for op in graph.operators if not _widens(half, op)]
    if op_kinds(half, ops) != op_kinds(whole, original.operators):
        return {}
    places: dict[str, list[tuple[Any, int, int]]] = {}
    for op, same in zip(ops, original.operators, strict=True):
        for slot, (i, j) in enumerate(zip(op.inputs, same.inputs, strict=True)):
            if i in widened:
                places.setdefault(original.tensors[j].name.decode(), []).append((op, slot, j))
    return places


def _widens(model: Any, op: Any) -> bool:
    """Whether an op makes float32 of weights in float16."""
    if flatbuffer_utils.opcode_to_name(model, op.opcodeIndex) != "DEQUANTIZE":
        return False
    tensor = model.subgraphs[0].tensors[op.inputs[0]]
    return bool(tensor.type == FLOAT16 and model.buffers[tensor.buffer].data is not None)


def op_kinds(model: Any, ops: list[Any]) -> list[str]:
    """What each op is, such as CONV_2D."""
    return [str(flatbuffer_utils.opcode_to_name(model, op.opcodeIndex)) for op in ops]


def copy_tensor(model: Any, original: Any, number: int) -> int:
    """The number of a new tensor that is like one of the float32 file."""
    tensor = original.subgraphs[0].tensors[number]
    model.buffers.append(original.buffers[tensor.buffer])
    tensor.buffer = len(model.buffers) - 1
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _most_moved(half: bytes, whole: bytes) -> list[str]:
    """The names of the weights that the rounding to float16 moves most, as the float32 file has them."""
    original = read_model(whole)
    moved = {}
    for name, uses in _places(read_model(half), original).items():
        buffer = original.buffers[original.subgraphs[0].tensors[uses[0][2]].buffer]
        values = np.frombuffer(bytes(buffer.data), np.float32)
        moved[name] = float(np.abs(values - values.astype(np.float16)).max(initial=0.0))
    return sorted(moved, key=lambda name: -moved[name])[:CANDIDATES]
