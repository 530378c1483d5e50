"""Images from a TFLite file, run on this machine by LiteRT; the same seeds give the same latents as with a server.

Images are made in several threads, each with an interpreter of its own: LiteRT lets go of Python's lock while it runs.
Not for converting or measuring such files: that is genexport's.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.client.arguments import COUNT, FIRST, check_count, named_inputs, of_images
from genclient.client.call import Batch, Collection
from genclient.client.texts import Texts
from genclient.device import interpreter, layout
from genclient.device.interpreter import Function, litert_errors
from genclient.device.layout import Layout
from genclient.device.pictures import PictureRuns
from genclient.errors import ClientError, UsageError
from genclient.images import pixels
from genclient.latents.array import counted_seeds
from genclient.model import tflite_metadata
from genclient.model.inputs import Examples
from genclient.model.roles import Label
from genclient.model.signature import ModelInfo, SignatureSpec
from genclient.model.text_roles import encoded
from genclient.tasks.image_generation import IMAGE_GENERATION

BATCH_SIZE = 16
"""Images between two signs of progress, at most; the batch of a file that takes any number."""

MAX_THREADS = 256

DEFAULT_THREADS = 8
"""At most, unless more are requested: each has the memory of an interpreter."""

_PROBES = 4  # images that show in which range the pixels lie
_RANGES = {(0.0, 1.0): "[0, 1]", (-1.0, 1.0): "[-1, 1]", (0.0, 255.0): "[0, 255]"}


class DeviceGenerator(PictureRuns):
    """A model in a TFLite file.

    Example:
    ```python
    generator = DeviceGenerator("models/digits/1/tflite/digits-float32.tflite")
    for batch in generator.stream(range(16), truncation=0.7):
        print(batch.images.shape)
    ```

    Attributes:
        class_names: names of the labels 0, 1, …, where the file says them.
        preprocessing: how pictures that it takes are brought to size; None: it does not say.
        vocabulary: which words it knows; None: it takes none, or does not say.
        frames_per_second: of clips; None: it makes none, or does not say.
        notes: how a file was read that is not genline's own, a sentence each; complete after `stream`.
    """

    def __init__(self, path: str, *, threads: int | None = None) -> None:
        """Load the file. One that was damaged with care can end the process: see `sandbox.rehearse`.

        Args:
            path: the file.
            threads: images made at the same time; None: as many as there are processors for this process, up to 8.

        Raises:
            UsageError: threads are not 1 to 256.
            ClientError: LiteRT is not installed, or the file cannot be read or is no TFLite model.
        """
        if threads is not None:
            check_count("threads", threads, MAX_THREADS)
        self._threads = threads or min(DEFAULT_THREADS, _processors())
        self._name = Path(path).name
        interpreter.litert()
        self._content = interpreter.read_file(path)
        with litert_errors(f"{path} is not a TFLite model that LiteRT can run"):
            functions = interpreter.functions(interpreter.open_interpreter(self._content))
        self._info = ModelInfo(self._name, None, {name or "none": f.spec() for name, f in functions.items()})
        metadata = tflite_metadata.read(self._content, path)
        self.class_names, self._class_count = (metadata.class_names, metadata.class_count) if metadata else ((), 0)
        self._truncation_at_most = metadata.truncation_at_most if metadata else None
        self.preprocessing = metadata.preprocessing if metadata else None
        self.vocabulary = metadata.vocabulary if metadata else None
        self.frames_per_second = metadata.frames_per_second if metadata else None
        self._metadata = metadata
        self._range = (0.0, 1.0) if metadata else None  # lowest and highest pixel; None: not known yet
        self._layout = layout.find(functions)
        note = self._layout.note() if self._layout else None
        self.notes = [] if note is None else [f"{self._name}: {note}"]
        # A function is run by one thread at a time; those that are not in use wait here.
        self._idle: SimpleQueue[Function] = SimpleQueue()
        if self._layout is not None:
            self._idle.put(functions[self._layout.signature])

    def info(self) -> ModelInfo:
        """The signatures of the file in its own words; it has no version."""
        return self._info

    def generator(self) -> SignatureSpec | None:
        """What it does in genline's words: latents (N, Z) [, labels (N,)] → images (N, H, W, C); None: no generator."""
        return self._layout.spec() if self._layout and self._layout.makes_images else None

    @property
    def class_count(self) -> int:
        """How many classes there are; 0 where the file does not say."""
        return self._class_count

    def stream(
        self,
        seeds: Sequence[int] | NDArray[np.int64] | None = None,
        *,
        latents: ArrayLike | None = None,
        truncation: float = 1.0,
        label: Label = None,
        texts: Texts = None,
        inputs: Mapping[str, ArrayLike] | None = None,
    ) -> Iterator[Batch]:
        """Images of `seeds` or `latents`, in their order, a few at a time; arguments as in `Client.stream`.

        The pixels are the same with any number of threads. Of a file that is not genline's own the first call finds
        out in which range its pixels lie, by four images.

        Raises:
            UsageError: the arguments do not fit each other or the model.
            ClientError: the file is no generator's, fails to run, or makes something that is not images.
        """
        given = of_images(COUNT, FIRST, seeds, latents, truncation, label, inputs, texts)
        if self._layout is None or not self._layout.makes_images:
            raise layout.not_a_generator(self._info)
        return self._stream(self._examples(given))

    def run(self, inputs: Mapping[str, ArrayLike] | None = None, **named: Any) -> dict[str, NDArray[Any]]:
        """Whatever the file gives for named inputs, by name; arguments and results as in `Client.run`.

        Raises:
            UsageError: the inputs do not fit each other or the model.
            ClientError: the file fits no task that is known, or fails to run.
        """
        examples, results = self._examples(named_inputs({**(inputs or {}), **named})), Collection()
        results.expect(examples.count)
        for batch in self._stream(examples):
            results.add(batch)
        return results.whole()

    def _examples(self, given: Mapping[str, Any]) -> Examples:
        """The request, checked."""
        plan = self._usable()
        given = self._with_tokens(given)
        examples = plan.task.examples(plan.binding(), given)
        self._check_classes(given.get("labels"))
        self._check_truncation(given.get("truncation", 1.0))
        if self._range is None and plan.makes_images:
            self._find_range(examples, given)
        return examples

    def _with_tokens(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Texts as tokens, where the file takes words.

        Raises:
            UsageError: they are no texts.
            ClientError: the file has no vocabulary.
        """
        texts, tokens = given.get("texts"), self._usable().inputs.get("tokens")
        if texts is None or tokens is None:
            return given
        if self.vocabulary is None:
            raise ClientError(f"{self._name}: its metadata has no vocabulary, which texts need; tokens can be given")
        several = [texts] if isinstance(texts, str) else texts
        encoded(several)  # sees that they are texts
        made = self.vocabulary.tokens(several, tokens[1].shape[1] or 0)
        return {**given, "texts": None, "tokens": made[0] if isinstance(texts, str) else made}

    def _find_range(self, examples: Examples, given: Mapping[str, Any]) -> None:
        """Judge the range of pixels by the images of four seeds; of a model that takes more, by its first images."""
        plan, count = self._usable(), min(_PROBES, examples.count)
        if plan.task is IMAGE_GENERATION:
            label = given.get("labels")
            one = None if label is None else int(np.ravel(np.asarray(label))[0])
            probe = {"seeds": counted_seeds(0, _PROBES), "labels": one}
            examples, count = plan.task.examples(plan.binding(), probe), _PROBES
        self._range = _range_of(self._make(examples.inputs(0, count), threading.Event())[plan.output])
        if self._range != (0.0, 1.0):
            by = f"the images of {count} seeds" if plan.task is IMAGE_GENERATION else f"{count} images"
            self.notes.append(f"{self._name}: pixels lie in {_RANGES[self._range]}, by {by}")

    def _usable(self) -> Layout:
        if self._layout is None:
            raise layout.not_a_generator(self._info)
        return self._layout

    def _check_classes(self, label: Label) -> None:
        most = -1 if label is None else int(np.max(label))
        if self._class_count and most >= self._class_count:
            raise UsageError(f"label: found {most}, expected a class from 0 to {self._class_count - 1}")

    def _check_truncation(self, truncation: float) -> None:
        most = self._truncation_at_most
        if most is not None and abs(truncation) > most:
            limit = f"its integers hold the generator's images up to a truncation of {most:g}, not of {truncation:g}"
            self.notes.append(f"{self._name}: {limit}; the float32 and dynamic files take any")

    def _stream(self, examples: Examples) -> Iterator[Batch]:
        stop, pool = threading.Event(), ThreadPoolExecutor(self._threads, "genclient")
        # Parts that are made ahead of the one that is due: few, so that memory does not grow with their number.
        ahead: deque[tuple[int, int, Future[dict[str, NDArray[Any]]]]] = deque()
        try:
            for start, stop_at in self._parts(examples.count):
                ahead.append((start, stop_at, pool.submit(self._make, examples.inputs(start, stop_at), stop)))
                if len(ahead) > 2 * self._threads:
                    yield self._batch(examples, *ahead.popleft())
            while ahead:
                yield self._batch(examples, *ahead.popleft())
        finally:  # whoever stops in between waits for the images that are being made, not for those ahead
            stop.set()
            pool.shutdown(cancel_futures=True)

    def _parts(self, count: int) -> Iterator[tuple[int, int]]:
        """Examples for one thread at a time: whole batches of the file, and parts enough for all threads."""
        batch = self._usable().batch
        size = BATCH_SIZE if batch is None else max(1, min(BATCH_SIZE, count // (8 * self._threads)))
        size = max(size, batch or 1) // (batch or 1) * (batch or 1)
        return ((start, min(start + size, count)) for start in range(0, count, size))

    def _make(self, inputs: dict[str, NDArray[Any]], stop: threading.Event) -> dict[str, NDArray[Any]]:
        """Outputs as the file gives them, (N, …), in as many runs as its batch needs; none when stopped."""
        plan, function, runs = self._usable(), self._take(), []
        count = len(next(iter(inputs.values())))
        size = plan.batch or count
        try:
            for start in range(0, count, size):
                if stop.is_set():
                    break
                some = {name: array[start : start + size] for name, array in inputs.items()}
                with litert_errors(f"{self._name} failed to run"):
                    runs.append(plan.results(function(plan.given(some)), min(size, count - start)))
        finally:
            self._idle.put(function)
        return {name: np.concatenate([run[name] for run in runs]) for name in plan.outputs} if runs else {}

    def _take(self) -> Function:
        """A function that is not in use; with an interpreter of its own where there is none."""
        try:
            return self._idle.get_nowait()
        except Empty:
            with litert_errors(f"{self._name}: no interpreter for another thread"):
                return Function(interpreter.open_interpreter(self._content), self._usable().signature)

    def _batch(self, examples: Examples, start: int, stop: int, made: Future[dict[str, NDArray[Any]]]) -> Batch:
        roles = self._usable().task.outputs
        outputs = {roles[name].result: self._read(name, array) for name, array in made.result().items()}
        return Batch(examples.numbers(start, stop), outputs, None, examples.labels(start, stop))

    def _read(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """An output as results have it."""
        if name != self._usable().output:
            return self._usable().task.outputs[name].reader(None)(array, name)
        low, high = self._range or (0.0, 1.0)
        if array.dtype.kind == "f" and (low, high) != (0.0, 1.0):
            array = (array.astype(np.float32) - np.float32(low)) / np.float32(high - low)
        if name == "clips":
            return pixels.to_pixels(array.reshape(-1, *array.shape[2:]), name).reshape(array.shape)
        return pixels.to_pixels(array, name)


def _range_of(images: NDArray[Any]) -> tuple[float, float]:
    """The range of pixels that holds these: below zero only [-1, 1] goes, far above one only [0, 255].

    With room for what a network gives beyond 0 and 1.
    """
    if images.dtype.kind != "f":
        return 0.0, 1.0
    if images.min() < -0.1:
        return -1.0, 1.0
    return (0.0, 255.0) if images.max() > 2 else (0.0, 1.0)


def _processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
