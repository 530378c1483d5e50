"""A generator as editing sees it: latents, and classes where it takes any, to images that can be differentiated.

It is a run's, a version of a model repository, a Keras file or a SavedModel by other hands. Where no interface.json
names the inputs, they are judged by names, types and shapes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gentrain import quiet
from gentrain.errors import TrainError

CLASS_NAMES = ("label", "class", "cond", "categor", "digit")
"""What an input of classes is called in part, where its shape might be that of latents too."""

PROBED = 16


@dataclass(frozen=True)
class Input:
    """One input of a generator: its name, whether it takes latents, classes as numbers, or classes as 0 and 1."""

    name: str
    kind: str
    width: int


@dataclass(frozen=True, eq=False)
class Drawing:
    """A generator that draws from latents.

    Attributes:
        file: where it is from.
        latent_size: Z.
        classes: how many classes it knows: 0 for one without, -1 where it takes some, and nobody says how many.
        class_names: where they are known.
        shape: (H, W, C) of its images.
        preprocessing: how training made its images of files, as in interface.json.
        run: the run directory that it is of.
    """

    file: Path
    latent_size: int
    classes: int
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    preprocessing: dict[str, Any]
    run: Path | None
    _inputs: tuple[Input, ...]
    _call: Callable[[dict[str, Any]], Any]
    _low: float
    _high: float

    def __call__(self, latents: Any, labels: Any = None) -> Any:
        """Latents float32 (N, Z), labels int32 (N,) → images float32 (N, H, W, C) in [-1, 1], as a tensor."""
        import tensorflow as tf

        given = {one.name: latents if one.kind == "latents" else _classes(one, labels) for one in self._inputs}
        images = tf.cast(self._call(given), tf.float32)
        return (images - self._low) * (2.0 / (self._high - self._low)) - 1.0

    def label(self, text: str) -> int:
        """A class by its name or number.

        Raises:
            TrainError: it has none, or not this one.
        """
        if not self.classes:
            raise TrainError(f"--label {text}: {self.file} draws no classes")
        if text in self.class_names:
            return self.class_names.index(text)
        if not text.isdigit() or (self.classes > 0 and int(text) >= self.classes):
            some = ", ".join(self.class_names[:8]) or f"0 to {self.classes - 1}"
            raise TrainError(f"--label {text}: no class of {self.file}; expected one of {some}")
        return int(text)


def find(path: Path) -> Drawing:
    """The generator at a path: of a run the best snapshot where one was kept, of a repository the newest version.

    Raises:
        TrainError: nothing there that draws from latents; the message says what was found.
    """
    quiet.import_tensorflow()
    if (path / "config.json").is_file():
        best, last = path / "best" / "generator.keras", path / "generator.keras"
        file = best if best.exists() else last
        if not file.exists():
            raise TrainError(f"{path}: the run has no generator yet; gentrain fit --run {path} goes on with it")
        return _keras(file, _json(path / "interface.json"), path)
    if path.is_file():
        return _keras(path, _json(path.parent / "interface.json"), None)
    numbers = [int(entry.name) for entry in path.iterdir() if entry.name.isdigit()] if path.is_dir() else []
    version = path / str(max(numbers)) if numbers else path
    if (version / "saved_model.pb").is_file():
        return _saved_model(version)
    raise TrainError(f"{path}: expected a run directory, a version of a repository, a SavedModel or a .keras file")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _keras(file: Path, interface: dict[str, Any], run: Path | None) -> Drawing:
    import keras

    try:
        model = keras.models.load_model(file, compile=False)
        specs = [(tensor.name, tensor.dtype, tuple(tensor.shape)) for tensor in model.inputs]
    except Exception as error:  # zipfile, h5py, json and Keras each raise their own
        raise TrainError(f"{file}: not a Keras model that can be loaded: {_first_line(error)}") from error
    if len(model.outputs) != 1:
        raise TrainError(f"{file}: gives {len(model.outputs)} outputs, expected images alone")

    def call(given: dict[str, Any]) -> Any:
        values = [given[name] for name, _, _ in specs]
        return model(values if len(values) > 1 else values[0], training=False)

    embedded = [layer.input_dim for layer in model.layers if isinstance(layer, keras.layers.Embedding)]
    return _drawing(file, specs, interface, call, embedded[0] if len(embedded) == 1 else -1, run)


def _saved_model(folder: Path) -> Drawing:
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures["serving_default"]
    except Exception as error:  # TensorFlow raises nearly anything on damaged files
        raise TrainError(f"{folder}: no SavedModel with the signature serving_default: {_first_line(error)}") from error
    taken = signature.structured_input_signature[1]
    specs = [(name, spec.dtype.name, tuple(spec.shape)) for name, spec in taken.items()]
    outputs = list(signature.structured_outputs)
    if len(outputs) != 1 and "images" not in outputs:
        raise TrainError(f"{folder}: serving_default gives {', '.join(outputs)}; expected images")
    output = "images" if "images" in outputs else outputs[0]

    def call(given: dict[str, Any], kept: Any = loaded) -> Any:
        return signature(**given)[output]

    interface = _json(folder / "assets.extra" / "interface.json") or _published(_json(folder / "manifest.json"))
    return _drawing(folder, specs, interface, call, -1, None)


def _published(manifest: dict[str, Any]) -> dict[str, Any]:
    """What the manifest of a version says of its classes, as interface.json would."""
    count = manifest.get("class_count")
    if not count:
        return {}
    labels = {"name": "labels", "role": "labels", "range": [0, count - 1], "classes": manifest.get("class_names") or []}
    return {"inputs": [labels]}


def _drawing(
    file: Path,
    specs: list[tuple[str, str, tuple[int | None, ...]]],
    interface: dict[str, Any],
    call: Callable[[dict[str, Any]], Any],
    classes: int,
    run: Path | None,
) -> Drawing:
    """Put together what is known of a generator, and try it."""
    import tensorflow as tf

    described = {each["name"]: each for each in interface.get("inputs", ())}
    inputs = tuple(_input(file, *spec, described.get(spec[0])) for spec in specs)
    kinds = [one.kind for one in inputs]
    if kinds.count("latents") != 1 or len(inputs) > 2 or len(set(kinds)) != len(kinds):
        found = ", ".join(f"{name} {dtype} {shape}" for name, dtype, shape in specs)
        raise TrainError(f"{file}: takes {found}; expected latents (N, Z), and classes at most beside them")
    latents = next(one for one in inputs if one.kind == "latents")
    labels = next((one for one in inputs if one.kind != "latents"), None)
    about = described.get(labels.name, {}) if labels else {}
    if labels is None:
        classes = 0
    elif labels.kind == "one-hot":
        classes = labels.width
    elif "range" in about:
        classes = int(about["range"][1]) + 1
    samples = {one.name: _probe(one, latents.width) for one in inputs}
    try:
        images = np.asarray(tf.cast(call(samples), tf.float32))
    except Exception as error:  # a foreign model may do anything
        raise TrainError(f"{file}: cannot be run: {_first_line(error)}") from error
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise TrainError(f"{file}: gives {images.shape[1:]}, expected images (N, H, W, C), grey or in colour")
    output: dict[str, Any] = next(iter(interface.get("outputs", ())), {})
    return Drawing(
        file,
        latents.width,
        classes,
        tuple(about.get("classes", ())),
        images.shape[1:],
        output.get("preprocessing", {}),
        run,
        inputs,
        call,
        *_range(images),
    )


def _input(file: Path, name: str, dtype: str, shape: tuple[int | None, ...], about: dict[str, Any] | None) -> Input:
    """What an input takes, by its role, or by its name, type and shape."""
    role = (about or {}).get("role")
    width = int(shape[1] or 0) if len(shape) == 2 else 0
    is_float = "float" in dtype
    if role not in (None, "latents", "labels"):
        raise TrainError(f"{file}: draws from {role} too; expected latents, and classes at most beside them")
    named = role == "labels" or (role is None and any(word in name.lower() for word in CLASS_NAMES))
    if width and is_float and not named:
        return Input(name, "latents", width)
    if width > 1 and named:
        return Input(name, "one-hot", width)
    if len(shape) == 1 or width == 1:
        return Input(name, "column" if width else "labels", width)
    raise TrainError(f"{file}: its input {name} is {dtype} {shape}; expected latents (N, Z) or classes (N,)")


def _classes(one: Input, labels: Any) -> Any:
    import tensorflow as tf

    if one.kind == "one-hot":
        return tf.one_hot(labels, one.width)
    return labels[:, None] if one.kind == "column" else labels


def _probe(one: Input, latent_size: int) -> Any:
    import tensorflow as tf

    if one.kind == "latents":
        return tf.constant(np.random.default_rng(0).standard_normal((PROBED, latent_size)), tf.float32)
    return _classes(one, tf.zeros([PROBED], tf.int32))


def _range(images: Any) -> tuple[float, float]:
    """Black and white of a generator, judged by what it draws."""
    if not np.isfinite(images).all():
        return -1.0, 1.0
    if images.min() < -0.01:
        return -1.0, 1.0
    return (0.0, 255.0) if images.max() > 1.5 else (0.0, 1.0)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
