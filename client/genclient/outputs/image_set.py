"""The images that a command makes: which ones, of which model, and what is written about each of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from genclient.errors import UsageError, printable
from genclient.latents.file import Latents
from genclient.latents.seeds import format_seeds, parse_seeds
from genclient.model.vocabulary import well_formed

if TYPE_CHECKING:
    from genclient.images.arrays import GivenImages


@dataclass(frozen=True)
class ImageSet:
    """A set of images of one request, in order.

    Attributes:
        model: the name it is served under, or of its file.
        seeds: int64 (S,): the seeds, or indices into the latents.
        truncation: factor on the latents.
        label: class of all images.
        labels: classes; each makes an image of each seed.
        classes: names of the classes 0, 1, …, where they are known.
        latents: instead of seeds.
        given_labels: of latents of several classes, the class of each of these.
        model_sha256: of the model's file, where it is one.
        inputs: what the model takes besides, one for all or one for each seed.
        texts: what is to be seen; each makes an image of each seed.
    """

    model: str
    seeds: NDArray[np.int64]
    truncation: float = 1.0
    label: int | None = None
    labels: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    latents: Latents | None = None
    model_sha256: str | None = None
    inputs: tuple[GivenImages, ...] = ()
    texts: tuple[str, ...] = ()
    given_labels: tuple[int, ...] = ()

    growing: ClassVar[str] = "seeds"
    """What a later request may have more of."""

    def __len__(self) -> int:
        """How many images."""
        return len(self.seeds) * self.rows

    @property
    def rows(self) -> int:
        """How many images each seed makes: one for each class or text."""
        return max(1, len(self.labels), len(self.texts))

    @property
    def number_name(self) -> str:
        """What the numbers of images are."""
        return "seed" if self.latents is None else "latents"

    @property
    def numbers_name(self) -> str:
        """The same for several."""
        return "seeds" if self.latents is None else "latents"

    @cached_property
    def numbers(self) -> NDArray[np.int64]:
        """The seed, or the index into the latents, of each image: int64 (N,)."""
        return np.tile(self.seeds, self.rows)

    @cached_property
    def image_labels(self) -> NDArray[np.int64] | None:
        """The class of each image: int64 (N,)."""
        if self.labels:
            return np.repeat(np.asarray(self.labels, np.int64), len(self.seeds))
        if self.given_labels:
            return np.asarray(self.given_labels, np.int64)[self.numbers]
        return None if self.label is None else np.full(len(self), self.label, np.int64)

    def class_name(self, label: int) -> str | None:
        """The name of a class."""
        return self.classes[label] if 0 <= label < len(self.classes) else None

    def mark(self, place: int) -> tuple[str, str]:
        """A text field by which the file of an image is known."""
        return self.number_name, str(int(self.numbers[place]))

    def file_pattern(self) -> str:
        """Names of files within a folder, as the manifest has them."""
        return f"{self.number_name}%04d.png"

    def entry(self, place: int) -> dict[str, Any]:
        """What the manifest says of the file of an image."""
        entry: dict[str, Any] = {self.number_name: int(self.numbers[place])}
        if self.texts:
            entry["text"] = self.text_of(place)
        return entry if self.image_labels is None else {**entry, "label": int(self.image_labels[place])}

    def once(self) -> ImageSet:
        """The same with each seed once, from low to high."""
        return replace(self, seeds=np.unique(self.seeds))

    def joined(self, request: Mapping[str, Any]) -> ImageSet:
        """With the seeds of an earlier request.

        Raises:
            UsageError: it has none.
        """
        old = request.get("seeds")
        if not isinstance(old, str):
            raise UsageError(f"--out: found a manifest with seeds {old!r:.40}, expected a list such as 0,3-5")
        return replace(self, seeds=np.union1d(parse_seeds(old), self.seeds))

    def key(self, place: int) -> str:
        """What an image is called within its folder: `seed0006`; with several classes or texts `seed0006_3`."""
        number = f"{self.number_name}{int(self.numbers[place]):04d}"
        return f"{number}_{self._padded(place)}" if self.labels or self.rows > 1 else number

    def picture_name(self, place: int) -> str:
        """The file of an image within a folder: `seed0006.png`; of several classes or texts `3-rain/seed0006.png`."""
        name = f"{self.number_name}{int(self.numbers[place]):04d}.png"
        if not self.labels and self.rows == 1:
            return name
        called = self.class_name(self._label(place)) if self.labels else self.text_of(place)
        words = re.sub(r"[^\w-]+", "_", well_formed(called or ""))[: 100 if self.labels else 60]
        return f"{self._padded(place)}{words and '-' + words}/{name}"

    def caption(self, place: int) -> str:
        """An image in a few letters: `7`; `7 red heart` of a text, `7 rain` of a class, else `7 class 3`."""
        label = self.label_of(place)
        name = "" if label is None else f" {self.class_name(label) or f'class {label}'}"
        return f"{int(self.numbers[place])} {self.text_of(place) or ''}".rstrip() + name

    def about_json(self, place: int, version: int | None) -> str:
        """What made an image, as JSON."""
        return f'{{"{self.number_name}": {int(self.numbers[place])}, {self._shared(place, version)[1]}'

    def text(self, place: int, version: int | None) -> dict[str, str]:
        """The same as text fields of a picture, which are to be printed."""
        return {self.number_name: str(int(self.numbers[place])), **self._shared(place, version)[0]}

    def grid_text(self, version: int | None) -> dict[str, str]:
        """Text fields of one picture with all images."""
        text = self.text(0, version)
        del text[self.number_name]
        numbers = {self.numbers_name: format_seeds(self.seeds)}
        if self.labels:
            text.pop("class", None)
            text["label"] = format_seeds(np.asarray(self.labels, np.int64))
        elif self.given_labels:
            text.pop("class", None)
            text["label"] = ",".join(map(str, self.given_labels))
        if self.texts:
            text["text"] = printable("; ".join(self.texts))
        return {**numbers, **text}

    def request(self) -> dict[str, Any]:
        """What distinguishes this set from another, but for the model's version: values as JSON has them."""
        return {
            "model": self.model,
            "model_sha256": self.model_sha256,
            "truncation": self.truncation,
            "label": list(self.labels) or list(self.given_labels) or self.label,
            "classes": list(self.classes),
            "latents_sha256": None if self.latents is None else self.latents.sha256,
            "seeds": format_seeds(self.seeds),
            **({"texts": list(map(well_formed, self.texts))} if self.texts else {}),
            **({"inputs": {given.name: given.sha256 for given in self.inputs}} if self.inputs else {}),
        }

    def inputs_of(self, places: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """What the model takes besides for some images."""
        return {given.name: given.of(places % len(self.seeds)) for given in self.inputs}

    def _shared(self, place: int, version: int | None) -> tuple[dict[str, str], str]:
        """What images of a class or text have in common, as text and as JSON; made once, as there may be a million."""
        label = None if self.image_labels is None else self._label(place)
        known = (label, self.text_of(place), version)
        if known not in self._made:
            shared: dict[str, Any] = {"model": self.model, "version": version, "truncation": self.truncation}
            shared.update(label=label, latents_sha256=None if self.latents is None else self.latents.sha256)
            shared.update({f"{given.name}_sha256": given.sha256 for given in self.inputs})
            shared["text"] = known[1]
            shared["class"] = None if label is None else self.class_name(label)
            values = {key: value for key, value in shared.items() if value is not None}
            text = {key: printable(str(value)) for key, value in values.items()}
            self._made[known] = text, json.dumps(values, ensure_ascii=False)[1:]
        return self._made[known]

    @cached_property
    def _made(self) -> dict[tuple[int | None, str | None, int | None], tuple[dict[str, str], str]]:
        return {}

    def label_of(self, place: int) -> int | None:
        """The class of an image."""
        return None if self.image_labels is None else int(self.image_labels[place])

    def text_of(self, place: int) -> str | None:
        """The text of an image."""
        return well_formed(self.texts[place // len(self.seeds)]) if self.texts else None

    def texts_of(self, places: NDArray[np.int64]) -> list[str]:
        """The texts of some images."""
        return [well_formed(self.texts[row]) for row in (places // len(self.seeds)).tolist()]

    def _label(self, place: int) -> int:
        assert self.image_labels is not None
        return int(self.image_labels[place])

    def _padded(self, place: int) -> str:
        """The label, or which text it is, with zeros before it, so that names sort as numbers do."""
        if self.labels:
            return f"{self._label(place):0{len(str(max(self.labels)))}d}"
        return f"{place // len(self.seeds):0{len(str(len(self.texts) - 1))}d}"
