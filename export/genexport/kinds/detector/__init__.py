"""Detectors of generated pictures, of a run that `gentrain detector` trained: pictures in, scores and verdicts out.

model.py     the detector as it is loaded, with its threshold and its examples
version.py   what a version holds: signatures, TFLite and ONNX files, compared with Keras, and its manifest
card.py      its model card: what it found, and what it cannot know
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexport.kinds.kind import Kind, Report, Source, Version

if TYPE_CHECKING:
    from genexport.compare.parity import Difference
    from genexport.kinds.detector.model import Detector as Model
    from genexport.savedmodel.signatures import Signature


FILES = ("float32", "onnx", "float16", "dynamic")
"""Those of `options.FILES` that a version can hold: a score of eight bits would be too coarse."""


class Detector(Kind):
    """`images` → `scores`, higher is more real, and the verdict, `generated`. A model is a `model.Detector`."""

    name = "detector"
    tasks = ("fake-detection",)
    compared = "the detector's scores"
    files = FILES

    def load(self, source: Source) -> Model:
        from genexport.kinds.detector import model

        return model.load(source)

    def about(self, model: Model) -> str:
        height, width, channels = model.image_shape
        return f"a detector for pictures of {width}×{height}×{channels}, {model.operating_point.text()}"

    def endpoints(self, model: Model) -> dict[str, Signature]:
        from genexport.kinds.detector import version as detector_version

        return detector_version.signatures(model)

    def examples(self, model: Model, count: int) -> Mapping[str, Any]:
        return model.examples(count)

    def interface(self, model: Model) -> Mapping[str, Any]:
        return model.description.json

    def compare(self, model: Model, version: Version) -> dict[str, Any]:
        from genexport.kinds.detector import version as detector_version

        return detector_version.compare(self, model, version)

    def verify(
        self, folder: Path, manifest: Mapping[str, Any], reference: dict[str, Any], report: Report
    ) -> dict[str, Difference]:
        from genexport.kinds.detector import version as detector_version

        return detector_version.verify(folder, manifest, reference, report)

    def takes(self, manifest: Mapping[str, Any]) -> str:
        return "judged by a detector"

    def quality(self, manifest: Mapping[str, Any]) -> str:
        from genexport.kinds.detector.model import OperatingPoint

        return OperatingPoint.of(manifest).text()
