"""Captioned emoji of several houses, 64×64, cropped to their content: to train on, to test on, and for a judge.

From the npm packages emoji-datasource-google (Apache-2.0), emoji-datasource-twitter (CC BY 4.0), openmoji (CC BY-SA
4.0) and @lobehub/fluent-emoji-modern (MIT), each unpacked in a folder. Google's and Twitter's are in OUT/train, but for
whole concepts (a man judge, a woman judge and a judge are one) in OUT/words, and but for pairs of a colour and a thing
that are never together in training, in OUT/combinations. OpenMoji's and Fluent's, of all concepts, are in OUT/judge.
Captions, in metadata.jsonl, are the names and the category in emoji.json, and OpenMoji's tags; of some concepts in
OUT/train the tags are not to be trained on, and stand apart as `untold`. Skin tones and flags are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from houses import SEX, rasterised, to_content
from openmoji import concept
from PIL import Image

PACKAGES = ("google", "twitter", "openmoji", "fluent")
TRAINED = PACKAGES[:2]
PARTS = ("train", "words", "combinations", "judge")
TESTED = 0.08  # of the concepts
UNTOLD = 0.1  # of the concepts that are trained on
APART = (
    ("blue", "heart"), ("purple", "heart"), ("green", "square"), ("red", "square"), ("orange", "circle"),
    ("brown", "circle"), ("orange", "diamond"), ("blue", "book"), ("green", "apple"),
)  # fmt: skip
"""Colours and things that are not together in training, and are with others."""


def write(folders: dict[str, Path], out: Path) -> dict[str, int]:
    """Draw all; how many pictures there are in each part."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for part in PARTS:
        (out / part).mkdir(parents=True, exist_ok=True)
    for about, drawings in _emoji(folders):
        of = part_of(about)
        for house, drawing in drawings.items():
            part, file = of if house in TRAINED else "judge", f"{house}-{about['file']}"
            to_content(drawing()).save(out / part / file)
            row = {"file_name": file, **{key: about[key] for key in ("text", "name", "kind", "group")}}
            rows[part].append(without_tags(row, about) if part == "train" else row)
    for part, found in rows.items():
        lines = "".join(json.dumps(row) + "\n" for row in found)
        (out / part / "metadata.jsonl").write_text(lines, encoding="utf-8")
    return dict(Counter({part: len(found) for part, found in rows.items()}))


def part_of(about: dict[str, Any]) -> str:
    """Where the pictures of an emoji are that may be trained on."""
    if any(colour in about["strict"] and thing in about["strict"] for colour, thing in APART):
        return "combinations"
    return "words" if place("text", about) < TESTED else "train"


def without_tags(row: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """A line of what is trained on: of some concepts OpenMoji's tags are in `untold`, not in `text`."""
    if not about["tags"] or place("untold", about) >= UNTOLD:
        return row
    return row | {"text": [text for text in row["text"] if text != about["tags"]], "untold": about["tags"]}


def place(what: str, about: dict[str, Any]) -> float:
    """Of an emoji's concept between 0 and 1, another one for everything that is to be decided."""
    digest = hashlib.sha256(f"{what} {concept_of(about['short'])}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def concept_of(name: str) -> str:
    """What the emoji of a man, of a woman and of a person have in common."""
    return concept(SEX.sub(" ", name.lower()))


Drawings = dict[str, Callable[[], Image.Image]]


def _emoji(folders: dict[str, Path]) -> Iterator[tuple[dict[str, Any], Drawings]]:
    """What is known of each emoji that Google and Twitter both have, and how to open what houses drew."""
    tags = _tags(folders["openmoji"])
    fluent = {_bare(file.stem): file for file in (folders["fluent"] / "assets").glob("*.svg")}
    for one in json.loads((folders["google"] / "emoji.json").read_text(encoding="utf-8")):
        if one["category"] in ("Flags", "Component") or not (one["has_img_google"] and one["has_img_twitter"]):
            continue
        names = [one["name"] or "", *one["short_names"], one["subcategory"] or ""]
        names = [name.lower().replace("_", " ").replace("-", " ") for name in names if name]
        code = _bare(one["unified"])
        tagged = tags.get(code, [])
        tags_text = " ".join(tagged)
        texts = [*names[:-1], *([tags_text] if tagged else []), names[-1]]
        strict = set(" ".join([*names, *tagged[:1]]).lower().split())
        about = {"text": list(dict.fromkeys(texts)), "name": names[0], "kind": one["category"], "strict": strict}
        about |= {"group": names[-1], "tags": tags_text}
        pngs = {house: folders[house] / f"img/{house}/64" / one["image"] for house in TRAINED}
        drawings: Drawings = {house: partial(Image.open, png) for house, png in pngs.items()}
        files = [one[key] for key in ("non_qualified", "unified") if one[key]]
        svgs = {("openmoji", folders["openmoji"] / "color" / "svg" / f"{name}.svg") for name in files}
        svgs |= {("fluent", fluent[code])} if code in fluent else set()
        drawings |= {house: partial(rasterised, svg) for house, svg in svgs if svg.is_file()}
        yield about | {"file": one["image"], "short": one["short_name"]}, drawings


def _tags(package: Path) -> dict[str, list[str]]:
    """Code point → the annotation and the tags that OpenMoji has for it."""
    found = {}
    for one in json.loads((package / "data" / "openmoji.json").read_text(encoding="utf-8")):
        tags = f"{one['tags']},{one['openmoji_tags']}".split(",")
        if not one["skintone"]:
            named = one["annotation"].replace(":", " ")
            found[_bare(one["hexcode"])] = [named, *(tag.strip() for tag in tags if tag.strip())]
    return found


def _bare(code: str) -> str:
    """Code points without the selector of colour, which packages have or have not."""
    return code.upper().replace("-FE0F", "")


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for house in PACKAGES:
        parser.add_argument(f"--{house}", type=Path, required=True, help="the unpacked npm package")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    counts = write({house: getattr(arguments, house) for house in PACKAGES}, arguments.out)
    print(", ".join(f"{count} in {part}" for part, count in counts.items()))


if __name__ == "__main__":
    main()
