"""The ops of a TFLite file: how new a runtime they ask for, which compute in float32, whose layer they are."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ai_edge_litert.tools import flatbuffer_utils

from genexport.generator import layer_names

RUNTIME = b"min_runtime_version"
"""The converter's own metadata entry: the first release of TensorFlow Lite that has every op in its version."""

FLOAT32 = 0  # TensorType in TFLite's schema
CASTS = ("QUANTIZE", "DEQUANTIZE")


def needs(content: bytes) -> dict[str, Any]:
    """`runtime`, such as 2.5.0; `ops`, how many there are; `float32_ops`, kind → how many compute in float32."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    graph, kinds = model.subgraphs[0], _kinds(model)
    floats = Counter(
        kind
        for kind, op in zip(kinds, graph.operators, strict=True)
        if kind not in CASTS and any(graph.tensors[i].type == FLOAT32 for i in op.outputs)
    )
    return {"runtime": _runtime(model), "ops": len(kinds), "float32_ops": dict(sorted(floats.items()))}


def loop(content: bytes, model: Any) -> str:
    """The first op of a file that runs a graph of its own, and its layer; nothing where there is none."""
    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    kinds = _kinds(graph)
    return next(
        (_op_and_layer(graph, number, model) for number, kind in enumerate(kinds) if kind in ("WHILE", "IF")), ""
    )


def failed_op(content: bytes, message: str, model: Any) -> tuple[str, str]:
    """The op that LiteRT's message is about, and its layer; nothing for either that is not known."""
    match = re.search(r"Node number (\d+) \((\w+)\)", message)
    if match is None:
        return "", ""
    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    number = int(match[1])
    return match[2], _layer(graph, number, model) if number < len(_kinds(graph)) else ""


def _kinds(graph: Any) -> list[str]:
    return [str(flatbuffer_utils.opcode_to_name(graph, op.opcodeIndex)) for op in graph.subgraphs[0].operators]


def _layer(graph: Any, number: int, model: Any) -> str:
    op = graph.subgraphs[0].operators[number]
    names = [graph.subgraphs[0].tensors[i].name.decode() for i in op.outputs]
    return layer_names.find(model, ";".join(names)) or ""


def _op_and_layer(graph: Any, number: int, model: Any) -> str:
    layer = _layer(graph, number, model)
    return _kinds(graph)[number] + (f", of layer {layer}" if layer else "")


def _runtime(model: Any) -> str:
    for entry in model.metadata or ():
        if entry.name == RUNTIME:
            return bytes(model.buffers[entry.buffer].data).rstrip(b"\0").decode()
    return ""
