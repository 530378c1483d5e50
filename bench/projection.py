"""How near do pictures come that a generator has not seen? Held-out digits, at once and downhill. Prints Markdown.

A run of digits with an encoder is given pictures that were held out of its training: redrawn by the encoder alone, by
steps downhill from there, from nothing, and as `gentrain project` does it by itself. Whether the class is kept is told
by a net that has learned from the real pictures of the training and from nothing generated.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import digit_net
import numpy as np
from common import Cells, number, paragraph, table

A_CLASS, SEEN = 10, 10
"""Held-out pictures of each class, at most, and how many before them are left out: encoders were compared by those."""

PASSES = 12
STEPS, FROM_NOTHING, STARTS = 100, 200, 4
WAYS = {
    "the mean of the training pictures": None,
    "the encoder, at once": (0, 1, "encoder"),
    f"the encoder, and {STEPS} steps": (STEPS, 1, "encoder"),
    "the nearest of 2048 samples": (0, 1, "samples"),
    f"{FROM_NOTHING} steps from nothing": (FROM_NOTHING, 1, "nothing"),
    f"`gentrain project`: {STEPS} steps from {STARTS} starts": (STEPS, STARTS, "encoder"),
}
"""Name → steps, starts, and where these are."""


def data_of(run: Path) -> tuple[Any, Any, Any, Any]:
    """Pictures uint8 (N, H, W, 1) and classes of the run's training, and some held-out ones of each class."""
    from gentrain.data import holdout
    from gentrain.data.dataset import Frame
    from gentrain.sources import read

    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    dataset = read(config["data"], Frame(28))
    trained, unseen = holdout.split(dataset, config["settings"]["held_out"])
    labels = np.asarray(dataset.labels)
    later = slice(SEEN, SEEN + A_CLASS)
    chosen = np.concatenate([[i for i in unseen if labels[i] == one][later] for one in np.unique(labels)])
    return dataset.images[trained], labels[trained], dataset.images[chosen], labels[chosen]


def judge_of(images: Any, labels: Any) -> Any:
    """A net that tells the class of pictures uint8 (N, H, W, 1); of no architecture that gentrain measures by."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    judge = digit_net.trained(images, labels, PASSES, layers.Rescaling(1 / 255))
    return lambda some: np.asarray(judge(some.astype(np.float32))).argmax(axis=1)


def measure(run: Path) -> dict[str, Any]:
    """Of each way the decibels, how often the class is kept, and seconds of processor a picture."""
    from gentrain import quiet

    quiet.import_tensorflow()
    from gentrain.editing import drawing as drawings
    from gentrain.images import to_pixels

    images, labels, unseen, classes = data_of(run)
    judge, drawing = judge_of(images, labels), drawings.find(run)
    targets = unseen.astype(np.float32) / 127.5 - 1.0
    scores: dict[str, Any] = {"pictures": len(unseen), "real": float((judge(unseen) == classes).mean())}
    for name, way in WAYS.items():
        begun = time.process_time()
        if way is None:
            redrawn = np.repeat(images.mean(axis=0, keepdims=True), len(unseen), axis=0) / 127.5 - 1.0
        else:
            redrawn = _redrawn(drawing, targets, *way)
        seconds = (time.process_time() - begun) / len(unseen)
        pixels = to_pixels(redrawn.astype(np.float32))
        errors = ((unseen.astype(np.float64) - pixels) ** 2).mean(axis=(1, 2, 3))
        decibels = float((10 * np.log10(255.0**2 / np.maximum(errors, 1e-3))).mean())
        scores[name] = {"psnr": decibels, "kept": float((judge(pixels) == classes).mean()), "seconds": seconds}
    return scores


def _redrawn(drawing: Any, targets: Any, steps: int, starts: int, place: str) -> Any:
    """What is drawn of the latents that are found."""
    from gentrain.editing.project import Projector

    class FromNothing(Projector):
        """Begins with latents that are all zero."""

        def _starts(self, targets: Any, starts: int) -> tuple[Any, Any]:
            return np.zeros((len(targets) * starts, self.drawing.latent_size), np.float32), None

    kind = FromNothing if place == "nothing" else Projector
    return kind(drawing, None, 0, encoded=place == "encoder").project(targets, steps, starts).images


def main() -> None:
    """One table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, metavar="RUN", help="digits, without classes, with an encoder")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    kept = Cells("projection", arguments.again)
    cell = kept.get(f"{arguments.run.name}, {A_CLASS} of each class", measure, arguments.run)
    how = paragraph(
        f"""`gentrain fit --data digits --preset small --run RUN`, `gentrain encoder RUN`,
        `python bench/projection.py RUN`: {cell["pictures"]} held-out digits, at most {A_CLASS} of each class,
        {kept.days()}. None is among the first {SEEN} of each class, by which variants of the encoder were compared. The
        class is told by a net that has learned from the real pictures of the training alone; of the held-out ones as
        they are it tells {cell["real"]:.2f}. The run's best snapshot was chosen by its Fréchet distance to the held-out
        pictures, these among them. Seconds are of processor, a picture, with what is compiled first."""
    )
    rows = [
        [name, f"{cell[name]['psnr']:.1f}", f"{cell[name]['kept']:.2f}", number(cell[name]["seconds"])] for name in WAYS
    ]
    print(f"## Editing: pictures and their latents\n\n{how}\n\n{table(['', 'PSNR, dB', 'class kept', 'CPU s'], rows)}")


if __name__ == "__main__":
    main()
