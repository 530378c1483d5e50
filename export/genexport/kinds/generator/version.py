"""What a generator's version holds beside its SavedModel: files that are run and compared, pictures, card, manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from genexport import onnx
from genexport.compare import frechet, parity, rounding
from genexport.compare.parity import Difference, Limits
from genexport.describe import class_directions, directions, image_grid, manifest_entries, model_card, tables
from genexport.errors import CannotBeMade, ExportError
from genexport.generator.load import Generator as Model
from genexport.kinds.generator import Generator as Kind
from genexport.kinds.generator import inverted, proof, worst_layer
from genexport.kinds.kind import Report, Version
from genexport.options import Options
from genexport.repository import manifest
from genexport.roles import requests
from genexport.savedmodel.saved_model import ServingSession
from genexport.tflite import convert, ops

REFERENCE = "reference.npz"


def compare(kind: Kind, generator: Model, version: Version) -> dict[str, Any]:
    """Everything of a version beside the SavedModel, and what the manifest says.

    Each file is compared as soon as it is there, the quickest first, so that what fails fails early.
    """
    features = kind.features(version.run)
    count = frechet.EXAMPLES if features else generator.compared
    inputs, expected = proof.reference(generator, count)
    kept_inputs = requests.keep({key: values[: generator.compared] for key, values in inputs.items()})
    kept_inputs[generator.output] = expected[: proof.GRID_COLUMNS]
    if generator.encoder:
        kept_inputs |= inverted.reference(generator, expected)
    np.savez_compressed(version.folder / REFERENCE, **kept_inputs)
    options, report = _with_rounding(version.options, generator, inputs, expected), version.report

    worst = partial(worst_layer.worst_layer, generator, report=report)
    comparison = proof.Proof(version.folder, version.name, inputs, expected, options.limits, features, worst, report)
    _within_limit(options, comparison.savedmodel)
    by = " and by the Fréchet distance" if features else ""
    report(f"{len(options.selected())} files, each compared with Keras on {count} examples{by}")
    left_out, needs = _files(generator, comparison, options, report, kind.leaves_out_integers)
    back = inverted.publish(generator, version, kept_inputs)

    found, no_directions = _directions(generator, version, features)
    _contact_sheet(kind, generator, comparison)
    kind.draw(generator, comparison.expected, version.folder)
    described = {
        **manifest_entries.described(
            generator,
            version.name,
            kind.name,
            version.folder,
            comparison.differences | (back.differences if back else {}),
            options,
            kind.warmed_shape(generator),
        ),
        **manifest_entries.of_run(generator, version.run, options.licence),
        **kind.entries(generator),
        **_of_encoder(kind, generator, back),
        "notes": list(generator.notes),
        "left_out": left_out | (back.left_out if back else {}) | no_directions,
        "tflite": needs | (back.needs if back else {}),
        "target": options.target,
        "directions": found,
    }
    text = kind.card({**described, "files": manifest.digests(version.folder)})
    (version.folder / model_card.FILE).write_text(text, encoding="utf-8")
    return described


def verify(
    folder: Path, entries: Mapping[str, Any], reference: dict[str, Any], report: Report
) -> dict[str, Difference]:
    """Run a version: the SavedModel beside the images that it keeps of Keras', every file beside the SavedModel."""
    limits = Limits(**{"int8_spread": float("inf"), **entries.get("limits", {})})  # older versions do not have this one
    kept_images = reference.pop("clips" if "clips" in reference else "images")
    with ServingSession(folder) as served:
        back = inverted.verify(folder, entries, reference, partial(served.run_all, "serving_default"))
        inputs = requests.restore(reference)
        expected = served.run_all("serving_default", inputs)
    difference = parity.compare(expected[: len(kept_images)], kept_images)
    parity.check("savedmodel", difference, limits.of("savedmodel"))
    if (folder / onnx.place(entries["name"])).exists() and (missing := onnx.missing()):
        report(f"the ONNX file is not run: {missing} is not installed ({onnx.INSTALL})")
    # Among equals of the SavedModel it would be compared with itself.
    proven = proof.prove(folder, entries["name"], inputs, expected, limits).differences
    return {**proven, "savedmodel": difference, **back}


def _of_encoder(kind: Kind, generator: Model, back: inverted.Inverted | None) -> dict[str, Any]:
    """What the manifest says of the way back: its own entry, and the interface, where there is one."""
    if back is None or generator.encoder is None:
        return {}
    interface = kind.interface(generator)
    return {
        "encoder": inverted.described(generator.encoder, back),
        **({"interface": interface} if interface else {}),
    }


