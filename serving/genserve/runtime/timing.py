"""Where the time of a request went, for gRPC trailers, the log and metrics.

Filled in by the batcher (queue, compute) and predict.py (serialise).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Timing:
    """The seconds that parts of a request took."""

    queue: float = 0.0
    compute: float = 0.0
    serialise: float = 0.0

    def trailers(self) -> tuple[tuple[str, str], ...]:
        """The same in microseconds, as gRPC's trailing metadata."""
        parts = {"queue": self.queue, "compute": self.compute, "serialise": self.serialise}
        return tuple((f"genserve-{name}-us", str(round(seconds * 1e6))) for name, seconds in parts.items())
