"""TensorFlow Serving's shared batch scheduler: one queue per signature, and threads that process batches of all queues.

A queue is a list of batches, of which the last is open. A batch is processed once it is full, or once its first request
has waited for the timeout; with a timeout of 0, as soon as a thread is free. Knows batch sizes and time, not tensors.
Source: TensorFlow's core/kernels/batching_util/shared_batch_scheduler.h.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from genserve.batching.parameters import Parameters
from genserve.batching.task import Task, queue_full
from genserve.errors import invalid_argument

log = logging.getLogger(__name__)

Process = Callable[[list[Task]], None]


class Threads:
    """The threads that run batches, for all models of a server; started on demand."""

    def __init__(self, parameters: Parameters) -> None:
        """As many as `num_batch_threads`, called `thread_pool_name`."""
        self.changed = threading.Condition()  # guards the queues too
        self._count, self._name = parameters.num_batch_threads, parameters.thread_pool_name
        self._queues: list[Queue] = []
        self._started = self._idle = 0
        self._closed = False

    def add(self, queue: Queue) -> None:
        """Serve this queue too."""
        with self.changed:
            self._queues.append(queue)

    def remove(self, queue: Queue) -> None:
        """Forget a queue, which must be empty."""
        with self.changed:
            self._queues.remove(queue)

    def notify(self) -> None:
        """Wake a thread for new work in a queue; the caller holds `changed`."""
        self.changed.notify()
        if self._idle:
            self._idle -= 1
        elif self._started < self._count:
            threading.Thread(target=self._work, name=f"{self._name}_{self._started}", daemon=True).start()
            self._started += 1

    def close(self) -> None:
        """Stop the threads after their current batch."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()

    def _work(self) -> None:
        while work := self._next():
            queue, batch = work
            try:
                queue.process(batch)
            except BaseException:  # process() answers for its tasks; the thread has to live on
                log.exception("a batch failed")

    def _next(self) -> tuple[Queue, list[Task]] | None:
        """Wait for a batch, from the queues in turn; None once closed."""
        with self.changed:
            while not self._closed:
                for index, queue in enumerate(self._queues):
                    if batch := queue.take():
                        self._queues = [*self._queues[index + 1 :], *self._queues[: index + 1]]
                        if any(other.waiting for other in self._queues):
                            self.notify()  # this thread is busy now: another one has to see to what is left
                        return queue, batch
                self._idle += 1
                if not self.changed.wait(min((queue.seconds_left() for queue in self._queues), default=None)):
                    self._idle = max(0, self._idle - 1)  # whoever notifies counts it himself
        return None


class Queue:
    """The batches of one signature; its methods but `process` are called with `threads.changed` held."""

    def __init__(self, parameters: Parameters, threads: Threads, process: Process) -> None:
        """`process` runs one batch, in one of the threads."""
        self.process = process
        self._parameters = parameters
        self._threads = threads
        self._batches: deque[list[Task]] = deque([[]])
        self._opened = 0.0  # when the first task came into the open batch

    @property
    def waiting(self) -> int:
        """The number of requests, or parts of them, that wait."""
        return sum(map(len, self._batches))

    def put(self, tasks: list[Task]) -> None:
        """Add one request, in as many parts as `parts` said."""
        for task in tasks:
            if _rows(self._batches[-1]) + task.rows > self._parameters.execution_size:
                self._batches.append([])
            if not self._batches[-1]:
                self._opened = time.monotonic()
            self._batches[-1].append(task)
        self._threads.notify()

    def parts(self, rows: int) -> list[int]:
        """The number of rows of a request that go into each batch: all into one, unless large requests are split.

        Raises:
            ServeError: INVALID_ARGUMENT for a request that is too large, UNAVAILABLE where the queue is full.
        """
        parameters, size = self._parameters, self._parameters.execution_size
        if rows > parameters.max_batch_size:
            raise invalid_argument(
                f"Task size {rows} is larger than maximum input batch size {parameters.max_batch_size}"
            )
        self._check_capacity(rows)
        room = size - _rows(self._batches[-1])
        if not parameters.enable_large_batch_splitting or rows <= room:
            return [rows]
        first = [room] if room else []
        whole, rest = divmod(rows - room, size)
        return [*first, *[size] * whole, *([rest] if rest else [])]

    def take(self) -> list[Task] | None:
        """The first batch, if it is due."""
        if len(self._batches) == 1 and self._batches[0] and self.seconds_left() == 0.0:
            self._batches.append([])
        return self._batches.popleft() if len(self._batches) > 1 else None

    def seconds_left(self) -> float:
        """Seconds until a batch is due; a day if nothing waits."""
        if len(self._batches) > 1 or _rows(self._batches[0]) >= self._parameters.execution_size:
            return 0.0
        if not self._batches[0]:
            return 86400.0
        return max(0.0, self._opened + self._parameters.batch_timeout_micros / 1e6 - time.monotonic())

    def _check_capacity(self, rows: int) -> None:
        parameters, batches = self._parameters, len(self._batches)
        size, limit, open_rows = parameters.execution_size, parameters.max_enqueued_batches, _rows(self._batches[-1])
        if parameters.enable_large_batch_splitting:
            capacity = (limit - batches) * size + size - open_rows
            if rows > capacity:
                raise queue_full(
                    f"task size is {rows} but scheduling capacity is only {capacity} (num_enqueued_batches={batches}, "
                    f"max_enqueued_batches={limit}, open_batch_size={open_rows}, max_execution_batch_size={size})"
                )
        elif open_rows + rows > parameters.max_batch_size and batches >= limit:
            raise queue_full(f"currently {batches} batches enqueued and max_enqueued_batches is {limit}")


def _rows(batch: list[Task]) -> int:
    return sum(task.rows for task in batch)
