"""`--like out.png`: what a picture of `sample` says in its text fields of how it was made, so that it is made again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genclient.cli.console import Console
from genclient.cli.resolve import is_default
from genclient.cli.source import Source
from genclient.errors import ClientError, UsageError, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

KINDS = re.compile(r"-(float32|float16|dynamic|int8|micro)\.tflite$")
"""The end of a file's name; what is before it is the model's."""

BETWEEN = "; "
"""Stands between the texts of a grid's rows."""


@dataclass(frozen=True)
class Like:
    """What made a picture.

    Attributes:
        path: its file.
        seeds: as `--seeds` takes them.
        truncation: factor on the latents.
        model: what it was called.
        version: of the model, where it had one.
        labels: the classes, each a row where there are several.
        texts: the same of texts.
    """

    path: str
    seeds: str
    truncation: float
    model: str
    version: int | None
    labels: tuple[int, ...]
    texts: tuple[str, ...]

    def fill(self, options: dict[str, Any]) -> None:
        """Set options of `sample`, but for truncation, classes and texts that a user gives.

        Raises:
            UsageError: other seeds are given.
        """
        for name in ("n", "seed", "seeds", "latents"):
            if options[name] is not None:
                raise UsageError(f"--{name} and --like: found both, expected one of them")
        options["seeds"] = self.seeds
        if is_default("truncation"):
            options["truncation"] = self.truncation
        if options["label"] is None and self.labels:
            options |= {"labels": self.labels} if len(self.labels) > 1 else {"label": str(self.labels[0])}
        if not options["text"] and options["text_file"] is None:
            options["text"] = self.texts

    def check(self, source: Source, console: Console) -> None:
        """See that a model is the one of the picture; another version of it is said to make other pictures.

        Raises:
            UsageError: it is another one.
        """
        if KINDS.sub("", self.model) != KINDS.sub("", source.model):
            raise UsageError(f"--like: found {self.path} of the model {printable(self.model)}, expected {source.model}")
        source.resolve_version()
        if None not in (self.version, source.version) and self.version != source.version:
            console.note(f"{self.path} is of version {self.version}: version {source.version} may draw something else")


def read_like(path: str) -> Like:
    """What a picture says.

    Raises:
        UsageError: it does not say it, or was made of more than seeds, classes and texts.
        ClientError: the file cannot be read.
    """
    fields = _fields(path)
    seeds, truncation, model = fields.get("seed") or fields.get("seeds"), fields.get("truncation"), fields.get("model")
    if "latents" in fields:
        raise UsageError(
            f"--like: found {path}, made of given latents, which are not in it; --latents takes their file"
        )
    if seeds is None or truncation is None or model is None:
        raise UsageError(
            f"--like: found {path}, which does not say how it was made, expected a PNG of genclient sample"
        )
    if given := [name for name in fields if name.endswith("_sha256")]:
        what = given[0].removesuffix("_sha256")
        raise UsageError(f"--like: found {path}, made of pictures besides ({printable(what)}), which are not in it")
    text = fields.get("text")
    several = text.split(BETWEEN) if text is not None and "seeds" in fields else [text]
    try:
        version = int(fields["version"]) if "version" in fields else None
        labels = tuple(int(label) for label in _numbers(fields["label"])) if "label" in fields else ()
        texts = tuple(each for each in several if each is not None)
        return Like(path, seeds, float(truncation), model, version, labels, texts)
    except ValueError as error:
        raise UsageError(f"--like: found {path}, in which something is no number: {error}") from None


def _numbers(text: str) -> NDArray[np.int64]:
    from genclient.latents.seeds import parse_seeds

    return parse_seeds(text)


def _fields(path: str) -> Mapping[str, str]:
    """The text fields of a picture; none of one that has none."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
            return {name: str(value) for name, value in picture.info.items() if isinstance(value, str)}
    except OSError as error:  # of what is no picture too
        reason = error.strerror or "not a picture that can be read"
        raise ClientError(f"--like: cannot read {path}: {reason}") from None
    except (ValueError, SyntaxError) as error:
        raise ClientError(f"--like: cannot read {path}: damaged: {error}") from None
