"""Does the last frame of a clip lead to its first where that is asked for? Digits that go round. Prints Markdown.

Each digit goes round once in a clip, along an ellipse of its own. The judge (digit_judge.py) has learned from a sixth
of these digits, along straight paths: what it says of identity is beside the question, which is closure.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import judged
import numpy as np
from common import KEPT, Cells, number, paragraph, table
from digit_judge import Array
from moving import FRAMES, GENERATED, SIDE, Measured, generated
from PIL import Image

KIMG, COUNT, HELD_OUT = 24.0, 3000, 300
HEAD = {name: name for name in ("closure", "identity", "mass", "acceleration", "travel")}


def rounds() -> Array:
    """Clips uint8 (3000, T, side, side, 1), each of which begins where it ends."""
    from gentrain.sources import moving_digits

    rng, size = np.random.default_rng(1), round(moving_digits.PART * SIDE)
    room, shape = SIDE - size, (COUNT, 1, 2)
    middle, reach, phase = rng.uniform(0.3, 0.7, shape), rng.uniform(0.1, 0.3, shape), rng.uniform(0, 2 * np.pi, shape)
    turns = 2 * np.pi * np.arange(FRAMES)[None, :, None] / FRAMES * rng.choice([-1, 1], (COUNT, 1, 1))
    sprites = moving_digits.sprites(moving_digits.ordered()[0][:COUNT], size)
    return moving_digits.drawn(sprites, room * (middle + reach * np.sin(turns + phase)), SIDE)


def folder(clips: Array) -> Path:
    """The folder with a WebP of each."""
    place = KEPT / "rounds"
    if not place.exists():
        unfinished = KEPT / "rounds-unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for position, clip in enumerate(clips):
            first, *others = (Image.fromarray(frame[..., 0]) for frame in clip)
            settings: dict[str, Any] = {"save_all": True, "append_images": others, "duration": 80, "lossless": True}
            first.save(unfinished / f"{position:04}.webp", **settings)
        unfinished.rename(place)
    return place


def measure(measured: Measured, clips: Array, loop: int, seed: int) -> dict[str, Any]:
    """A training, its processor time, and the marks of its clips."""
    run = KEPT / f"loops-{loop}-{seed}"
    where = ("--data", folder(clips), "--frames", FRAMES, "--fps", 0, "--resolution", SIDE, "--channels", 1)
    how = ("--holdout", HELD_OUT, "--kimg", KIMG, "--seed", seed, "--set", f"loop={loop}")
    seconds = judged.train(run, *where, *how)
    return {"seconds": seconds, **measured.score(generated(run / "generator.keras"))}


def main() -> None:
    """Real clips, and both trainings, in one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    kept, seed, measured, clips = Cells("loops", arguments.again), arguments.seed, Measured(), rounds()
    cells = {"real clips": kept.get("real clips", measured.score, clips[-GENERATED:])}
    for loop in (1, 0):
        name = f"`--set loop={loop}`, {KIMG:g} kimg"
        cells[name] = kept.get(f"{name}, seed {seed}", measure, measured, clips, loop, seed)
    rows = [
        [name, number(cell["seconds"]) if "seconds" in cell else "", *(number(cell[key]) for key in HEAD)]
        for name, cell in cells.items()
    ]
    how = paragraph(
        f"""`python bench/loops.py{f" --seed {seed}" if seed else ""}`: {COUNT - HELD_OUT} clips of digits that go round
        once, {FRAMES} frames, {SIDE}×{SIDE}, to learn from, one seed, {kept.days()}; {GENERATED} made are measured.
        Closure: how much the first frame differs from the last, of what each differs by from the one before. The
        others as above, but that the judge has learned from a sixth of these digits, along straight paths."""
    )
    print(f"## Training: clips that loop\n\n{how}\n\n{table(['', 'CPU s', *HEAD.values()], rows)}")


if __name__ == "__main__":
    main()
