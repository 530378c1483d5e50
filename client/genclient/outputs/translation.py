"""Pictures made of a user's pictures: what they are called, and what is written about each of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from genclient.errors import UsageError, printable
from genclient.outputs.image_set import ImageSet

ORIGINALS = "*.png"
"""Where a manifest has names of files: those of the originals."""

SHOWN_SETTINGS = ("hints_sha256", "latents_sha256", "seeds", "tile")
"""Settings that files say."""

_KEY = re.compile(r"[^A-Za-z0-9_-]+")


class Original(NamedTuple):
    """A user's picture: the name of what is made of it, and the SHA-256 of its file."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Translation(ImageSet):
    """Pictures to be made, one of each original; `seeds` are their places.

    Attributes:
        originals: in order.
        settings: what else decides about the pixels, by name, such as the signature.
        task: of the model.
    """

    originals: tuple[Original, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    task: str = "image-to-image"

    growing = "pictures"

    @property
    def number_name(self) -> str:
        """See `ImageSet`."""
        return "picture"

    @property
    def numbers_name(self) -> str:
        """See `ImageSet`."""
        return "pictures"

    def mark(self, place: int) -> tuple[str, str]:
        """The original's content: wherever it is, it need not be translated again."""
        return "original_sha256", self.originals[place].sha256

    def key(self, place: int) -> str:
        """`000006_cat`."""
        stem = _KEY.sub("_", os.path.splitext(self.originals[place].name)[0])
        return f"{int(self.numbers[place]):06d}_{stem}"[:80]

    def picture_name(self, place: int) -> str:
        """As the original's, with `.png`."""
        return self.originals[place].name

    def caption(self, place: int) -> str:
        """The name without its ending."""
        return os.path.splitext(self.originals[place].name)[0]

    def about_json(self, place: int, version: int | None) -> str:
        """What made a picture, as JSON."""
        return json.dumps({self.number_name: int(self.numbers[place]), **self._about(place, version)})

    def text(self, place: int, version: int | None) -> dict[str, str]:
        """The same as text fields."""
        about = {self.number_name: int(self.numbers[place]), **self._about(place, version)}
        return {key: printable(str(value)) for key, value in about.items()}

    def grid_text(self, version: int | None) -> dict[str, str]:
        """Text fields of one picture with all."""
        about = {"pictures": len(self), **self._made_by(version)}
        return {key: printable(str(value)) for key, value in about.items()}

    def request(self) -> dict[str, Any]:
        """What distinguishes this set from another."""
        return {
            "task": self.task,
            "model": self.model,
            "model_sha256": self.model_sha256,
            **dict(self.settings),
            "pictures": {original.name: original.sha256 for original in self.originals},
        }

    def file_pattern(self) -> str:
        """Files have the names of the originals."""
        return ORIGINALS

    def entry(self, place: int) -> dict[str, Any]:
        """What the manifest says of a file."""
        return {"original_sha256": self.originals[place].sha256}

    def once(self) -> Translation:
        """The same: each has a name of its own."""
        return self

    def joined(self, request: Mapping[str, Any]) -> Translation:
        """With the pictures of an earlier request; of those of one name this set's count."""
        old = request.get("pictures")
        if not isinstance(old, dict):
            raise UsageError(f"--out: found a manifest with pictures {old!r:.40}, expected names")
        both = {**old, **{original.name: original.sha256 for original in self.originals}}
        originals = [Original(*pair) for pair in both.items()]
        return translation(self.model, originals, self.model_sha256, self.settings, self.task)

    def _about(self, place: int, version: int | None) -> dict[str, Any]:
        key, sha256 = self.mark(place)
        return {"original": self.originals[place].name, key: sha256, **self._made_by(version)}

    def _made_by(self, version: int | None) -> dict[str, Any]:
        entries = {"model": self.model, "version": version, **self._shown_settings}
        return {key: value for key, value in entries.items() if value is not None}

    @cached_property
    def _shown_settings(self) -> dict[str, Any]:
        return {name: value for name, value in self.settings if name in SHOWN_SETTINGS}


def translation(
    model: str,
    originals: Sequence[Original],
    model_sha256: str | None = None,
    settings: Sequence[tuple[str, Any]] = (),
    task: str = "image-to-image",
) -> Translation:
    """The set of what a model makes of some pictures."""
    places = np.arange(len(originals), dtype=np.int64)
    return Translation(
        model, places, model_sha256=model_sha256, originals=tuple(originals), settings=tuple(settings), task=task
    )


def variation_names(name: str, marks: Sequence[str]) -> list[str]:
    """`cat-seed3.png` of `cat.png`: for each of several pictures that are made of one."""
    stem, suffix = os.path.splitext(name)
    return [f"{stem}-{mark}{suffix}" for mark in marks]


def names_for(paths: Sequence[str]) -> list[str]:
    """A name for what is made of each picture, `cat.png` of `cat.jpg`, each once; `paths` are relative ones."""
    taken: set[str] = set()
    names = []
    for path in paths:
        stem = os.path.splitext(path)[0]
        choices = (f"{stem}.png", f"{path}.png", *(f"{stem}-{number}.png" for number in range(2, len(paths) + 2)))
        name = next(name for name in choices if name not in taken)
        taken.add(name)
        names.append(name)
    return names
