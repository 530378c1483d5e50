"""A peer: TensorFlow's DCGAN tutorial on images 28×28, its networks, loss, optimisers, input pipeline and loop.

Written anew after tensorflow.org/tutorials/generative/dcgan; it imports nothing of genline. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

LATENT_SIZE = 100
BATCH = 256
SHUFFLED = 60_000


def build_generator() -> Any:
    """Latents (N, 100) → images (N, 28, 28, 1) in [-1, 1]."""
    return keras.Sequential(
        [
            keras.Input((LATENT_SIZE,)),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Reshape((7, 7, 256)),
            layers.Conv2DTranspose(128, 5, 1, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(64, 5, 2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(1, 5, 2, padding="same", use_bias=False, activation="tanh"),
        ]
    )


def build_discriminator() -> Any:
    """Images (N, 28, 28, 1) → logits (N, 1)."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(64, 5, 2, padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Conv2D(128, 5, 2, padding="same"),
            layers.LeakyReLU(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


def make_step(generator: Any, discriminator: Any) -> Any:
    """The tutorial's compiled step: two tapes over one pass through both networks."""
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    generator_optimizer, discriminator_optimizer = keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4)

    @tf.function  # type: ignore[untyped-decorator]
    def step(images: Any) -> None:
        noise = tf.random.normal([BATCH, LATENT_SIZE])
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            generated = generator(noise, training=True)
            real, fake = discriminator(images, training=True), discriminator(generated, training=True)
            g_loss = cross_entropy(tf.ones_like(fake), fake)
            d_loss = cross_entropy(tf.ones_like(real), real) + cross_entropy(tf.zeros_like(fake), fake)
        for tape, loss, network, optimizer in (
            (g_tape, g_loss, generator, generator_optimizer),
            (d_tape, d_loss, discriminator, discriminator_optimizer),
        ):
            variables = network.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    return step


def train(images: Any, step: Any, minutes: float, seconds: float) -> dict[str, float]:
    """Train for `minutes` from the start, compiling included, or for `seconds` after the first epoch; tell how fast.

    The first epoch compiles the step twice, since its last batch is smaller.
    """
    dataset = tf.data.Dataset.from_tensor_slices(images).shuffle(SHUFFLED).batch(BATCH)
    seen = seen_before = 0
    started = measured_from = time.perf_counter()
    for epoch in itertools.count():
        for batch in dataset:
            step(batch)
            seen += len(batch)
            now = time.perf_counter()
            if (minutes and now - started >= 60 * minutes) or (seconds and epoch and now - measured_from >= seconds):
                rate = (seen - seen_before) / (now - measured_from)
                return {"images": seen, "seconds": now - started, "images_per_second": rate}
        if epoch == 0:
            seen_before, measured_from = seen, time.perf_counter()
    raise AssertionError("unreachable")


def main() -> None:
    """Read the images, train, keep the generator."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True, help=".npz with `images`, uint8 (N, 28, 28, 1)")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, default=0.0, help="train so long, compiling included")
    length.add_argument("--seconds", type=float, default=0.0, help="measure so long, after the first epoch")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="a .keras file for the generator")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    images = (np.load(arguments.data)["images"].astype("float32") - 127.5) / 127.5
    generator, discriminator = build_generator(), build_discriminator()
    result = train(images, make_step(generator, discriminator), arguments.minutes, arguments.seconds)
    if arguments.out:
        generator.save(arguments.out)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
