"""Day to night, 64×64: the Earth on a part of the globe that was not trained on, and streets whose lit windows can be
counted; what the discriminator adds to the distance alone. Prints Markdown, and draws docs/night.png of the streets.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import earth
import judged
import numpy as np
import scenes
from common import KEPT, ROOT, Cells, gentrain, number, paragraph, table
from emoji import save_small
from PIL import Image

RECIPES = {"translate": "adversarial=1", "the distance alone": "adversarial=0"}
HEAD = ["", "", "CPU s", "L1", "PSNR", "SSIM", "Fréchet, random net", "Fréchet, lite0", "sharpness", "lights"]
LIGHT = 40  # of 255: how red a pixel of a city is by night, and redder than blue; ground and sea are blue
SHOWN, COLUMNS = 12, 3

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def pictures(folder: Path) -> Pixels:
    """Uint8 (N, 64, 64, 3), in the order of the files' names."""
    return np.stack([np.asarray(Image.open(file).convert("RGB")) for file in sorted(folder.glob("*.png"))])


def sharpness(images: Pixels) -> float:
    """The mean difference of neighbours."""
    grey = images.astype(np.float32).mean(axis=3)
    return float(np.abs(np.diff(grey, axis=1)).mean() + np.abs(np.diff(grey, axis=2)).mean())


def cities(images: Pixels, true: Pixels) -> float:
    """How well lights are where lights are: F1 of light cells of 4×4 pixels."""
    lit, should = (lit_cells(each) for each in (images, true))
    return float(2 * (lit & should).sum() / max(1, lit.sum() + should.sum()))


def lit_cells(images: Pixels) -> Any:
    """Bool (N, 16, 16): whether a cell of 4×4 pixels has a light in it."""
    lit = (images[..., 0] > LIGHT) & (images[..., 0] > images[..., 2])
    return lit.reshape(len(lit), 16, 4, 16, 4).any(axis=(2, 4))


def marks(name: str, folder: Path, images: Pixels, true: Pixels) -> dict[str, float]:
    """What `gentrain evaluate` does not tell."""
    if name == "streets":
        windows = json.loads((folder / "windows.json").read_text(encoding="utf-8"))
        lights = scenes.right(images, windows)
    else:
        lights = cities(images, true)
    return {"sharpness": sharpness(images) / sharpness(true), "lights": lights}


def translated(run_directory: Path, inputs: Pixels) -> Pixels:
    """What the run's generator makes of them."""
    from gentrain import quiet

    quiet.import_tensorflow()
    from gentrain.commands.subject import find
    from gentrain.metrics.generate import generate

    return generate(find(run_directory).generator, len(inputs), 0, {"image": inputs.astype(np.float32) / 127.5 - 1.0})


def measure(name: str, folder: Path, recipe: str, kimg: float) -> dict[str, Any]:
    """One training, its processor time and its scores on what it has not seen."""
    run_directory = run_of(name, recipe)
    pairs = {part: f"pairs:{folder / part / 'day'},{folder / part / 'night'}" for part in ("train", "test")}
    sets = ("--set", RECIPES[recipe], "--set", "kimg_per_evaluation=0", "--fresh")
    length = ("--preset", "translate", "--holdout", 0, "--kimg", kimg)
    seconds = judged.train(run_directory, "--data", pairs["train"], *length, *sets)
    gentrain("evaluate", run_directory, "--features", "random", "--on", pairs["test"])
    found = json.loads((run_directory / "metrics.json").read_text(encoding="utf-8"))
    cell = {key: found["metrics"][key]["value"] for key in ("l1", "psnr", "ssim", "frechet")}
    cell |= {f"unchanged {key}": found["metrics"][key]["unchanged"] for key in ("l1", "psnr", "ssim", "frechet")}
    second = found["second"]["metrics"]["frechet"]
    cell |= {"second": second["value"], "unchanged second": second["unchanged"], "seconds": seconds}
    day, night = (pictures(folder / "test" / part) for part in ("day", "night"))
    unchanged = marks(name, folder, day, night)
    cell |= {f"unchanged {key}": value for key, value in unchanged.items()}
    return cell | marks(name, folder, translated(run_directory, day), night)


def run_of(name: str, recipe: str) -> Path:
    """Where a training is kept."""
    return KEPT / f"night-{name.replace(' ', '-')}-{'gan' if recipe == 'translate' else 'l1'}"


def draw(folder: Path, out: Path) -> None:
    """Streets: day, translated, by the distance alone, and as it is."""
    from gentrain.images import image_grid

    day, night = (pictures(folder / "test" / part)[:SHOWN] for part in ("day", "night"))
    columns = [day, *(translated(run_of("streets", recipe), day) for recipe in RECIPES), night]
    out.parent.mkdir(parents=True, exist_ok=True)
    save_small(Image.fromarray(image_grid(np.concatenate(columns, axis=2), COLUMNS)), out)


def rows_of(name: str, cells: dict[str, dict[str, Any]]) -> list[list[str]]:
    """The table's rows of one set."""
    keys = ("l1", "psnr", "ssim", "frechet", "second", "sharpness", "lights")
    some = next(iter(cells.values()))
    rows = [[name, "the day as it is", "", *(number(some[f"unchanged {key}"]) for key in keys)]]
    for recipe, cell in cells.items():
        rows.append(["", recipe, number(cell["seconds"]), *(number(cell[key]) for key in keys)])
    return rows


def main() -> None:
    """Both sets, both recipes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, required=True, metavar="DIR", help="unpacked npm package three-globe")
    parser.add_argument("--kimg", type=float, default=12.0, help="length of each training (default: 12)")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the picture goes (default: docs/)")
    arguments = parser.parse_args()
    if not (arguments.package / "example" / "img").is_dir():
        sys.exit(f"{arguments.package}: not the npm package three-globe; unpack what `npm pack three-globe` gives")
    folders = {"the Earth": KEPT / "earth", "streets": KEPT / "streets"}
    if not folders["the Earth"].exists():
        earth.write(arguments.package, folders["the Earth"])
    if not folders["streets"].exists():
        scenes.write(folders["streets"])
    kept, kimg = Cells("night", arguments.again), arguments.kimg
    rows = []
    for name, folder in folders.items():
        cells = {each: kept.get(f"{name}, {each}, {kimg:g}", measure, name, folder, each, kimg) for each in RECIPES}
        rows += rows_of(name, cells)
    draw(folders["streets"], arguments.docs / "night.png")
    how = paragraph(
        f"""`python bench/night.py --package DIR --kimg {kimg:g}`, the unpacked npm package three-globe: `gentrain fit
        --preset translate --kimg {kimg:g}`, without a discriminator `--set adversarial=0`, {kept.days()}, one seed. The
        Earth: tested on longitudes of which nothing was trained on. Streets: drawn by bench/scenes.py; windows with
        curtains by day are lit by night. Sharpness: mean difference of neighbours, as a multiple of the true pictures'.
        Lights: of the Earth F1 of cells of 4×4 pixels with a light in them; of streets the windows that are lit or dark
        as they should be. Fréchet distances in the features of a random net and of EfficientNet-Lite0."""
    )
    print(f"## Training: day to night\n\n{how}\n\n{table(HEAD, rows, texts=2)}")


if __name__ == "__main__":
    main()
