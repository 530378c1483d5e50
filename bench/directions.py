"""Do the directions of classes lead to them? Digits along each, judged by a net that did not find it. Prints Markdown.

A run of digits whose generator takes no classes is searched as `genexport publish` does it. A net of another
architecture, trained on the pictures that the run's classifier has not learned from, says what samples are, as they are
and moved; a random direction of the same length stands beside each.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import digit_net
import numpy as np
from common import Cells, paragraph, table

SAMPLES = 500
STEPS = (2.0, 3.0, 4.0)
PASSES = 60


def judge_of(images: Any, labels: Any) -> Any:
    """A net that tells the class of pictures float32 (N, H, W, 1) in [0, 1], trained on few, which are moved about."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    moved = (
        layers.RandomTranslation(0.08, 0.08, fill_mode="constant"),
        layers.RandomRotation(0.03, fill_mode="constant"),
    )
    judge = digit_net.trained(images, labels, PASSES, *moved)
    return lambda some: judge.predict(some, batch_size=500, verbose=0).argmax(axis=1)


def measure(run: Path) -> dict[str, Any]:
    """Of each class what part of samples is taken for it: as they are, moved along its direction, and a random one."""
    import keras
    from genexport.compare.frechet import Features
    from genexport.describe import class_directions
    from genexport.generator.load import load
    from gentrain import quiet
    from gentrain.data.dataset import Frame
    from gentrain.metrics import classifier as own
    from gentrain.sources import read

    quiet.import_tensorflow()
    generator = load(run)
    found_by = class_directions.classifier_of(generator, run, Features.of(run))
    if not isinstance(found_by, class_directions.Classifier):
        raise SystemExit(f"{run}: {found_by or 'no generator of labelled pictures that takes latents alone'}")
    directions = class_directions.find(generator, found_by)

    dataset = read("digits", Frame(28))
    labels = np.asarray(dataset.labels)
    learned, unseen = own._split(dataset)
    judge = judge_of(dataset.images[unseen].astype(np.float32) / 255, labels[unseen])
    tested = dataset.images[learned].astype(np.float32) / 255

    latents = np.asarray(generator.examples(SAMPLES)["latents"])
    before = judge(generator.many({"latents": latents}))
    rng = np.random.default_rng(0)
    cells: dict[str, Any] = {"real": float((judge(tested) == labels[learned]).mean()), "judged by": len(unseen)}
    for name, direction in directions.items():
        random = rng.standard_normal(latents.shape[1])
        random /= np.linalg.norm(random)
        number = list(found_by.names).index(name)
        shares = {"as they are": before}
        for step in STEPS:
            for what, axis in (("class", direction), ("random", random)):
                moved = (latents + step * axis).astype(np.float32)
                shares[f"{what}, {step:g}"] = judge(generator.many({"latents": moved}))
        cells[name] = {what: float((judged == number).mean()) for what, judged in shares.items()}
    keras.backend.clear_session()
    return cells


def main() -> None:
    """One table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path, metavar="RUN", help="digits, without classes, measured")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    kept = Cells("directions", arguments.again)
    cell = kept.get(arguments.run.name, measure, arguments.run)
    how = paragraph(
        f"""`gentrain fit --data digits --preset small --run RUN`, `python bench/directions.py RUN`: seeds 0 to
        {SAMPLES - 1}, moved along the direction of each class that `genexport publish` finds, {kept.days()}.
        What part of them is taken for the class, by a net that has learned from the {cell["judged by"]} real pictures
        alone that the run's classifier, by which directions are found, was not trained on; of the others it tells
        {cell["real"]:.3f}. Beside it a random direction as long."""
    )
    classes = {name: values for name, values in cell.items() if isinstance(values, dict)}
    columns = list(next(iter(classes.values())))
    classes["all"] = {column: float(np.mean([each[column] for each in classes.values()])) for column in columns}
    rows = [
        ["all" if name == "all" else f"class:{name}", *(f"{each[column]:.2f}" for column in columns)]
        for name, each in classes.items()
    ]
    heads = [column.replace("class, ", "step ").replace("random, ", "random, step ") for column in columns]
    print(f"## Editing: directions of classes\n\n{how}\n\n{table(['', *heads], rows)}")


if __name__ == "__main__":
    main()
