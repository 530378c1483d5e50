"""Does the preset for colour hold up with other seeds, and on sets that it was not made with? Prints Markdown.

Google's and Fluent's emoji and drawn faces, 64×64, each trained by the real command as it is, beside the same preset
on pixels alone, Keras' ADA example and lightweight-gan in the same processor time. Judged beside pictures of things
that no training saw, in the features of the net that the second discriminator looks through and of another. Draws the
first of each.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import judged
import numpy as np
from common import HERE, KEPT, ROOT, Cells, number, paragraph, run, table
from emoji import save_small
from PIL import Image

SIDE, FACES, SHOWN, COLUMNS = 64, 3000, 64, 8
KERAS = "Keras' ADA example"
TESTED = 0.12  # of the things
PIXELS_ALONE = 1.6  # images for one of the whole recipe, in the same time
TONES = re.compile(r"-?\b(1f3f[b-f]|200d|2640|2642|fe0f)\b")
PERSON = re.compile(r"\b(1f468|1f469|1f9d1)\b")
HEAD = ["", "", "CPU s", "kimg", *judged.HEAD, "lite1: recall"]
ALONE = ("--set", "features_weight=0", "--set", "batch=64")

DRAW = """
import { createAvatar } from '@dicebear/core';
import * as personas from '@dicebear/personas';
for (let i = 0; i < COUNT; i++) console.log(JSON.stringify(createAvatar(personas, { seed: `${i}` }).toString()));
"""


def thing(name: str) -> str:
    """What a file of emoji shows, without skin, sex and age: of a thing all or none are trained on."""
    return PERSON.sub("1f9d1", TONES.sub("", name.lower())).strip("-")


def is_tested(name: str) -> bool:
    """Whether a picture is kept from all trainings."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32 < TESTED


def google(package: Path) -> Iterator[tuple[str, Image.Image]]:
    """The thing and the picture of each emoji."""
    for file in sorted((package / "img" / "google" / "64").glob("*.png")):
        with Image.open(file) as image:
            yield thing(file.stem), image.convert("RGBA")


def fluent(package: Path) -> Iterator[tuple[str, Image.Image]]:
    """The same, of drawings."""
    for file in sorted((package / "assets").glob("*.svg")):
        yield thing(file.stem), _rasterised(file.read_text(encoding="utf-8"))


def faces(package: Path) -> Iterator[tuple[str, Image.Image]]:
    """Faces by DiceBear's `personas`, each by itself."""
    program = DRAW.replace("COUNT", str(FACES))
    command = ["node", "--input-type=module", "--eval", program]
    drawn = subprocess.run(command, cwd=package, stdout=subprocess.PIPE, text=True, check=True).stdout
    for i, line in enumerate(drawn.splitlines()):
        yield str(i), _rasterised(json.loads(line))


SETS = {"google": google, "fluent": fluent, "faces": faces}


