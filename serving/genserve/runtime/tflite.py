"""A TFLite file, run by LiteRT (`--prefer_tflite_model`).

A Servable like that of saved_model.py, so requests are handled by the same code. A file with a fixed batch size of one
(all of genexport's are) runs once per example, several at a time, each on its own interpreter; LiteRT releases the GIL
while it runs.
Source: TF Serving's servables/tensorflow/tflite_session.cc and interpreter_pool.cc.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from tensorflow.core.protobuf import meta_graph_pb2

from genserve.errors import internal, invalid_argument
from genserve.runtime.saved_model import check_deadline, check_dtypes
from genserve.runtime.tflite_graph import GraphRunner, plain, signature_defs
from genserve.runtime.timing import Timing

DEFAULT_SIGNATURE = "serving_default"
GRAPH = ""  # the key of the function of a file without signatures
PREDICT = "tensorflow/serving/predict"
# TF Serving knows model.tflite only; genexport writes tflite/NAME-KIND.tflite, the quantised weights the faster ones.
# Those with latents of pictures, NAME-invert-KIND.tflite, come last.
BACKWARDS = "-invert-"
PATTERNS = ("model.tflite", "tflite/*-dynamic.tflite", "tflite/*-float32.tflite", "tflite/*.tflite")


def find(version_path: Path) -> Path | None:
    """The TFLite file of a version, the preferred one of several, or None."""
    found = [path for pattern in PATTERNS for path in sorted(version_path.glob(pattern))]
    return min(found, key=lambda path: BACKWARDS in path.name, default=None)


class Function:
    """A signature of a TFLite file, or its graph, in one interpreter: its tensors, and how to run it."""

    def __init__(self, runner: Any) -> None:
        """Look at the inputs and outputs of a SignatureRunner or GraphRunner."""
        self.runner = runner
        self.inputs: dict[str, Any] = runner.get_input_details()
        self.outputs: dict[str, Any] = runner.get_output_details()
        self.takes_any_shape = isinstance(runner, GraphRunner)  # as in TF Serving

    @property
    def by_row(self) -> bool:
        """Whether inputs and outputs are all of exactly one row."""
        return all(len(shape) and shape[0] == 1 for shape in map(_shape, self._details()))

    @property
    def free_batch(self) -> bool:
        """Whether inputs and outputs all take any number of rows."""
        return all(len(shape) and shape[0] == -1 for shape in map(_shape, self._details()))

    def __call__(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run it once.

        Raises:
            ServeError: INTERNAL with LiteRT's own words.
        """
        try:
            outputs: dict[str, np.ndarray] = self.runner(**arrays)
        except (ValueError, RuntimeError) as error:
            raise internal(f"Failed to run interpreter: {error}") from error
        return outputs

    def fits(self, arrays: Mapping[str, np.ndarray]) -> bool:
        """Whether the arrays have the shapes of the inputs, but for the number of rows where that is free."""
        return all(_fits(array, self.shape(alias)) for alias, array in arrays.items())

    def shape(self, alias: str) -> tuple[int, ...]:
        """What an input's shape has to be; -1 for any size, also of rows that are run one by one."""
        shape = _shape(self.inputs[alias])
        return (-1, *shape[1:]) if self.by_row else shape

    def signature_def(self, key: str) -> Any:
        """The signature as clients see it; any number of rows where this module makes it so."""
        signature = meta_graph_pb2.SignatureDef(method_name=PREDICT)
        for details, infos in ((self.inputs, signature.inputs), (self.outputs, signature.outputs)):
            for alias, detail in details.items():
                info = infos[plain(alias) if self.takes_any_shape else alias]
                info.name = alias if self.takes_any_shape else f"{key}/{alias}:0"
                info.dtype = tf.as_dtype(detail["dtype"]).as_datatype_enum
                info.tensor_shape.SetInParent()
                for axis, size in enumerate(_shape(detail)):
                    info.tensor_shape.dim.add(size=-1 if axis == 0 and self.by_row else size)
        return signature

    def _details(self) -> list[Any]:
        return [*self.inputs.values(), *self.outputs.values()]


