"""Do stills begin to move as they would? Squares that all move alike, and animated emoji. Prints Markdown.

Trained by the real commands with a discriminator and by the distance alone, and measured on clips that were not trained
on, of emoji on other things, beside the still repeated and a cross-fade to the true last frame; and beside what needs
no network: the motion of trained clips, and what no generator can know. Squares are 16×16, 4 frames; emoji, of the npm
package @lobehub/fluent-emoji-anim-1 (MIT), 32×32, 16 frames at 8 a second.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import judged
import numpy as np
from common import KEPT, Cells, gentrain, number, paragraph, table
from gentrain.data.dataset import Frame
from gentrain.metrics.motion import ClipJudge
from gentrain.sources import read
from PIL import Image

SQUARES, EMOJI = "squares", "emoji"
CUT = {
    SQUARES: ("--frames", 4, "--fps", 10, "--resolution", 16),
    EMOJI: ("--frames", 16, "--fps", 8, "--resolution", 32),
}
RUNS = {
    (SQUARES, "`animate`"): ("adversarial=1", 6.0),
    (EMOJI, "`animate`"): ("adversarial=1", 12.0),
    (EMOJI, "by the distance alone"): ("adversarial=0", 6.0),
}
"""Data and name → a setting, and kimg."""

NEAREST, FITTING, MEDIAN = (
    "as the clip moves whose still is nearest",
    "as that trained clip moves which then comes nearest to the answer",
    "the median of the true frames, repeated",
)

METRICS = ("l1", "psnr", "motion")
TONES = {f"1f3f{digit}" for digit in "bcdef"}
PEOPLE = {"1f468", "1f469", "1f9d1", "1f466", "1f467", "1f9d2", "1f474", "1f475", "1f9d3"}
JOINERS = {"fe0f", "200d", "2640", "2642"}
TESTED = 6
"""One in so many things is for testing."""


def thing(name: str) -> str:
    """The same for all that shows one thing: the code points of an emoji without skin tone, sex and age."""
    points = [point for point in name.split("-") if point not in TONES | JOINERS]
    return "-".join("person" if point in PEOPLE else point for point in points)


def clips(package: Path) -> Path:
    """The folder with `train` and `test`, links to the animations of the package; skin tones are trained on alone."""
    folder = KEPT / "animated-emoji"
    if folder.exists():
        return folder
    unfinished = folder.with_name("animated-emoji-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for file in sorted((package / "assets").glob("*.webp")):
        with Image.open(file) as opened:
            if getattr(opened, "n_frames", 1) == 1:
                continue
        held_out = int(hashlib.sha256(thing(file.stem).encode()).hexdigest(), 16) % TESTED == 0
        if held_out and TONES & set(file.stem.split("-")):
            continue
        place = unfinished / ("test" if held_out else "train") / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file.resolve())
    unfinished.rename(folder)
    return folder


def squares() -> Path:
    """The folder with `train` and `test`: squares of any colour anywhere, which all move to the right by two pixels."""
    folder, rng = KEPT / SQUARES, np.random.default_rng(0)
    if folder.exists():
        return folder
    unfinished = folder.with_name(f"{SQUARES}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for part, count in (("train", 400), ("test", 40)):
        (unfinished / part).mkdir(parents=True)
        for place in range(count):
            colour, top, left = rng.integers(40, 200, 3), rng.integers(0, 11), rng.integers(0, 4)
            frames = np.full((4, 16, 16, 3), 255, np.uint8)
            for step, frame in enumerate(frames):
                frame[top : top + 5, left + 2 * step : left + 2 * step + 5] = colour
            first, *others = map(Image.fromarray, frames)
            settings: dict[str, Any] = {"save_all": True, "append_images": others, "duration": 100, "lossless": True}
            first.save(unfinished / part / f"{place:03}.webp", **settings)
    unfinished.rename(folder)
    return folder


def measure(folder: Path, data: str, setting: str, kimg: float, seed: int) -> dict[str, Any]:
    """One training, its processor time, and the scores of its last generator."""
    run_directory = KEPT / f"clips-{data}-{setting}-{kimg:g}-{seed}"
    options = ("--animate", *CUT[data], "--kimg", kimg, "--seed", seed, "--set", setting)
    where = ("--data", folder / "train", "--set", "kimg_per_evaluation=0")
    seconds = judged.train(run_directory, *where, *options)
    gentrain("evaluate", run_directory, "--on", folder / "test")
    found = json.loads((run_directory / "metrics.json").read_text(encoding="utf-8"))
    return {"seconds": seconds, "clips": found["samples"], **{name: found["metrics"][name] for name in METRICS}}


def measure_without_network(folder: Path, data: str) -> dict[str, Any]:
    """The scores of stills that move as trained clips do, and of the best still there is; two of the three are told."""
    options = dict(zip(("frames", "fps", "resolution"), CUT[data][1::2], strict=True))
    trained, tested = (read(str(folder / part), Frame(**options)) for part in ("train", "test"))  # type: ignore[arg-type]
    judge = ClipJudge(tested, range(len(tested.images)))
    true, others = judge.clips.astype(np.float32), np.asarray(trained.images, np.float32)
    stills, motions = true[:, :1], others - others[:, :1]
    nearest = [np.abs(others[:, :1] - still).mean(axis=(1, 2, 3, 4)).argmin() for still in stills]
    fitting = [
        np.abs(np.clip(still + motions, 0, 255) - clip).mean(axis=(1, 2, 3, 4)).argmin()
        for still, clip in zip(stills, true, strict=True)
    ]
    made = {
        NEAREST: stills + motions[nearest],
        FITTING: stills + motions[fitting],
        MEDIAN: np.repeat(np.median(true, axis=1, keepdims=True), true.shape[1], axis=1),
    }
    return {name: judge.score(np.rint(np.clip(clips, 0, 255)).astype(np.uint8)) for name, clips in made.items()}


def rows_of(
    cells: dict[tuple[str, str], dict[str, Any]], without: dict[str, dict[str, dict[str, float]]]
) -> list[list[str]]:
    """What the still, a cross-fade and others without a network score on each set of clips, and each training."""
    rows = []
    for data in CUT:
        some = next(cell for (of, _), cell in cells.items() if of == data)
        for name, key in (("the still, repeated", "unchanged"), ("a cross-fade to the true last frame", "fade")):
            rows.append([data, name, "", *(f"{round(some[metric][key], 6):.3g}" for metric in METRICS)])
        for name in (NEAREST, FITTING, MEDIAN):
            rows.append([data, name, "", *(f"{round(without[data][name][metric], 6):.3g}" for metric in METRICS)])
        for (of, name), cell in cells.items():
            if of == data:
                scores = (f"{cell[metric]['value']:.3g}" for metric in METRICS)
                rows.append([data, f"{name}, {RUNS[of, name][1]:g} kimg", number(cell["seconds"]), *scores])
    return rows


def main() -> None:
    """Each training, in one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, required=True, metavar="DIR", help="the unpacked npm package")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if not (arguments.package / "assets").is_dir():
        sys.exit(f"{arguments.package}: not the npm package; unpack what `npm pack @lobehub/fluent-emoji-anim-1` gives")
    kept, seed = Cells("clips", arguments.again), arguments.seed
    folders = {SQUARES: squares(), EMOJI: clips(arguments.package)}
    cells = {
        (data, name): kept.get(
            f"{data}, {name}, {kimg:g} kimg, seed {seed}", measure, folders[data], data, setting, kimg, seed
        )
        for (data, name), (setting, kimg) in RUNS.items()
    }
    without = {data: kept.get(f"{data}, no network", measure_without_network, folders[data], data) for data in CUT}
    trained = [thing(file.stem) for file in (folders[EMOJI] / "train").iterdir()]
    tested = cells[EMOJI, "`animate`"]["clips"]
    how = paragraph(
        f"""`python bench/clips.py --package DIR{f" --seed {seed}" if seed else ""}`, the unpacked npm package
        @lobehub/fluent-emoji-anim-1: {len(trained)} animations of {len(set(trained))} things, measured on {tested} of
        other things; 400 clips of squares that all move to the right, measured on 40 others. One seed, {kept.days()}.
        L1 and PSNR are distances to the true clips, motion is how much a frame differs from the one before, of what it
        does in these. A still that moves as a trained clip is the still and what the clip's frames differ by from its
        own. The cross-fade, the trained clip that comes nearest and the median are found by the answer."""
    )
    head = ["", "", "CPU s", "L1", "PSNR", "motion"]
    print(f"## Training: stills that move\n\n{how}\n\n{table(head, rows_of(cells, without), texts=2)}")


if __name__ == "__main__":
    main()
