"""One loaded version that is a TFLite file, run by LiteRT: `--prefer_tflite_model`.

Has the attributes and methods of servable.py's Servable, so a request meets the same code before and after it. A file
whose batch is fixed at one (all of genexport's are) is run once for each row, several rows at a time, each on an
interpreter of its own: LiteRT lets go of Python's lock while it runs.
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
from genserve.servable import check_deadline, check_dtypes
from genserve.timing import Timing

DEFAULT_SIGNATURE = "serving_default"
PREDICT = "tensorflow/serving/predict"
# TF Serving knows model.tflite only; genexport writes tflite/NAME-KIND.tflite, the quantised weights the faster ones.
PATTERNS = ("model.tflite", "tflite/*-dynamic.tflite", "tflite/*-float32.tflite", "tflite/*.tflite")


def find(version_path: Path) -> Path | None:
    """The TFLite file of a version, the preferred one of several, or None."""
    for pattern in PATTERNS:
        for path in sorted(version_path.glob(pattern)):
            return path
    return None


class Function:
    """A signature of a TFLite file in one interpreter: its tensors, and how to run it."""

    def __init__(self, interpreter: Interpreter, key: str) -> None:
        """Look at the signature's inputs and outputs."""
        self._runner = interpreter.get_signature_runner(key)
        self.inputs: dict[str, Any] = self._runner.get_input_details()
        self.outputs: dict[str, Any] = self._runner.get_output_details()

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
            outputs: dict[str, np.ndarray] = self._runner(**arrays)
        except (ValueError, RuntimeError) as error:
            raise internal(f"Failed to run interpreter: {error}") from error
        return outputs

    def signature_def(self, key: str) -> Any:
        """The signature as clients see it; any number of rows where this module makes it so."""
        signature = meta_graph_pb2.SignatureDef(method_name=PREDICT)
        for details, infos in ((self.inputs, signature.inputs), (self.outputs, signature.outputs)):
            for alias, detail in details.items():
                info = infos[alias]
                info.name = f"{key}/{alias}:0"
                info.dtype = tf.as_dtype(detail["dtype"]).as_datatype_enum
                info.tensor_shape.SetInParent()
                for axis, size in enumerate(_shape(detail)):
                    info.tensor_shape.dim.add(size=-1 if axis == 0 and self.by_row else size)
        return signature

    def _details(self) -> list[Any]:
        return [*self.inputs.values(), *self.outputs.values()]


class TfliteServable:
    """A version that answers from a TFLite file: `serving_default`, and each signature of the file by its own name."""

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
        self._keys = {DEFAULT_SIGNATURE: _default(list(pool[0]))} | {key: key for key in pool[0]}
        self.signatures = {key: pool[0][own].signature_def(key) for key, own in self._keys.items()}
        self._functions = pool[0]
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
        """As `Servable.run`; tensor names are those in `signatures`.

        Raises:
            ServeError: INVALID_ARGUMENT for dtypes and shapes other than the signature's, INTERNAL where LiteRT fails.
        """
        check_deadline(deadline)
        started = time.perf_counter()
        key = self._keys[next(iter([*feeds, *fetches])).rpartition("/")[0]]
        arrays = {_alias(name): array for name, array in sorted(feeds.items())}
        check(self._functions[key], arrays)
        results = self._run(key, arrays)
        if timing is not None:
            timing.compute += time.perf_counter() - started
        return [results[_alias(name)] for name in fetches]

    def close(self) -> None:
        """Let go of interpreters and threads; no request may be running."""
        self._threads.shutdown()
        while not self._idle.empty():
            self._idle.get()

    def _run(self, key: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        function = self._functions[key]
        if not function.by_row:
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
    """Refuse arrays that the function's inputs cannot take.

    Raises:
        ServeError: INVALID_ARGUMENT, for the dtype in TF Serving's words.
    """
    details = [function.inputs[alias] for alias in arrays]
    check_dtypes(list(arrays.values()), [tf.as_dtype(detail["dtype"]).as_datatype_enum for detail in details])
    for (alias, array), detail in zip(arrays.items(), details, strict=True):
        shape = _shape(detail)
        expected = (-1, *shape[1:]) if function.by_row else shape
        if array.ndim != len(expected) or any(e not in (-1, f) for e, f in zip(expected, array.shape, strict=True)):
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
        functions = {key: Function(interpreter, key) for key in sorted(interpreter.get_signature_list())}
    except (ValueError, RuntimeError, TypeError) as error:
        first = str(error).split("\n", 1)[0]
        raise invalid_argument(f"{path} is not a TFLite model that LiteRT can run: {first}") from error
    if not functions:
        raise invalid_argument(f"{path} has no signature; expected one, such as serving_default or generate")
    return functions


def _default(keys: Sequence[str]) -> str:
    """The file's signature that answers where none is named: genexport calls it `generate`."""
    return next((key for key in (DEFAULT_SIGNATURE, "generate") if key in keys), keys[0])


def _shape(detail: Any) -> tuple[int, ...]:
    """The sizes of a tensor; -1 for free ones."""
    return tuple(int(size) for size in np.ravel(detail["shape_signature"]))


def _alias(tensor_name: str) -> str:
    return tensor_name.rpartition("/")[2].removesuffix(":0")


def _words(shape: Sequence[int]) -> str:
    return "[" + ",".join("?" if size < 0 else str(size) for size in shape) + "]"
