"""Emoji of one house in the style of another, 64×64, trained without pairs and judged by pairs. Prints Markdown.

The real command does it: `gentrain fit --style`. Google's emoji of one half of the concepts
are given the style that Twitter's, or OpenMoji's, of the other half have (see houses.py). A third part is translated,
and compared with what the other house drew. The judge (house_judge.py) learned from what the trainings did not see of
each house: Google's emoji of the second half, the others' of the first. With `--fastcut` its authors' code is trained
for as much processor time (peers/torch_fastcut.py).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import house_judge
import houses
import judged
import numpy as np
from common import HERE, KEPT, ROOT, Cells, log_of, number, paragraph, run, table
from emoji import save_small
from PIL import Image

INPUT, STYLES = "google", ("twitter", "openmoji")
NAMES = {"google": "Google", "twitter": "Twitter", "openmoji": "OpenMoji"}
KIMG = 8.0
GROUPS, ROWS = 2, 10
GAP = 6
# Nothing is measured while it trains: what it is measured by comes from neither side of the training.
ALONE = ("--set", "kimg_per_evaluation=0")

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def pictures(house: str, part: str) -> Pixels:
    """Uint8 (N, 64, 64, 3), in the order of the files' names."""
    files = sorted((KEPT / "houses" / house / part).glob("*.png"))
    return np.stack([np.asarray(Image.open(file)) for file in files])


def run_of(style: str, kimg: float, seed: int, options: Sequence[str] = ()) -> Path:
    """The run directory."""
    return KEPT / "-".join(["style", style, f"{kimg:g}", str(seed), *(part for part in options if part != "--set")])


def train(style: str, kimg: float, seed: int, options: Sequence[str]) -> dict[str, Any]:
    """Train on all that is there of both; how much CPU time it took."""
    folder, run_directory = KEPT / "houses", run_of(style, kimg, seed, options)
    data = ("--data", folder / INPUT / "a", "--style", folder / style / "b", "--holdout", 0, "--fresh")
    cpu = judged.train(run_directory, *data, "--seed", seed, "--kimg", kimg, *ALONE, *options)
    return {"kimg": log_of(run_directory)[-1]["kimg"], "cpu": cpu}


def peer_of(style: str) -> Path:
    """What FastCUT made of the test's pictures."""
    return KEPT / f"style-{style}-fastcut.npz"


def train_peer(code: Path, style: str, seconds: float) -> dict[str, Any]:
    """FastCUT on the same pictures for as long, in an environment of its own."""
    python = KEPT / "fastcut" / "bin" / "python"
    if not python.exists():
        run(sys.executable, "-m", "venv", python.parent.parent)
        run(python, "-m", "pip", "install", "--quiet", "torch", "torchvision", "dominate", "GPUtil", "packaging")
    of, to = KEPT / "houses" / INPUT, KEPT / "houses" / style
    folders = (of / "a", to / "b", of / "test", to / "test")
    told = run(python, HERE / "peers" / "torch_fastcut.py", code, *folders, peer_of(style), "--seconds", seconds)
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    return found


def translated(run_directory: Path, inputs: Pixels) -> Pixels:
    """What the run's generator makes of pictures."""
    from gentrain.commands.subject import find
    from gentrain.metrics.generate import generate

    return generate(find(run_directory).generator, len(inputs), 0, {"image": inputs.astype(np.float32) / 127.5 - 1.0})


def judge() -> house_judge.HouseJudge:
    """The classifier of houses; the class of one is its place in `NAMES`."""
    learned = {house: pictures(house, "b" if house == INPUT else "a") for house in NAMES}
    others = {house: pictures(house, "a" if house == INPUT else "b") for house in NAMES}
    return house_judge.prepare(KEPT / "house-judge.keras", learned, others)


