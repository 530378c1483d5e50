"""What the tests of batching share: a version that can be held up, requests in threads, rows, and codes of errors."""

from __future__ import annotations

import threading

import grpc
import numpy as np

INVALID = grpc.StatusCode.INVALID_ARGUMENT

PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE

FULL = "The batch scheduling queue to which this task was submitted is full; "

IN_QUEUE = "Run() timeout exceeded while waiting in batching queue"


class Held:
    """A real version whose runs can be held up at a gate; remembers what was fed, and in which thread."""

    def __init__(self, servable):
        self.name, self.version, self.signatures = servable.name, servable.version, servable.signatures
        self.servable = servable
        self.gate = threading.Event()
        self.gate.set()
        self.runs, self.threads = [], []

    def run(self, feeds, fetches, deadline=None, timing=None):
        self.runs.append(feeds)
        self.threads.append(threading.current_thread().name)
        assert self.gate.wait(30)
        return self.servable.run(feeds, fetches)

    def graph_def(self):
        return self.servable._session.graph.as_graph_def()

    def close(self):
        pass

    @property
    def sizes(self):
        return [len(next(iter(feeds.values()))) for feeds in self.runs]


class Asked:
    """Runs signatures by name in front of a batcher, each request in a thread of its own."""

    def __init__(self, runner, pool):
        self.runner, self.pool = runner, pool

    def now(self, name, deadline=None, timing=None, outputs=None, **inputs):
        signature = self.runner.signatures[name]
        feeds = {signature.inputs[alias].name: np.asarray(value) for alias, value in inputs.items()}
        fetches = [signature.outputs[alias].name for alias in outputs or sorted(signature.outputs)]
        return self.runner.run(feeds, fetches, deadline, timing)

    def __call__(self, name, **inputs):
        return self.pool.submit(self.now, name, **inputs)


def rows(*values):
    """Rows of three equal numbers, float32."""
    return np.repeat(np.array(values, np.float32)[:, None], 3, axis=1)


def words(*texts):
    return np.array(texts, object)


def same(future, *expected):
    for output, value in zip(future.result(30), expected, strict=True):
        np.testing.assert_array_equal(output, value)


def busy(ask, held, until, settings, *waiting):
    """A batcher whose only thread is held up by one request, with others of so many rows in the queue."""
    asked = ask(settings)
    held.gate.clear()
    futures = [asked("loose", x=np.zeros((1, 1), np.float32))]
    until(lambda: held.runs)
    for number, count in enumerate(waiting, start=1):
        futures.append(asked("loose", x=np.ones((count, 1), np.float32)))
        until(lambda number=number: asked.runner.waiting >= number)
    return asked, futures
