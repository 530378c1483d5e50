"""One seed is one image: neither drawn at random, nor dependent on the other examples of a batch.

Both are found by what comes out, and the layer by what it gives when it is watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from genexport.errors import ExportError
from genexport.generator import rebuild
from genexport.generator.layer_hooks import watch

EXAMPLES = 5
"""No side of an image: Keras' Add takes a batch as large as a side for channels (3.15)."""
APART = 1e-3
"""Root mean square between an example alone and in a batch, against the spread; what kernels round is far below it."""

Call = Callable[[tuple[Any, ...]], Any]


def check_fixed(path: Path, call: Call, inputs: tuple[Any, ...]) -> None:
    """See that nothing is drawn at random.

    Args:
        path: for messages.
        call: the model, eager, given a batch for each of its inputs.
        inputs: a few examples, a batch for each input.

    Raises:
        ExportError: two calls give two images; the layer is named.
    """
    rows = tuple(values[:EXAMPLES] for values in inputs)
    if not np.array_equal(call(rows), call(rows)):
        layer = _first(_outputs(call, rows), _outputs(call, rows), _differ)
        raise ExportError(
            f"{path}: the same input gives two different images: {layer} draws at random in inference; a seed must "
            "always give the same image, so remove the layer or replace it with fixed noise"
        )


def check_alone(path: Path, call: Call, inputs: tuple[Any, ...]) -> None:
    """See that an example gives the same image alone and among others; arguments as of `check_fixed`, in float32.

    Raises:
        ExportError: it gives another; the layer is named.
    """
    rows = tuple(values[:EXAMPLES] for values in inputs)
    single = [tuple(values[i : i + 1] for values in rows) for i in range(len(rows[0]))]
    if _apart(np.asarray(call(rows)), np.concatenate([np.asarray(call(row)) for row in single])):
        layer = _first(_outputs(call, rows), _outputs(call, single[-1]), _last_row_differs)
        raise ExportError(
            f"{path}: an image depends on the others in its batch: {layer} gives an example other values when it is "
            "alone; use fixed statistics (BatchNormalization's moving averages) or those of the example itself "
            "(LayerNormalization, GroupNormalization)"
        )


def _outputs(call: Call, rows: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """(layer, what it gave); the innermost call ends first, so the first that differs is where it comes in."""
    seen: list[tuple[str, Any]] = []

    def note(operation: Any, run: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
        output = run(*inputs)
        seen.append((f"{operation.name} ({type(operation).__name__})", output))
        return output

    with watch(note):
        call(rows)
    return iter(seen)


def _first(one: Iterator[tuple[str, Any]], other: Iterator[tuple[str, Any]], differ: Callable[[Any, Any], bool]) -> str:
    for (name, a), (_, b) in zip(one, other, strict=False):
        pairs = zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=False)
        if any(differ(np.asarray(x), np.asarray(y)) for x, y in pairs):
            return name
    return "a function in it"


def _differ(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return not np.array_equal(a, b)


def _last_row_differs(batch: np.ndarray[Any, Any], alone: np.ndarray[Any, Any]) -> bool:
    rows = batch[-1:] if batch.ndim else batch
    return rows.shape == alone.shape and rows.dtype.kind == "f" and _apart(rows, alone)


def _apart(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a.shape != b.shape or rebuild.change(a.astype(np.float32), b.astype(np.float32)) > APART
