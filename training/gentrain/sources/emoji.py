"""The emoji of an unpacked emoji-datasource-* package of npm: 64×64 PNG files, and what emoji.json says of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gentrain.data.dataset import Append, Contents, Frame, Show, Skipped, Source
from gentrain.errors import TrainError
from gentrain.sources import captions, encoded
from gentrain.sources.encoded import Item
from gentrain.sources.folder import find_images, regular
from gentrain.sources.pictures import shown, suffixes
from gentrain.sources.tree import ending

SIDE = "64"


def open(path: str) -> Source:
    """Every emoji of one set, skin variations too, laid on the frame's background; the category is the class.

    Captions are its name, its short names, and what kind of emoji it is, as `heart` or `face smiling`.

    Args:
        path: the package, or one set of it (`package/img/google`) where it has several.

    Source: github.com/iamcal/emoji-data.

    Raises:
        TrainError: no such package, several sets in it, or an emoji.json that is none.
    """
    package, images = _places(Path(path))
    listing = find_images(str(images))
    listed = _listed(package / "emoji.json", images.parent.name)
    identity = f"emoji {os.path.realpath(images)!r} {listing.digest} {sorted(listed.items())}"
    return Source(f"emoji:{shown(path)}", identity, partial(_decode, images, listing.files, listed))


def fits(path: str) -> bool:
    """Whether `path` is such a package."""
    return os.path.isfile(os.path.join(path, "emoji.json")) and os.path.isdir(os.path.join(path, "img"))


def _places(path: Path) -> tuple[Path, Path]:
    """The package and the folder of 64×64 images."""
    path = Path(os.path.abspath(path))
    if (path / SIDE).is_dir() and (path.parents[1] / "emoji.json").exists():
        return path.parents[1], path / SIDE
    sets = sorted(folder.parent for folder in path.glob(f"img/*/{SIDE}") if folder.is_dir())
    if not sets:
        raise TrainError(f"{shown(path)}: no emoji-datasource package: it has no img/*/{SIDE}")
    if len(sets) > 1:
        names = ", ".join(shown(folder.name) for folder in sets)
        raise TrainError(f"{shown(path)}: has the sets {names}; name one, as in emoji:{shown(sets[0])}")
    return path, sets[0] / SIDE


class Emoji(NamedTuple):
    """What emoji.json says of an image."""

    category: str
    texts: tuple[str, ...]


def _listed(file: Path, name: str) -> dict[str, Emoji]:
    """Image file → what is said of it, of all emoji that the set called `name` has."""
    try:
        emoji = json.loads(file.read_text(encoding="utf-8"))
        found: dict[str, Emoji] = {}
        for one in emoji:
            for image in (one, *one.get("skin_variations", {}).values()):
                if image.get(f"has_img_{name}", True):
                    found[image["image"]] = Emoji(one["category"], _texts(one))
        return found
    except OSError as error:
        raise TrainError(f"{shown(file)}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise TrainError(f"{shown(file)}: not the emoji.json of an emoji-datasource package: {error!r}") from error


def _texts(one: dict[str, Any]) -> tuple[str, ...]:
    """`heavy black heart`, `heart`: the name and the short names, as words."""
    names = (one.get("name") or "", *one.get("short_names", ()), one.get("subcategory") or "")
    return tuple(name.lower().replace("_", " ").replace("-", " ") for name in names if name)


def _decode(
    images: Path, files: list[str], listed: dict[str, Emoji], frame: Frame, append: Append, show: Show
) -> Contents:
    names = tuple(sorted({one.category for one in listed.values()}))
    files = [file for file in files if ending(file) in suffixes()]
    known = [file for file in files if file in listed]

    def items() -> Iterator[Item]:
        for file in known:
            yield Item(shown(file), str(images / file), names.index(listed[file].category))

    decoded = encoded.decode(shown(images), items, len(known), regular, frame, append, show)
    unknown = [Skipped(shown(file), "not in emoji.json") for file in files if file not in listed]
    missing = [Skipped(shown(file), "no such file") for file in sorted(set(listed) - set(files))]
    asked = frame.captions == "auto"
    texts = captions.gathered([listed[known[i]].texts for i in decoded.kept] if asked else (), "emoji.json")
    skipped = (*decoded.skipped, *unknown, *missing)
    return Contents(decoded.labels, names, skipped, texts.notes, "emoji.json", columns=texts.columns)
