"""A generator becomes a version: build everything in a hidden folder, run and compare all of it, then one rename.

`verify` repeats the checks on a version that is out, from what the version itself holds.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from genexport import parity, repository, savedmodel, sheet, tflite, warmup
from genexport.errors import ExportError
from genexport.generator import Generator
from genexport.parity import Difference
from genexport.signatures import describe, signatures

REFERENCE = "reference.npz"
SHEET_COLUMNS = 16

Tell = Callable[[str], None]


def publish(
    generator: Generator, root: Path, name: str, version: int | None = None, tell: Tell = lambda _: None
) -> Path:
    """Publish a generator as a version of the model `name` in the repository `root`.

    Args:
        generator: from `genexport.generator.load`.
        root: the folder that holds all models.
        name: the model's; its versions lie in root/name.
        version: its number; the next one unless given.
        tell: called with what is being done.

    Returns:
        The folder of the version.

    Raises:
        ExportError: it cannot be converted, a file does not give the generator's images, the number is taken, or the
            disk is full; nothing is published then.
    """
    repository.check_name(name)
    base = root / name
    if version is not None and version in repository.versions(base):
        raise ExportError(f"{base / str(version)}: this version is there already; leave --version out for the next")
    with repository.staging(base) as folder:
        try:
            inputs, expected = _reference(generator)
            np.savez_compressed(folder / REFERENCE, **inputs, images=expected[:SHEET_COLUMNS])

            tell("SavedModel with the signatures " + ", ".join(signatures(generator)))
            savedmodel.write(signatures(generator), folder)
            warmup.write(generator, name, folder)

            tell("TFLite: " + ", ".join(tflite.VARIANTS))
            (folder / "tflite").mkdir()
            for variant, content in tflite.convert(generator).items():
                _tflite_file(folder, name, variant).write_bytes(content)

            tell(f"comparing each with Keras on {parity.EXAMPLES} latents")
            rows, differences = _compare(folder, name, inputs, expected)
            sheet.write({"Keras": expected[:SHEET_COLUMNS], **rows}, folder / "contact_sheet.png")
            manifest = _manifest(generator, name, folder, differences)
            (folder / repository.MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise ExportError(f"{folder}: cannot be written: {error.strerror or error}") from error
        except tf.errors.OpError as error:
            raise ExportError(f"{generator.path}: {' '.join(error.message.split())[:400]}") from error
        return repository.publish(folder, base, version)


def verify(folder: Path) -> dict[str, Difference]:
    """Check every SHA-256 of a version, and run every file of it against the images it was published with.

    Raises:
        ExportError: a file is missing, changed or new, or does not give those images any more.
    """
    manifest = repository.read_manifest(folder)
    now, then = repository.digests(folder), manifest["files"]
    for name in sorted(now.keys() | then.keys()):
        if name not in now:
            raise ExportError(f"{folder / name}: missing")
        if name not in then:
            raise ExportError(f"{folder / name}: not a file that was published")
        if now[name] != then[name]:
            raise ExportError(f"{folder / name}: changed since it was published (its SHA-256 is another)")
    with np.load(folder / REFERENCE) as stored:
        reference = dict(stored)
    expected = reference.pop("images")
    inputs = {name: values[: len(expected)] for name, values in reference.items()}
    return _compare(folder, manifest["name"], inputs, expected)[1]


def _reference(generator: Generator) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """The inputs on which everything is compared, and Keras' images of them."""
    latents, *labels = (np.asarray(values) for values in generator.examples(parity.EXAMPLES))
    batches = [
        np.asarray(generator.images(*(tf.constant(values[i : i + 64]) for values in (latents, *labels))))
        for i in range(0, len(latents), 64)
    ]
    inputs = {"latents": latents, "seeds": np.arange(len(latents), dtype=np.int64)}
    if labels:
        inputs["labels"] = labels[0]
    return inputs, np.concatenate(batches)


def _compare(
    folder: Path, name: str, inputs: Mapping[str, Any], expected: np.ndarray[Any, Any]
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Difference]]:
    """Run everything in a version's folder: rows for the contact sheet, and differences that keep their limits."""
    differences: dict[str, Difference] = {}
    rows: dict[str, np.ndarray[Any, Any]] = {}

    def judge(what: str, images: np.ndarray[Any, Any], limit: parity.Limit) -> None:
        differences[what] = parity.compare(images, expected)
        parity.check(what, differences[what], limit)

    with savedmodel.ServingSession(folder) as served:
        for signature, definition in served.signatures.items():
            if signature.startswith("__"):
                continue
            images = np.concatenate(
                [
                    served.run(signature, {key: inputs[key][i : i + 64] for key in definition.inputs})
                    for i in range(0, len(expected), 64)
                ]
            )
            if signature == "serving_default":
                rows["SavedModel"] = images[:SHEET_COLUMNS]
                judge("savedmodel", images, parity.LIMITS["savedmodel"])
            else:
                pixels = np.stack([_decode_png(data) for data in images]) if images.dtype == object else images
                judge(f"savedmodel/{signature}", pixels / 255.0, parity.ROUNDED)
    model_inputs = tuple(inputs[key] for key in ("latents", "labels") if key in inputs)
    for variant in tflite.VARIANTS:
        images = tflite.run(_tflite_file(folder, name, variant), model_inputs)
        rows[f"TFLite {variant}"] = images[:SHEET_COLUMNS]
        judge(f"tflite/{variant}", images, parity.LIMITS[variant])
    return rows, differences


def _decode_png(data: bytes) -> np.ndarray[Any, Any]:
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _tflite_file(folder: Path, name: str, variant: str) -> Path:
    return folder / "tflite" / f"{name}-{variant}.tflite"


def _manifest(generator: Generator, name: str, folder: Path, differences: Mapping[str, Difference]) -> dict[str, Any]:
    return {
        "name": name,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "latent_size": generator.latent_size,
        "image_shape": list(generator.image_shape),
        "output_range_of_the_generator": list(generator.output_range),
        "class_count": generator.class_count,
        "class_names": list(generator.class_names),
        "signatures": describe(generator),
        "warmup_batch_sizes": list(warmup.BATCH_SIZES),
        "parity": {what: difference.as_json() for what, difference in differences.items()},
        "provenance": {
            **generator.provenance,
            "versions": {
                package: version_of(package) for package in ("genline", "tensorflow", "keras", "ai-edge-litert")
            },
        },
        "files": repository.digests(folder),
    }
