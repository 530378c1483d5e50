"""What a training runs on: precision, one device or several, and the batches that each of them gets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf

# x86 processors that multiply bfloat16 in hardware; without it bfloat16 is emulated, and slower than float32.
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "avx10_2"}


def best_precision() -> str:
    """`bfloat16` where the first GPU, or without one the processor, has it; else `float32`."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
        return "bfloat16" if capability >= (8, 0) else "float32"
    return "bfloat16" if BFLOAT16_FLAGS & _processor_flags() else "float32"


def _processor_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def feed(stream: tf.data.Dataset, parts: int) -> Any:
    """Batches as `GAN.train_step` takes them: images (parts, N, H, W, C) and labels (parts, N)."""
    import tensorflow as tf

    def split(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows = images.shape[0] // parts
        return tf.reshape(images, (parts, rows, *images.shape[1:])), tf.reshape(labels, (parts, rows))

    return stream.map(split)
