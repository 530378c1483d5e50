"""Batching without tuning: whenever the model becomes free, all waiting requests run as one batch.

A lone request finds the model free and runs immediately in its own thread, at no extra cost. Under load, batches grow
to whatever arrived during the previous run, and a second batch starts beside the first if it is large enough to be
worth a core. There is no timeout to choose and no padding. Requests only share a batch if their responses are the same
without it: same tensors, dtypes and inner shapes, and a signature that can be batched (batchable.py). If a batch fails,
its requests run again one at a time, so that each gets its own status.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import grpc

from genserve.batching.batchable import batchable
from genserve.batching.merge import merged, split
from genserve.batching.parameters import cores
from genserve.batching.task import Observe, Report, Task, queue_full, queue_timeout
from genserve.errors import ServeError
from genserve.runtime.servable import Feeds, Servable
from genserve.runtime.timing import Timing

MAX_ROWS = 64  # of a batch that is put together: on a CPU larger ones are not faster for a row, and take memory
WORTH_ROWS = 16  # from which on a batch is nearly as fast for a row as any, so that it need not wait for more
RUNS = max(2, cores())  # batches at a time
MAX_WAITING = 1024  # requests; each also keeps a thread of the RPC pool


class Adaptive:
    """A servable that batches waiting requests; `run` may be called from any number of threads."""

    def __init__(self, servable: Servable, observe: Observe | None = None) -> None:
        """Wrap `servable`; closing this closes it."""
        self.name, self.version, self.signatures = servable.name, servable.version, servable.signatures
        self._servable = servable
        self._observe = observe
        graph_def: Callable[[], Any] | None = getattr(servable, "graph_def", None)
        self._batchable = batchable(servable.signatures, graph_def() if graph_def else None)
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[tuple[Hashable, Task]] = deque()
        self._mixed: set[Hashable] = set()  # what turned out not to give a row for a row

    @property
    def waiting(self) -> int:
        """The number of requests waiting for the model."""
        return len(self._waiting)

    def run(
        self, feeds: Feeds, fetches: Sequence[str], deadline: float | None = None, timing: Timing | None = None
    ) -> list[Any]:
        """Feed and fetch tensors by name, possibly in a batch with other requests.

        Args:
            feeds: arrays of any shape; strings as object arrays of bytes.
            fetches: tensor names such as `StatefulPartitionedCall:0`.
            deadline: on the clock of `time.monotonic`.
            timing: where the seconds in the queue and in the model are added.

        Raises:
            ServeError: as the servable; RESOURCE_EXHAUSTED where the deadline passed in the queue, UNAVAILABLE where
                the queue is full.
        """
        key = self._batch_key(feeds, fetches)
        if key is None:
            return self._servable.run(feeds, fetches, deadline, timing)
        task = Task(feeds, len(next(iter(feeds.values()))), deadline)
        if self._leads(key, task):
            self._lead(key, task, fetches)
        task.note(timing)
        if task.alone:
            return self._servable.run(feeds, fetches, deadline, timing)
        if task.error is not None:
            raise task.error
        assert task.results is not None
        return task.results

    def close(self) -> None:
        """Close the servable; no request may be running or waiting."""
        self._servable.close()

    def _batch_key(self, feeds: Feeds, fetches: Sequence[str]) -> Hashable | None:
        """The key that requests in a batch share; None for a request that has to run alone."""
        rows = {array.shape[0] if array.ndim else 0 for array in feeds.values()}
        if len(rows) != 1 or not 0 < max(rows) <= MAX_ROWS:
            return None
        if not any(feeds.keys() == names.inputs and names.outputs.issuperset(fetches) for names in self._batchable):
            return None
        arrays = sorted((name, array.dtype.str, array.shape[1:]) for name, array in feeds.items())
        key = (*fetches, *arrays)
        return None if key in self._mixed else key

    def _leads(self, key: Hashable, task: Task) -> bool:
        """True once this thread may run the model; False if another thread has run the task meanwhile."""
        with self._lock:
            if self._may_run(key, task):
                self._running += 1
                return True
            if len(self._waiting) >= MAX_WAITING:
                raise queue_full(f"currently {len(self._waiting)} requests wait")
            self._waiting.append((key, task))
        if not task.wait(task.deadline):
            with self._lock:
                if (key, task) in self._waiting:
                    self._waiting.remove((key, task))
                    raise queue_timeout()
            task.wait()  # another thread has just taken it out
        return task.leads

    def _may_run(self, key: Hashable, task: Task) -> bool:
        """Whether to start a batch now: the model is free, or enough examples of this kind are waiting."""
        if self._running == 0 or self._running >= RUNS:
            return self._running == 0
        return task.rows + sum(other.rows for other_key, other in self._waiting if other_key == key) >= WORTH_ROWS

    def _lead(self, key: Hashable, task: Task, fetches: Sequence[str]) -> None:
        """Run this task with all waiting ones of its kind, then pass the model on."""
        batch = [task]
        try:
            if task.expired:  # while it waited for its turn
                raise queue_timeout()
            with self._lock:
                self._take(key, batch)
            self._run_batch(key, batch, fetches)
        except BaseException as error:  # whatever it is, nobody may be left waiting
            for member in batch:
                member.error = error
        finally:
            for member in batch[1:]:
                member.wake()
            with self._lock:
                self._running -= 1
                if self._waiting:
                    self._running += 1
                    _, following = self._waiting.popleft()  # the one that has waited longest
                    following.leads = True
                    following.wake()

    def _take(self, key: Hashable, batch: list[Task]) -> None:
        """Move waiting tasks that fit and have not expired from the queue to the batch, in order of arrival."""
        rows, left = batch[0].rows, deque[tuple[Hashable, Task]]()
        for other_key, task in self._waiting:
            if other_key == key and rows + task.rows <= MAX_ROWS and not task.expired:
                batch.append(task)
                rows += task.rows
            else:
                left.append((other_key, task))
        self._waiting = left

    def _run_batch(self, key: Hashable, batch: list[Task], fetches: Sequence[str]) -> None:
        started = time.monotonic()
        rows = [task.rows for task in batch]
        try:
            outputs = self._servable.run(merged([task.feeds for task in batch]), fetches)
            parts = [outputs] if len(batch) == 1 else split(outputs, rows)
        except Exception as error:
            if len(batch) == 1:
                raise
            self._run_separately(key, batch, error)
            return
        finally:
            seconds = time.monotonic() - started
            for task in batch:
                task.started, task.compute = started, seconds
        for task, part in zip(batch, parts, strict=True):
            task.results = part
        if self._observe is not None:
            self._observe(Report(len(batch), sum(rows), 0))

    def _run_separately(self, key: Hashable, batch: list[Task], error: Exception) -> None:
        """Let each request run again alone, so that only the bad one fails."""
        unequal = isinstance(error, ServeError) and error.code is grpc.StatusCode.FAILED_PRECONDITION
        if unequal and len(self._mixed) < MAX_WAITING:  # rows went in and something else came out
            self._mixed.add(key)
        for task in batch:
            task.alone = True
