"""Batching: requests of several clients become one run of the model; each client gets its own rows back.

    task.py → merge.py, batchable.py → adaptive.py (what needs no tuning) · parameters.py → scheduler.py → session.py
    (TensorFlow Serving's own, tuned by a parameters file)

`make` puts either in front of a servable; what it returns is a servable too. docs/batching.md says when to use which.
"""

from __future__ import annotations

from genserve.batching.adaptive import Adaptive
from genserve.batching.parameters import Parameters
from genserve.batching.scheduler import Threads
from genserve.batching.session import BatchingSession
from genserve.batching.task import Observe
from genserve.runtime.servable import Servable

__all__ = ["Adaptive", "BatchingSession", "Parameters", "Threads", "make"]


def make(
    servable: Servable,
    parameters: Parameters | None = None,  # None: batch whatever waits whenever the model becomes free
    threads: Threads | None = None,  # those of the whole server; None: as many as the parameters say, for this servable
    observe: Observe | None = None,  # called with each batch's Report, for metrics
) -> Adaptive | BatchingSession:
    """Wrap a servable in a batcher.

    Returns:
        A Servable.
    """
    if parameters is None:
        return Adaptive(servable, observe)
    return BatchingSession(servable, parameters, threads, observe)
