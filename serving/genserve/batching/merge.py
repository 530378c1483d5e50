"""Concatenates the inputs of several requests to a batch, and splits the outputs of the batch.

Dimension 0 of all tensors is the batch. Messages and padding are those of TensorFlow Serving.
Source: TF Serving's batching/batching_session.cc and batching_util.cc.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import grpc
import numpy as np

from genserve.errors import ServeError, invalid_argument
from genserve.runtime.servable import Feeds
from genserve.runtime.tensors import MAX_FILLED_BYTES

PADDED_RANKS = range(1, 7)


def row_count(feeds: Feeds) -> int:
    """The batch size of a request (ComputeTensorBatchSize).

    Raises:
        ServeError: INVALID_ARGUMENT where inputs are missing, have no dimension, or disagree.
    """
    if not feeds:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in feeds.values()):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    counts = {len(array) for array in feeds.values()}
    if len(counts) > 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return counts.pop()


def merged(requests: Sequence[Feeds], padding: int = 0, pad_inner: bool = False) -> dict[str, np.ndarray]:
    """One batch of all requests' rows, followed by `padding` copies of the last request's first row.

    With `pad_inner`, dimensions behind the first are padded to the largest of the batch, each request's with the first
    value of its tensor; without, they have to agree.

    Raises:
        ServeError: FAILED_PRECONDITION where they do not, INVALID_ARGUMENT for what cannot be padded.
        TooMuchPadding: the requests had better run one by one.
    """
    if len(requests) == 1 and not padding:
        return dict(requests[0])
    return {name: _joined(name, [feeds[name] for feeds in requests], padding, pad_inner) for name in requests[0]}


def split(outputs: Sequence[Any], rows: Sequence[int], padding: int = 0) -> list[list[Any]]:
    """For each request the rows of each output that are its own; what belongs to the padding is dropped.

    Raises:
        ServeError: FAILED_PRECONDITION where an output has not as many rows as were fed.
    """
    total = sum(rows) + padding
    for output in outputs:
        if np.ndim(output) == 0:
            raise _precondition("Batched output tensor has 0 dimensions")
        if len(output) != total:
            raise _precondition(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes "
                "of the input tensors"
            )
    parts, start = [], 0
    for count in rows:
        parts.append([output[start : start + count] for output in outputs])
        start += count
    return parts


class TooMuchPadding(Exception):
    """Padding would take far more memory than what was sent."""


def _joined(name: str, arrays: list[np.ndarray], padding: int, pad_inner: bool) -> np.ndarray:
    if len({array.dtype for array in arrays}) > 1:  # the servable would say which one is wrong
        raise invalid_argument(f"Cannot concatenate tensors of {name} that have different data types")
    if pad_inner and len({array.ndim for array in arrays}) == 1:
        inner = np.max([array.shape[1:] for array in arrays], axis=0).astype(int).tolist()
        _check_padding(arrays, sum(map(len, arrays)) * math.prod(inner))
        arrays = [_padded(array, inner) for array in arrays]
    elif len({array.shape[1:] for array in arrays}) > 1:
        raise _precondition(
            f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. "
            "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
            "dimensions starting with the first dim."
        )
    _check_padding(arrays, sum(array.size for array in arrays) + padding * arrays[-1][:1].size)
    return np.concatenate([*arrays, np.repeat(arrays[-1][:1], padding, axis=0)])


def _check_padding(arrays: list[np.ndarray], count: int) -> None:
    """One request with few long rows among others with many short ones would make all of them long.

    Raises:
        TooMuchPadding: beside the arrays' own values, there would be too many others.
    """
    if (count - sum(array.size for array in arrays)) * arrays[0].itemsize > MAX_FILLED_BYTES:
        raise TooMuchPadding


def _padded(array: np.ndarray, inner: list[int]) -> np.ndarray:
    """The array with its inner dimensions brought to `inner` (AddPadding)."""
    if array.ndim not in PADDED_RANKS:
        raise invalid_argument("Only tensors with rank from 1 to 6 can be padded.")
    if list(array.shape[1:]) == inner:
        return array
    if array.size == 0:
        raise invalid_argument("Got empty tensor in batch of non-empty tensors.")
    result = np.full((len(array), *inner), array.flat[0], array.dtype)
    result[tuple(slice(size) for size in array.shape)] = array
    return result


def _precondition(message: str) -> ServeError:
    return ServeError(grpc.StatusCode.FAILED_PRECONDITION, message)
