"""What says how real clips of moving digits are: it has learned from other digits, along other paths.

A net that sees a whole clip tells which digit it is and which way it sets out, of eight; its last features but one give
the Fréchet distance of clips. A second net tells the digit of a single frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gentrain.metrics import frechet
from gentrain.sources import moving_digits

Array = np.ndarray[Any, Any]

SECTORS = 8
START = 4
"""Frames over which the direction is told."""
PASSES, FRAME_PASSES = 30, 40
OTHER_PATHS = 1_000_000
"""Numbers of paths that no clip of the data set moves along."""


class DigitJudge:
    """Scores of clips uint8 (N, T, side, side, 1)."""

    def __init__(self, pixels: Array, labels: Array, frames: int, side: int) -> None:
        """Learns from digits uint8 (N, 28, 28, 1) and their labels."""
        from gentrain import quiet

        quiet.import_tensorflow()
        import keras

        keras.utils.set_random_seed(0)
        self.frames, self.side = frames, side
        size = round(moving_digits.PART * side)
        sprites, random = moving_digits.sprites(pixels, size), np.random.default_rng(0)
        self.of_clips, self.of_frames = _clip_net(frames, side), _frame_net(side)
        for number in range(FRAME_PASSES):
            order = random.permutation(len(sprites))
            first = OTHER_PATHS + number * len(sprites)
            paths = np.stack([moving_digits.path(first + i, frames, side, size) for i in range(len(order))])
            clips = moving_digits.drawn(sprites[order], paths, side)
            if number < PASSES:
                towards = sectors(paths)
                self.of_clips.fit(clips, [labels[order], towards], batch_size=64, verbose=0)
            some = clips[np.arange(len(clips)), random.integers(0, frames, len(clips))]
            self.of_frames.fit(some, labels[order], batch_size=64, verbose=0)
        self.features = keras.Model(self.of_clips.input, self.of_clips.get_layer("features").output)

    def seen(self, clips: Array) -> Array:
        """Float32 (N, 64)."""
        return np.asarray(self.features.predict(clips, batch_size=250, verbose=0))

    def score(self, clips: Array, real: Array) -> dict[str, float]:
        """`frechet` from the features of real clips, and `direction`, `confidence`, `identity`, `mass` and the rest."""
        told = np.asarray(self.of_clips.predict(clips, batch_size=250, verbose=0)[1])
        places, mass = centroids(clips)
        digits = np.asarray(self.of_frames.predict(clips.reshape(-1, *clips.shape[2:]), batch_size=1000, verbose=0))
        digits = digits.argmax(axis=1).reshape(len(clips), -1)
        usual = np.array([np.bincount(row, minlength=10).max() for row in digits]) / digits.shape[1]
        return {
            "frechet": frechet.distance(real, self.seen(clips)),
            "direction": float((told.argmax(axis=1) == sectors(places)).mean()),
            "confidence": float(told.max(axis=1).mean()),
            "identity": float(usual.mean()),
            "mass": float(np.mean(mass.std(axis=1) / np.maximum(mass.mean(axis=1), 1e-6))),
            "acceleration": float(np.median(np.linalg.norm(np.diff(places, 2, axis=1), axis=-1))),
            "travel": float(np.median(np.linalg.norm(np.diff(places, axis=1), axis=-1).sum(axis=1))),
            "closure": closure(clips),
        }


def sectors(places: Array) -> Array:
    """Which of eight ways each (N, T, 2) sets out, int (N,)."""
    way = places[:, START - 1] - places[:, 0]
    return np.floor(np.arctan2(way[:, 0], way[:, 1]) / (2 * np.pi) * SECTORS + 0.5).astype(int) % SECTORS


def centroids(clips: Array) -> tuple[Array, Array]:
    """Of clips uint8 (N, T, H, W, 1) the centre of what is bright, (N, T, 2), and how much of it there is, (N, T)."""
    ink = clips[..., 0].astype(np.float32) / 255
    pixel, mass = np.arange(ink.shape[-1], dtype=np.float32), ink.sum(axis=(2, 3))
    sums = np.stack([ink.sum(axis=3) @ pixel, ink.sum(axis=2) @ pixel], axis=-1)
    return sums / np.maximum(mass, 1e-6)[..., None], mass


def closure(clips: Array) -> float:
    """How much the first frame differs from the last, of what each differs by from the one before: 1 for loops."""
    values = clips.astype(np.float32)
    step = np.abs(np.diff(values, axis=1)).mean()
    return float(np.abs(values[:, 0] - values[:, -1]).mean() / np.maximum(step, 1e-6))


def _clip_net(frames: int, side: int) -> Any:
    import keras
    from gentrain.networks.clips import with_differences
    from keras import layers

    clips = keras.Input((frames, side, side, 1), dtype="uint8")
    x = with_differences(layers.Rescaling(1 / 255)(clips))
    for width in (32, 64, 64):
        x = layers.ReLU()(layers.Conv2D(width, 4, 2, padding="same")(x))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    x = layers.Dense(64, activation="relu", name="features")(x)
    return _compiled(clips, [layers.Dense(10)(x), layers.Dense(SECTORS, activation="softmax")(x)])


def _frame_net(side: int) -> Any:
    import keras
    from keras import layers

    pictures = keras.Input((side, side, 1), dtype="uint8")
    x = layers.Rescaling(1 / 255)(pictures)
    for width in (32, 64, 64):
        x = layers.ReLU()(layers.Conv2D(width, 4, 2, padding="same")(x))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return _compiled(pictures, [layers.Dense(10)(x)])


def _compiled(inputs: Any, outputs: list[Any]) -> Any:
    import keras

    net = keras.Model(inputs, outputs if len(outputs) > 1 else outputs[0])
    losses = [keras.losses.SparseCategoricalCrossentropy(from_logits=logits) for logits in (True, False)]
    net.compile(keras.optimizers.Adam(1e-3), losses[: len(outputs)])
    return net


def independent(clips: Array) -> Array:
    """Each frame of another clip: what an image generator gives that knows nothing of the frame before."""
    random = np.random.default_rng(0)
    return np.stack([clips[random.permutation(len(clips)), frame] for frame in range(clips.shape[1])], axis=1)
