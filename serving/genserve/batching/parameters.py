"""The batching parameters file: a BatchingParameters text proto of TensorFlow Serving, with wrapped values.

    max_batch_size { value: 64 }
    allowed_batch_sizes: 1
    allowed_batch_sizes: 64

The pip package tensorflow-serving-api lacks this proto; its descriptor is built here.
Source: TF Serving's servables/tensorflow/session_bundle_config.proto and bundle_factory_util.h, TensorFlow's
kernels/batching_util/shared_batch_scheduler.h.
"""

from __future__ import annotations

import functools
import itertools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

from genserve.options import textproto
from genserve.options.flags import FlagError

FLAG = "batching_parameters_file"

_WRAPPED = {
    "max_batch_size": "Int64Value",
    "batch_timeout_micros": "Int64Value",
    "max_enqueued_batches": "Int64Value",
    "num_batch_threads": "Int64Value",
    "thread_pool_name": "StringValue",
    "enable_large_batch_splitting": "BoolValue",
    "max_execution_batch_size": "Int64Value",
}
_NUMBERS = {
    "max_batch_size": 1,
    "batch_timeout_micros": 2,
    "max_enqueued_batches": 3,
    "num_batch_threads": 4,
    "thread_pool_name": 5,
    "allowed_batch_sizes": 6,
    "pad_variable_length_inputs": 7,
    "enable_large_batch_splitting": 8,
    "max_execution_batch_size": 9,
}


def cores() -> int:
    """The number of cores this process may use, which is TensorFlow Serving's default number of batch threads."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Parameters:
    """BatchingParameters with TensorFlow Serving's defaults."""

    max_batch_size: int = 1000  # rows; larger requests are refused
    batch_timeout_micros: int = 0  # how long the first request of a batch waits for others, once a thread is free
    max_enqueued_batches: int = 10  # of one queue; beyond it requests are refused
    num_batch_threads: int = field(default_factory=cores)  # batches that run at a time, of all models together
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()  # a batch is padded to the next of these; empty: no padding
    pad_variable_length_inputs: bool = False  # pad dimensions behind the first where requests differ
    enable_large_batch_splitting: bool = False  # cut a request into several batches
    max_execution_batch_size: int | None = None  # with splitting: rows of a batch; None: max_batch_size

    def __post_init__(self) -> None:
        """Reject what TensorFlow Serving rejects, with its messages.

        Raises:
            ValueError: one line that names the field.
        """
        for name, least in (("max_batch_size", 1), ("num_batch_threads", 1), ("execution_size", 1)):
            if getattr(self, name) < least:
                field_name = "max_execution_batch_size" if name == "execution_size" else name
                raise ValueError(f"{field_name} must be positive; was {getattr(self, name)}")
        for name in ("batch_timeout_micros", "max_enqueued_batches"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be non-negative; was {getattr(self, name)}")
        if self.enable_large_batch_splitting:
            self._check_splitting()
        elif self.max_enqueued_batches == 0:  # taken for 1 there, for the sake of old files
            object.__setattr__(self, "max_enqueued_batches", 1)
        self._check_allowed_sizes()

    @property
    def execution_size(self) -> int:
        """The maximum batch size of a run."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size is not None:
            return self.max_execution_batch_size
        return self.max_batch_size

    def padding(self, rows: int) -> int:
        """The number of rows that pad a batch to the next allowed size (RoundToLowestAllowedBatchSize)."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows) - rows

    def _check_splitting(self) -> None:
        if self.max_enqueued_batches == 0:
            raise ValueError("max_enqueued_batches must be positive; was 0")
        if self.execution_size > self.max_batch_size:
            raise ValueError(
                "When enable_large_batch_splitting is true, max_batch_size must be greater than or equal to "
                f"max_execution_batch_size; were {self.max_batch_size} and {self.execution_size}"
            )

    def _check_allowed_sizes(self) -> None:
        sizes = self.allowed_batch_sizes
        if not sizes:
            return
        if sizes[0] < 1 or any(after <= before for before, after in itertools.pairwise(sizes)):
            raise ValueError("allowed_batch_sizes entries must be positive and monotonically increasing")
        if sizes[-1] != self.execution_size:
            limit = (
                "be equal to max_execution_batch_size" if self.enable_large_batch_splitting else "match max_batch_size"
            )
            raise ValueError(
                f"Last entry in allowed_batch_sizes must {limit}; last entry was {sizes[-1]}; "
                f"expected {self.execution_size}"
            )


def read(path: str | Path) -> Parameters:
    """Read a batching parameters file.

    Raises:
        FlagError: the file cannot be read or parsed, or a value cannot be; one line with file and field.
    """
    proto = textproto.read(str(path), _message_class(), FLAG)
    try:
        return Parameters(**_values(proto))
    except ValueError as error:
        raise FlagError(f"--{FLAG}={path}: {error}") from error


def _values(proto: Any) -> dict[str, Any]:
    """The fields that a file sets, unwrapped."""
    values = {name: getattr(proto, name).value for name in _WRAPPED if proto.HasField(name)}
    values["allowed_batch_sizes"] = tuple(proto.allowed_batch_sizes)
    values["pad_variable_length_inputs"] = proto.pad_variable_length_inputs
    return values


@functools.cache
def _message_class() -> Any:
    """The class of the proto, in a descriptor pool of its own: another library may bring the real one."""
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="genserve/batching_parameters.proto", package="tensorflow.serving", syntax="proto3"
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    for name, number in _NUMBERS.items():
        entry = message.field.add(name=name, number=number, label=kinds.LABEL_OPTIONAL)
        if name in _WRAPPED:
            entry.type, entry.type_name = kinds.TYPE_MESSAGE, f".google.protobuf.{_WRAPPED[name]}"
        elif name == "allowed_batch_sizes":
            entry.type, entry.label = kinds.TYPE_INT64, kinds.LABEL_REPEATED
        else:
            entry.type = kinds.TYPE_BOOL
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.serving.BatchingParameters"))
