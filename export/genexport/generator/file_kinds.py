"""What a file or folder is by its content, and for what is no Keras model one line that says what to do with it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

SAVE = "save the generator with model.save('generator.keras')"


def kind(path: Path) -> str:
    """`keras`, `keras2`, `h5`, `saved_model`, or one of `ADVICE`."""
    if path.is_dir():
        return "saved_model" if (path / "saved_model.pb").exists() else "folder"
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _hdf5(path)
    if head[4:8] == b"TFL3":
        return "tflite"
    if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return "pickle"
    if len(head) > 9 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors"
    return {".onnx": "onnx", ".index": "checkpoint", ".pb": "graph", "": "nothing" if not head else "unknown"}.get(
        path.suffix.lower(), "empty" if not head else "unknown"
    )


ADVICE = {
    "truncated": "an archive that is cut short or damaged: save or copy it again",
    "zip": f"a zip archive without a Keras model in it; {SAVE}",
    "weights": "weights without their network: build the model in Python, load them with model.load_weights, and "
    "save it whole with model.save('generator.keras')",
    "torch": "weights of PyTorch, which Keras cannot read: build the same network in Keras, copy the weights, and save "
    "it with model.save('generator.keras')",
    "safetensors": "weights as safetensors, without their network: build the model in Keras, assign the weights, and "
    "save it with model.save('generator.keras')",
    "pickle": f"a pickle, perhaps of PyTorch or StyleGAN, whose code would have to be run; {SAVE}",
    "tflite": f"a TFLite file, which is what genexport makes, not what it takes; {SAVE}",
    "onnx": f"an ONNX file, which is what genexport makes, not what it takes; {SAVE}",
    "checkpoint": "a checkpoint of TensorFlow, weights without their network: restore it in Python and save the model "
    "with model.save('generator.keras')",
    "graph": "a graph without the folder of its SavedModel: name the folder that holds saved_model.pb and variables/",
    "folder": "no generator.keras in it, which gentrain fit writes with its first checkpoint; expected a run "
    "directory, a model file, or the folder of a SavedModel",
    "empty": f"an empty file; {SAVE}",
    "nothing": f"an empty file; {SAVE}",
    "unknown": f"not a .keras file ({SAVE})",
}


def _archive(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        return "truncated"
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "config.json" in names:
                described = json.loads(archive.read("metadata.json")) if "metadata.json" in names else {}
                return "keras2" if str(described.get("keras_version", "3")).startswith("2.") else "keras"
    except (ValueError, OSError, zipfile.BadZipFile):
        return "truncated"
    return "torch" if any(name.endswith("data.pkl") for name in names) else "zip"


def _hdf5(path: Path) -> str:
    import h5py

    try:
        with h5py.File(path) as file:
            return "h5" if "model_config" in file.attrs else "weights"
    except OSError:
        return "truncated"
