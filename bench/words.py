"""Pictures from words, 32×32: trained on emoji of two houses, judged by what two others drew. Prints Markdown.

The real commands do it: `gentrain fit --captions auto`, then `gentrain evaluate`. The judge (matcher.py) says which of
100 captions a picture fits best: one that was trained on, one that was not, of the same picture or of another one, or
one of a colour and a thing that were never together in training (asked.py, captioned.py). Beside it a generator that
takes the subcategory as its class. Draws docs/words.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import captioned
import judged
import numpy as np
from asked import (
    COMMON,
    EACH,
    HEARD,
    KEYWORDS,
    PARTS,
    SEEDS,
    SIDE,
    Asked,
    Pixels,
    every_part,
    keywords,
    nearest_by_words,
    picture,
    rows,
    spread,
)
from captioned import concept_of
from common import KEPT, ROOT, gentrain, log_of, number, paragraph, table, tell
from emoji import save_small
from matcher import AMONG, Matcher, PixelMatcher, ranks
from PIL import Image, ImageDraw, ImageFont

KIMG = 220.0
KIMG_BY_CLASS = 45.0
MARKS = ("R@1", "R@5", "kind")
DRAWN, BY_CLASS = "**drawn**", "by a class-conditional generator"
REAL, SHUFFLED, NOISE = "Google's and Twitter's own", "their own, of other captions", "noise"
MOST_BY_CHANCE = 4 / AMONG

SHOWN = (
    "red heart", "blue heart", "crying face", "cat", "tree", "flower", "moon", "clock", "house", "green apple",
    "purple circle", "car",
)  # fmt: skip
"""What is drawn, chosen before any picture was seen; two of them are colours and things never together in training."""

COLUMNS = 10

Marks = dict[str, dict[str, dict[str, float]]]


def judge(kind: type[Matcher] = Matcher) -> Matcher:
    """What OpenMoji's and Fluent's drawings teach."""
    found = rows("judge")
    pictures = np.stack([picture(KEPT / "captioned" / "judge" / row["file_name"]) for row in found])
    return kind(pictures, [" ".join(row["text"][:-1]) for row in found], [row["kind"] for row in found])


class Run:
    """A run directory's generator, asked by texts or by classes."""

    def __init__(self, directory: Path) -> None:
        from gentrain.commands.subject import find
        from gentrain.conditions.tokens import Tokens
        from gentrain.conditions.vocabulary import Vocabulary

        about = json.loads((directory / "interface.json").read_text(encoding="utf-8"))["inputs"]
        inputs = {one["role"]: one for one in about}
        self._classes = inputs["labels"]["classes"] if "labels" in inputs else []
        if not self._classes:
            words = inputs["tokens"]
            self._tokens = Tokens(Vocabulary(tuple(words["vocabulary"]), words["folding"]), []).tokens
        self._generator = find(directory).generator

    def draw(self, texts: Sequence[str], first_seed: int = 0) -> Pixels:
        """Uint8 (N, 32, 32, 3): the seeds from `first_seed` on, one for each text or name of a class."""
        from gentrain.metrics.generate import generate

        labels = np.array([self._classes.index(text) for text in texts if self._classes], np.int32)
        given = {"labels": labels} if self._classes else {"tokens": self._tokens(texts)}
        return generate(self._generator, len(texts), first_seed, given)


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