def marks(net: house_judge.HouseJudge, images: Pixels, inputs: Pixels, true: Pixels, house: int) -> dict[str, float]:
    """How much these look like the house, and how much like what they are to show."""
    from gentrain.metrics import frechet, style

    apart = np.abs(images.astype(np.float32)[:, None] - true.astype(np.float32)[None]).mean(axis=(2, 3, 4)) / 255
    others = ~np.eye(len(images), dtype=bool)
    return {
        "hits": float((net.classes(images) == house).mean()),
        "frechet": frechet.distance(net.features(true), net.features(images)),
        "content": style.content(inputs, images),
        "l1": float(np.diag(apart).mean()),
        "l1 of another": float(apart[others].mean()),
    }


class Style:
    """One house's, and how near each way comes to it.

    Attributes:
        seeds: marks of each training's pictures.
        rows: by what made them, the marks of pictures; of trainings with several seeds the median.
        unseen: Fréchet distance of other pictures of the house's.
    """

    def __init__(self, style: str, runs: Sequence[Path], net: house_judge.HouseJudge, *, peer: bool) -> None:
        from gentrain.metrics.style import recoloured

        inputs, true, house = pictures(INPUT, "test"), pictures(style, "test"), list(NAMES).index(style)

        def marked(images: Pixels) -> dict[str, float]:
            return marks(net, images, inputs, true, house)

        self.seeds = [marked(translated(each, inputs)) for each in runs]
        median = {mark: statistics.median(each[mark] for each in self.seeds) for mark in self.seeds[0]}
        self.rows = {
            "left as they are": marked(inputs),
            "recoloured: the style's histogram": marked(recoloured(inputs, pictures(style, "b"))),
            "**translated**": median,
        }
        if peer:
            self.rows["FastCUT"] = marked(np.load(peer_of(style))["images"])
        self.rows[f"{NAMES[style]}'s own"] = marked(true)
        self.unseen = marked(pictures(style, "a")[: len(inputs)])["frechet"]

    def spread(self, mark: str) -> str:
        """The values of all seeds, in their order."""
        return ", ".join(number(each[mark]) for each in self.seeds)


def report(
    cells: dict[str, list[dict[str, Any]]],
    peers: dict[str, dict[str, Any]],
    runs: dict[str, list[Path]],
    options: list[str],
    days: str,
) -> str:
    """The section of Markdown."""
    net, rows, notes = judge(), [], []
    for style, of in cells.items():
        found, name = Style(style, runs[style], net, peer=style in peers), NAMES[style]
        rows += [[f"{NAMES[INPUT]} → {name}", made, *map(number, each.values())] for made, each in found.rows.items()]
        seconds = ", ".join(f"{cell['cpu']:.0f}" for cell in of)
        seeds = f" (hits {found.spread('hits')}, Fréchet {found.spread('frechet')})" if len(of) > 1 else ""
        peer = f", FastCUT's {peers[style]['kimg']:.3g} kimg in {peers[style]['cpu']:.0f}" if style in peers else ""
        notes.append(f"{of[0]['kimg']:.3g} kimg to {name} in {seconds} CPU seconds{seeds}{peer}; other pictures of "
                     f"{name}'s have a Fréchet distance of {number(found.unseen)}")  # fmt: skip
    told, count = f" {' '.join(options)}" if options else "", max(map(len, cells.values()))
    extra = (f" --seeds {count}" if count > 1 else "") + (" --fastcut DIR" if peers else "")
    extra += f" --options='{told.strip()}'" if told else ""
    command = paragraph(
        f"""`python bench/style.py --google DIR --twitter DIR --openmoji DIR{extra}`,
        DIRs being the unpacked npm packages emoji-datasource-google, emoji-datasource-twitter and openmoji: `gentrain
        fit --data google/a --style twitter/b{told}`, 64×64, on {len(pictures(INPUT, "a"))} pictures of Google's and
        {len(pictures("twitter", "b"))} of other concepts by the other house,
        {f"medians of {count} seeds" if count > 1 else "one seed"}, {days}; {len(pictures(INPUT, "test"))} pictures of
        further concepts are translated."""
    )
    theirs = " FastCUT is its authors' code, as wide as ours, on the same pictures for as long." if peers else ""
    how = paragraph(
        f"""{". ".join(notes)}. Hits: the part that a classifier takes for the house; it has learned the three houses
        from pictures that no training saw, and is right on {net.accuracy:.1%} of others. Fréchet: in its features,
        scaled to a mean variance of 1, to the house's own drawings of the same. Content: correlation of where edges are
        with the input. L1: mean distance to the house's own drawing of the same, and of another thing.{theirs}"""
    )
    head = ["", "", "hits", "Fréchet", "content", "L1", "L1 of another"]
    return f"""## Training: emoji of one house as another would draw them

{command}

{table(head, rows, texts=2)}

{how}"""


