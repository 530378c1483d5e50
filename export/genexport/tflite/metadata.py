"""What a TFLite file says of itself: a JSON text in its metadata, under the name `genline`.

It can be read with ai-edge-litert alone, without TensorFlow, and by anything that reads the TFLite schema.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from genexport.generator.load import Generator
from genexport.roles import ROLES

NAME = "genline"


def describe(generator: Generator, name: str, variant: str) -> dict[str, Any]:
    """What there is to know for whoever holds nothing but the file."""
    layout = "NTHWC" if generator.frame_count else "NHWC"
    described: dict[str, Any] = {
        "name": name,
        "variant": variant,
        "signature": "generate",
        "image_shape": list(generator.image_shape),
        generator.output: {"range": [0.0, 1.0], "layout": layout, "dequantised": "scale * (value - zero_point)"},
        **generator.facts,
        "generator_sha256": generator.provenance["generator_sha256"],
        "genline": version("genline"),
    }
    for tensor in generator.inputs:
        described |= ROLES[tensor.role].metadata(tensor)
    if generator.description:
        described["interface"] = generator.description.json
    return described


def add(content: bytes, described: dict[str, Any]) -> bytes:
    """The same TFLite file with the description in it; its graph and its weights are as they were."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    buffer = schema.BufferT()
    buffer.data = list(json.dumps(described, ensure_ascii=False, sort_keys=True).encode())
    entry = schema.MetadataT()
    entry.name = NAME
    entry.buffer = len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))
