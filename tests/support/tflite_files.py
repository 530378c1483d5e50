"""What the tests of TFLite files share: their images, and changes to a file."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from genclient import DeviceGenerator

SEEDS = np.arange(40, dtype=np.int64)


def made(path, seeds=SEEDS, threads=None, **condition):
    """The images of seeds as one array."""
    generator = DeviceGenerator(str(path), threads=threads)
    return np.concatenate([batch.images for batch in generator.stream(seeds, **condition)])


def distance(images, expected):
    """The greatest difference of two arrays of pixels."""
    assert images.shape == expected.shape
    return np.abs(images.astype(int) - expected).max()


def with_metadata(content):
    """A change that adds the entry `genline` with these bytes."""

    def change(model):
        entry, buffer = schema.MetadataT(), schema.BufferT()
        entry.name, entry.buffer, buffer.data = "genline", len(model.buffers), list(content)
        model.metadata = [*(model.metadata or []), entry]
        model.buffers.append(buffer)

    return change


def float16(converter):
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def dynamic(converter):
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
