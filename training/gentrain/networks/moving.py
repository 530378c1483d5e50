"""From latents to clips: one picture that travels over another, so that what moves stays what it is.

genline's own network draws a sprite, how far each of its pixels covers, and what lies behind it, once for a clip. A
small network draws a path: how far the sprite is moved along each axis in each frame, by whole pixels and parts of
them. The path is a sum of slow curves, so that it has no jumps; where clips are to loop, each curve has whole periods.
A move is two products with matrices whose elements are max(0, 1 - |i - j - d|), that is bilinear interpolation, and
what moves keeps its shape exactly.

Some of the latents draw the path and the others the pictures, so that either can change alone; both see classes.
Sources: the parted latents, "MoCoGAN", arXiv 1707.04993; the composition, "Generating Videos with Scene Dynamics",
arXiv 1609.02612.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers

from gentrain.networks import genline
from gentrain.networks.parts import Enter, Initializers, Norm
from gentrain.settings import Settings

PATH_LAYERS, PATH_WIDTH = 2, 64
CURVES = 8
"""A constant, a line, and the slowest cosines; with more than 16 frames there are more of them."""
PART = 4
"""One in so many latents draws the path."""
EDGE = 8
"""The sprite is without so much of the side at each edge, which is hardly ever seen and so never learned."""


def film(x: Any, side: int, channels: int, s: Settings, init: Initializers, norm: Norm, enter: Enter) -> Any:
    """Latents (N, Z), and behind them what conditions add, → clips float32 (N, T, side, side, channels) in [-1, 1]."""
    content, motion = parted(x, s.latent_size)
    sprite, cover, behind = pictures(content, side, channels, s, init, norm, enter)
    down, across = (shifts(axis, side, side // EDGE) for axis in path(motion, side, s, init, norm))
    inked = layers.Concatenate(axis=2, dtype="float32")([layers.Multiply(dtype="float32")([sprite, cover]), cover])
    moved = travelling(inked, down, across)
    inked, cover = cropped(moved, 0, channels), cropped(moved, channels, 1)
    uncovered = layers.Rescaling(-1.0, 1.0, dtype="float32")(cover)
    behind = layers.Concatenate(axis=1, dtype="float32")([behind] * s.frames)
    clips = layers.Add(dtype="float32")([inked, layers.Multiply(dtype="float32")([uncovered, behind])])
    clips = layers.Reshape((s.frames, side * channels, side), dtype="float32")(clips)
    clips = layers.Permute((1, 3, 2), dtype="float32")(clips)
    return layers.Reshape((s.frames, side, side, channels), dtype="float32", name="clips")(clips)


def parted(x: Any, size: int) -> tuple[Any, Any]:
    """(N, any) of which the first `size` are latents → what draws the pictures, and what draws the path."""
    moving, total = max(1, size // PART), x.shape[-1]
    content, motion = piece(x, moving, total), piece(x, 0, moving)
    return content, motion if total == size else layers.Concatenate()([motion, piece(x, size, total)])


def piece(x: Any, first: int, end: int) -> Any:
    total = x.shape[-1]
    return layers.Flatten()(layers.Cropping1D((first, total - end))(layers.Reshape((total, 1))(x)))


def pictures(
    x: Any, side: int, channels: int, s: Settings, init: Initializers, norm: Norm, enter: Enter
) -> tuple[Any, Any, Any]:
    """The sprite in [-1, 1], how far it covers, and what is behind: (N, w, C, h), (N, w, 1, h), (N, W, C, H)."""
    drawn = genline.generate(x, side, 2 * channels + 1, s, init, norm, enter)
    edge = (side // EDGE, side // EDGE)
    inner = layers.Cropping2D((edge, edge), dtype="float32")(drawn)
    drawn, inner = (layers.Permute((2, 3, 1), dtype="float32")(picture) for picture in (drawn, inner))
    sprite, behind = cropped(inner, 0, channels), cropped(drawn, channels, channels)
    cover = layers.Activation("sigmoid", dtype="float32")(cropped(inner, 2 * channels, 1))
    cover = layers.Rescaling(fading(side - 2 * (side // EDGE), side // EDGE), dtype="float32", name="cover")(cover)
    sprite = layers.Activation("tanh", dtype="float32", name="sprite")(sprite)
    behind = layers.Activation("tanh", dtype="float32", name="behind")(behind)
    return sprite, cover, behind


def fading(inner: int, edge: int) -> list[Any]:
    """(w, 1, h), 1 in the middle and falling towards the edges over `edge` pixels, so that no edge is to be seen."""
    near = np.minimum(np.arange(inner), np.arange(inner)[::-1]) + 1
    ramp = np.minimum(1.0, near / (edge + 1))
    return list(np.outer(ramp, ramp)[:, None].tolist())


def cropped(x: Any, first: int, count: int) -> Any:
    """(N, any, C, any) → so many of its channels."""
    return layers.Cropping2D(((0, 0), (first, x.shape[2] - first - count)), dtype="float32")(x)


def path(x: Any, side: int, s: Settings, init: Initializers, norm: Norm) -> list[Any]:
    """How far the sprite is moved in each frame, in pixels, float32 (N, T, 1): down, and to the right."""
    for _ in range(PATH_LAYERS):
        x = layers.Dense(PATH_WIDTH, use_bias=False, kernel_initializer=init())(x)
        x = layers.ReLU()(norm(x))
    curves = side / 4 * (loops(s.frames) if s.loop else basis(s.frames))
    moves = []
    for name in ("down", "across"):
        weights = layers.Dense(len(curves), kernel_initializer=init(), dtype="float32")(x)
        way = fixed(weights, curves, np.zeros(s.frames))
        moves.append(layers.Reshape((s.frames, 1), dtype="float32", name=name)(way))
    return moves


def basis(frames: int) -> np.ndarray[Any, Any]:
    """(curves, T): 1, from -1 to 1, and cosines of 1, 2, … half turns, as small as they are in a path with corners."""
    time = (np.arange(frames) + 0.5) / frames
    waves = [np.cos(np.pi * k * time) / k**2 for k in range(1, max(CURVES, frames // 4 * 2) - 1)]
    return np.stack([np.ones(frames), 2 * time - 1, *waves])


def loops(frames: int) -> np.ndarray[Any, Any]:
    """(curves, T) that lead from the last frame to the first: 1, and cosines and sines of 1, 2, … whole turns.

    They are odd in number and those of `basis` even, so that neither is taken for the other where a run starts from
    another.
    """
    turns = 2 * np.pi * np.arange(frames) / frames
    waves = [wave(k * turns) / k**2 for k in range(1, max(1, frames // 4) + 1) for wave in (np.cos, np.sin)]
    return np.stack([np.ones(frames), *waves])


def shifts(moves: Any, side: int, edge: int) -> Any:
    """Pixels (N, T, 1) → matrices float32 (N, T, side · inner): element (i, j) is max(0, 1 - |i - edge - j - d|).

    What is far off is cut at once, so that integers are left with a range of six pixels.
    """
    apart = np.subtract.outer(np.arange(side), np.arange(edge, side - edge)).reshape(-1)
    near = layers.ReLU(6.0, dtype="float32")(fixed(moves, -np.ones((1, len(apart))), 3.0 + apart))
    rising, falling = (
        layers.Rescaling(1.0, -2.0, dtype="float32")(near),
        layers.Rescaling(-1.0, 4.0, dtype="float32")(near),
    )
    return layers.ReLU(dtype="float32")(layers.Minimum(dtype="float32")([rising, falling]))


def travelling(picture: Any, down: Any, across: Any) -> Any:
    """A picture (N, w, C, h) and matrices (N, T, H · h) and (N, T, W · w) → it in each frame, (N, T · W, C, H)."""
    _, inner, channels, _ = picture.shape
    frames, side = down.shape[1], down.shape[2] // inner
    flat = layers.Reshape((inner, channels * inner), dtype="float32")(picture)
    across = layers.Reshape((frames * side, inner), dtype="float32")(across)
    moved = layers.Dot(axes=(2, 1), dtype="float32")([across, flat])
    placed = []
    for number in range(frames):
        at = layers.Cropping1D((number * side, (frames - 1 - number) * side), dtype="float32")(moved)
        at = layers.Reshape((side * channels, inner), dtype="float32")(at)
        matrix = layers.Cropping1D((number, frames - 1 - number), dtype="float32")(down)
        matrix = layers.Reshape((side, inner), dtype="float32")(matrix)
        placed.append(layers.Dot(axes=(2, 2), dtype="float32")([at, matrix]))
    together = layers.Concatenate(axis=1, dtype="float32")(placed)
    return layers.Reshape((frames * side, channels, side), dtype="float32")(together)


def fixed(x: Any, kernel: np.ndarray[Any, Any], bias: np.ndarray[Any, Any]) -> Any:
    """A dense layer that learns nothing."""
    layer = layers.Dense(kernel.shape[1], trainable=False, dtype="float32")
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y


discriminate = genline.discriminate
