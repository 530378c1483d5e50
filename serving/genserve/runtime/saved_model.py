"""A SavedModel in a TensorFlow session: its signatures, and how to run them.

The session is that of the v1 loader, as in TF Serving, and runs C++ callables without the checks that Python's
`Session.run` adds, so that requests get the same checks and messages. Only knows arrays and tensor names; predict.py
reads requests.
Source: TF Serving's servables/tensorflow/saved_model_bundle_factory.cc; TensorFlow's direct_session.cc.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import config_pb2

from genserve.errors import ServeError, from_tensorflow, invalid_argument, not_found
from genserve.runtime.timing import Timing

# A client may name any subset of the outputs; without a limit each would stay compiled for good.
MAX_CALLABLES = 64

Run = Callable[..., list[Any]]


class SavedModelServable:
    """A loaded version; `signatures` maps signature keys to SignatureDefs."""

    def __init__(self, name: str, version: int, session: Any, signatures: Mapping[str, Any]) -> None:
        """Take over a session in which the graph and its variables are loaded."""
        self.name = name
        self.version = version
        self.signatures = dict(signatures)
        self._session = session
        self._callable = functools.lru_cache(maxsize=MAX_CALLABLES)(self._make_callable)

    @classmethod
    def load(
        cls, name: str, version: int, path: Path, tags: Sequence[str] = ("serve",), config: Any = None
    ) -> SavedModelServable:
        """Load the SavedModel in `path`.

        Args:
            name: of the model.
            version: its number.
            path: its folder.
            tags: of the MetaGraph to load.
            config: a ConfigProto for the session.

        Raises:
            ServeError: with TensorFlow's code and message, NOT_FOUND where there is no SavedModel.
        """
        if not any((path / file).is_file() for file in ("saved_model.pb", "saved_model.pbtxt")):
            raise not_found(f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}")
        graph = tf.Graph()
        session = tf.compat.v1.Session(graph=graph, config=config)
        try:
            with graph.as_default():
                meta_graph = tf.compat.v1.saved_model.loader.load(session, list(tags), str(path))
        except BaseException as error:
            session.close()
            if isinstance(error, tf.errors.OpError):
                raise from_tensorflow(error) from error
            if isinstance(error, RuntimeError):  # no MetaGraph with these tags; the message has several lines
                raise not_found(" ".join(str(error).split())) from error
            raise
        return cls(name, version, session, meta_graph.signature_def)

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        deadline: float | None = None,
        timing: Timing | None = None,
    ) -> list[Any]:
        """Feed and fetch tensors by name; returns one result per fetch, in order.

        Args:
            feeds: arrays of any shape; strings as object arrays of bytes.
            fetches: tensor names such as `StatefulPartitionedCall:0`.
            deadline: on the monotonic clock; what has begun runs to its end.
            timing: gets the seconds that this takes.

        Raises:
            ServeError: with code and message of the op that failed; DEADLINE_EXCEEDED if it is too late to begin.
        """
        check_deadline(deadline)
        started = time.perf_counter()
        names = tuple(sorted(feeds))
        unique = tuple(sorted(set(fetches)))
        try:
            dtypes, run = self._callable(names, unique)
            arrays = [feeds[name] for name in names]
            check_dtypes(arrays, dtypes)
            results = dict(zip(unique, run(*arrays), strict=True))
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        finally:
            if timing is not None:
                timing.compute += time.perf_counter() - started
        return [results[name] for name in fetches]

    def graph_def(self) -> Any:
        """The graph, with its ops."""
        return self._session.graph.as_graph_def()

    def close(self) -> None:
        """Free the session; no request may be running on it."""
        self._callable.cache_clear()
        self._session.close()

    def _make_callable(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> tuple[list[int], Run]:
        try:
            dtypes = [self._session.graph.get_tensor_by_name(name).dtype.as_datatype_enum for name in feeds]
        except (KeyError, ValueError) as error:
            raise invalid_argument(f"Tensor of the signature is not in the graph: {error.args[0]}") from error
        options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
        # The public make_callable goes through Session.run's own shape checks as soon as there is something to feed.
        return dtypes, self._session._make_callable_from_options(options)


def check_deadline(deadline: float | None) -> None:
    """Reject a request whose deadline has passed.

    Raises:
        ServeError: DEADLINE_EXCEEDED.
    """
    if deadline is not None and time.monotonic() >= deadline:
        raise ServeError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded before the model could be run")


def check_dtypes(arrays: Sequence[np.ndarray], dtypes: Sequence[int]) -> None:
    """Reject arrays whose dtype differs from that of the tensor.

    The session's Run makes this check (TensorFlow's FunctionCallFrame::SetArgs, framework/function.cc), a callable does
    not; arguments are counted, as there, in the order of the tensors' names.

    Raises:
        ServeError: INVALID_ARGUMENT `Expects arg[0] to be float but int32 is provided`.
    """
    for index, (array, expected) in enumerate(zip(arrays, dtypes, strict=True)):
        found = tf.as_dtype(array.dtype).as_datatype_enum
        if found != expected:
            raise invalid_argument(
                f"Expects arg[{index}] to be {dtype_name(expected)} but {dtype_name(found)} is provided"
            )


def dtype_name(dtype: int) -> str:
    """The name of a dtype in TensorFlow's C++ code (`DataTypeString`): `float`, `int32`, `string`."""
    return str(types_pb2.DataType.Name(dtype)).removeprefix("DT_").lower()
