"""Where generated pictures come from: a run, a .keras or .tflite file, a published version, or anybody's pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gentrain import quiet
from gentrain.data.dataset import Frame, Pixels
from gentrain.data.sizes import LARGEST_SIDE
from gentrain.errors import TrainError
from gentrain.images import to_pixels
from gentrain.plan import refuse_detector

BATCH = 64

Draw = Callable[[int], Pixels]
"""So many pictures uint8 (N, H, W, C)."""


@dataclass(frozen=True, eq=False)
class Generator:
    """Something that makes pictures; `preprocessing` is how its training cut pictures, where that is known.

    `discriminator` is the file of the one that it was trained against, where that is kept.
    """

    name: str
    kind: str
    shape: tuple[int, int, int]
    draw: Draw
    preprocessing: Mapping[str, Any]
    discriminator: Path | None = None

    @property
    def side(self) -> int:
        """What real pictures can be read at that is not larger than these."""
        return min(self.shape[0] // 4 * 4, LARGEST_SIDE)


def find(source: str) -> Generator | None:
    """The generator that `source` names; None for what is to be read as pictures.

    Raises:
        TrainError: a run, a version or a file without a generator in it, or one that needs more than seeds and classes.
    """
    path = Path(source)
    if path.suffix == ".keras" and path.is_file():
        return _keras(source, path, "generator", None)
    if path.suffix == ".tflite" and path.is_file():
        return _tflite(source, path)
    if (path / "config.json").is_file():
        return _run(source, path)
    if path.is_dir() and (version := _version(path)) is not None:
        return _saved_model(source, version)
    return None


def _run(source: str, run: Path) -> Generator:
    refuse_detector(run)
    for folder in (run / "best", run):
        if (folder / "generator.keras").is_file():
            critic = folder / "discriminator.keras"
            return _keras(source, folder / "generator.keras", "run", critic if critic.is_file() else None)
    raise TrainError(f"{source}: a run that has kept no generator yet; gentrain fit --run {source} goes on with it")


def _version(path: Path) -> Path | None:
    """The folder of a SavedModel: this one, or the newest version of a model; None where nothing looks like either."""
    versions = sorted(
        (each for each in path.iterdir() if each.name.isdigit() and each.is_dir()), key=lambda v: int(v.name)
    )
    for folder in (path, *reversed(versions)):
        if (folder / "saved_model.pb").is_file():
            return folder
    if (path / "manifest.json").is_file():
        raise TrainError(f"{path}: a version without its files (it has no saved_model.pb)")
    return None


def _keras(source: str, file: Path, kind: str, discriminator: Path | None) -> Generator:
    quiet.import_tensorflow()
    import keras

    try:
        model = keras.models.load_model(file, compile=False)
    except Exception as error:  # zipfile, h5py, json and Keras each raise their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrainError(f"{file}: not a Keras model that can be loaded: {reason[:200]}") from error
    folder = file.parent.parent if file.parent.name == "best" else file.parent
    interface = _json(folder / "interface.json") if kind == "run" else {}
    embeddings = [layer.input_dim for layer in model.layers if isinstance(layer, keras.layers.Embedding)]
    shapes = {tensor.name: tuple(tensor.shape) for tensor in model.inputs}
    makes = _Inputs(source, shapes, interface, embeddings[0] if embeddings else 0)

    def call(given: dict[str, Any]) -> Any:
        values = [given[tensor.name] for tensor in model.inputs]
        return model(values if len(values) > 1 else values[0], training=False)

    return _generator(source, kind, makes, call, _preprocessing(interface), discriminator)


def _saved_model(source: str, version: Path) -> Generator:
    quiet.import_tensorflow()
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(version))
        signature = loaded.signatures["serving_default"]
    except Exception as error:  # TensorFlow raises what it likes on a damaged one
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrainError(f"{source}: not a SavedModel that can be served: {reason[:200]}") from error
    interface = _json(version / "assets.extra" / "interface.json")
    classes = len(_json(version / "manifest.json").get("class_names") or ())
    specs = {name: tuple(spec.shape) for name, spec in signature.structured_input_signature[1].items()}
    makes = _Inputs(source, specs, interface, classes)

    def call(given: dict[str, Any]) -> Any:
        signature = loaded.signatures["serving_default"]  # its variables live as long as `loaded` does
        return next(iter(signature(**{name: tf.constant(value) for name, value in given.items()}).values()))

    return _generator(source, "version", makes, call, _preprocessing(interface))


def _tflite(source: str, file: Path) -> Generator:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        raise TrainError(f"{source}: .tflite files need ai-edge-litert: pip install '.[device]'") from None
    try:
        with quiet.stderr():
            interpreter = Interpreter(model_content=file.read_bytes())
            interpreter.allocate_tensors()
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainError(f"{source}: not a TFLite model: {(str(error).splitlines() or [''])[0][:200]}") from error
    about = _metadata(file)
    inputs = {_short(detail["name"]): detail for detail in interpreter.get_input_details()}
    output = interpreter.get_output_details()[0]
    shapes = {name: (None, *detail["shape"][1:]) for name, detail in inputs.items()}
    makes = _Inputs(source, shapes, about.get("interface") or {}, len(about.get("class_names") or ()))

    def one(given: dict[str, Any]) -> Any:
        for name, detail in inputs.items():
            interpreter.set_tensor(detail["index"], _quantised(given[name], detail))
        interpreter.invoke()
        return _floats(interpreter.get_tensor(output["index"]), output)

    def call(given: dict[str, Any]) -> Any:
        count = len(next(iter(given.values())))
        return np.concatenate([one({name: value[i : i + 1] for name, value in given.items()}) for i in range(count)])

    return _generator(source, "tflite", makes, call, _preprocessing(about.get("interface") or {}))


class _Inputs:
    """What a generator is given: latents of seeds, and classes at random; raises TrainError where it needs more."""

    def __init__(self, source: str, shapes: Mapping[str, Any], interface: Mapping[str, Any], classes: int) -> None:
        self.latents, self.labels, self.classes = "", "", classes
        roles = {about["name"]: about for about in interface.get("inputs", ())}
        for name, shape in shapes.items():
            role = roles.get(name, {}).get("role") or ("latents" if len(shape) == 2 else name)
            if role == "latents" and len(shape) == 2 and shape[1] and not self.latents:
                self.latents, self.size = name, int(shape[1])
            elif role == "labels" or len(shape) == 1:
                self.labels = name
                self.classes = int(roles.get(name, {}).get("range", (0, classes - 1))[1]) + 1
            else:
                raise TrainError(f"{source}: needs {role} for each picture; give a folder of pictures that it has made")
        if not self.latents or (self.labels and not self.classes):
            wanted = "how many classes it has is not known" if self.labels else "it takes no latents (N, Z)"
            raise TrainError(f"{source}: {wanted}; give a folder of pictures that it has made")

    def batches(self, count: int) -> Iterator[dict[str, Any]]:
        """For the seeds from 0 on."""
        quiet.import_tensorflow()
        from gentrain.networks.latents import latents_of_seeds

        labels = np.random.default_rng(0).integers(0, max(self.classes, 1), count, np.int32)
        for start in range(0, count, BATCH):
            seeds = np.arange(start, min(start + BATCH, count))
            given = {self.latents: np.asarray(latents_of_seeds(seeds, self.size))}
            yield given | ({self.labels: labels[seeds]} if self.labels else {})


def _generator(
    source: str,
    kind: str,
    inputs: _Inputs,
    call: Callable[[dict[str, Any]], Any],
    preprocessing: Mapping[str, Any],
    discriminator: Path | None = None,
) -> Generator:
    first = np.asarray(call(next(iter(inputs.batches(BATCH)))))
    if first.ndim != 4 or first.shape[1] != first.shape[2] or first.shape[3] not in (1, 3):
        raise TrainError(f"{source}: gives {first.shape}, expected square pictures (N, side, side, 1 or 3)")
    signed = first.dtype != np.uint8 and float(first.min()) < -0.05

    def draw(count: int) -> Pixels:
        return np.concatenate([_as_pixels(np.asarray(call(given)), signed, source) for given in inputs.batches(count)])

    shape = (int(first.shape[1]), int(first.shape[2]), int(first.shape[3]))
    return Generator(source, kind, shape, draw, preprocessing, discriminator)


def _as_pixels(images: Any, signed: bool, source: str) -> Pixels:
    if images.dtype == np.uint8:
        return images
    if not np.isfinite(images).all():
        raise TrainError(f"{source}: gives values that are no numbers")
    return to_pixels(images if signed else images * 2 - 1)


def _quantised(values: Any, detail: Mapping[str, Any]) -> Any:
    scale, zero = detail["quantization"]
    if not scale:
        return values.astype(detail["dtype"])
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.rint(values / scale + zero), limits.min, limits.max).astype(detail["dtype"])


def _floats(values: Any, detail: Mapping[str, Any]) -> Any:
    """Floats of integers, but for pixels."""
    scale, zero = detail["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale and values.dtype != np.uint8 else values


def _short(name: str) -> str:
    """`latents` of `generate_latents:0`."""
    return name.split(":")[0].removeprefix("generate_").removeprefix("serving_default_")


def _metadata(file: Path) -> dict[str, Any]:
    """What genexport wrote into a TFLite file; {} where it has not."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(file.read_bytes())
    for number in range(model.MetadataLength()):
        if model.Metadata(number).Name() == b"genline":
            text = model.Buffers(model.Metadata(number).Buffer()).DataAsNumpy().tobytes()
            return dict(json.loads(text))
    return {}


def _preprocessing(interface: Mapping[str, Any]) -> Mapping[str, Any]:
    return next((out.get("preprocessing") or {} for out in interface.get("outputs", ())), {})


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def frame(generators: list[Generator], resolution: int | None, crop: str | None) -> Frame:
    """How real pictures are to be read, so that they are as large as generated ones and cut as their training was."""
    sides = [generator.side for generator in generators]
    known = next((each.preprocessing for each in generators if each.preprocessing), {})
    return Frame(
        resolution or min(sides, default=64),
        crop=crop or known.get("crop", "center"),
        background=known.get("background", "white"),
    )
