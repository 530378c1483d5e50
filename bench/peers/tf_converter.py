"""A version's generator through TensorFlow's own converter, as its guide shows: float32, and with int8 weights.

python tf_converter.py VERSION FLOAT32 DYNAMIC
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf


def main() -> None:
    """Convert twice; a batch of one, since a free one is slower."""
    version, *files = sys.argv[1:]
    model = tf.saved_model.load(version)
    signature = model.signatures["serving_default"]
    (spec,) = signature.structured_input_signature[1].values()
    one = tf.TensorSpec((1, *spec.shape[1:]), spec.dtype, "latents")
    function = tf.function(lambda latents: signature(latents=latents)["images"]).get_concrete_function(one)
    for file, optimizations in zip(files, ([], [tf.lite.Optimize.DEFAULT]), strict=True):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
        converter.optimizations = optimizations
        Path(file).write_bytes(converter.convert())


if __name__ == "__main__":
    main()
