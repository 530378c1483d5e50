"""Loads a version: copies it if it is in a bucket, opens the SavedModel or TFLite file, adds batching, warms it up.

Combines the parts as the flags say; each part is a Servable.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tensorflow.core.protobuf import config_pb2

from genserve.errors import invalid_argument
from genserve.loading.warmup import warm_up
from genserve.options import textproto
from genserve.options.flags import Flags
from genserve.repository.cache import Cache
from genserve.repository.versions import Place
from genserve.runtime.saved_model import SavedModelServable
from genserve.runtime.servable import Feeds, Servable
from genserve.runtime.timing import Timing

BATCHING_FILE = "batching_params.pbtxt"


class Loader:
    """Loads versions as the flags say; called by the watcher thread of each model."""

    def __init__(self, flags: Flags) -> None:
        """Read the files that the flags name.

        Raises:
            FlagError: one of them cannot be read or is invalid.
        """
        self._flags = flags
        self._tags = [tag for tag in flags.saved_model_tags.split(",") if tag]
        self._session = session_config(flags)
        self._cache = Cache()
        self.monitoring: Any = None  # a Monitoring, set before the first load
        self._parameters: Any = None
        self._threads: Any = None
        if flags.enable_batching:
            self._prepare_batching()

    def __call__(self, name: str, version: int, place: Place) -> Servable:
        """Load a version and warm it up; a version only serves if all its warm-up requests succeed.

        Raises:
            ServeError: downloading, loading or a warm-up request failed.
        """
        if isinstance(place, Path):
            return self._warmed_up(name, version, place, place)
        copy = self._cache.fetch(place)
        try:
            return Copy(self._warmed_up(name, version, copy, place), lambda: self._cache.remove(copy))
        except BaseException:
            self._cache.remove(copy)
            raise

    def close(self) -> None:
        """Delete all local copies, once nothing is served any more."""
        self._cache.close()

    def _warmed_up(self, name: str, version: int, path: Path, place: Place) -> Servable:
        """Load and warm up the version in `path`; metrics name it `place`."""
        monitoring = self.monitoring
        with monitoring.loading(place) if monitoring else contextlib.nullcontext():
            loaded = servable = self._load(name, version, path)
        if monitoring:
            servable = monitoring.timed(servable)
        try:
            servable = self._batched(servable, path)
            if self._flags.enable_model_warmup:
                times = max(1, self._flags.num_request_iterations_for_warmup)
                with monitoring.warming(place) if monitoring else contextlib.nullcontext():
                    warm_up(servable, path, times, partial=not isinstance(loaded, SavedModelServable))
        except BaseException:
            servable.close()
            raise
        if self._flags.max_request_rows:
            return RowLimit(servable, self._flags.max_request_rows)
        return servable

    @property
    def thread_pool_name(self) -> str:
        """Of the batching parameters."""
        return str(getattr(self._parameters, "thread_pool_name", "batch_threads"))

    def _load(self, name: str, version: int, path: Path) -> Servable:
        if self._flags.prefer_tflite_model:
            from genserve.runtime import tflite

            file = tflite.find(path)
            if file is not None:
                count = self._flags.num_tflite_pools * self._flags.num_tflite_interpreters_per_pool
                return tflite.TfliteServable(name, version, file, count)
        return SavedModelServable.load(name, version, path, self._tags, self._session)

    def _prepare_batching(self) -> None:
        """Read the parameters and make the threads, which all models share, as in TF Serving."""
        from genserve.batching import Parameters, Threads, parameters

        if self._flags.batching_parameters_file:
            self._parameters = parameters.read(self._flags.batching_parameters_file)
        self._threads = Threads(self._parameters or Parameters())

    def _batched(self, servable: Servable, path: Path) -> Servable:
        """Wrap the version in a batcher; with per-model parameters, only if it has a parameters file."""
        if not self._flags.enable_batching:
            return servable
        from genserve.batching import make, parameters

        chosen = self._parameters
        if self._flags.enable_per_model_batching_parameters:
            file = path / BATCHING_FILE
            if not file.is_file():
                return servable
            chosen = parameters.read(str(file))
        if self.monitoring is None:
            return make(servable, chosen, self._threads)
        batched: Servable = make(servable, chosen, self._threads, self.monitoring.batches(servable.name))
        self.monitoring.watch(batched)
        return batched


class Copy:
    """A version that deletes the local copy of its files when it is closed."""

    def __init__(self, servable: Servable, remove: Callable[[], None]) -> None:
        """Wrap a version."""
        self.name, self.version, self.signatures = servable.name, servable.version, servable.signatures
        self.run = servable.run
        self._servable = servable
        self._remove = remove

    def close(self) -> None:
        """Free the memory and disk space of the version."""
        self._servable.close()
        self._remove()


class RowLimit:
    """A version that rejects requests with more rows than `--max_request_rows`."""

    def __init__(self, servable: Servable, rows: int) -> None:
        """Wrap a version."""
        self.name, self.version, self.signatures = servable.name, servable.version, servable.signatures
        self._servable = servable
        self._rows = rows

    def run(
        self,
        feeds: Feeds,
        fetches: Sequence[str],
        deadline: float | None = None,
        timing: Timing | None = None,
    ) -> list[Any]:
        """As the version's own `run`.

        Raises:
            ServeError: INVALID_ARGUMENT for too many rows, and as the version's.
        """
        rows = max((array.shape[0] for array in feeds.values() if array.ndim), default=0)
        if rows > self._rows:
            raise invalid_argument(f"{rows} rows in one request: expected at most {self._rows} (--max_request_rows)")
        return self._servable.run(feeds, fetches, deadline=deadline, timing=timing)

    def close(self) -> None:
        """Free the memory of the version."""
        self._servable.close()


def session_config(flags: Flags) -> Any:
    """The ConfigProto of every session: that of the file, overridden by other flags.

    Raises:
        FlagError: the file cannot be read.
    """
    config = config_pb2.ConfigProto()
    if flags.tensorflow_session_config_file:
        file = "tensorflow_session_config_file"
        config = textproto.read(flags.tensorflow_session_config_file, config_pb2.ConfigProto, file)
    both = flags.tensorflow_session_parallelism
    if intra := flags.tensorflow_intra_op_parallelism or both:
        config.intra_op_parallelism_threads = intra
    if inter := flags.tensorflow_inter_op_parallelism or both:
        config.inter_op_parallelism_threads = inter
    if flags.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = flags.per_process_gpu_memory_fraction
    return config