def examined(run: Run, others: dict[str, Run], by_class: Run, matcher: Matcher) -> Marks:
    """Part → source of pictures → marks; `others` are of other seeds."""
    parts, pool = every_part()
    found: Marks = {}
    for part, of in parts.items():
        tell(f"judging pictures of {len(of)} captions: {PARTS[part]} …")
        exam, times = Exam(matcher, pool, of), SEEDS[part]
        said, briefly = [one.said for one in of], [one.briefly for one in of]
        pictures = {
            DRAWN: run.draw(said * times),
            **{name: other.draw(said * times) for name, other in others.items()},
            "drawn, asked in few words": run.draw(briefly * times),
            BY_CLASS: by_class.draw([one.group for one in of] * times),
            "training pictures nearest by words": nearest_by_words(said),
            "… in few words": nearest_by_words(briefly),
            REAL: np.concatenate([np.stack([one.real[house] for one in of]) for house in (0, 1)]),
            NOISE: np.random.default_rng(0).integers(0, 256, (len(of), SIDE, SIDE, 3)).astype(np.uint8),
        }
        features = {name: matcher.features(each) for name, each in pictures.items()}
        found[part] = {name: exam.marks(each) for name, each in features.items()}
        found[part][SHUFFLED] = exam.marks(np.roll(features[REAL], len(of) // 2, axis=0))
    check(found)
    return found


def of_keywords(run: Run, by_class: Run, matcher: Matcher) -> str:
    """How far pictures of one keyword are apart, beside real ones that have it; a paragraph."""
    real = keywords()
    of_real, of_run = (
        spread(matcher, np.concatenate([*real.values()])),
        spread(matcher, run.draw([w for w in real for _ in range(EACH)])),
    )
    groups = sorted({row["group"] for row in rows("train")})
    of_classes = spread(matcher, by_class.draw([group for group in groups for _ in range(EACH)]))
    return paragraph(
        f"""**Seeds of a keyword**, {KEYWORDS} words that {COMMON} things or more in training have, {EACH} seeds each:
        in the features of the first judge two are on average {number(of_run / of_real)} as far apart as two real
        pictures with the keyword; two pictures of a class by the class-conditional generator
        {number(of_classes / of_real)}."""
    )


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


def report(directory: Path, marks: Marks, by_pixels: Marks, apart: str, command: str, cpu: float | None) -> str:
    """The section of Markdown."""
    measured = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    found = []
    for of in (measured, measured["second"]):
        net = of["features"]["name"]
        found += [[f"{name}, {net}", number(m["value"]), number(m["floor"])] for name, m in of["metrics"].items()]
    took = f" in {cpu:.0f} seconds of processor time" if cpu else ""
    parts, _ = every_part()
    counts = ", ".join(f"{len(of)} {PARTS[part]} ({SEEDS[part]} seeds each)" for part, of in parts.items())
    how = paragraph(
        f"""`{command}`, DIRs being the unpacked npm packages emoji-datasource-google, emoji-datasource-twitter,
        openmoji and @lobehub/fluent-emoji-modern: `gentrain fit --captions auto`, preset `text`, {SIDE}×{SIDE}, on
        {len(rows("train"))} emoji by Google and Twitter, {log_of(directory)[-1]["kimg"]:.0f} kimg{took}."""
    )
    explained = paragraph(
        f"""R@1 / R@5 / kind: how often the picture's own caption comes first, or among the first five, of {AMONG}, by a
        judge that has learned from {len(rows("judge"))} drawings by OpenMoji and Fluent and from none by Google or
        Twitter, and how often it takes the picture for the right one of eight categories. Captions: {counts}. *In other
        words*: pictures trained on, asked for by a text that was not, of words that training had with {HEARD} emoji at
        least; in few words, by those of them that it never had with this one. *Other things*: whole concepts of which
        no picture was trained on; *new captions* are those of them whose names are of words that training had with
        {HEARD} emoji at least. *Combinations* are a colour and a thing that training had with others alone; in few
        words, by name. By chance R@1 is {1 / AMONG:g}. Below, what `gentrain evaluate` says; reference: real images in
        the place of generated ones."""
    )
    shown = f"![{', '.join(SHOWN)}; seeds 0 to {COLUMNS - 1}, uncurated](../docs/words.png)"
    no_net = (
        "The same by a judge without a pretrained net, convolutions that have learned from the same drawings alone:"
    )
    values = table(["", "value", "reference"], found)
    body = [how, _table(marks), explained, no_net, _table(by_pixels), apart, values, shown]
    return "\n\n".join(["## Training: pictures from words", *body])


def _table(marks: Marks) -> str:
    """A source of pictures a line, a part a column."""
    head = [
        f"{says}: {MARKS[0]} / {MARKS[1]} / {MARKS[2]}" if part == "train" else says for part, says in PARTS.items()
    ]
    lines = [
        [name, *(" / ".join(number(marks[part][name][key]) for key in MARKS) for part in PARTS)]
        for name in marks["train"]
    ]
    return table(["", *head], lines)


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
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="runs of other seeds, judged beside it")
    parser.add_argument(
        "--by-class", type=Path, help="a run that takes subcategories as classes (default: one is trained)"
    )
    parser.add_argument("--kimg", type=float, default=KIMG, help=f"length of the training (default: {KIMG:g})")
    parser.add_argument("--options", default="", help="more for gentrain fit, as in --options='--set diversity=2'")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the picture goes (default: docs/)")
    arguments = parser.parse_args()
    if not (KEPT / "captioned" / "judge" / "metadata.jsonl").is_file():
        captioned.write(folders(arguments), KEPT / "captioned")
    data = ("--data", KEPT / "captioned" / "train")
    directory, cpu = arguments.run or KEPT / "words", None
    if arguments.run is None:
        options = ("--captions", "auto", "--labels", "none", "--kimg", arguments.kimg, *arguments.options.split())
        cpu = judged.train(directory, *data, *options)
    by_class = arguments.by_class or KEPT / "words-by-class"
    if not (by_class / "interface.json").is_file():
        options = ("--labels", "group", "--conditional", "--preset", "small", "--set", f"resolution={SIDE}")
        judged.train(by_class, *data, *options, "--kimg", KIMG_BY_CLASS)
    if not (directory / "metrics.json").is_file():
        gentrain("evaluate", directory)

    from gentrain import quiet

    quiet.import_tensorflow()
    run = Run(directory)
    draw(run, arguments.docs)
    dirs = " ".join(f"--{house} DIR" for house in captioned.PACKAGES)
    command = f"python bench/words.py {dirs} --kimg {arguments.kimg:g}"
    others = {f"drawn, {other.name}": Run(other) for other in arguments.others}
    classes, matcher = Run(by_class), judge()
    marks, by_pixels = (examined(run, others, classes, each) for each in (matcher, judge(PixelMatcher)))
    print(report(directory, marks, by_pixels, of_keywords(run, classes, matcher), command, cpu))


if __name__ == "__main__":
    main()
