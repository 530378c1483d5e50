"""The sizes to which a server pads batches, and the file that sets them in TensorFlow Serving.

Source: BatchingParameters of tensorflow_serving/servables/tensorflow/session_bundle_config.proto.
"""

from __future__ import annotations

import math
from pathlib import Path

from genexport.errors import ExportError
from genexport.repository import store

# The same as allowed_batch_sizes in serving/deploy/batching_parameters.txt.
BATCH_SIZES = (1, 4, 16, 64)

LARGEST = 1 << 26
"""Bytes of float32 that a warm-up request makes, at most, but for one of a single example."""

FILE = "batching_parameters.txt"

TEXT = """\
# For tensorflow_model_server --enable_batching --batching_parameters_file=…/{file}

# A batch is padded to the next of these sizes; every version has a warm-up request for each of them and each signature.
{sizes}
max_batch_size {{ value: {largest} }}

# How long the first request of a batch waits for others: about what a small generator takes for one image.
batch_timeout_micros {{ value: 2000 }}

# Requests beyond this many full batches are refused at once (UNAVAILABLE), rather than answered too late.
max_enqueued_batches {{ value: 100 }}

# One batch at a time keeps one GPU busy; the second is assembled meanwhile.
num_batch_threads {{ value: 2 }}
"""


def warmed(output_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes that there are warm-up requests for, where an example becomes float32 of this shape."""
    example = 4 * math.prod(output_shape)
    return tuple(size for size in BATCH_SIZES if size == 1 or size * example <= LARGEST)


def write(base: Path) -> Path:
    """Write `batching_parameters.txt` beside a model's versions, whole or not at all.

    Raises:
        ExportError: it cannot be written.
    """
    target, sizes = base / FILE, "\n".join(f"allowed_batch_sizes: {size}" for size in BATCH_SIZES)
    with store.staging(base) as folder:
        try:
            text = TEXT.format(file=FILE, sizes=sizes, largest=BATCH_SIZES[-1])
            (folder / FILE).write_text(text, encoding="utf-8")
            store.flush(folder)
            (folder / FILE).replace(target)
        except OSError as error:
            raise ExportError(f"{target}: cannot be written: {error.strerror}") from error
    return target
