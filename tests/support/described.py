"""What a TFLite file of genexport says of itself."""

from __future__ import annotations

import json
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema


def metadata_of(file: Path) -> dict:
    """The first JSON entry `genline` in a file's metadata."""
    return metadata_of_bytes(Path(file).read_bytes())


def metadata_of_bytes(content: bytes) -> dict:
    """The same of the bytes of a file."""
    model = schema.Model.GetRootAs(content)
    entries = (model.Metadata(i) for i in range(model.MetadataLength()))
    buffer = next(entry.Buffer() for entry in entries if entry.Name() == b"genline")
    return json.loads(bytes(model.Buffers(buffer).DataAsNumpy()))
