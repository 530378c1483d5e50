"""The kinds of models that are published. `KINDS` is what the commands know; TensorFlow is imported where one is run.

kind.py                    what every kind tells
generator.py               a generator: images from the inputs of its interface
discriminator.py           the discriminator of a run: scores of images
generator_version.py       a generator's version: SavedModel, TFLite, ONNX, pictures, card
proof.py                   every file of it run, and held to its limit
worst_layer.py             the layer that loses most of a file's accuracy
discriminator_model.py     the discriminator as it is loaded, and what makes its logits scores
discriminator_version.py   its version: a SavedModel of scores
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genexport.errors import ExportError
from genexport.kinds.discriminator import Discriminator
from genexport.kinds.generator import Generator
from genexport.kinds.kind import Kind

KINDS: dict[str, Kind] = {kind.name: kind for kind in (Generator(), Discriminator())}


def of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of a version. Manifests of genline 0.1.0 name none; they are of generators.

    Raises:
        ExportError: a kind of a later genline.
    """
    name = manifest.get("kind", Generator.name)
    if name not in KINDS:
        raise ExportError(f"manifest.json: kind {name!r}, expected {' or '.join(KINDS)}: a newer genline wrote it")
    return KINDS[name]
