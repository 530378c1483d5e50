"""Pictures from words, 32×32: trained on emoji of two houses, judged by what two others drew. Prints Markdown.

The real commands do it: `gentrain fit --captions auto`, then `gentrain evaluate`. The judge (matcher.py) says which of
100 captions a picture fits best: a caption that was trained on, one of a thing that was not, or one of a colour and a
thing that were never together in training (captioned.py). Draws docs/words.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import captioned
import judged
import numpy as np
from captioned import concept_of
from common import KEPT, ROOT, gentrain, log_of, number, paragraph, table, tell
from emoji import save_small
from matcher import AMONG, Matcher, PixelMatcher, ranks, words_of
from PIL import Image, ImageDraw, ImageFont

KIMG = 220.0
SIDE = 32
SEEN = 200  # captions that were trained on
MARKS = ("R@1", "R@5", "kind")
SEEDS = {"train": 2, "words": 4, "combinations": 8}
PARTS = {"train": "trained on", "words": "other things", "combinations": "other combinations"}
REAL, SHUFFLED, NOISE = "Google's and Twitter's own", "their own, of other captions", "noise"
MOST_BY_CHANCE = 4 / AMONG

SHOWN = (
    "red heart", "blue heart", "crying face", "cat", "tree", "flower", "moon", "clock", "house", "green apple",
    "purple circle", "car",
)  # fmt: skip
"""What is drawn, chosen before any picture was seen; two of them are colours and things never together in training."""

COLUMNS = 10

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Marks = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Asked:
    """A caption, the kind of emoji, and what Google and Twitter drew: uint8 (2, 32, 32, 3)."""

    name: str
    text: str
    kind: str
    real: Pixels


def asked(part: str) -> list[Asked]:
    """The captions of a part, all words of each; one for each concept."""
    found: dict[str, Asked] = {}
    for google, twitter in _pairs(part):
        about = google["name"], " ".join(words_of(" ".join(google["text"][:-1]))), google["kind"]
        files = [KEPT / "captioned" / part / row["file_name"] for row in (google, twitter)]
        concept = about[0] if part == "combinations" else concept_of(about[0])
        if concept not in found:
            found[concept] = Asked(*about, np.stack([picture(file) for file in files]))
    return list(found.values())


def rows(part: str) -> list[dict[str, Any]]:
    """The lines of its metadata.jsonl."""
    text = (KEPT / "captioned" / part / "metadata.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _pairs(part: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Google's and Twitter's line of the same emoji."""
    found = rows(part)
    return list(zip(found[::2], found[1::2], strict=True))


