"""The endless, repeatable stream of batches that training draws from a data set."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.data.dataset import Dataset, Pixels

if TYPE_CHECKING:
    import tensorflow as tf

Rows = np.ndarray[Any, np.dtype[np.int64]]

# Up to here the pixels are held by TensorFlow and gathered without leaving the graph; beyond, rows are read as needed.
LARGEST_IN_MEMORY_BYTES = 2**27

# Of the cipher behind RandomIndexShuffle. With the op's own 4, seed 0 hardly shuffles few images: of 500, those side by
# side in an epoch are near in the set (correlation 0.24), and so are an image's places in two epochs. With 8: 0.00.
SHUFFLE_ROUNDS = 8


def batches(
    dataset: Dataset, rows: int, seed: int, first_batch: int, parts: int = 1, chosen: Rows | None = None
) -> tf.data.Dataset:
    """An endless stream of (images uint8 (rows, H, W, C), labels int32 (rows,)), from batch `first_batch` on.

    A batch is made of `parts` of equal size, each for one network. In every part each image comes once an epoch, each
    epoch in another order, so a network sees all images in an epoch of its own. Order follows from (seed, part,
    position) alone, with no state to save: the RandomIndexShuffle op is a bijection of indices that is computed index
    by index. Labels are 0 where the data set has none. Large data stay on the disk: memory does not grow with their
    number. `chosen` are the rows of the data set to draw from, all of them where it is None.
    """
    import tensorflow as tf

    count, each = len(dataset.images) if chosen is None else len(chosen), rows // parts
    part = tf.constant(np.arange(rows) // each, tf.int64)
    within = tf.constant(np.arange(rows) % each, tf.int64)
    of_dataset = None if chosen is None else tf.constant(chosen, tf.int64)
    all_labels = tf.constant(np.zeros(len(dataset.images), np.int32) if dataset.labels is None else dataset.labels)
    in_memory = dataset.images.nbytes <= LARGEST_IN_MEMORY_BYTES
    pixels = tf.constant(dataset.images) if in_memory else None
    shape = (rows, *dataset.images.shape[1:])
    read = None if in_memory else _reader(dataset.images)

    def draw(batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        position = batch * each + within
        epoch = position // count
        keys = tf.stack([tf.fill([rows], tf.constant(seed, tf.int64)), epoch, part], axis=1)
        last = tf.fill([rows], tf.constant(count - 1, tf.int64))
        index = position % count
        order = tf.raw_ops.RandomIndexShuffle(index=index, seed=keys, max_index=last, rounds=SHUFFLE_ROUNDS)
        order = order if of_dataset is None else tf.gather(of_dataset, order)
        images = tf.gather(pixels, order) if in_memory else tf.numpy_function(read, [order], tf.uint8, stateful=False)
        return tf.ensure_shape(images, shape), tf.gather(all_labels, order)

    stream = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max // max(rows, 1))
    return stream.map(draw, num_parallel_calls=1 if in_memory else 4, deterministic=True).prefetch(8)


def _reader(images: Pixels) -> Any:
    """A function from int64 (n,) to those images, uint8 (n, H, W, C).

    From a file they are read, not mapped: what is mapped counts as this process' memory, and to wait for a disk
    inside NumPy is to hold up all Python threads.
    """
    if not isinstance(images, np.memmap) or not hasattr(os, "preadv"):
        return images.__getitem__
    if not (isinstance(images.base, mmap.mmap) and images.flags.c_contiguous):  # of a slice the offset is not known
        return images.__getitem__
    try:
        file = open(images.filename, "rb", buffering=0)  # noqa: SIM115, open for as long as the stream is drawn from
    except OSError:
        return images.__getitem__
    start, row_bytes, shape = images.offset, images[0].nbytes, images.shape[1:]

    def read(order: np.ndarray[Any, np.dtype[np.int64]]) -> Pixels:
        rows = np.empty((len(order), row_bytes), np.uint8)
        for row, index in zip(rows, order.tolist(), strict=True):
            if os.preadv(file.fileno(), [row], start + index * row_bytes) != row_bytes:
                raise OSError(f"{images.filename}: ends before image {index}")
        return rows.reshape(-1, *shape)

    return read
