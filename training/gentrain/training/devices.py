"""What a training runs on: precision, one device or several, and the batches that each of them gets.

With several, each takes its share of every batch and the gradients are added up: the steps are those that one device
would make. In a cluster (TF_CONFIG) the first worker owns the run directory, the others need the images alone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.errors import TrainError, UsageError

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


def in_cluster() -> bool:
    """Whether TF_CONFIG names several workers.

    Raises:
        UsageError: TF_CONFIG is no JSON object with a cluster and a task.
    """
    if not os.environ.get("TF_CONFIG"):
        return False
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        return sum(map(len, config["cluster"].values())) > 1 and bool(config["task"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"TF_CONFIG: expected JSON with `cluster` and `task`, got {error}") from error


class Devices:
    """`Devices("auto")`: all GPUs where there are several, all workers where TF_CONFIG names them, else one device.

    Attributes:
        strategy: TensorFlow's distribution strategy.
        replicas: how many devices take part, in all workers together.
        first: whether this process is the one that writes.
    """

    def __init__(self, name: str) -> None:
        """Must come before TensorFlow runs anything, in a cluster.

        Raises:
            TrainError: the other workers cannot be reached.
        """
        import tensorflow as tf

        self.cluster = in_cluster() and name != "one"
        self.first = True
        if self.cluster:
            self.strategy = self._join_cluster(tf)
        elif name == "mirrored" or (name == "auto" and len(tf.config.list_physical_devices("GPU")) > 1):
            found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
            self.strategy = tf.distribute.MirroredStrategy([device.name for device in found])
        else:
            self.strategy = tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def add(mine: tf.Tensor) -> tf.Tensor:
            # A worker's devices all bring its values.
            of_each = self.strategy.run(tf.identity, args=(mine,))
            here = len(self.strategy.experimental_local_results(of_each))
            return self.strategy.reduce("SUM", of_each, axis=None) / here

        self._add = add

    def _join_cluster(self, tf: Any) -> Any:
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            raise TrainError(f"TF_CONFIG: the cluster cannot be joined: {str(error).splitlines()[0]}") from error
        resolver = strategy.cluster_resolver
        self.first = resolver.task_type == "chief" or (
            resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs
        )
        return strategy

    def feed(self, stream: tf.data.Dataset, parts: int) -> Any:
        """Batches as `GAN.train_step` takes them: every column (parts, N, …), N being the examples of one device."""
        import tensorflow as tf

        def cut(column: tf.Tensor) -> tf.Tensor:
            each = column.shape[0] // parts // self.replicas
            column = tf.reshape(column, (parts, self.replicas, each, *column.shape[1:]))
            return tf.transpose(column, (1, 0, *range(2, len(column.shape))))

        if self.replicas == 1:
            return stream.map(lambda batch: {name: cut(column)[0] for name, column in batch.items()})

        def mine(context: tf.distribute.InputContext) -> tf.data.Dataset:
            here = self.replicas // context.num_input_pipelines
            first = here * context.input_pipeline_id
            shares = stream.map(
                lambda batch: {name: cut(column)[first : first + here] for name, column in batch.items()}
            )
            return shares.unbatch().prefetch(2 * here)

        return self.strategy.distribute_datasets_from_function(mine)

    def agree(self, here: bool) -> bool:
        """Whether it is true on any worker; all of them must call it."""
        if not self.cluster:
            return here
        return bool(self._sum(np.array([here], np.float64))[0] > 0)

    def take_from_first(self, variables: list[Any]) -> None:
        """Give every worker the first one's values."""
        if not self.cluster:
            return
        values = [np.asarray(variable) for variable in variables]
        flat = np.concatenate([value.ravel().astype(np.float64) for value in values])
        total = self._sum(flat if self.first else np.zeros_like(flat))
        ends = np.cumsum([value.size for value in values])
        for variable, value, end in zip(variables, values, ends, strict=True):
            variable.assign(total[end - value.size : end].reshape(value.shape).astype(value.dtype))

    def _sum(self, mine: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Element by element over the workers, each of which must call it."""
        return self._add(mine).numpy()
