"""The endless, repeatable stream of batches that training draws from a data set."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

Column = np.ndarray[Any, Any]
Indices = np.ndarray[Any, np.dtype[np.int64]]

# Up to here the pixels are held by TensorFlow and gathered inside the graph; beyond, images are read as needed.
LARGEST_IN_MEMORY_BYTES = 2**27

# Of the cipher behind RandomIndexShuffle. With the op's own 4, seed 0 hardly shuffles few images: of 500, those side by
# side in an epoch are near in the set (correlation 0.24), and so are an image's places in two epochs. With 8: 0.00.
SHUFFLE_ROUNDS = 8


def batches(
    columns: Mapping[str, Column],
    batch_size: int,
    seed: int,
    first_batch: int,
    parts: int = 1,
    chosen: Indices | None = None,
) -> tf.data.Dataset:
    """An endless stream of batches: dictionaries of (batch_size, …) from every column (N, …), from `first_batch` on.

    A batch is made of `parts` of equal size, each for one network. In every part each example comes once an epoch, each
    epoch in another order, so a network sees all images in an epoch of its own. Order follows from (seed, part,
    position) alone, with no state to save: the RandomIndexShuffle op is a bijection of indices that is computed index
    by index. Large columns stay on the disk: memory does not grow with their length. `chosen` are the indices
    to draw from, all of them where it is None.

    Example:
    ```python
    stream = batches({"images": images, "labels": labels}, batch_size=64, seed=0, first_batch=0)
    next(iter(stream))["images"].shape  # (64, H, W, C)
    ```
    """
    import tensorflow as tf

    count = len(next(iter(columns.values()))) if chosen is None else len(chosen)
    each = batch_size // parts
    part = tf.constant(np.arange(batch_size) // each, tf.int64)
    within = tf.constant(np.arange(batch_size) % each, tf.int64)
    of_dataset = None if chosen is None else tf.constant(chosen, tf.int64)
    take = {name: _taker(column) for name, column in columns.items()}
    in_memory = all(_in_memory(column) for column in columns.values())

    def draw(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        position = batch * each + within
        epoch = position // count
        keys = tf.stack([tf.fill([batch_size], tf.constant(seed, tf.int64)), epoch, part], axis=1)
        last = tf.fill([batch_size], tf.constant(count - 1, tf.int64))
        index = position % count
        order = tf.raw_ops.RandomIndexShuffle(index=index, seed=keys, max_index=last, rounds=SHUFFLE_ROUNDS)
        order = order if of_dataset is None else tf.gather(of_dataset, order)
        return {name: take[name](order) for name in take}

    stream = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max // max(batch_size, 1))
    return stream.map(draw, num_parallel_calls=1 if in_memory else 4, deterministic=True).prefetch(8)


def beside(*streams: tf.data.Dataset) -> tf.data.Dataset:
    """Streams of `batches` as one, whose columns have nothing to do with each other."""
    import tensorflow as tf

    def merged(*parts: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {name: column for part in parts for name, column in part.items()}

    return tf.data.Dataset.zip(streams).map(merged)


def _in_memory(column: Column) -> bool:
    return column.nbytes <= LARGEST_IN_MEMORY_BYTES


def _taker(column: Column) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from int64 (n,) to those entries (n, …) of a column, in a graph."""
    import tensorflow as tf

    if _in_memory(column):
        held = tf.constant(column)
        return lambda order: tf.gather(held, order)
    read, dtype, shape = _reader(column), tf.as_dtype(column.dtype), column.shape[1:]

    def take(order: tf.Tensor) -> tf.Tensor:
        found = tf.numpy_function(read, [order], dtype, stateful=False)
        return tf.ensure_shape(found, (order.shape[0], *shape))

    return take


def _reader(images: Column) -> Any:
    """A function from int64 (n,) to those images, or to those entries of another column.

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
    start, row_bytes, shape, dtype = images.offset, images[0].nbytes, images.shape[1:], images.dtype

    def read(order: Indices) -> Column:
        rows = np.empty((len(order), row_bytes), np.uint8)
        for row, index in zip(rows, order.tolist(), strict=True):
            if os.preadv(file.fileno(), [row], start + index * row_bytes) != row_bytes:
                raise OSError(f"{images.filename}: ends before image {index}")
        return rows.view(dtype).reshape(-1, *shape)

    return read
