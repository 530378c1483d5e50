"""What an animation of latents goes through, as the options say: walks from keyframe to keyframe, or one direction."""

from __future__ import annotations

import math
import re
from collections.abc import Sized
from typing import TYPE_CHECKING, Any

from genclient.cli.resolve import is_default
from genclient.cli.source import Source
from genclient.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genclient.latents.interpolation import Traversals, Walks

DEFAULT_KEYS = 5
"""Keyframes of a walk, unless specified."""


def movement(
    source: Source, options: dict[str, Any], grid: tuple[int, int]
) -> tuple[Walks | Traversals, tuple[int, int]]:
    """Walks from keyframe to keyframe, or seeds that move along a direction; and their columns and rows.

    Raises:
        UsageError: options do not fit each other or the model.
        ClientError: a file cannot be read, or the model cannot be reached.
    """
    if options["direction"] is None:
        return _walks(source, options, grid[0] * grid[1]), grid
    moving = traversals(source, options)
    return moving, _nearly_square(len(moving.keys))


def _walks(source: Source, options: dict[str, Any], count: int) -> Walks:
    """The walks that are requested."""
    from genclient.latents.interpolation import Walks
    from genclient.latents.seeds import seed_range

    given, each = _latents_of_walks(options, count)
    labels, n = _labels(source, options) if each is None else each, options["n"]
    said = keyframe_texts(options) if labels is None else labels
    if n is not None and said is not None and n != len(said):
        beside = f"--texts of {len(said)}" if labels is None else f"--labels of {len(said)} classes"
        raise UsageError(f"--n: found {n} beside {beside}, expected one of the options")
    if n is not None and n < 2:
        raise UsageError(f"--n: found {n}, expected 2 keyframes or more")
    keys = n or (DEFAULT_KEYS if said is None else len(said))
    if given is not None:
        if len(given) % count or (said is not None and len(given) != len(said) * count):
            raise UsageError(
                f"--latents: found {len(given)} for {count} walks, expected as many for each, and a class or text each"
            )
        seeds = seed_range(0, len(given))
    elif options["seeds"] is None:
        seeds = seed_range(options["seed"] or 0, keys * count)
    else:
        seeds = _seeds_of_walks(options, count, said, keys)
    return Walks(seeds.reshape(count, -1), labels, options["frames"], options["loop"], given)


def _latents_of_walks(
    options: dict[str, Any], count: int
) -> tuple[NDArray[np.float32] | None, NDArray[np.int64] | None]:
    """The keyframes of `--latents`, and where they are of several classes, those of each walk's keyframes."""
    if options["latents"] is None:
        return None, None
    if any(options[name] is not None for name in ("seeds", "seed", "n")):
        raise UsageError("--latents: found it beside --seeds, --seed or --n, expected one of them")
    given, labels = _keyframe_latents(options)
    if labels is None:
        return given, None
    of_walks = labels.reshape(count, -1) if len(labels) % count == 0 else labels[:, None]
    if (of_walks != of_walks[0]).any():
        raise UsageError(
            f"--latents: found images of several classes, not the same in each of {count} walks, expected --label or "
            "--labels"
        )
    return given, of_walks[0]


def _seeds_of_walks(options: dict[str, Any], count: int, said: Sized | None, keys: int) -> NDArray[np.int64]:
    """The keyframes of `--seeds`; classes or texts of them are said, if any are."""
    import numpy as np

    from genclient.latents.seeds import parse_seeds

    if options["seed"] is not None or options["n"] is not None:
        raise UsageError("--seeds: found it beside --seed or --n, expected one of them")
    seeds = parse_seeds(options["seeds"])
    if said is not None and len(seeds) == count:  # one latent a walk, that only changes its class or text
        seeds = np.repeat(seeds, keys)
    if len(seeds) % count or (said is not None and len(seeds) != keys * count):
        expected = f"{keys} for each" if said is not None else "as many for each"
        raise UsageError(f"--seeds: found {len(seeds)} for {count} walks, expected {expected}")
    return seeds


def _labels(source: Source, options: dict[str, Any]) -> NDArray[np.int64] | None:
    """The classes of keyframes."""
    import numpy as np

    if options["labels"] is None:
        return None
    if options["label"] is not None:
        raise UsageError("--label and --labels: found both, expected one of them")
    if options["labels"] == "all":
        return np.asarray(source.classes.all(), np.int64)
    labels: list[int] = []
    for part in (part.strip() for part in options["labels"].split(",")):
        match = None if part in source.classes.names else re.fullmatch(r"(\d{1,9})-(\d{1,9})", part)
        if match and int(match[1]) <= int(match[2]) <= int(match[1]) + 2**20:
            labels += [
                source.classes.index(str(label), "--labels") for label in range(int(match[1]), int(match[2]) + 1)
            ]
        else:
            labels.append(source.classes.index(part, "--labels"))
    return np.asarray(labels, np.int64)


def keyframe_texts(options: dict[str, Any]) -> list[str] | None:
    """The texts of keyframes; words are numbers and have nothing between two, as classes.

    Raises:
        UsageError: options do not fit each other.
    """
    if options["texts"] is None:
        return None
    for name in ("text", "labels"):
        if options[name] is not None:
            raise UsageError(f"--{name} and --texts: found both, expected one of them")
    return [text.strip() for text in options["texts"].split(";")]


def traversals(source: Source, options: dict[str, Any]) -> Traversals:
    """Seeds that move along a direction."""
    import numpy as np

    from genclient.latents.directions import beside, read_direction
    from genclient.latents.interpolation import Traversals, there_and_back
    from genclient.latents.seeds import latents

    path = options["directions"] or (beside(options["tflite"]) if options["tflite"] else None)
    if path is None:
        raise UsageError(
            "--directions: found none, expected the manifest.json of the version, such as "
            "models/digits/1/manifest.json; servers do not report directions"
        )
    direction = read_direction(path, options["direction"], source.z)
    if options["latents"] is None:
        keys, labels = latents(traversal_seeds(options), source.z), None
    else:
        keys, labels = _keyframe_latents(options)
    if keys.shape[1] != source.z:
        raise UsageError(f"--latents: found {keys.shape[1]} numbers an image, expected {source.z}")
    loop = options["loop"] and not options["image_grid"]
    steps = there_and_back(options["start"], options["end"], options["frames"], loop)
    return Traversals(keys * np.float32(options["truncation"]), direction, steps, labels)


def traversal_seeds(options: dict[str, Any]) -> NDArray[np.int64]:
    """The seeds that move along a direction."""
    from genclient.latents.seeds import parse_seeds, seed_range

    if options["seeds"] is None:
        return seed_range(options["seed"] or 0, options["n"] or 1)
    if options["seed"] is not None or options["n"] is not None:
        raise UsageError("--seeds: found it beside --seed or --n, expected one of them")
    return parse_seeds(options["seeds"])


def _keyframe_latents(options: dict[str, Any]) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
    """Latents of a file, (N, Z), and the class of each where they are of several and no class is given.

    The factor and the class that its images were made with count by default.
    """
    from genclient.latents.file import read_latents

    latents = read_latents(options["latents"])
    if latents.truncation is not None and is_default("truncation"):
        options["truncation"] = latents.truncation
    if latents.labels is None or options["label"] is not None or options["labels"] is not None:
        return latents.array, None
    if len(set(latents.labels.tolist())) > 1:
        return latents.array, latents.labels
    options["label"] = str(latents.labels[0])
    return latents.array, None


def _nearly_square(count: int) -> tuple[int, int]:
    columns = math.ceil(math.sqrt(count))
    return columns, -(-count // columns)
