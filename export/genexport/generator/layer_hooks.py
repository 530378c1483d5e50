"""See, or change, what goes into and comes out of every layer of a Keras model while it runs eagerly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

Hook = Callable[[Any, Callable[..., Any], tuple[Any, ...]], Any]


@contextmanager
def watch(hook: Hook) -> Iterator[None]:
    """Within the block, each layer or keras.ops operation answers `hook(operation, run, inputs)`.

    The hook calls `run(*inputs)` and gives its output on, either of them changed if it likes. Inner calls end first.
    """
    plain = keras.Operation.__call__

    def call(operation: Any, *inputs: Any, **options: Any) -> Any:
        return hook(operation, lambda *args: plain(operation, *args, **options), inputs)

    keras.Operation.__call__ = call
    try:
        yield
    finally:
        keras.Operation.__call__ = plain
