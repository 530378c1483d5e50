"""The way back in a generator's version: signatures and files by its run's encoder, from pictures to latents.

What is compared are pictures: those that the generator draws of a file's latents beside those that it draws of Keras'.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from genexport import onnx
from genexport.compare import parity
from genexport.compare.parity import Difference, Limits
from genexport.errors import CannotBeMade, ExportError
from genexport.generator.encoder import IMAGE, Encoder
from genexport.generator.load import Generator
from genexport.kinds.generator.proof import PastLimit
from genexport.kinds.kind import Version
from genexport.repository import manifest
from genexport.roles import requests
from genexport.savedmodel import saved_model
from genexport.savedmodel.saved_model import ServingSession
from genexport.savedmodel.signatures import Signature, with_one_example
from genexport.tflite import convert, metadata, ops, quantize

SIGNATURES = ("invert", "invert_encoded")
"""The second takes pictures as files."""

ON_DEVICE = "invert"
TASK = "inversion"
FILES = ("float32", "onnx", "float16", "dynamic", "int8")
"""Those of `options.FILES` that there are of an encoder; of int8 latents and pictures stay float32."""

EXAMPLES = 64
PREFIX = "invert_"
"""Of its arrays in reference.npz."""

ROUNDING = 1e-4
"""What pixels may differ by in float32 where `--limit` says nothing: two networks one behind the other."""

CHANGED = 1 / 16
"""The share of pictures, at most, whose class a file may see otherwise."""

Draw = Callable[[dict[str, Any]], Any]
"""`latents` (and `labels`) → images in [0, 1]."""


def signatures(encoder: Encoder) -> dict[str, Signature]:
    """Name → (function, specs), of `SIGNATURES`; any batch from 0 on."""
    return {name: _signature(encoder, name) for name in SIGNATURES}


def _signature(encoder: Encoder, name: str) -> Signature:
    feed = IMAGE.feed(encoder.image, name)
    return Signature(lambda given: with_one_example(encoder.found, feed.read(given)), [feed.spec()])


def reference(generator: Generator, images: Any) -> dict[str, Any]:
    """For reference.npz: 64 pictures of the generator's own in whole pixels, and what Keras gives of them."""
    assert generator.encoder is not None
    pictures = requests.to_bytes(images[:EXAMPLES])
    found = generator.encoder.found(tf.constant(pictures, tf.float32) / 255.0)
    return {f"{PREFIX}image": pictures, **{PREFIX + name: np.asarray(values) for name, values in found.items()}}


@dataclass
class Inverted:
    """What became of an encoder's signatures and files, each by its name in `parity`.

    Attributes:
        pictures: `image` float32 (N, H, W, C) in [0, 1].
        expected: Keras' `latents` (and `labels`) of them.
        draw: the generator.
        limits: what the pictures that it draws may differ by.
        differences, left_out: as the manifest has them; `changed` counts the classes that are others than Keras'.
        needs: by variant, what its TFLite file needs.
    """

    pictures: dict[str, Any]
    expected: dict[str, Any]
    draw: Draw
    limits: Limits
    differences: dict[str, Difference] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    needs: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: dict[str, Any], draw: Draw, limits: Limits) -> Inverted | None:
        """By the arrays of a reference.npz, which are taken out of it; None where there is no encoder."""
        kept = {name.removeprefix(PREFIX): stored.pop(name) for name in list(stored) if name.startswith(PREFIX)}
        if not kept:
            return None
        return cls(requests.restore({"image": kept.pop("image")}), kept, draw, limits)

    def signatures(self, folder: Path) -> None:
        """Compare those of a SavedModel, by the v1 loader and a session.

        Raises:
            ExportError: past its limit.
        """
        with ServingSession(folder) as served:
            for name in SIGNATURES:
                found = {output: served.run_all(name, self.pictures, output) for output in self.expected}
                self._compare(f"savedmodel/{name}", found, "savedmodel")

    def file(self, folder: Path, name: str, variant: str) -> None:
        """Compare a file.

        Raises:
            CannotBeMade: LiteRT or ONNX Runtime refuses it.
            ExportError: past its limit.
        """
        place = file_of(folder, name, variant)
        if variant == "onnx":
            found = {key: onnx.run(place, self.pictures, output=key) for key in self.expected}
        else:
            found = {key: convert.run(place, self.pictures, None, ON_DEVICE, key) for key in self.expected}
        self._compare(artifact(variant), found, "onnx/float32" if variant == "onnx" else f"tflite/{variant}")

    def add(self, generator: Generator, version: Version, variant: str) -> None:
        """Make and compare a file; one that cannot be made, or is past its limit, is left out."""
        what, place = artifact(variant), file_of(version.folder, version.name, variant)
        version.report(what)
        try:
            content = (_onnx if variant == "onnx" else partial(_tflite, variant=variant))(generator, version.name)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(content)
            self.file(version.folder, version.name, variant)
        except ExportError as error:
            place.unlink(missing_ok=True)
            self.left_out[what] = _accepted(error).removeprefix(f"{what}: ")
            version.report(f"{what} is left out: {self.left_out[what]}")
            return
        if variant != "onnx":
            self.needs[f"{ON_DEVICE}-{variant}"] = ops.needs(content)

    def _compare(self, what: str, found: dict[str, Any], limited_as: str) -> None:
        """The class is Keras' in both drawings: where it is another one, the picture is another one too."""
        classes = {name: values for name, values in self.expected.items() if name == "labels"}
        drawn = self.draw({"latents": found["latents"].astype(np.float32), **classes})
        difference, limit = parity.compare(drawn, self.draw(self.expected)), self.limits.of(limited_as)
        try:
            parity.check(what, difference, limit, "pictures drawn of its latents")
        except ExportError as error:
            raise PastLimit(str(error), parity.remedy(limited_as, difference, limit)) from error
        if classes:
            self.changed[what] = changed = int((found["labels"] != classes["labels"]).sum())
            if changed > CHANGED * len(drawn):
                raise ExportError(f"{what}: the classes of {changed} of {len(drawn)} pictures are not Keras'")
        self.differences[what] = difference