def picture(file: Path) -> Pixels:
    """Uint8 (32, 32, 3)."""
    with Image.open(file) as image:
        return np.asarray(image.reduce(image.width // SIDE))


def judge(kind: type[Matcher] = Matcher) -> Matcher:
    """What OpenMoji's and Fluent's drawings teach."""
    found = rows("judge")
    pictures = np.stack([picture(KEPT / "captioned" / "judge" / row["file_name"]) for row in found])
    return kind(pictures, [" ".join(row["text"][:-1]) for row in found], [row["kind"] for row in found])


class Run:
    """A run directory's generator, asked by texts."""

    def __init__(self, directory: Path) -> None:
        from gentrain.commands.subject import find
        from gentrain.conditions.tokens import Tokens
        from gentrain.conditions.vocabulary import Vocabulary

        about = json.loads((directory / "interface.json").read_text(encoding="utf-8"))
        words = next(one for one in about["inputs"] if one["name"] == "tokens")
        self._tokens = Tokens(Vocabulary(tuple(words["vocabulary"]), words["folding"]), []).tokens
        self._generator = find(directory).generator

    def draw(self, texts: Sequence[str], first_seed: int = 0) -> Pixels:
        """Uint8 (N, 32, 32, 3): the seeds from `first_seed` on, one for each text."""
        from gentrain.metrics.generate import generate

        return generate(self._generator, len(texts), first_seed, {"tokens": self._tokens(texts)})


class Exam:
    """How pictures of a part's captions are judged."""

    def __init__(self, matcher: Matcher, pool: Sequence[Asked], of: Sequence[Asked]) -> None:
        """`pool` is where wrong captions come from."""
        self.matcher, self.of, self._pool = matcher, list(of), list(pool)
        rng = np.random.default_rng(0)
        texts, concepts = [one.text for one in pool], np.array([concept_of(one.name) for one in pool])
        self.right = np.array([texts.index(one.text) for one in of])
        apart = [np.flatnonzero(concepts != concept_of(one.name)) for one in of]
        self.others = [rng.permutation(each)[: AMONG - 1] for each in apart]

    def marks(self, features: Any, right: Any = None) -> dict[str, float]:
        """R@1, R@5 and the part whose kind is right, of pictures for the N captions in order, once or several times."""
        times = len(features) // len(self.of)
        scores = self.matcher.scores(features, [one.text for one in self._pool])
        place = ranks(scores, np.tile(self.right if right is None else right, times), self.others * times)
        kinds = zip([one.kind for one in self.of] * times, self.matcher.kinds_of(features), strict=True)
        return {"R@1": float((place < 1).mean()), "R@5": float((place < 5).mean()),
                "kind": float(np.mean([kind == taken for kind, taken in kinds]))}  # fmt: skip


def nearest_by_words(texts: Sequence[str]) -> Pixels:
    """For each text the training picture whose caption shares most with it: rare words count more."""
    found = rows("train")
    bags = [set(words_of(" ".join(row["text"]))) for row in found]
    counts: dict[str, int] = {}
    for bag in bags:
        counts |= {word: counts.get(word, 0) + 1 for word in bag}
    weight = {word: float(np.log(len(bags) / times)) for word, times in counts.items()}
    chosen = []
    for text in texts:
        wanted = set(words_of(text))
        shared = [sum(weight[w] for w in bag & wanted) / sum(weight[w] for w in bag) ** 0.5 for bag in bags]
        chosen.append(found[int(np.argmax(shared))]["file_name"])
    return np.stack([picture(KEPT / "captioned" / "train" / file) for file in chosen])


def examined(run: Run, matcher: Matcher) -> Marks:
    """Part → source of pictures → marks."""
    parts = {part: asked(part) for part in PARTS}
    pool = [one for of in parts.values() for one in of]
    parts["train"] = [parts["train"][i] for i in np.linspace(0, len(parts["train"]) - 1, SEEN).astype(int)]
    found: Marks = {}
    for part, of in parts.items():
        tell(f"judging pictures of {len(of)} captions: {PARTS[part]} …")
        exam, texts, times = Exam(matcher, pool, of), [one.text for one in of], SEEDS[part]
        pictures = {
            "**drawn**": run.draw(texts * times),
            "drawn, asked by name alone": run.draw([one.name for one in of] * times),
            "training pictures nearest by words": nearest_by_words(texts),
            REAL: np.concatenate([np.stack([one.real[house] for one in of]) for house in (0, 1)]),
            NOISE: np.random.default_rng(0).integers(0, 256, (len(of), SIDE, SIDE, 3)).astype(np.uint8),
        }
        features = {name: matcher.features(each) for name, each in pictures.items()}
        found[part] = {name: exam.marks(each) for name, each in features.items()}
        found[part][SHUFFLED] = exam.marks(np.roll(features[REAL], len(of) // 2, axis=0))
    check(found)
    return found


def check(found: Marks) -> None:
    """Ends this with one line where the judge finds what cannot be there."""
    for part in ("train", "words"):
        for name in (SHUFFLED, NOISE):
            if found[part][name]["R@1"] > MOST_BY_CHANCE:
                sys.exit(f"the judge is wrong: {name}, {PARTS[part]}: R@1 {found[part][name]['R@1']:.3f} is not chance")


def draw(run: Run, docs: Path) -> None:
    """The chosen words, and the first seeds for each."""
    drawn = run.draw([text for _ in range(COLUMNS) for text in SHOWN])
    side, left, gap = 2 * SIDE, 150, 4
    sheet = Image.new("RGB", (left + COLUMNS * (side + gap), len(SHOWN) * (side + gap)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for row, text in enumerate(SHOWN):
        pen.text((left - 12, row * (side + gap) + side / 2), text, "black", font, anchor="rm")
        for column in range(COLUMNS):
            image = Image.fromarray(drawn[column * len(SHOWN) + row]).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(image, (left + column * (side + gap), row * (side + gap)))
    docs.mkdir(parents=True, exist_ok=True)
    save_small(sheet, docs / "words.png")


def report(directory: Path, marks: Marks, by_pixels: Marks, command: str, cpu: float | None) -> str:
    """The section of Markdown."""
    measured = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    columns = [(part, key) for part in PARTS for key in MARKS]
    lines = [[name, *(number(marks[part][name][key]) for part, key in columns)] for name in marks["train"]]
    head = ["", *(f"{PARTS[part]}: {key}" for part, key in columns)]
    found = []
    for of in (measured, measured["second"]):
        net = of["features"]["name"]
        found += [[f"{name}, {net}", number(m["value"]), number(m["floor"])] for name, m in of["metrics"].items()]
    took = f" in {cpu:.0f} seconds of processor time" if cpu else ""
    counts = ", ".join(f"{len(asked(part))} {says}" for part, says in PARTS.items() if part != "train")
    how = paragraph(
        f"""`{command}`, DIRs being the unpacked npm packages emoji-datasource-google, emoji-datasource-twitter,
        openmoji and @lobehub/fluent-emoji-modern: `gentrain fit --captions auto`, preset `text`, {SIDE}×{SIDE}, on
        {len(rows("train"))} emoji by Google and Twitter, {log_of(directory)[-1]["kimg"]:.0f} kimg{took}; one seed."""
    )
    explained = paragraph(
        f"""R@1, R@5: how often the picture's own caption comes first, or among the first five, of {AMONG}, by a judge
        that has learned from {len(rows("judge"))} drawings by OpenMoji and Fluent and from none by Google or Twitter;
        kind: how often it takes the picture for the right one of eight categories. Captions: {SEEN} trained on, with
        {SEEDS["train"]} seeds each; {counts}, with {SEEDS["words"]} and {SEEDS["combinations"]} seeds. Things are words
        of which no picture was trained on; combinations are a colour and a thing that training had with others alone.
        By chance R@1 is {1 / AMONG:g}. Below, what `gentrain evaluate` says; reference: real images in the place of
        generated ones."""
    )
    shown = f"![{', '.join(SHOWN)}; seeds 0 to {COLUMNS - 1}, uncurated](../docs/words.png)"
    values = table(["", "value", "reference"], found)
    again = [[name, *(number(by_pixels[part][name][key]) for part, key in columns)] for name in by_pixels["train"]]
    no_net = (
        "The same by a judge without a pretrained net, convolutions that have learned from the same drawings alone:"
    )
    parts = [how, table(head, lines), explained, no_net, table(head, again), values, shown]
    return "\n\n".join(["## Training: pictures from words", *parts])


def folders(arguments: argparse.Namespace) -> dict[str, Path]:
    """Where the packages are unpacked; ends this with one line where one is missing."""
    found = {house: getattr(arguments, house) for house in captioned.PACKAGES}
    for house, folder in found.items():
        if folder is None or not (folder / "package.json").is_file():
            sys.exit(f"--{house} {folder or 'is missing'}: expected the unpacked npm package")
    return found


def main() -> None:
    """Train, judge, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for house in captioned.PACKAGES:
        parser.add_argument(f"--{house}", type=Path, metavar="DIR", help="the unpacked npm package")
    parser.add_argument("--run", type=Path, help="judge this run directory, and train none")
    parser.add_argument("--kimg", type=float, default=KIMG, help=f"length of the training (default: {KIMG:g})")
    parser.add_argument("--options", default="", help="more for gentrain fit, as in --options='--set diversity=2'")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the picture goes (default: docs/)")
    arguments = parser.parse_args()
    if not (KEPT / "captioned" / "judge" / "metadata.jsonl").is_file():
        captioned.write(folders(arguments), KEPT / "captioned")
    directory, cpu = arguments.run or KEPT / "words", None
    if arguments.run is None:
        data = (
            "--data",
            KEPT / "captioned" / "train",
            "--captions",
            "auto",
            "--labels",
            "none",
            "--kimg",
            arguments.kimg,
        )
        cpu = judged.train(directory, *data, *arguments.options.split())
    if not (directory / "metrics.json").is_file():
        gentrain("evaluate", directory)

    from gentrain import quiet

    quiet.import_tensorflow()
    run = Run(directory)
    draw(run, arguments.docs)
    dirs = " ".join(f"--{house} DIR" for house in captioned.PACKAGES)
    command = f"python bench/words.py {dirs} --kimg {arguments.kimg:g}"
    marks, by_pixels = examined(run, judge()), examined(run, judge(PixelMatcher))
    print(report(directory, marks, by_pixels, command, cpu))


if __name__ == "__main__":
    main()
