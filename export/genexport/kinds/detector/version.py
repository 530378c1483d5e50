"""What a detector's version holds: a SavedModel, TFLite and ONNX files, each compared with Keras, and its manifest."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from genexport import onnx
from genexport.compare import parity
from genexport.compare.parity import Difference, Limits
from genexport.describe import image_grid, manifest_entries, model_card
from genexport.errors import CannotBeMade, ExportError
from genexport.kinds.detector import FILES, card
from genexport.kinds.detector.model import IMAGES, Detector
from genexport.kinds.kind import Kind, Report, Version
from genexport.repository import manifest
from genexport.roles import requests
from genexport.savedmodel import saved_model
from genexport.savedmodel.saved_model import ServingSession
from genexport.savedmodel.signatures import Signature, with_one_example
from genexport.tflite import convert, metadata, ops

REFERENCE = "reference.npz"
SIGNATURES = ("serving_default", "detect", "encoded")
"""The first two are the same; `encoded` takes pictures as files. Any batch from 0 on."""

ON_DEVICE = "detect"
"""The one signature of the TFLite files: (1, H, W, C) → (1,)."""

ROUNDING = 1e-4
"""What scores may differ by in float32 where `--limit` says nothing: a sigmoid of sums of a batch's own order."""

SHORTER = ("float16", "dynamic")
"""Files of fewer bits, left out where they differ too much: float32 and ONNX have to be what Keras has."""

COLUMNS = 16


def signatures(detector: Detector) -> dict[str, Signature]:
    """Name → (function, specs), of `SIGNATURES`."""
    return {name: _signature(detector, name) for name in SIGNATURES}


def _signature(detector: Detector, name: str) -> Signature:
    feed = IMAGES.feed(detector.images, name)

    def judged(given: tf.Tensor) -> dict[str, tf.Tensor]:
        scores = with_one_example(detector.scores, feed.read(given))
        return {"scores": scores, "generated": scores < detector.operating_point.threshold}

    return Signature(judged, [feed.spec()])


def compare(kind: Kind, detector: Detector, version: Version) -> dict[str, Any]:
    """Every file written, run and compared with Keras, and what the manifest says."""
    folder, options = version.folder, version.options
    inputs = {role: np.asarray(values) for role, values in detector.examples(detector.compared).items()}
    expected, threshold = detector.many(inputs), detector.operating_point.threshold
    np.savez_compressed(folder / REFERENCE, pixels=requests.to_bytes(inputs["images"]), scores=expected)
    options = replace(options, limits=options.limits.over(ROUNDING))
    differences = _savedmodel(folder, inputs, expected, threshold, options.limits)
    chosen = [file for file in options.selected() if file in kind.files]
    version.report(f"{len(chosen)} files, each compared with Keras on {len(expected)} examples")
    files = _Files()
    for file in chosen:
        files.add(detector, version, file, _Judged(inputs, expected, options.limits))
    differences |= files.differences
    _contact_sheet(folder, inputs["images"], expected, threshold)
    described = {
        **manifest_entries.common(detector, version.name, kind.name, folder, differences, options),
        **manifest_entries.of_run(detector, version.run, options.licence),
        **detector.operating_point.as_json(),
        "examples": {"count": len(expected), "source": detector.real_examples and detector.real_examples.source},
        "changed_verdicts": files.changed,
        "notes": list(detector.notes),
        "left_out": files.left_out,
        "tflite": files.needs,
    }
    text = card.text({**described, "files": manifest.digests(folder)})
    (folder / model_card.FILE).write_text(text, encoding="utf-8")
    return described


class _Judged(NamedTuple):
    """Examples, Keras' scores of them (N,), and what others may differ by."""

    inputs: Mapping[str, Any]
    expected: Any
    limits: Limits


@dataclass
class _Files:
    """What became of the files beside the SavedModel, each by its name in `parity`; `needs` by variant."""

    differences: dict[str, Difference] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    needs: dict[str, Any] = field(default_factory=dict)

    def add(self, detector: Detector, version: Version, file: str, judged: _Judged) -> None:
        """Make and compare one of `FILES`; what cannot be made is left out, unless it has to be there."""
        what, threshold = _artifact(file), detector.operating_point.threshold
        place = version.folder / _place(version.name, file)
        try:
            _write(detector, version, file, place)
            scores = _run(place, file, judged.inputs)
            self.differences[what] = _compared(what, scores, judged.expected, judged.limits, file in SHORTER)
        except CannotBeMade as error:
            _remove(place)
            if version.options.insists_on(file):
                raise
            self.left_out[what] = str(error).removeprefix(f"{detector.path}: ")
            version.report(f"{what} is left out: {self.left_out[what]}")
            return
        self.changed[what] = int(((scores < threshold) != (judged.expected < threshold)).sum())
        if file != "onnx":
            self.needs[file] = ops.needs(place.read_bytes())


