"""Keeps what a run has learned: checkpoints to go on from, the two networks, and image grids to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from gentrain.conditions import examples
from gentrain.files import replacing
from gentrain.images import clip_rows, image_grid, save_png, save_webp, to_pixels
from gentrain.networks.latents import latents_of_seeds
from gentrain.training import checkpoints
from gentrain.training.callbacks.log import Log
from gentrain.training.callbacks.meter import Meter
from gentrain.training.gan import GAN, together

COLUMNS = 8
ROWS = 8
MOST_EXAMPLES = 16
PAIRS, PAIR_COLUMNS = 32, 4
CLIPS = 16


class Keeper(keras.callbacks.Callback):
    """Every so many kimg: a checkpoint, the two networks as .keras files, and an image grid of the same latents."""

    def __init__(self, run: Path, meter: Meter, log: Log, kimg: float) -> None:
        super().__init__()
        self.run, self.meter, self.log, self.images = run, meter, log, max(1, round(kimg * 1000))
        self.kept_at = meter.before.images_seen

    def on_train_begin(self, logs: Any = None) -> None:
        if self.kept_at == 0:
            self.draw_samples(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seen = self.meter.progress.images_seen
        if seen // self.images > self.kept_at // self.images:
            self.keep()

    def keep(self) -> None:
        """Keep the state as it is now, unless it has been kept already."""
        now = self.meter.progress
        if now.images_seen == self.kept_at:
            return
        # The checkpoint comes last: once it says that a run is finished, the rest is there.
        keep_networks(self.model, self.run)
        self.draw_samples(now.images_seen)
        checkpoints.save(self.run, self.model, now)
        self.kept_at = now.images_seen

    def draw_samples(self, images_seen: int) -> None:
        """Write samples/NNNNNNkimg.png: seeds 0 to 63, the images that `genclient sample --n 64` will fetch.

        With conditions a row is one example, such as a class, and a column one seed. Of a translation it shows input,
        generated and true for pairs that are not trained on, four in a row. Of clips a row is one, the still and later
        frames as generated and as they are, and NNNNNNkimg.webp shows them as they move.
        """
        picture = grid(self.model)
        place = self.run / "samples" / f"{images_seen // 1000:06d}kimg.png"
        save_png(picture, place)
        if self.model.settings.frames:
            save_webp(moving(self.model), place.with_suffix(".webp"), PAIR_COLUMNS, self.model.settings.shown_fps)
        self.log.picture("samples", picture, images_seen)


def keep_networks(gan: GAN, folder: Path) -> None:
    """Write generator.keras, the EMA, and discriminator.keras, both in float32, each whole or not at all."""
    gan.float32_discriminator.set_weights(gan.discriminator.get_weights())
    for name, network in (("generator", gan.ema), ("discriminator", gan.float32_discriminator)):
        with replacing(folder / f"{name}.keras") as temporary:
            network.save(temporary)


def grid(gan: GAN) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The image grid, uint8 (H, W, C), of the EMA generator as it is now."""
    if gan.settings.frames and gan.examples is None:
        return clip_rows(to_pixels(np.asarray(_draw(gan))))
    if gan.examples is None:
        return image_grid(to_pixels(np.asarray(_draw(gan))), COLUMNS)
    if gan.settings.frames:
        some = gan.examples.first(CLIPS)
        return some.rows(to_pixels(np.asarray(_translated(gan, some.given))))
    some = gan.examples.first(PAIRS)
    generated = to_pixels(np.asarray(_translated(gan, some.given)))
    return image_grid(some.shown(generated), PAIR_COLUMNS)


def moving(gan: GAN) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Still, generated and true side by side, uint8 (N, T, H, W, 3), of clips that are not trained on."""
    if gan.examples is None:
        return to_pixels(np.asarray(_draw(gan)))
    some = gan.examples.first(CLIPS)
    return some.shown(to_pixels(np.asarray(_translated(gan, some.given))))


def _translated(gan: GAN, given: dict[str, Any]) -> Any:
    """What the EMA makes of these inputs, with the latents of the seeds from 0 on where it takes any."""
    size, count = gan.settings.latent_size, len(next(iter(given.values())))
    latents = latents_of_seeds(range(count), size) if size else None
    return gan.ema(together(latents, given), training=False)


def _draw(gan: GAN) -> Any:
    size, shown = gan.settings.latent_size, examples(gan.conditions, MOST_EXAMPLES)
    if not shown:
        return gan.ema(latents_of_seeds(range(ROWS * COLUMNS), size), training=False)
    rows = len(next(iter(shown.values())))
    latents = latents_of_seeds([*range(COLUMNS)] * rows, size)
    given = {name: np.repeat(tensor, COLUMNS, axis=0) for name, tensor in shown.items()}
    return gan.ema(together(latents, given), training=False)
