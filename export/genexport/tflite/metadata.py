"""What a TFLite file says of itself: a JSON text in its metadata, under the name `genline`.

It can be read with ai-edge-litert alone, without TensorFlow, and by anything that reads the TFLite schema.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexport.errors import ExportError

if TYPE_CHECKING:
    from genexport.generator.load import Generator

NAME = "genline"

SEED_RULE = (
    "StatelessRandomNormalV2(shape=[latent_size], key=[seed], counter=[0, 0], alg=1) of TensorFlow: Philox 4x32-10 and "
    "Box-Muller, float32; the seed in 64 bits, two's complement; truncation multiplies the latents"
)


def describe(generator: Generator, name: str, variant: str) -> dict[str, Any]:
    """What there is to know for whoever holds nothing but the file."""
    described: dict[str, Any] = {
        "name": name,
        "variant": variant,
        "signature": "generate",
        "latent_size": generator.latent_size,
        "latents": {"distribution": "normal", "mean": 0.0, "deviation": 1.0, "of_a_seed": SEED_RULE},
        "image_shape": list(generator.image_shape),
        "images": {"range": [0.0, 1.0], "layout": "NHWC", "dequantised": "scale * (value - zero_point)"},
        "class_count": generator.class_count,
        "class_names": list(generator.class_names),
        "generator_sha256": generator.provenance["generator_sha256"],
        "genline": version("genline"),
    }
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


def read(file: Path) -> dict[str, Any]:
    """The description in a TFLite file.

    Raises:
        ExportError: no such file, not a TFLite file, or none of genline's.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        content = file.read_bytes()
    except OSError as error:
        raise ExportError(f"{file}: {error.strerror}") from error
    if content[4:8] != b"TFL3":
        raise ExportError(f"{file}: not a TFLite file")
    model = schema.Model.GetRootAs(content)
    for i in range(model.MetadataLength()):
        if model.Metadata(i).Name() == NAME.encode():
            found: dict[str, Any] = json.loads(bytes(model.Buffers(model.Metadata(i).Buffer()).DataAsNumpy()))
            return found
    raise ExportError(f"{file}: holds no metadata of the name {NAME!r}; it was not published by genexport")