def verify(
    folder: Path, entries: Mapping[str, Any], reference: dict[str, Any], report: Report
) -> dict[str, Difference]:
    """Compare everything in a version with Keras' scores of the examples that it keeps."""
    inputs, expected = requests.restore({"images": reference["pixels"]}), reference["scores"]
    limits = Limits(**entries["limits"])
    differences = _savedmodel(folder, inputs, expected, entries["threshold"], limits)
    for file in FILES:
        place = folder / _place(entries["name"], file)
        if not place.exists():
            continue
        if file == "onnx" and (missing := onnx.missing()):
            report(f"the ONNX file is not run: {missing} is not installed ({onnx.INSTALL})")
            continue
        what = _artifact(file)
        differences[what] = _compared(what, _run(place, file, inputs), expected, limits)
    return differences


def _savedmodel(
    folder: Path, inputs: Mapping[str, Any], expected: Any, threshold: float, limits: Limits
) -> dict[str, Difference]:
    """Every signature, by the v1 loader and a session: its scores, and that its verdicts are theirs."""
    differences = {}
    with ServingSession(folder) as served:
        for signature in sorted(served.signatures, key=lambda name: (name != "serving_default", name)):
            what = "savedmodel" if signature == "serving_default" else f"savedmodel/{signature}"
            scores = served.run_all(signature, inputs, "scores")
            differences[what] = _compared(what, scores, expected, limits)
            verdicts = served.run_all(signature, inputs, "generated")
            if not np.array_equal(verdicts, scores < np.float32(threshold)):
                raise ExportError(f"{what}: verdicts are not those of the threshold {threshold:g}")
    return differences


def _compared(what: str, scores: Any, expected: Any, limits: Limits, lenient: bool = False) -> Difference:
    """The difference of scores (N,) from Keras'.

    Raises:
        ExportError: it is past its limit; the message says which option accepts it.
        CannotBeMade: the same of a file that can be left out.
    """
    difference, limit = parity.compare(scores, expected), limits.of(what)
    try:
        parity.check(what, difference, limit, "scores")
    except ExportError as error:
        remedy = parity.remedy(what, difference, limit)
        message = f"{error}; {remedy} accepts it" if remedy else str(error)
        raise (CannotBeMade if lenient else ExportError)(message) from error
    return difference


def _artifact(file: str) -> str:
    return "onnx/float32" if file == "onnx" else f"tflite/{file}"


def _place(name: str, file: str) -> str:
    """Where a file lies in a version of the model `name`."""
    return onnx.place(name) if file == "onnx" else f"tflite/{name}-{file}.tflite"


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)
    if file.parent.is_dir() and not any(file.parent.iterdir()):
        file.parent.rmdir()


def _write(detector: Detector, version: Version, file: str, place: Path) -> None:
    """Make one of `FILES`.

    Raises:
        CannotBeMade: the detector needs what there is no op for, or a package is missing.
    """
    if file == "onnx" and (missing := onnx.missing()):
        raise CannotBeMade(f"{missing} is not installed ({onnx.INSTALL})")
    version.report("ONNX: float32" if file == "onnx" else f"TFLite {file}")
    content = _onnx(detector, version.name) if file == "onnx" else _tflite(detector, version.name, file)
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(content)


def _run(place: Path, file: str, inputs: Mapping[str, Any]) -> Any:
    return onnx.run(place, inputs) if file == "onnx" else convert.run(place, inputs, None, ON_DEVICE, "scores")


def _scores(detector: Detector) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    return lambda images: {"scores": detector.scores(images)}


def _tflite(detector: Detector, name: str, variant: str) -> bytes:
    spec = IMAGES.feed(detector.images, ON_DEVICE).spec(1)  # a batch of one, as browsers want it
    with tempfile.TemporaryDirectory() as folder:
        saved_model.write({ON_DEVICE: Signature(_scores(detector), [spec])}, Path(folder))
        converter = convert.converter_of(Path(folder), variant, ON_DEVICE)
        content = convert.carefully(detector, variant, converter.convert)
    return metadata.add(content, _about(detector, name) | {"variant": variant})


def _onnx(detector: Detector, name: str) -> bytes:
    spec = IMAGES.feed(detector.images, ON_DEVICE).spec()
    about = _about(detector, name)
    facts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in about.items()}
    summary = f"{name}: images in [0, 1] to scores in [0, 1], higher is more real"
    return onnx.converted(detector, tf.function(_scores(detector)), [spec], onnx.About(name, summary, facts))


def _about(detector: Detector, name: str) -> dict[str, Any]:
    """What there is to know for whoever holds nothing but a file."""
    return {
        "name": name,
        "signature": ON_DEVICE,
        "image_shape": list(detector.image_shape),
        "images": {"range": [0.0, 1.0], "layout": "NHWC"},
        **detector.operating_point.as_json(),
        "detector_sha256": detector.provenance["detector_sha256"],
        "genline": version_of("genline"),
        "interface": detector.description.json,
    }


def _contact_sheet(folder: Path, images: Any, scores: Any, threshold: float) -> None:
    """Examples that are called real, and such that are called generated, the surest first."""
    order = np.argsort(scores)
    called = {
        "called real": order[::-1][: int((scores >= threshold).sum())],
        "called generated": order[: int((scores < threshold).sum())],
    }
    rows = {
        f"{caption}, scores from {scores[rows[0]]:.2f}": images[rows[:COLUMNS]]
        for caption, rows in called.items()
        if len(rows)
    }
    image_grid.write(rows, folder / image_grid.CONTACT_SHEET)
