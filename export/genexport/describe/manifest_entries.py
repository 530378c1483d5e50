"""What the manifest says of a version beside its files: shapes, signatures, differences, data, training, provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Protocol

from genexport.compare.parity import Difference
from genexport.describe import model_card, run_facts
from genexport.generator.load import Generator
from genexport.options import Options
from genexport.repository import manifest
from genexport.roles.tensor import Description
from genexport.savedmodel import batch_sizes, saved_model


class Model(Protocol):
    """What is said of any model."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Of latents and classes."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""

    @property
    def description(self) -> Description | None:
        """Its interface.json, where there is one."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where it comes from."""


def common(
    model: Model,
    name: str,
    kind: str,
    folder: Path,
    differences: Mapping[str, Difference],
    options: Options,
    warmed_shape: tuple[int, ...] = (),
) -> dict[str, Any]:
    """What the manifests of all kinds have in common; `folder` holds the SavedModel."""
    packages = ("genline", "tensorflow", "keras", "ai-edge-litert")
    interface = {"interface": model.description.json} if model.description else {}
    return {
        "name": name,
        "kind": kind,
        "created": manifest.now(),
        **model.facts,
        "image_shape": list(model.image_shape),
        **interface,
        "signatures": saved_model.describe(folder),
        "warmup_batch_sizes": list(batch_sizes.warmed(warmed_shape)),
        "limits": asdict(options.limits.over(0.0)),
        "parity": {what: difference.as_json() for what, difference in differences.items()},
        "provenance": {**model.provenance, "versions": {package: version_of(package) for package in packages}},
    }


def described(
    generator: Generator,
    name: str,
    kind: str,
    folder: Path,
    differences: Mapping[str, Difference],
    options: Options,
    warmed_shape: tuple[int, ...] = (),
) -> dict[str, Any]:
    """The same of a generator, and of what judges its images."""
    entries = common(generator, name, kind, folder, differences, options, warmed_shape)
    return {**entries, "output_range_of_the_generator": list(generator.output_range)}


def of_run(model: Model, run: Path | None, licence: str) -> dict[str, Any]:
    """What the run directory says; for a model file there is only the licence."""
    if run is None:
        return {"data": {"licence": licence.strip() or model_card.NOT_STATED}, "training": {}, "quality": {}}
    measured = model.provenance.get("measured", {})
    snapshot = model.provenance.get("snapshot", "last")
    return {
        "data": run_facts.data(run, licence),
        "training": run_facts.training(run, measured.get("kimg")),
        "quality": run_facts.quality(run, snapshot, measured),
    }