def publish(generator: Generator, version: Version, stored: Mapping[str, Any]) -> Inverted | None:
    """Write and compare everything of the encoder in a version whose SavedModel is there; None where there is none.

    Raises:
        ExportError: a signature of the SavedModel is past its limit.
    """
    inverted = Inverted.of(dict(stored), generator.many, version.options.limits.over(ROUNDING))
    if inverted is None:
        return None
    version.report(f"the encoder, compared with Keras by {len(inverted.pictures['image'])} pictures")
    try:
        inverted.signatures(version.folder)
    except PastLimit as error:
        raise ExportError(_accepted(error)) from error
    for variant in version.options.selected():
        if variant in FILES:
            inverted.add(generator, version, variant)
    return inverted


def described(encoder: Encoder, inverted: Inverted) -> dict[str, Any]:
    """The entry `encoder` of the manifest."""
    return {
        "encoder_sha256": manifest.sha256(encoder.path),
        **encoder.measured,
        "limits": asdict(inverted.limits),
        "examples": len(inverted.pictures["image"]),
        **({"changed_classes": inverted.changed} if inverted.changed else {}),
    }


def verify(folder: Path, entries: Mapping[str, Any], stored: dict[str, Any], draw: Draw) -> dict[str, Difference]:
    """Compare the signatures and files of a version with Keras' latents that it keeps, which are taken out of `stored`.

    Raises:
        ExportError: one is past its limit.
    """
    limits = Limits(**entries.get("encoder", {}).get("limits", {}))
    inverted = Inverted.of(stored, draw, limits)
    if inverted is None:
        return {}
    inverted.signatures(folder)
    for variant in FILES:
        if variant == "onnx" and onnx.missing():
            continue
        if file_of(folder, entries["name"], variant).exists():
            inverted.file(folder, entries["name"], variant)
    return inverted.differences


def _accepted(error: ExportError) -> str:
    """The message, and what accepts it where a limit does."""
    return f"{error}; {error.remedy} accepts it" if isinstance(error, PastLimit) and error.remedy else str(error)


def artifact(variant: str) -> str:
    """A file as `parity` in the manifest names it."""
    return f"onnx/{ON_DEVICE}-float32" if variant == "onnx" else f"tflite/{ON_DEVICE}-{variant}"


def file_of(folder: Path, name: str, variant: str) -> Path:
    """Where a variant lies in a version of the model `name`."""
    if variant == "onnx":
        return folder / onnx.place(f"{name}-{ON_DEVICE}")
    return folder / "tflite" / f"{name}-{ON_DEVICE}-{variant}.tflite"


def _tflite(generator: Generator, name: str, variant: str) -> bytes:
    """A file with a batch of one, as browsers want it."""
    encoder = generator.encoder
    assert encoder is not None
    signature = Signature(encoder.found, [IMAGE.feed(encoder.image, ON_DEVICE).spec(1)])
    if variant == "int8":
        content = convert.carefully(encoder, variant, lambda: _in_integers(generator, signature))
    else:
        with tempfile.TemporaryDirectory() as folder:
            saved_model.write({ON_DEVICE: signature}, Path(folder))
            converter = convert.converter_of(Path(folder), variant, ON_DEVICE)
            content = convert.carefully(encoder, variant, converter.convert)
    return metadata.add(content, _about(generator, encoder, name) | {"variant": variant})


def _in_integers(generator: Generator, signature: Signature) -> bytes:
    """Calibrated on pictures that the generator draws of other seeds than it is compared on."""
    drawn = requests.restore({"image": requests.to_bytes(generator.many(generator.calibration()))})
    return quantize.quantize(quantize.watched(ON_DEVICE, signature, drawn), tf.float32, tf.float32)


def _onnx(generator: Generator, name: str) -> bytes:
    """A file of any batch."""
    encoder = generator.encoder
    assert encoder is not None
    if missing := onnx.missing():
        raise CannotBeMade(f"{missing} is not installed ({onnx.INSTALL})")
    about = {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in _about(generator, encoder, name).items()
    }
    summary = f"{name}: a picture in [0, 1] to what the generator draws it of"
    spec = IMAGE.feed(encoder.image, ON_DEVICE).spec()
    return onnx.converted(
        encoder, tf.function(encoder.found), [spec], onnx.About(f"{name}-{ON_DEVICE}", summary, about)
    )


def _about(generator: Generator, encoder: Encoder, name: str) -> dict[str, Any]:
    """What there is to know for whoever holds nothing but a file."""
    return {
        "name": name,
        "signature": ON_DEVICE,
        "image_shape": list(generator.image_shape),
        "image": {"range": [0.0, 1.0], "layout": "NHWC"},
        **generator.facts,
        "generator_sha256": generator.provenance["generator_sha256"],
        "genline": version_of("genline"),
        "interface": {"version": 1, "task": TASK, **encoder.interface(generator)},
    }