def _directions(
    generator: Model, version: Version, features: frechet.Features | None
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The directions of the latent space; and what there is none of, with the reason."""
    if not generator.latent_size:
        return [], {}
    version.report("directions of the latent space")
    classifier = class_directions.classifier_of(generator, version.run, features)
    told = None if isinstance(classifier, str) else classifier
    found, reason = directions.write(generator, version.folder, told)
    left_out = {"directions": reason} if reason else {}
    if isinstance(classifier, str):
        left_out["directions/classes"] = classifier
    for what, why in left_out.items():
        version.report(f"no {'directions of classes' if '/' in what else what}: {why}")
    return found, left_out


def _contact_sheet(kind: Kind, generator: Model, comparison: proof.Proof) -> None:
    """The first images of every file, the pictures that they are made of, and the right ones where they are known."""
    columns = min(proof.GRID_COLUMNS, len(comparison.expected))
    rows = {"Keras": comparison.expected[:columns], **comparison.rows}
    pictures = {key: values[:columns] for key, values in comparison.inputs.items() if values.ndim == 4}
    truth = generator.real_examples.truth if generator.real_examples else None
    grid_rows = kind.grid_rows(rows, pictures, truth if truth is None else truth[:columns])
    image_grid.write(grid_rows, comparison.folder / image_grid.CONTACT_SHEET)


def _with_rounding(options: Options, generator: Model, inputs: Any, expected: Any) -> Options:
    """With limits for what is computed in float32 that the generator's own rounding does not break."""
    return replace(options, limits=options.limits.over(rounding.TIMES * rounding.noise(generator, inputs, expected)))


def _files(
    generator: Model, comparison: proof.Proof, options: Options, report: Report, lenient: bool = False
) -> tuple[dict[str, str], dict[str, Any]]:
    """Write and compare the files; gives those that cannot be made, with the reason, and what the TFLite files need."""
    left_out: dict[str, str] = {}
    needs_of: dict[str, Any] = {}
    with convert.Converter(generator, comparison.name, report, options.limits, options.target) as converter:
        for kind in options.selected():
            what, file = proof.artifact(kind), proof.file_of(comparison.folder, comparison.name, kind)
            try:
                content = _content(kind, generator, comparison.name, converter, report)
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(content)
                _within_limit(options, partial(_check_file, comparison, kind, options, lenient))
            except CannotBeMade as error:
                file.unlink(missing_ok=True)
                if options.insists_on(kind):
                    raise ExportError(f"{error}; {_how_to_leave_out(options, kind)}") from error
                label = "ONNX" if kind == "onnx" else f"TFLite {kind}"
                left_out[what] = str(error)
                for prefix in (f"{generator.path}: ", f"no {label} file: ", f"{what}: ", f"{file.name}: "):
                    left_out[what] = left_out[what].removeprefix(prefix)
                report(f"no {label} file: {left_out[what]}")
                continue
            if kind != "onnx":
                needs_of[kind] = ops.needs(content)
                if kind in convert.INTEGERS and (floats := tables.floats_text(needs_of[kind])):
                    report(f"TFLite {kind}: {floats}")
    for folder in ("tflite", "onnx"):
        if (place := comparison.folder / folder).is_dir() and not any(place.iterdir()):
            place.rmdir()
    return left_out, needs_of


def _check_file(comparison: proof.Proof, kind: str, options: Options, lenient: bool) -> None:
    """Compare a file; an integer one past its limit cannot be made where that is no reason to publish nothing."""
    try:
        comparison.file(kind)
    except proof.PastLimit as error:
        if lenient and kind in convert.INTEGERS and not options.insists_on(kind):
            raise CannotBeMade(f"{error}; {error.remedy} accepts it" if error.remedy else str(error)) from error
        raise


def _content(kind: str, generator: Model, name: str, converter: convert.Converter, report: Report) -> bytes:
    if kind != "onnx":
        report(f"TFLite {kind}")
        return converter.make(kind)
    if missing := onnx.missing():
        raise CannotBeMade(f"{missing} is not installed ({onnx.INSTALL})")
    report("ONNX: float32")
    return onnx.convert(generator, name)


def _within_limit(options: Options, check: Callable[[], None]) -> None:
    """Run a check; where a limit is exceeded, the error names the option that accepts it."""
    try:
        check()
    except proof.PastLimit as error:
        raise ExportError(f"{error}; {error.remedy} accepts it" if error.remedy else str(error)) from error


def _how_to_leave_out(options: Options, kind: str) -> str:
    rest = ",".join(file for file in options.selected() if file != kind)
    return "--no-onnx leaves it out" if kind == "onnx" and not options.files else f"--files {rest} leaves it out"