class TfliteServable:
    """A version in a TFLite file: `serving_default`, and each signature of the file under its own name.

    A file without signatures has those of its metadata; without these, `serving_default` of all its inputs and outputs.
    """

    def __init__(self, name: str, version: int, path: Path, interpreters: int) -> None:
        """Load the file.

        Args:
            name: of the model.
            version: its number.
            path: of the TFLite file.
            interpreters: how many rows can be worked on at a time; each needs the model's memory.

        Raises:
            ServeError: INVALID_ARGUMENT where the file is no model that LiteRT can run.
        """
        self.name = name
        self.version = version
        content = _read(path)
        pool = [_functions(content, path) for _ in range(interpreters)]
        self._functions = pool[0]
        keys = {DEFAULT_SIGNATURE: _default(list(pool[0]))} | {key: key for key in pool[0] if key != GRAPH}
        self.signatures = {key: pool[0][own].signature_def(key) for key, own in keys.items()}
        # Where a tensor of the signatures is: the key of its function, and its alias there.
        self._tensors = {
            f"{key}/{alias}:0": (own, alias) for key, own in keys.items() for alias in _aliases(pool[0][own])
        }
        if GRAPH in pool[0]:
            self._tensors = {name: (GRAPH, name) for name in _aliases(pool[0][GRAPH])}
            self.signatures = signature_defs(content, pool[0][GRAPH].runner) or self.signatures
        self._idle: SimpleQueue[dict[str, Function]] = SimpleQueue()
        for functions in pool:
            self._idle.put(functions)
        self._interpreters = interpreters
        self._threads = ThreadPoolExecutor(interpreters, thread_name_prefix="litert")

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        deadline: float | None = None,
        timing: Timing | None = None,
    ) -> list[Any]:
        """As `SavedModelServable.run`; tensor names are those in `signatures`.

        Raises:
            ServeError: INVALID_ARGUMENT for dtypes and shapes other than the signature's, INTERNAL where LiteRT fails.
        """
        check_deadline(deadline)
        started = time.perf_counter()
        keys = {self._tensors[name][0] for name in (*feeds, *fetches)}
        if len(keys) > 1:
            raise invalid_argument("the signatures of a TFLite file are run one at a time")
        (key,) = keys
        arrays = {self._tensors[name][1]: array for name, array in sorted(feeds.items())}
        check(self._functions[key], arrays)
        results = self._run(key, arrays)
        if timing is not None:
            timing.compute += time.perf_counter() - started
        return [results[self._tensors[name][1]] for name in fetches]

    def close(self) -> None:
        """Let go of interpreters and threads; no request may be running."""
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get()

    def _run(self, key: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        function = self._functions[key]
        if not (function.by_row and function.fits(arrays)):
            return self._part(key, arrays)
        rows = len(next(iter(arrays.values()))) if arrays else 1
        if rows == 0:
            return {alias: np.empty((0, *_shape(out)[1:]), out["dtype"]) for alias, out in function.outputs.items()}
        parts = np.array_split(np.arange(rows), min(rows, self._interpreters))
        slices = [{alias: array[part[0] : part[-1] + 1] for alias, array in arrays.items()} for part in parts]
        # The first part needs no other thread, which is all there is where one row is asked for.
        others = [self._threads.submit(self._part_by_row, key, part) for part in slices[1:]]
        done = [self._part_by_row(key, slices[0]), *(future.result() for future in others)]
        return {alias: np.concatenate([part[alias] for part in done]) for alias in function.outputs}

    def _part(self, key: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        functions = self._idle.get()
        try:
            return functions[key](arrays)
        finally:
            self._idle.put(functions)

    def _part_by_row(self, key: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        functions = self._idle.get()
        try:
            function = functions[key]
            rows = len(next(iter(arrays.values()))) if arrays else 1
            done = [function({alias: array[i : i + 1] for alias, array in arrays.items()}) for i in range(rows)]
        finally:
            self._idle.put(functions)
        return {alias: np.concatenate([row[alias] for row in done]) for alias in function.outputs}


def check(function: Function, arrays: Mapping[str, np.ndarray]) -> None:
    """Reject arrays that do not fit the inputs of the function.

    Raises:
        ServeError: INVALID_ARGUMENT, for the dtype in TF Serving's words.
    """
    details = [function.inputs[alias] for alias in arrays]
    check_dtypes(list(arrays.values()), [tf.as_dtype(detail["dtype"]).as_datatype_enum for detail in details])
    if function.takes_any_shape and not function.fits(arrays):
        return
    for alias, array in arrays.items():
        expected = function.shape(alias)
        if not _fits(array, expected):
            raise invalid_argument(f"input {alias}: expected shape {_words(expected)}, found {_words(array.shape)}")
    if len({array.shape[0] for array in arrays.values()}) > 1 and (function.by_row or function.free_batch):
        raise invalid_argument("inputs have different numbers of rows")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise invalid_argument(f"cannot read {path}: {error.strerror}") from error


def _functions(content: bytes, path: Path) -> dict[str, Function]:
    """The signatures of the file, in an interpreter of their own."""
    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        keys = sorted(interpreter.get_signature_list())
        functions = {key: Function(interpreter.get_signature_runner(key)) for key in keys}
    except (ValueError, RuntimeError, TypeError) as error:
        first = str(error).split("\n", 1)[0]
        raise invalid_argument(f"{path} is not a TFLite model that LiteRT can run: {first}") from error
    return functions or {GRAPH: Function(GraphRunner(interpreter))}


def _default(keys: Sequence[str]) -> str:
    """The default signature of the file; genexport calls it `generate`."""
    return next((key for key in (DEFAULT_SIGNATURE, "generate") if key in keys), keys[0])


def _shape(detail: Any) -> tuple[int, ...]:
    """The sizes of a tensor; -1 for free ones."""
    return tuple(int(size) for size in np.ravel(detail["shape_signature"]))


def _fits(array: np.ndarray, shape: Sequence[int]) -> bool:
    return array.ndim == len(shape) and all(size in (-1, found) for size, found in zip(shape, array.shape, strict=True))


def _aliases(function: Function) -> list[str]:
    return [*function.inputs, *function.outputs]


def _words(shape: Sequence[int]) -> str:
    return "[" + ",".join("?" if size < 0 else str(size) for size in shape) + "]"
