"""The metrics of the server, under TF Serving's names or, where there is none, under genserve's.

`Monitoring` records requests, batches, runs and loads with metrics.py. Enabled by `--monitoring_config_file`.
Source: TF Serving's servables/tensorflow/util.cc, batching/batching_session.cc, saved_model_warmup.cc and
model_servers/http_server.cc; TensorFlow's core/framework/metrics.cc and cc/saved_model/loader.cc.
"""

from __future__ import annotations

import contextlib
import os
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from genserve.models.model import Models
from genserve.repository.versions import Place
from genserve.runtime.timing import Timing
from genserve.telemetry.metrics import Counter, Gauge, Histogram, Labels, exponential, page

RUNTIME = "TF1"  # what TF Serving calls the session that runs a SavedModel
_METHODS = {"predict": "Predict", "classify": "Classify", "regress": "Regress"}  # verbs of REST
_MICROS = exponential(10, 1.8, 33)
_SECONDS = exponential(0.0001, 2, 18)
_ROWS = exponential(1, 2, 14)


class Monitoring:
    """The metrics of one server."""

    def __init__(self, models: Models, batching_threads: str = "") -> None:
        """All zero.

        Args:
            models: whose versions' states are shown.
            batching_threads: `thread_pool_name` of the batching parameters where requests are batched.
        """
        self._models = models
        self._pool = batching_threads
        self._queues: weakref.WeakKeyDictionary[Any, Labels] = weakref.WeakKeyDictionary()
        serving, core = "/tensorflow/serving", "/tensorflow/core"
        self._requests = Counter(f"{serving}/request_count", "Requests.", ("model_name", "status"))
        self._latency = Histogram(
            f"{serving}/request_latency", "Microseconds of requests.", ("model_name", "API", "entrypoint"), _MICROS
        )
        self._runtime = Histogram(
            f"{serving}/runtime_latency",
            "Microseconds of requests in queue and model.",
            ("model_name", "API", "runtime"),
            _MICROS,
        )
        self._queuing = Histogram(
            f"{serving}/batching_session/queuing_latency",
            "Microseconds of requests in the batching queue.",
            ("thread_pool_name",),
            exponential(100, 1.2, 52),
        )
        self._wrapped_runs = Counter(f"{serving}/batching_session/wrapped_run_count", "Batches run.")
        self._warmup = Histogram(
            f"{serving}/model_warmup_latency", "Microseconds of warm-ups.", ("model_path", "status"), _MICROS
        )
        self._runs = Counter(f"{core}/graph_runs", "Runs of a model.")
        self._run_time = Counter(f"{core}/graph_run_time_usecs", "Microseconds of all runs together.")
        self._run_times = Histogram(
            f"{core}/graph_run_time_usecs_histogram", "Microseconds of runs.", (), exponential(1000, 2, 20)
        )
        saved_model = "/tensorflow/cc/saved_model"
        self._loads = Counter(f"{saved_model}/load_attempt_count", "Loads of a version.", ("model_path", "status"))
        self._load_time = Counter(f"{saved_model}/load_latency", "Microseconds of loads.", ("model_path",))
        request = ("model_name", "API", "entrypoint")
        self._parts = {
            part: Histogram(f"genserve_request_{part}_seconds", f"Seconds of requests: {about}.", request, _SECONDS)
            for part, about in (
                ("queue", "waiting for a batch"),
                ("compute", "in the model"),
                ("serialise", "reading the request and writing the response"),
            )
        }
        self._batch_rows = Histogram("genserve_batch_rows", "Rows of batches.", ("model_name",), _ROWS)
        self._batch_requests = Histogram("genserve_batch_requests", "Requests of batches.", ("model_name",), _ROWS)
        self._padding = Counter("genserve_batch_padding_rows_total", "Rows of padding in batches.", ("model_name",))
        self._gauges = [
            Gauge("genserve_queue_length", "Requests in the batching queue.", ("model_name", "version"), self._waiting),
            Gauge(
                "genserve_version_state", "1 for a version's state.", ("model_name", "version", "state"), self._states
            ),
            Gauge("process_resident_memory_bytes", "Resident memory.", (), memory),
        ]

    def page(self) -> bytes:
        """The page for Prometheus."""
        own = [*self._parts.values(), self._batch_rows, self._batch_requests, self._padding, *self._gauges]
        loads = [self._warmup, self._loads, self._load_time]
        runs = [self._runs, self._run_time, self._run_times]
        requests = [self._requests, self._latency, self._runtime, self._queuing, self._wrapped_runs]
        return page([*requests, *runs, *loads, *own])

    def request(
        self, model: str, api: str, entrypoint: str, code: grpc.StatusCode, seconds: float, timing: Timing
    ) -> None:
        """Count a request; `entrypoint` is `GRPC` or `REST`. Only successful requests count towards latencies."""
        self._requests.add(1, model, code.name)
        if code is not grpc.StatusCode.OK:
            return
        self._latency.add(1e6 * seconds, model, api, entrypoint)
        if timing.compute:
            self._runtime.add(1e6 * (timing.queue + timing.compute), model, _METHODS.get(api, api), RUNTIME)
        if self._pool and timing.compute:
            self._queuing.add(1e6 * timing.queue, self._pool)
        self._parts["queue"].add(timing.queue, model, api, entrypoint)
        self._parts["compute"].add(timing.compute, model, api, entrypoint)
        self._parts["serialise"].add(timing.serialise, model, api, entrypoint)

    def batches(self, model: str) -> Callable[[Any], None]:
        """The function that records the batches of a model (`observe` of batching.make)."""

        def observe(report: Any) -> None:
            self._wrapped_runs.add(1)
            self._batch_rows.add(report.rows, model)
            self._batch_requests.add(report.requests, model)
            if report.padding:
                self._padding.add(report.padding, model)

        return observe

    def watch(self, batcher: Any) -> None:
        """Show the queue length of a batcher for as long as it exists."""
        if hasattr(batcher, "waiting"):
            self._queues[batcher] = (batcher.name, str(batcher.version))

    def timed(self, servable: Any) -> Timed:
        """Wrap a version so that its runs are counted; goes below the batcher."""
        return Timed(servable, self._ran)

    @contextlib.contextmanager
    def loading(self, path: Place) -> Iterator[None]:
        """Count a load."""
        started = time.perf_counter()
        try:
            yield
        except BaseException:
            self._loads.add(1, str(path), "fail")
            raise
        self._loads.add(1, str(path), "success")
        self._load_time.add(round(1e6 * (time.perf_counter() - started)), str(path))

    @contextlib.contextmanager
    def warming(self, path: Place) -> Iterator[None]:
        """Time a warm-up."""
        started, status = time.perf_counter(), "UNKNOWN"
        try:
            yield
            status = "OK"
        except Exception as error:
            status = getattr(getattr(error, "code", None), "name", status)
            raise
        finally:
            self._warmup.add(1e6 * (time.perf_counter() - started), str(path), status)

    def _ran(self, seconds: float) -> None:
        self._runs.add(1)
        self._run_time.add(round(1e6 * seconds))
        self._run_times.add(1e6 * seconds)

    def _waiting(self) -> Iterable[tuple[Labels, float]]:
        return [(labels, batcher.waiting) for batcher, labels in list(self._queues.items())]

    def _states(self) -> Iterable[tuple[Labels, float]]:
        return [
            ((name, str(version), status.state.name), 1)
            for name, model in self._models.items()
            for version, status in model.statuses().items()
        ]


class Timed:
    """A version that reports the duration of each run."""

    def __init__(self, servable: Any, ran: Callable[[float], None]) -> None:
        """Wrap a version."""
        self.name, self.version, self.signatures = servable.name, servable.version, servable.signatures
        self._servable = servable
        self._ran = ran

    def __getattr__(self, name: str) -> Any:
        """Whatever else the version has, such as `graph_def`."""
        return getattr(self._servable, name)

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        deadline: float | None = None,
        timing: Timing | None = None,
    ) -> list[Any]:
        """As the version's own."""
        started = time.perf_counter()
        results: list[Any] = self._servable.run(feeds, fetches, deadline, timing)
        self._ran(time.perf_counter() - started)
        return results

    def close(self) -> None:
        """Free the memory of the version."""
        self._servable.close()


def memory() -> Iterable[tuple[Labels, float]]:
    """The resident bytes of this process, where the system reports them."""
    try:
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return []
    return [((), pages * os.sysconf("SC_PAGE_SIZE"))]
