"""Write expected_latents.csv, the numbers that the unit tests of both phone samples compare with.

    python client/mobile/expected_latents.py

They come from TensorFlow's own op (contract 3), so this needs TensorFlow; the samples' tests need the table alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf

TABLE = Path(__file__).resolve().with_name("expected_latents.csv")
SEEDS = (0, 1, 42, 2**31, 2**32 + 5, 2**63 - 1, -1, -12345, -(2**63))
COUNT = 10
"""Not a multiple of four, so that the last block of random words is cut."""


def table() -> str:
    """`seed,z0,…,z9`, a line a seed; nine digits tell any two floats apart."""
    lines = ["seed," + ",".join(f"z{index}" for index in range(COUNT))]
    for seed in SEEDS:
        key = tf.constant([seed % 2**64], tf.uint64)
        counter = tf.constant([0, 0], tf.uint64)
        latents = tf.raw_ops.StatelessRandomNormalV2(shape=[COUNT], key=key, counter=counter, alg=1)
        lines.append(",".join([str(seed), *(f"{value:.9g}" for value in latents.numpy())]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
    sys.exit(0)
