"""A loaded version as everyone uses it; a batcher or a limit that stands in front of one is a Servable too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from genserve.runtime.timing import Timing

Feeds = Mapping[str, np.ndarray]


class Servable(Protocol):
    """A version that can answer: `signatures` maps a signature's key to its SignatureDef."""

    name: str
    version: int
    signatures: dict[str, Any]

    def run(
        self, feeds: Feeds, fetches: Sequence[str], deadline: float | None = None, timing: Timing | None = None
    ) -> list[Any]:
        """Feed arrays to tensors by name and fetch others.

        Args:
            feeds: an array for each tensor name.
            fetches: names of tensors.
            deadline: on the clock of `time.monotonic`.
            timing: where the seconds spent are added.

        Raises:
            ServeError: with TensorFlow's code and message; DEADLINE_EXCEEDED where it is too late.
        """

    def close(self) -> None:
        """Let go of the version's memory."""