def draw(runs: dict[str, list[Path]], peers: Container[str], docs: Path) -> None:
    """Input · translated, by FastCUT, recoloured and the house's own for each style; emoji drawn at random, none
    trained on.
    """
    from gentrain.metrics.style import recoloured

    inputs = pictures(INPUT, "test")
    chosen = np.sort(np.random.default_rng(0).permutation(len(inputs))[: GROUPS * ROWS])
    columns = [inputs[chosen]]
    for style, (first, *_) in runs.items():
        columns.append(translated(first, inputs[chosen]))
        if style in peers:
            columns.append(np.load(peer_of(style))["images"][chosen])
        columns += [recoloured(inputs, pictures(style, "b"))[chosen], pictures(style, "test")[chosen]]
    across = np.concatenate(columns, axis=2)
    gap = np.full((*across.shape[:2], GAP, 3), 160, np.uint8)
    cells = np.concatenate([across, gap], axis=2)
    lines = [np.concatenate(list(cells[i : i + GROUPS]), axis=1)[:, :-GAP] for i in range(0, len(cells), GROUPS)]
    save_small(Image.fromarray(np.concatenate(lines)), docs / "style.png")


def main() -> None:
    """Train, judge and draw each style, print the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for house in NAMES:
        parser.add_argument(f"--{house}", type=Path, required=True, help="the unpacked npm package")
    parser.add_argument("--style", choices=STYLES, action="append", help="(default: both)")
    parser.add_argument("--kimg", type=float, default=KIMG, help=f"length of each training (default: {KIMG:g})")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--fastcut", type=Path, metavar="DIR", help="checkout of its authors' code, to compare with")
    parser.add_argument("--options", default="", help="more for gentrain fit, as in --options='--set nce=2'")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the picture goes (default: docs/)")
    parser.add_argument("--again", action="store_true", help="start the trainings over")
    arguments = parser.parse_args()
    if not (arguments.google / "emoji.json").is_file():
        sys.exit(f"{arguments.google}: not the npm package; unpack what `npm pack emoji-datasource-google` gives")
    if not (KEPT / "houses" / INPUT / "test").is_dir():
        houses.write(arguments.google, arguments.twitter, arguments.openmoji, KEPT / "houses")
    options, measured = arguments.options.split(), Cells("style", arguments.again)
    kimg, seeds = arguments.kimg, range(arguments.seeds)
    cells: dict[str, list[dict[str, Any]]] = {style: [] for style in arguments.style or STYLES}
    for seed in seeds:
        for style, of in cells.items():
            key = " ".join([style, f"{kimg:g}", *options]) + (f", seed {seed}" if seed else "")
            of.append(measured.get(key, train, style, kimg, seed, options))
    peers = {}
    for style, of in cells.items() if arguments.fastcut else ():
        seconds = statistics.median(cell["cpu"] for cell in of)
        peers[style] = measured.get(f"FastCUT {style} {kimg:g}", train_peer, arguments.fastcut, style, seconds)

    from gentrain import quiet

    quiet.import_tensorflow()
    runs = {style: [run_of(style, kimg, seed, options) for seed in seeds] for style in cells}
    print(report(cells, peers, runs, options, measured.days()))
    draw(runs, peers, arguments.docs)


if __name__ == "__main__":
    main()
