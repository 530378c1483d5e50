"""Load a generator and check that it is one. From here on it maps latents (and labels) to images in [0, 1]."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from genexport.errors import ExportError
from genexport.latents import latents_of_seeds

PROBES = 64
OUTPUT_RANGES: dict[str, tuple[float, float]] = {"-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0), "0..255": (0.0, 255.0)}


@dataclass(frozen=True, eq=False)
class Generator:
    """A Keras model with what is known of it.

    Attributes:
        model: latents float32 (N, Z) and perhaps labels int32 (N,) → images (N, H, W, C).
        path: the .keras file.
        latents_input, labels_input: names of the model's inputs; `labels_input` is None without classes.
        latent_size: Z.
        image_shape: (H, W, C).
        output_range: the model's own lowest and highest pixel values.
        class_count: the number of labels; 0 without classes.
        class_names: names of the labels, where known.
        provenance: where it comes from, for the manifest.
    """

    model: Any
    path: Path
    latents_input: str
    labels_input: str | None
    latent_size: int
    image_shape: tuple[int, int, int]
    output_range: tuple[float, float]
    class_count: int
    class_names: tuple[str, ...]
    provenance: dict[str, Any]

    @property
    def conditional(self) -> bool:
        """Whether it takes labels."""
        return self.labels_input is not None

    def images(self, latents: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        """Float32 (N, Z) [and int32 (N,)] → float32 (N, H, W, C) in [0, 1]; may be traced."""
        low, high = self.output_range
        raw = tf.cast(_call(self.model, self.latents_input, latents, self.labels_input, labels), tf.float32)
        return tf.clip_by_value((raw - low) / (high - low), 0.0, 1.0)

    def examples(self, count: int) -> tuple[tf.Tensor, ...]:
        """The inputs of seeds 0 to count − 1, with labels taken in turn: (latents,) or (latents, labels)."""
        latents = latents_of_seeds(tf.range(count, dtype=tf.int64), self.latent_size)
        if not self.conditional:
            return (latents,)
        return latents, tf.range(count, dtype=tf.int32) % max(self.class_count, 1)


def load(source: Path, output_range: str = "auto", snapshot: str = "best") -> Generator:
    """Load the generator of a run directory, or any .keras file with latents (and labels) in and images out.

    Args:
        source: a run directory (contract 1) or a .keras file.
        output_range: one of `OUTPUT_RANGES`, or `auto`: judged by the images of 64 seeds.
        snapshot: of a run, `best` by its own metric where it was measured, or the `last`.

    Raises:
        ExportError: nothing there, not a Keras file, or not a generator; the message says what was found.
    """
    path = source / "generator.keras" if source.is_dir() else source
    best = source / "best" / "generator.keras"
    if snapshot == "best" and best.exists():
        path = best
    if not path.exists():
        wanted = (
            "no generator.keras in it; has the run written a checkpoint yet?" if source.is_dir() else "no such file"
        )
        raise ExportError(f"{source}: {wanted}")
    model = _load_model(path)
    latents_input, latent_size, labels_input = _inputs(path, model)
    image_shape = _image_shape(path, model)
    class_names = _class_names(source) if labels_input else ()
    class_count = len(class_names) or (_embedded_classes(model) if labels_input else 0)
    probe = _probe(path, model, latents_input, latent_size, labels_input, class_count)
    return Generator(
        model=model,
        path=path,
        latents_input=latents_input,
        labels_input=labels_input,
        latent_size=latent_size,
        image_shape=image_shape,
        output_range=_output_range(path, output_range, probe),
        class_count=class_count,
        class_names=class_names,
        provenance=_provenance(source, path),
    )


def _load_model(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise ExportError(f"{path}: not a .keras file (save the generator with model.save('generator.keras'))")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises by whatever is wrong inside the archive
        foreign = sorted(_foreign_layers(path))
        if foreign:
            reason = f"it needs code that is not in the file ({', '.join(foreign)}); build it from Keras' own layers"
        else:
            reason = " ".join(str(error).split())[:400]
        raise ExportError(f"{path}: cannot be loaded: {reason}") from error


def _foreign_layers(path: Path) -> set[str]:
    """Classes of a .keras file that Keras itself has not, and Lambda, which holds code that is not loaded."""
    found = set()

    def walk(config: Any) -> None:
        if isinstance(config, list):
            for item in config:
                walk(item)
        elif isinstance(config, dict):
            module, name = config.get("module"), config.get("class_name")
            if name == "Lambda" or (name and config.get("registered_name") and not str(module).startswith("keras")):
                found.add(name)
            for item in config.values():
                walk(item)

    try:
        with zipfile.ZipFile(path) as archive:
            walk(json.loads(archive.read("config.json")))
    except (KeyError, ValueError, zipfile.BadZipFile):
        return set()
    return found


def _inputs(path: Path, model: Any) -> tuple[str, int, str | None]:
    latents, labels = [], []
    for tensor in model.inputs:
        kind = tf.as_dtype(tensor.dtype)
        if kind.is_floating and len(tensor.shape) == 2 and tensor.shape[1]:
            latents.append(tensor)
        elif kind.is_integer and len(tensor.shape) == 1:
            labels.append(tensor)
    if len(latents) != 1 or len(labels) > 1 or len(latents) + len(labels) != len(model.inputs):
        found = ", ".join(f"{t.name} {t.dtype} {_shape(t.shape)}" for t in model.inputs)
        raise ExportError(
            f"{path}: expected latents, float32 (N, Z), and perhaps labels, int32 (N,), as inputs; found {found}"
        )
    return latents[0].name, int(latents[0].shape[1]), labels[0].name if labels else None


def _image_shape(path: Path, model: Any) -> tuple[int, int, int]:
    shapes = [tuple(tensor.shape) for tensor in model.outputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or None in shapes[0][1:] or shapes[0][3] not in (1, 3, 4):
        found = ", ".join(map(_shape, shapes))
        raise ExportError(
            f"{path}: expected one output of images, (N, height, width, 1, 3 or 4 channels); found {found}"
        )
    _, height, width, channels = shapes[0]
    return height, width, channels


def _shape(shape: Any) -> str:
    return "(" + ", ".join("N" if size is None else str(size) for size in shape) + ")"


def _call(model: Any, latents_input: str, latents: Any, labels_input: str | None, labels: Any) -> Any:
    if labels_input is None:
        return model(latents, training=False)
    values = {latents_input: latents, labels_input: labels}
    if isinstance(model.input, dict):
        return model({key: values[tensor.name] for key, tensor in model.input.items()}, training=False)
    return model([values[tensor.name] for tensor in model.inputs], training=False)


def _probe(
    path: Path, model: Any, latents_input: str, latent_size: int, labels_input: str | None, class_count: int
) -> np.ndarray[Any, Any]:
    latents = latents_of_seeds(tf.range(PROBES, dtype=tf.int64), latent_size)
    labels = tf.range(PROBES, dtype=tf.int32) % max(class_count, 1)
    images = np.asarray(_call(model, latents_input, latents, labels_input, labels), np.float32)
    if not np.isfinite(images).all():
        raise ExportError(f"{path}: the images of seeds 0 to {PROBES - 1} hold values that are not finite")
    return images


def _output_range(path: Path, wanted: str, probe: np.ndarray[Any, Any]) -> tuple[float, float]:
    low, high = float(probe.min()), float(probe.max())
    slack = 1e-4
    fits = [name for name, (a, b) in OUTPUT_RANGES.items() if a - slack * b <= low and high <= b * (1 + slack)]
    if wanted != "auto":
        if wanted not in fits:
            raise ExportError(f"{path}: pixels lie in [{low:.4g}, {high:.4g}], not within --output-range {wanted}")
        return OUTPUT_RANGES[wanted]
    if not fits:
        raise ExportError(f"{path}: pixels lie in [{low:.4g}, {high:.4g}], in none of {', '.join(OUTPUT_RANGES)}")
    # Below zero can only be -1..1, above one only 0..255; what is neither is 0..1.
    if low < -slack:
        return OUTPUT_RANGES["-1..1"]
    return OUTPUT_RANGES["0..1"] if high <= 1 + slack else OUTPUT_RANGES["0..255"]


def _class_names(source: Path) -> tuple[str, ...]:
    described = source / "dataset.json"
    return tuple(json.loads(described.read_text(encoding="utf-8"))["class_names"]) if described.exists() else ()


def _embedded_classes(model: Any) -> int:
    """How many labels the model's embedding knows; 1 where there is none to ask."""
    sizes = [layer.input_dim for layer in model.layers if isinstance(layer, keras.layers.Embedding)]
    return min(sizes, default=1)


def _provenance(source: Path, path: Path) -> dict[str, Any]:
    from_run: dict[str, Any] = {}
    if source.is_dir() and (source / "config.json").exists():
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        dataset = json.loads((source / "dataset.json").read_text(encoding="utf-8"))
        from_run = {
            "run": config,
            "dataset": {key: dataset[key] for key in ("source", "count", "image_shape", "fingerprint")},
        }
        from_run["snapshot"] = "best" if path.parent.name == "best" else "last"
        measured = path.with_name("best.json")
        if measured.exists():
            from_run["measured"] = json.loads(measured.read_text(encoding="utf-8"))
    return {"generator_sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **from_run}
