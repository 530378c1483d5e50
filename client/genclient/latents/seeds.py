"""From what a user writes about seeds to latents: one seed is one image, here as on every server and device.

Latents are those of `tf.raw_ops.StatelessRandomNormalV2(shape=[Z], key=[seed], counter=[0, 0], alg=1)`, in numpy:
Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), then Box and Muller in single
precision. Not for other distributions, and not for randomness that must not be guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import UsageError

MAX_IMAGES = 1_000_000
"""Images in one call: a bound, so that a slip of the pen in a range is an error and not a full memory."""

_LEAST, _MOST = -(2**63), 2**63 - 1  # of int64
_RANGE = re.compile(r"(-?\d{1,19})(?:-(-?\d{1,19}))?", re.ASCII)

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)


def seed_range(first: int, n: int) -> NDArray[np.int64]:
    """The seeds of `n` images that start at `first`: first, first + 1, …

    Raises:
        UsageError: `n` is not in 1…MAX_IMAGES, or a seed is outside int64.
    """
    if not 1 <= n <= MAX_IMAGES:
        raise UsageError(f"n: found {n}, expected 1 to {MAX_IMAGES} images")
    first = int(first)  # a numpy integer would wrap around
    if first < _LEAST or first + n - 1 > _MOST:
        raise UsageError(f"seed: {n} seeds from {first} leave int64, expected {_LEAST} to {_MOST}")
    seeds: NDArray[np.int64] = np.arange(n, dtype=np.int64) + np.int64(first)
    return seeds


def seed_array(seeds: Sequence[int] | NDArray[Any]) -> NDArray[np.int64]:
    """Given seeds as int64 (N,).

    Raises:
        UsageError: they are not whole numbers within int64, or not a list of 1 to MAX_IMAGES.
    """
    array = np.asarray(seeds)
    whole = array.dtype.kind == "i" or (array.dtype.kind == "u" and array.size and array.max() <= _MOST)
    if not whole or array.ndim != 1 or not 1 <= len(array) <= MAX_IMAGES:
        raise UsageError(f"seeds: found {str(seeds)[:60]}, expected 1 to {MAX_IMAGES} whole numbers within int64")
    return array.astype(np.int64)


def parse_seeds(text: str) -> NDArray[np.int64]:
    """The seeds of a list such as `0,3-5`: numbers and inclusive ranges, in the order given.

    Raises:
        UsageError: a part is no number or range, runs backwards, leaves int64, or the list exceeds MAX_IMAGES.
    """
    ranges = [_parse_range(part.strip(), text) for part in text.split(",")]
    total = sum(last - first + 1 for first, last in ranges)
    if total > MAX_IMAGES:
        raise UsageError(f"seeds: {text!r} names {total} images, expected at most {MAX_IMAGES}")
    return np.concatenate([seed_range(first, last - first + 1) for first, last in ranges])


def _parse_range(part: str, whole: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise UsageError(f"seeds: found {part!r} in {whole!r}, expected numbers and ranges such as 0,3-5")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    if not (_LEAST <= first <= _MOST and _LEAST <= last <= _MOST):
        raise UsageError(f"seeds: {part!r} leaves int64, expected {_LEAST} to {_MOST}")
    if last < first:
        raise UsageError(f"seeds: range {part!r} runs backwards, expected the lower seed first")
    return first, last


def format_seeds(seeds: NDArray[np.int64]) -> str:
    """The shortest list that `parse_seeds` reads back as `seeds`: `0,3-5`."""
    breaks = np.flatnonzero(seeds[1:] != seeds[:-1] + 1) + 1
    runs = [(int(run[0]), int(run[-1])) for run in np.split(seeds, breaks)]
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def latents(seeds: NDArray[np.int64], z: int) -> NDArray[np.float32]:
    """Standard normal latents, float32 of shape (N, z), of int64 seeds of shape (N,); negative seeds are their bits."""
    blocks = -(-z // 4)  # one counter value gives four numbers
    words = _philox(seeds.astype(np.int64).view(np.uint64), np.arange(blocks, dtype=np.uint64))
    return _box_muller(words).reshape(len(seeds), 4 * blocks)[:, :z]


def _philox(keys: NDArray[np.uint64], counters: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Ten rounds over every (key, counter): 32-bit words, held in uint64 of shape (keys, counters, 4)."""
    shape = len(keys), len(counters)
    k0, k1 = (keys & _LOW)[:, None], (keys >> _SHIFT)[:, None]
    c0 = np.broadcast_to(counters & _LOW, shape)
    c1 = np.broadcast_to(counters >> _SHIFT, shape)
    c2 = c3 = np.zeros(shape, np.uint64)
    for _ in range(10):
        p0, p1 = _MULTIPLIERS[0] * c0, _MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW, (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return np.stack([c0, c1, c2, c3], axis=-1)


def _box_muller(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Pairs of words to pairs of normal numbers (sine first, as TensorFlow has it), float32 of the same shape."""
    # 23 random bits under the exponent of 1.0 give a float in [1, 2).
    uniform = ((words.astype(np.uint32) & np.uint32(0x7FFFFF)) | np.uint32(127 << 23)).view(np.float32) - np.float32(1)
    radius = np.sqrt(np.float32(-2) * np.log(np.maximum(uniform[..., 0::2], np.float32(1e-7))))
    angle = (2 * np.pi * uniform[..., 1::2].astype(np.float64)).astype(np.float32)
    normal: NDArray[np.float32] = np.empty_like(uniform)
    normal[..., 0::2] = np.sin(angle) * radius
    normal[..., 1::2] = np.cos(angle) * radius
    return normal
