"""Do clips from latents look and move like real ones? Digits that move straight on and bounce. Prints Markdown.

A third of the digits is held out of the training. Half of those teach the judge (digit_judge.py), along other paths;
the clips of the other half are what generated ones are compared with. The reference are clips of the training in the
place of generated ones, and the baselines these in another order of frames, with the first frame held, and with each
frame taken from another clip.
"""

from __future__ import annotations

import argparse
from functools import cached_property
from pathlib import Path
from typing import Any

import judged
import numpy as np
from common import KEPT, Cells, number, paragraph, table
from digit_judge import DigitJudge, independent

FRAMES, SIDE = 16, 32
HELD_OUT, GENERATED = 1600, 800
RUNS: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "`clips`": ((), (60, 200)),
    "with classes": (("--conditional",), (60, 200)),
}
"""Options, and kimg; a run goes on from one to the next."""

HEAD = {
    "frechet": "Fréchet",
    "direction": "direction",
    "confidence": "confidence",
    "identity": "identity",
    "mass": "mass",
    "acceleration": "acceleration",
    "travel": "travel",
    "closure": "closure",
}
SHOWN, COLUMNS = 40, 10
CLASSES = 10


class Measured:
    """The data, and the judge, which is made ready once it is needed."""

    def __init__(self) -> None:
        from gentrain import sources
        from gentrain.data import holdout
        from gentrain.data.dataset import Frame

        self.dataset = sources.read("moving-digits", Frame(resolution=SIDE, frames=FRAMES))
        trained, unseen = holdout.split(self.dataset, HELD_OUT)
        self.trained = np.random.default_rng(0).permutation(trained)[:GENERATED]
        self.teaching, self.compared = unseen[::2], unseen[1::2]

    @cached_property
    def judge(self) -> DigitJudge:
        """Taught by digits that nothing else sees."""
        from gentrain.sources import moving_digits

        pixels, labels = moving_digits.ordered()
        return DigitJudge(pixels[self.teaching], labels[self.teaching], FRAMES, SIDE)

    @cached_property
    def real(self) -> Any:
        """Features of the clips that are compared with."""
        return self.judge.seen(np.asarray(self.dataset.images[self.compared]))

    def score(self, clips: Any) -> dict[str, Any]:
        """All marks of clips uint8 (N, T, H, W, 1)."""
        return self.judge.score(clips, self.real)

    def baselines(self) -> dict[str, Any]:
        """What real clips score, whole and spoilt."""
        from gentrain.metrics.exposures import held, shuffled

        clips = np.asarray(self.dataset.images[self.trained])
        spoilt = {"frames shuffled": shuffled(clips), "first frame held": held(clips)}
        others = {"real clips": clips, **spoilt, "frames of other clips": independent(clips)}
        return {name: self.score(each) for name, each in others.items()}


def measure(
    measured: Measured, name: str, kimg: float, before: float, seed: int, picture: Path | None
) -> dict[str, Any]:
    """A training up to so many kimg, its processor time with what went `before`, and the marks of its clips."""
    options = RUNS[name][0]
    run = KEPT / "-".join(["moving-clips", *(option.strip("-") for option in options), str(seed)])
    where = ("--data", "moving-digits", "--frames", FRAMES, "--resolution", SIDE, "--holdout", HELD_OUT)
    seconds = before + judged.train(run, *where, *options, "--kimg", kimg, "--seed", seed)
    clips = generated(run / "generator.keras")
    if picture is not None:
        draw(clips, picture)
    return {"seconds": seconds, **measured.score(clips)}


def generated(file: Path, count: int = GENERATED) -> Any:
    """The clips of the seeds from 0 on, and of the classes in turn, uint8 (N, T, H, W, 1)."""
    from gentrain import quiet

    quiet.import_tensorflow()
    import keras
    from gentrain.metrics.generate import generate

    generator = keras.models.load_model(file, compile=False)
    given = {"labels": np.arange(count, dtype=np.int32) % CLASSES} if len(generator.inputs) > 1 else None
    return generate(generator, count, given=given)


def draw(clips: Any, path: Path) -> None:
    """The first of them as one GIF in sixteen greys, twice as large."""
    from gentrain.images import image_grid
    from PIL import Image

    grids = [image_grid(clips[:SHOWN, frame], COLUMNS)[..., 0] for frame in range(clips.shape[1])]
    pictures = [Image.fromarray((grid // 17 * 17).repeat(2, 0).repeat(2, 1)) for grid in grids]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=80, loop=0)


def main() -> None:
    """Each training and the baselines, in one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the clips of the seeds 0 to 39 as a GIF")
    arguments = parser.parse_args()
    kept, seed, measured = Cells("moving", arguments.again), arguments.seed, Measured()
    cells = {}
    for name, (options, lengths) in RUNS.items():
        seconds = 0.0
        for kimg in lengths:
            cell = f"{name}, {kimg:g} kimg"
            given = (measured, name, kimg, seconds, seed, None if options else arguments.picture)
            cells[cell] = kept.get(f"{cell}, seed {seed}", measure, *given)
            seconds = cells[cell]["seconds"]
    beside = kept.get("baselines", measured.baselines)
    rows = [[name, "", *(number(beside[name][key]) for key in HEAD)] for name in beside if name != "date"]
    rows += [[name, number(cell["seconds"]), *(number(cell[key]) for key in HEAD)] for name, cell in cells.items()]
    how = paragraph(
        f"""`python bench/moving.py{f" --seed {seed}" if seed else ""}`: {len(measured.dataset.images) - HELD_OUT} clips
        of `moving-digits`, {FRAMES} frames, {SIDE}×{SIDE}, to learn from, one seed, {kept.days()}. {GENERATED} made
        are compared with as many real ones of other digits; the judge has learned from a third set of digits
        along other paths. Direction: how often the judge of clips and the centre of what is bright agree on which of
        eight ways a clip sets out. Confidence: the judge's own in that. Identity: the part of a clip's frames that the
        judge of single frames takes for the same digit. Mass: how much what is bright varies in a clip, of its mean.
        Acceleration: the second difference of its centre, median, in pixels; travel: the way of the centre, median, in
        pixels. Closure: how much the first frame differs from the last, of what each differs by from the one
        before."""
    )
    print(f"## Training: clips from latents\n\n{how}\n\n{table(['', 'CPU s', *HEAD.values()], rows)}")


if __name__ == "__main__":
    main()
