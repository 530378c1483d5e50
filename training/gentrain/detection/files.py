"""The run directory of a detector, and its picture: real and generated examples with their scores."""

from __future__ import annotations

import io
import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from gentrain.detection.pictures import Pictures
from gentrain.errors import TrainError
from gentrain.files import marked, replacing, sweep, write_json
from gentrain.plan import DETECTION, LOCK, folder_of

if TYPE_CHECKING:
    from gentrain.detection.learn import Detector

NAMES = ("config.json", "dataset.json", "detector.keras", "metrics.json", "log.jsonl", "examples.npz", "scores.png")
LAST = "interface.json"

EXAMPLES = 256
SHOWN = 10
SMALLEST_SHOWN = 56
GAP, TEXT = 6, 14


def check(run: Path, sources: Sequence[str]) -> None:
    """Raise TrainError for a folder that is neither empty nor a detector's, or that lies among the pictures."""
    for source in sources:
        folder = folder_of(source)
        if folder is not None and run.resolve().is_relative_to(folder):
            raise TrainError(f"{run}: lies inside the data, {source}; take another --run")
    try:
        config = run / "config.json"
        if config.exists():
            if json.loads(config.read_text(encoding="utf-8")).get("task") != DETECTION:
                raise TrainError(f"{run}: holds another run; take another --run")
        elif run.exists():
            names = {entry.name for entry in run.iterdir() if not entry.name.startswith(".tmp-")}
            if names - {*NAMES, LAST, LOCK}:
                raise TrainError(
                    f"{run}: holds other things and no config.json; take an empty or a new folder for --run"
                )
    except NotADirectoryError:
        raise TrainError(f"{run}: not a folder") from None
    except (OSError, ValueError, AttributeError) as error:
        raise TrainError(f"{run / 'config.json'}: cannot be read ({error}); take another --run") from error


def write(
    run: Path, detector: Detector, pictures: Pictures, metrics: Mapping[str, Any], config: Mapping[str, Any]
) -> None:
    """Put a finished detector in its place: interface.json goes first and comes last, so it stands for a whole one."""
    sweep(run.glob(".tmp-*"))
    (run / LAST).unlink(missing_ok=True)
    write_json(run / "config.json", config)
    write_json(run / "dataset.json", pictures.dataset.describe())
    write_json(run / "metrics.json", metrics)
    with replacing(run / "log.jsonl") as temporary:
        temporary.write_text("".join(json.dumps(line) + "\n" for line in detector.log), encoding="utf-8")
    with replacing(run / "detector.keras") as temporary:
        detector.model.save(temporary)
    _write_examples(run / "examples.npz", pictures)
    picture = draw(detector, pictures)
    with replacing(run / "scores.png") as temporary:
        picture.save(temporary, "PNG", pnginfo=marked("a detector's examples"))
    write_json(run / LAST, interface(detector, pictures))


def config(pictures: Pictures, options: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """What config.json holds."""
    packages = ("tensorflow", "keras", "numpy", "genline")
    return {
        "task": DETECTION,
        **options,
        "image_shape": list(pictures.shape),
        "crop": pictures.frame.crop,
        "background": pictures.frame.background,
        "sources": {part.name: {"kind": part.kind, "count": part.count, "seen": part.seen} for part in pictures.fakes},
        "seconds": round(seconds, 1),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
    }


def interface(detector: Detector, pictures: Pictures) -> dict[str, Any]:
    """What interface.json holds: docs/contracts.md."""
    frame = pictures.frame
    preprocessing = {"crop": frame.crop, "background": frame.background, "resize": "lanczos"}
    if pictures.dataset.value_ranges:
        preprocessing["value_ranges"] = dict(pictures.dataset.value_ranges)  # type: ignore[assignment]
    shape = [None, *pictures.shape]
    low, high = detector.interval
    images = {"name": "images", "role": "image", "dtype": "float32", "shape": shape, "range": [-1, 1]}
    values = {"name": "scores", "role": "scores", "dtype": "float32", "shape": [None], "range": [0, 1]}
    return {
        "version": 1,
        "task": DETECTION,
        "inputs": [images | {"preprocessing": preprocessing}],
        "outputs": [
            values | {"threshold": detector.threshold, "false_alarms": 0.05, "false_alarms_interval": [low, high]}
        ],
    }


def _write_examples(path: Path, pictures: Pictures) -> None:
    """Pictures that nothing was learned from, real and generated ones by turns; `labels` are 1 for real."""
    fakes = np.concatenate([part.test[: -(-EXAMPLES // (2 * len(pictures.seen)))] for part in pictures.seen])
    count = min(EXAMPLES // 2, len(fakes), len(pictures.real.test))
    fakes = fakes[np.linspace(0, len(fakes) - 1, count).round().astype(int)]
    images = np.stack([pictures.real.test[:count], fakes], axis=1).reshape(-1, *pictures.shape)
    with io.BytesIO() as content:  # NumPy does not notice that a disk refuses the end of a file
        np.savez_compressed(content, images=images, labels=np.tile(np.array([1, 0], np.int32), count))
        with replacing(path) as temporary:
            temporary.write_bytes(content.getvalue())


def draw(detector: Detector, pictures: Pictures) -> Image.Image:
    """A row a source, from the lowest score to the highest, each score below its picture."""
    from gentrain.detection.measure import examples

    rows = [("real", pictures.real), *((part.name, part) for part in pictures.fakes)]
    side = max(pictures.shape[0], SMALLEST_SHOWN)
    high = side + 2 * TEXT + GAP
    canvas = Image.new("RGB", (SHOWN * (side + GAP) + GAP, len(rows) * high + GAP), "white")
    pen = ImageDraw.Draw(canvas)
    for number, (name, part) in enumerate(rows):
        top = GAP + number * high
        label = name if part.seen else f"{name} (not trained on)"
        pen.text((GAP, top), label.encode("latin-1", "replace").decode("latin-1"), fill="black")
        for column, (pixels, score) in enumerate(zip(*examples(detector, part, SHOWN), strict=True)):
            image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB")
            left = GAP + column * (side + GAP)
            canvas.paste(image.resize((side, side), Image.Resampling.NEAREST), (left, top + TEXT))
            colour = "#b00020" if score < detector.threshold else "#006030"
            pen.text((left, top + TEXT + side), f"{score:.3f}", fill=colour)
    return canvas
