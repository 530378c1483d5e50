"""What a generator takes and gives: named tensors, each with a role, as interface.json has them (docs/contracts.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genexport.errors import ExportError

FILE = "interface.json"
VERSION = 1


@dataclass(frozen=True)
class Words:
    """How texts become tokens.

    Attributes:
        vocabulary: the words by their index, padding and the unknown word first.
        folding: replacement → all characters that become it.
        alone: first and last code points of characters that are words of their own.
    """

    vocabulary: tuple[str, ...]
    folding: Mapping[str, str] = field(default_factory=dict)
    alone: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: of the Keras model's input or output.
        role: what it means; the name that signatures have for it.
        dtype, shape: inside the model; None for the batch.
        range: lowest and highest value inside the model, where that is known.
        classes: names of the classes, where it holds labels with names.
        preprocessing: how picture files became its values.
        words: of tokens, how texts become such.
        frames_per_second: of clips, where that is known.
    """

    name: str
    role: str
    dtype: str
    shape: tuple[int | None, ...]
    range: tuple[float, float] | None = None
    classes: tuple[str, ...] = ()
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    words: Words | None = None
    frames_per_second: float | None = None


@dataclass(frozen=True)
class Description:
    """An interface.json: the task, all inputs and outputs in order, and the JSON itself, to be copied."""

    path: Path
    task: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    json: Mapping[str, Any]


def at_once(sizes: Iterable[Iterable[int | None]]) -> int:
    """How many examples are computed together where these are the shapes of one: 64, of large pictures fewer."""
    largest = max((math.prod(max(size or 1, 1) for size in each) for each in sizes), default=1)
    return max(1, min(64, (1 << 22) // max(largest, 1)))


def shape(sizes: Any) -> str:
    """A shape as it is written in messages, N for a free first size and ? for another."""
    return "(" + ", ".join(("?" if i else "N") if size is None else str(size) for i, size in enumerate(sizes)) + ")"


def read(run: Path) -> Description | None:
    """The interface.json of a run directory, or None where there is none.

    Raises:
        ExportError: it is damaged, of a later version, or gives a role twice; the message says what was expected.
    """
    path = run / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError:
        raise ExportError(f"{path}: damaged: not JSON; copy it again from the run") from None
    if isinstance(content, dict) and isinstance(content.get("version"), int) and content["version"] > VERSION:
        raise ExportError(
            f"{path}: version {content['version']}, expected {VERSION}: written by a newer genline; update this one"
        )
    try:
        inputs, outputs = (tuple(_tensor(each) for each in content[side]) for side in ("inputs", "outputs"))
        description = Description(path, str(content["task"]), inputs, outputs, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ExportError(f"{path}: does not follow docs/contracts.md: {what}") from None
    for tensors in (inputs, outputs):
        roles = [tensor.role for tensor in tensors]
        if len(set(roles)) < len(roles) or not roles:
            raise ExportError(
                f"{path}: expected each role at most once among the inputs and among the outputs, found {roles}"
            )
    return description


def _tensor(stored: Mapping[str, Any]) -> Tensor:
    span = stored.get("range")
    return Tensor(
        name=str(stored["name"]),
        role=str(stored["role"]),
        dtype=str(stored["dtype"]),
        shape=tuple(None if size is None else int(size) for size in stored["shape"]),
        range=None if span is None else _span(*span),
        classes=tuple(map(str, stored.get("classes") or ())),
        preprocessing=dict(stored.get("preprocessing") or {}),
        words=_words(stored) if "vocabulary" in stored else None,
        frames_per_second=_rate(stored.get("frames_per_second")),
    )


def _words(found: Mapping[str, Any]) -> Words:
    vocabulary = tuple(map(str, found["vocabulary"]))
    if len(set(vocabulary)) < len(vocabulary):
        raise ValueError("a word stands twice in the vocabulary")
    folding = {str(becomes): str(letters) for becomes, letters in (found.get("folding") or {}).items()}
    return Words(vocabulary, folding, tuple((int(first), int(last)) for first, last in found.get("alone") or ()))


def _rate(value: Any) -> float | None:
    if value is not None and (isinstance(value, bool) or not 0 < float(value) < math.inf):
        raise ValueError(f"frames_per_second {value!r}")
    return None if value is None else float(value)


def _span(low: float, high: float) -> tuple[float, float]:
    if not -math.inf < low <= high < math.inf:
        raise ValueError(f"range [{low}, {high}]")
    return float(low), float(high)
