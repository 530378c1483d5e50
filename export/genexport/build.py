"""What a generator's version holds: every file written into a folder, run, compared with Keras, and in the manifest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from genexport import (
    about,
    blame,
    card,
    directions,
    frechet,
    manifest,
    onnx,
    parity,
    proof,
    savedmodel,
    sheet,
    signatures,
    tflite,
    warmup,
)
from genexport.generator import Generator
from genexport.options import Options

REFERENCE = "reference.npz"

Tell = Callable[[str], None]


def build(generator: Generator, name: str, run: Path | None, options: Options, folder: Path, tell: Tell) -> None:
    """Everything of a version, run and compared, with its manifest last."""
    features = frechet.Features.of(run)
    count = frechet.EXAMPLES if features else parity.EXAMPLES
    inputs, expected = proof.reference(generator, count)
    kept = {key: values[: parity.EXAMPLES] for key, values in inputs.items()}
    np.savez_compressed(folder / REFERENCE, **kept, images=expected[: proof.SHEET_COLUMNS])

    endpoints = signatures.signatures(generator)
    tell("SavedModel: " + ", ".join(endpoints))
    savedmodel.write(endpoints, folder)
    warmup.write(endpoints, lambda rows: signatures.examples(generator, rows), name, folder)

    (folder / "tflite").mkdir()
    for variant, content in tflite.convert(generator, name, tell).items():
        proof.tflite_file(folder, name, variant).write_bytes(content)
    _write_onnx(generator, name, options, folder, tell)

    tell("directions of the latent space")
    found = directions.strongest(generator)
    directions.draw(generator, found, folder / directions.FILE)

    by = " and by the Fréchet distance" if features else ""
    tell(f"comparing each with Keras on {count} latents{by}")
    proven = proof.prove(
        folder, name, inputs, expected, options.limits, features, lambda what: blame.worst_layer(generator, what)
    )
    sheet.write({"Keras": expected[: proof.SHEET_COLUMNS], **proven.rows}, folder / sheet.CONTACT_SHEET)
    described = {
        **about.described(generator, name, "generator", folder, proven.differences, options),
        **about.told(generator, run, options.licence),
        "notes": list(generator.notes),
        "directions": found,
    }
    text = card.text({**described, "files": manifest.digests(folder)})
    (folder / card.FILE).write_text(text, encoding="utf-8")
    manifest.write(folder, described)


def _write_onnx(generator: Generator, name: str, options: Options, folder: Path, tell: Tell) -> None:
    missing = onnx.missing()
    if options.onnx is None and missing:
        tell(f"no ONNX file: {missing} is not installed ({onnx.INSTALL})")
    elif options.onnx or options.onnx is None:
        tell("ONNX: float32")
        content = onnx.convert(generator, name)
        file = folder / onnx.place(name)
        file.parent.mkdir()
        file.write_bytes(content)
