"""Batching with TensorFlow Serving's parameters.

Requests that feed and fetch exactly the tensors of a signature share batches; others (with an output filter, say) run
alone, as in TensorFlow Serving. Differences: an empty request runs alone; an expired request is dropped from its batch;
and if the model fails on a batch of several requests, each runs again alone, to get its own status.
Source: TF Serving's batching/batching_session.cc.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from genserve.batching.batchable import Tensors, tensors
from genserve.batching.merge import TooMuchPadding, merged, row_count, split
from genserve.batching.parameters import Parameters
from genserve.batching.scheduler import Queue, Threads
from genserve.batching.task import Observe, Report, Task, queue_timeout
from genserve.runtime.servable import Feeds, Servable
from genserve.runtime.timing import Timing


class BatchingSession:
    """A servable that batches as its parameters say; `run` may be called from any number of threads."""

    def __init__(
        self,
        servable: Servable,
        parameters: Parameters,
        threads: Threads | None = None,
        observe: Observe | None = None,
    ) -> None:
        """Wrap `servable`; closing this closes it. Without `threads` it has its own."""
        self.name, self.version, self.signatures = servable.name, servable.version, servable.signatures
        self._servable = servable
        self._parameters = parameters
        self._observe = observe
        self._threads = threads or Threads(parameters)
        self._owns_threads = threads is None
        self._queues: dict[Tensors, Queue] = {}
        for names in {tensors(signature) for signature in servable.signatures.values()}:
            self._queues[names] = Queue(parameters, self._threads, self._process_with(sorted(names.outputs)))
            self._threads.add(self._queues[names])

    @property
    def waiting(self) -> int:
        """The number of requests, or parts of them, waiting for a thread."""
        with self._threads.changed:
            return sum(queue.waiting for queue in self._queues.values())

    def run(
        self, feeds: Feeds, fetches: Sequence[str], deadline: float | None = None, timing: Timing | None = None
    ) -> list[Any]:
        """Feed and fetch tensors by name, in a batch with other requests.

        Args:
            feeds: arrays that share dimension 0; strings as object arrays of bytes.
            fetches: tensor names such as `StatefulPartitionedCall:0`.
            deadline: on the clock of `time.monotonic`.
            timing: where the seconds in the queue and in the model are added.

        Raises:
            ServeError: as the servable; INVALID_ARGUMENT, FAILED_PRECONDITION, UNAVAILABLE and RESOURCE_EXHAUSTED as
                listed in docs/batching.md.
        """
        queue = self._queues.get(Tensors(frozenset(feeds), frozenset(fetches)))
        if queue is None:
            return self._servable.run(feeds, fetches, deadline, timing)
        rows = row_count(feeds)
        if rows == 0:  # TensorFlow Serving has no row to pad with either
            return self._servable.run(feeds, fetches, deadline, timing)
        tasks = self._enqueue(queue, feeds, rows, deadline)
        for task in tasks:
            self._wait(task)
        tasks[0].note(timing)
        parts = [self._results(task, sorted(set(fetches))) for task in tasks]
        outputs = parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        by_name = dict(zip(sorted(set(fetches)), outputs, strict=True))
        return [by_name[name] for name in fetches]

    def close(self) -> None:
        """Close the servable; no request may be running or waiting."""
        for queue in self._queues.values():
            self._threads.remove(queue)
        if self._owns_threads:
            self._threads.close()
        self._servable.close()

    def _enqueue(self, queue: Queue, feeds: Feeds, rows: int, deadline: float | None) -> list[Task]:
        with self._threads.changed:
            sizes = queue.parts(rows)
            if len(sizes) == 1:
                tasks = [Task(feeds, rows, deadline)]
            else:
                ends = np.cumsum(sizes)[:-1]
                pieces = {name: np.split(array, ends) for name, array in feeds.items()}
                tasks = [
                    Task({name: arrays[index] for name, arrays in pieces.items()}, size, deadline)
                    for index, size in enumerate(sizes)
                ]
            queue.put(tasks)
        return tasks

    def _wait(self, task: Task) -> None:
        """Wait for the batch of a task, in the queue at most until its deadline."""
        if not task.wait(task.deadline):
            with self._threads.changed:
                if not task.leads:  # no thread has it yet
                    task.error = queue_timeout()
                    return
            task.wait()

    def _results(self, task: Task, outputs: list[str]) -> list[Any]:
        if task.alone:
            return self._servable.run(task.feeds, outputs, task.deadline)
        if task.error is not None:
            raise task.error
        assert task.results is not None
        return task.results

    def _process_with(self, outputs: list[str]) -> Any:
        """The function that processes the batches of a queue."""

        def process(batch: list[Task]) -> None:
            live = self._not_expired(batch)
            try:
                if live:
                    self._run_batch(live, outputs)
            except BaseException as error:  # whatever it is, nobody may be left waiting
                for task in live:
                    task.error = error
            finally:
                for task in live:
                    task.wake()

        return process

    def _not_expired(self, batch: list[Task]) -> list[Task]:
        """Claim the tasks that have not expired; the threads of the others notice by themselves."""
        with self._threads.changed:
            live = [task for task in batch if task.error is None and not task.expired]
            for task in live:
                task.leads = True
        return live

    def _run_batch(self, batch: list[Task], outputs: list[str]) -> None:
        rows = [task.rows for task in batch]
        padding = self._parameters.padding(sum(rows))
        started = time.monotonic()
        for task in batch:
            task.started = started
        try:
            feeds = merged([task.feeds for task in batch], padding, self._parameters.pad_variable_length_inputs)
        except TooMuchPadding:
            for task in batch:
                task.alone = True
            return
        try:
            results = self._servable.run(feeds, outputs)
        except Exception:
            if len(batch) == 1:
                raise
            for task in batch:
                task.alone = True
            return
        finally:
            for task in batch:
                task.compute = time.monotonic() - started
        for task, part in zip(batch, split(results, rows, padding), strict=True):
            task.results = part
        if self._observe is not None:
            self._observe(Report(len(batch), sum(rows), padding))