def write(name: str, package: Path) -> Path:
    """OUT/{train,test}/NUMBER.png, on white, where they are not there yet."""
    folder = KEPT / "colours" / name
    if folder.exists():
        return folder
    unfinished = folder.with_name(f"{name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for part in ("train", "test"):
        (unfinished / part).mkdir(parents=True)
    for i, (what, image) in enumerate(SETS[name](package)):
        white = Image.new("RGBA", (SIDE, SIDE), "white")
        white.alpha_composite(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        white.convert("RGB").save(unfinished / ("test" if is_tested(what) else "train") / f"{i:05}.png")
    unfinished.rename(folder)
    return folder


def pictures(folder: Path, most: int | None = None) -> Any:
    """Uint8 (N, 64, 64, 3); `most` of them drawn at random."""
    files = sorted(folder.glob("*.png"))
    if most is not None:
        files = [files[i] for i in np.random.default_rng(0).permutation(len(files))[:most]]
    return np.stack([np.asarray(Image.open(file)) for file in files])


def train(folder: Path, run_directory: Path, seed: int, kimg: float | None, *options: str) -> dict[str, float]:
    """`gentrain fit`, nothing measured meanwhile; the images are kept beside it."""
    length = () if kimg is None else ("--kimg", kimg)
    fixed = ("--preset", "medium", "--seed", seed, "--holdout", 0, "--set", "kimg_per_evaluation=0", "--fresh")
    seconds = judged.train(run_directory, "--data", folder / "train", *fixed, *length, *options)
    images = judged.generated(run_directory)
    np.savez(run_directory / "images.npz", images=images)
    log = (run_directory / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return {"seconds": seconds, "kimg": json.loads(log[-1])["kimg"]}


def keras_ada(folder: Path, out: Path, seconds: float, example: Path) -> dict[str, float]:
    """Keras' example, which is a file of the user's."""
    out.mkdir(parents=True, exist_ok=True)
    script = HERE / "peers" / "keras_ada.py"
    length = ("--example", example, "--seconds", seconds)
    found: dict[str, float] = json.loads(
        run(sys.executable, script, folder / "train", out / "images.npz", *length).splitlines()[-1]
    )
    return found


def peer(folder: Path, out: Path, seconds: float) -> dict[str, float]:
    """lightweight-gan, in an environment of its own."""
    python = KEPT / "lightweight-gan" / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", python.parent.parent)
        run(python, "-m", "pip", "install", "--quiet", "lightweight-gan==1.2.1")
    out.mkdir(parents=True, exist_ok=True)
    script = HERE / "peers" / "torch_lightweight.py"
    told = run(python, script, folder / "train", out / "images.npz", "--side", SIDE, "--seconds", seconds)
    found: dict[str, float] = json.loads(told.splitlines()[-1])
    return found


def measure(
    kind: str, folder: Path, where: Path, seed: int, seconds: float, kimg: float | None, example: Path | None = None
) -> dict[str, float]:
    """One training and its scores beside the pictures that nothing has seen."""
    if kind == KERAS and example:
        cell = keras_ada(folder, where, seconds, example)
    elif kind == "lightweight-gan":
        cell = peer(folder, where, seconds)
    else:
        cell = train(folder, where, seed, kimg, *(ALONE if kind == "pixels alone" else ()))
    with np.load(where / "images.npz") as kept:
        images = kept["images"]
    return cell | judged.Beside(pictures(folder / "test")).scores(images)


def row(first: str, second: str, cell: dict[str, float]) -> list[str]:
    """One line of the table."""
    cost = [number(cell[name]) if name in cell else "" for name in ("seconds", "kimg")]
    return [first, second, *cost, *judged.row(cell), number(cell["lite1 recall"])]


def report(
    packages: dict[str, Path],
    seeds: int,
    kimg: float | None,
    peers: bool,
    example: Path | None,
    docs: Path,
    cells: Cells,
) -> str:
    """The section of Markdown, and a picture for each set."""
    rows, counts = [], []
    length = "" if kimg is None else f" --kimg {kimg:g}"
    for name, package in packages.items():
        folder = write(name, package)
        beside = judged.Beside(pictures(folder / "test"))
        of_set = [cells.get(f"{name}, real", beside.scores, pictures(folder / "train", judged.GENERATED))]
        rows.append(row(name, "pictures trained on", of_set[0]))
        for seed in range(1, seeds + 1 if name == "google" else 2):
            where = KEPT / "colours" / f"{name}-{seed}{length.replace(' --kimg ', '-')}"
            key = f"{name}, seed {seed}{length}"
            cell = cells.get(key, measure, "", folder, where, seed, 0.0, kimg)
            rows.append(row("", f"**`medium`, seed {seed}**", cell))
            if seed == 1:
                draw(where, docs / f"colours-{name}.png")
                seconds = cell["seconds"]
        kinds = ("pixels alone", "lightweight-gan") if peers else ()
        for kind in (*kinds, *((KERAS,) if example else ())) if name == "google" else ():
            key, where = f"{name}, {kind}{length}", KEPT / "colours" / f"{name}-{kind.replace(' ', '-')}"
            as_long = PIXELS_ALONE * (kimg or 60.0)
            rows.append(row("", kind, cells.get(key, measure, kind, folder, where, 1, seconds, as_long, example)))
        counts.append(f"{name}: {len(list((folder / 'train').glob('*.png')))} trained on, {len(beside.images)} not")
    told = " ".join(f"--{name} DIR" for name in packages)
    beside_what = (" --peers" if peers else "") + (" --keras-ada FILE" if example else "")
    how = paragraph(
        f"""`python bench/colours.py {told} --seeds {seeds}{length}{beside_what}`, DIR being the
        unpacked npm packages emoji-datasource-google (Apache-2.0) and @lobehub/fluent-emoji-modern (MIT), a folder with
        @dicebear/core and @dicebear/personas (CC BY 4.0) installed: `gentrain fit --preset medium{length}`, 64×64,
        {cells.days()}. {"; ".join(counts)}; of a thing all pictures are on one side. {judged.GENERATED} images beside
        those not trained on. lite0, which the second discriminator looks through, and lite1, which it does not.
        Pixels alone: `{" ".join(ALONE)}`."""
    )
    return f"## Training: colour, other seeds and other sets\n\n{how}\n\n{table(HEAD, rows, texts=2)}"


def draw(run_directory: Path, out: Path) -> None:
    """The first images, whatever they look like."""
    from gentrain.images import image_grid

    out.parent.mkdir(parents=True, exist_ok=True)
    with np.load(run_directory / "images.npz") as kept:
        save_small(Image.fromarray(image_grid(kept["images"][:SHOWN], COLUMNS)), out)


def _rasterised(svg: str) -> Image.Image:
    import resvg_py

    png = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE)
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def main() -> None:
    """Each set that there is a package of."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in SETS:
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help="the unpacked package (see bench/RESULTS.md)")
    parser.add_argument("--seeds", type=int, default=3, help="of Google's emoji (default: 3)")
    parser.add_argument("--kimg", type=float, help="length of each training (default: the preset's)")
    parser.add_argument("--peers", action="store_true", help="on Google's, lightweight-gan and pixels alone too")
    parser.add_argument(
        "--keras-ada", type=Path, metavar="FILE", help="on Google's, Keras' example too: keras-io's gan_ada.py"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the pictures go (default: docs/)")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    packages = {name: folder for name in SETS if (folder := getattr(arguments, name))}
    if not packages:
        parser.error("no package: expected --google DIR, --fluent DIR or --faces DIR")
    if missing := [str(folder) for folder in packages.values() if not folder.is_dir()]:
        parser.error(f"{', '.join(missing)}: no such folder")
    peers, cells = (arguments.peers, arguments.keras_ada), Cells("colours", arguments.again)
    print(report(packages, arguments.seeds, arguments.kimg, *peers, arguments.docs, cells))


if __name__ == "__main__":
    main()
