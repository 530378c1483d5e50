"""Arguments of the library's calls, checked before anything is made of them: what cannot be meant is one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.errors import UsageError
from genclient.latents.array import counted_seeds, latents_array, seed_numbers
from genclient.latents.seeds import seed_range

Seeds = Sequence[int] | NDArray[np.int64]


class _Default(int):
    """A number that nobody gave: `sample(16, seeds=[1, 2])` is a contradiction, `sample(seeds=[1, 2])` is none."""


COUNT: int = _Default(16)
FIRST: int = _Default(0)


def whole(name: str, value: Any) -> int:
    """A whole number as int.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise UsageError(f"{name}: found {_shown(value)}, expected a whole number")
    return int(value)


def check_count(name: str, value: Any, most: int) -> None:
    """See that it is a whole number from 1 to `most`.

    Raises:
        UsageError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= most:
        raise UsageError(f"{name}: found {_shown(value)}, expected 1 to {most}")


def check_seconds(name: str, value: Any, *, above_zero: bool = False) -> None:
    """See that it is a time.

    Raises:
        UsageError: it is not.
    """
    expected = "seconds above 0" if above_zero else "seconds, 0 or more"
    if not _is_number(value) or not 0 <= value < 1e9 or (above_zero and not value):
        raise UsageError(f"{name}: found {_shown(value)}, expected {expected}")


def check_model(model: Any) -> None:
    """See that it can be a model's name.

    Raises:
        UsageError: it cannot.
    """
    if isinstance(model, (int, float)):
        raise UsageError(f"model: found {model}, expected a name; a port belongs to the target, as in localhost:8500")
    if not isinstance(model, str) or not model or not model.isprintable():
        raise UsageError(f"model: found {_shown(model)}, expected the name of a served model")


def check_grid(columns: Any, scale: Any) -> None:
    """See that they can be the columns and the enlargement of an image grid; None: as they suit it.

    Raises:
        UsageError: they cannot.
    """
    for name, value, most in (("columns", columns, 2**16), ("scale", scale, 64)):
        if value is not None:
            check_count(name, value, most)


def check_files(name: str, files: Any) -> None:
    """See that picture files are a list of them, not one: a string would be read as paths of one letter each.

    Raises:
        UsageError: it is one.
    """
    if isinstance(files, (str, bytes, PathLike)):
        shown = "a picture's content" if isinstance(files, bytes) else repr(str(files))
        raise UsageError(f"{name}: found {shown}, expected a list of picture files, perhaps of one")


def check_range(value: Any) -> None:
    """See that it is the lowest and the highest value of pixels.

    Raises:
        UsageError: it is not.
    """
    pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_number, value))
    if not pair or not -1e9 < value[0] < value[1] < 1e9:
        raise UsageError(f"output_range: found {_shown(value)}, expected the lowest and the highest value of pixels")


def check_mapping(name: str, value: Any) -> None:
    """See that it has names and values.

    Raises:
        UsageError: it has not.
    """
    if not isinstance(value, Mapping):
        raise UsageError(f"{name}: found {type(value).__name__}, expected a dictionary")


def check_version(version: Any) -> None:
    """See that it is a version's number, or None.

    Raises:
        UsageError: it is neither.
    """
    if version is not None and not 0 <= whole("version", version) < 2**63:
        raise UsageError(f"version: found {version}, expected the number of a version")


def check_alone(n: int | None, seed: int, seeds: Seeds | None, latents: ArrayLike | None) -> None:
    """See that one of `n` and `seed`, `seeds` and `latents` says which images are requested.

    Raises:
        UsageError: two of them do.
    """
    if seeds is not None and latents is not None:
        raise UsageError("seeds and latents: found both, expected one of them")
    name = "seeds" if seeds is not None else "latents" if latents is not None else None
    if name is None:
        return
    if not isinstance(seed, _Default):
        raise UsageError(f"seed and {name}: found both, expected one of them")
    given: Any = seeds if latents is None else latents
    if not isinstance(n, _Default) and (n is None or not hasattr(given, "__len__") or n != len(given)):
        raise UsageError(f"n: found {_shown(n)} beside {name} of another number, expected one of them")


def of_images(
    n: int | None,
    seed: int,
    seeds: Seeds | None,
    latents: ArrayLike | None,
    truncation: float,
    label: Any,
    inputs: Mapping[str, Any] | None = None,
    texts: Any = None,
    *,
    bounded: bool = True,
) -> dict[str, Any]:
    """The arguments of `sample` and the like as a task takes them: by the names of roles, and `truncation`.

    `bounded`: not more than MAX_IMAGES, as they are kept in memory.

    Raises:
        UsageError: the arguments do not fit each other.
    """
    check_alone(n, seed, seeds, latents)
    given: dict[str, Any] = {**named_inputs(inputs or {}), "truncation": truncation, "labels": label, "texts": texts}
    if latents is not None:
        given["latents"] = latents_array(latents)
    elif seeds is not None:
        given["seeds"] = seed_numbers(seeds)
    elif bounded and n is not None:
        given["seeds"] = seed_numbers(seed_range(whole("seed", seed), whole("n", n)))
    else:
        given["seeds"] = counted_seeds(whole("seed", seed), None if n is None else whole("n", n))
    return given


def shown_numbers(n: int, seed: int, seeds: Seeds | None, latents: ArrayLike | None) -> NDArray[np.int64]:
    """The seeds of images, or the indices of their latents: int64 (N,)."""
    if latents is not None:
        return np.arange(np.shape(latents)[0], dtype=np.int64)
    return seed_range(int(seed), int(n)) if seeds is None else np.asarray(seeds)


def named_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs by the names of roles, as `run` takes them; latents are made float32 (N, Z).

    Raises:
        UsageError: they are no mapping, or latents are no numbers (N, Z).
    """
    check_mapping("inputs", inputs)
    given = dict(inputs)
    if given.get("latents") is not None:
        given["latents"] = latents_array(given["latents"])
    return given


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float, np.integer, np.floating))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _shown(value: Any) -> str:
    return f"{value!r:.60}" if not isinstance(value, float) else f"{value}"
