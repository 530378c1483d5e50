"""A version of any kind: a SavedModel with warm-up requests, what the kind adds and compares, and the manifest last."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from genexport.kinds.kind import Kind, Version
from genexport.repository import manifest
from genexport.roles import tensor
from genexport.savedmodel import saved_model, warmup

ASSET = f"assets.extra/{tensor.FILE}"
"""TensorFlow Serving opens two files of that folder, by name: the warm-up requests and saved_model_config.pb."""


def build(kind: Kind, model: Any, version: Version) -> None:
    """Write everything of a version into its folder, run and compared, with its manifest last.

    Raises:
        ExportError: a file differs from Keras by more than its limit, or cannot be made.
    """
    endpoints = kind.endpoints(model)
    version.report(f"{kind.step}: " + ", ".join(endpoints))
    saved_model.write(endpoints, version.folder)
    real, shape = kind.warms_with_pictures, kind.warmed_shape(model)
    warmup.write(endpoints, partial(kind.warm, model), version.name, version.folder, real, shape)
    if (described := kind.interface(model)) is not None:
        (version.folder / ASSET).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    manifest.write(version.folder, {**kind.compare(model, version), "kind": kind.name})
